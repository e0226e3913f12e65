//! Scopes: what a caller may do. Wire names are written out.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! scopes {
    ($($name:ident = $wire:literal, $doc:literal;)+) => {
        /// One thing that a caller may do.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Scope {
            $(#[doc = $doc] $name,)+
        }

        impl Scope {
            /// Every scope.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The wire name.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $wire,)+
                }
            }
        }
    };
}

scopes! {
    QuotesWrite = "quotes:write", "Fix amounts for orders.";
    AmountSet = "amount:set", "State an amount when creating a request.";
    RequestsCreate = "requests:create", "Create payment requests and start attempts.";
    RequestsRead = "requests:read", "Read payment requests.";
    RequestsCancel = "requests:cancel", "Call payment requests off.";
    NoticesWrite = "notices:write", "Record what customers tell or show.";
    Precheck = "precheck", "Ask whether an attempt may be paid.";
    RefundsRequest = "refunds:request", "Ask for money to be given back.";
    ExceptionsResolve = "exceptions:resolve", "Work the exceptions.";
    OverridesPropose = "overrides:propose", "Propose that a person's word stands for money.";
    OverridesApprove = "overrides:approve", "Approve or reject what another person proposed. Never a client's.";
    DeliveriesRead = "deliveries:read", "Read subscribers and deliveries.";
    DeliveriesOperate = "deliveries:operate", "Redrive, abandon, pause, resume.";
    DeliveriesPull = "deliveries:pull", "Fetch and acknowledge the events of the one subscriber that the client is bound to.";
    PiiEvidence = "pii:evidence", "Open what customers showed and providers sent. Never a client's.";
    AuditRead = "audit:read", "Read events and trails.";
    SubscribersAdmin = "subscribers:admin", "Add and test subscribers.";
    ProjectionsAdmin = "projections:admin", "Read and rebuild views.";
}

impl Scope {
    /// From its wire name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|scope| scope.as_str() == text)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("not a scope"))
    }
}
