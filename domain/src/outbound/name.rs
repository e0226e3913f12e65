//! The one list of outbound events: their names, the CloudEvents types they travel as, and who
//! gets them without asking.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $ce_type:literal, $ordinary:literal;)+) => {
        /// An event that subscribers may hear of.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum EventName {
            $($(#[$doc])* #[serde(rename = $text)] $name,)+
        }

        impl EventName {
            /// Every event.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The short name, as subscriptions and lists write it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// The CloudEvents `type`, version included. A body that changes otherwise than by a
            /// new member gets another.
            pub fn ce_type(self) -> &'static str {
                match self { $(Self::$name => $ce_type,)+ }
            }

            /// True when a subscriber gets it without naming it.
            pub fn ordinary(self) -> bool {
                match self { $(Self::$name => $ordinary,)+ }
            }
        }
    };
}

names! {
    /// An order is paid.
    PaymentVerified = "payment_verified", "counterfoil.payment.verified.v1", true;
    /// Money of a paid order went back, or its verification was revoked.
    PaymentReversed = "payment_reversed", "counterfoil.payment.reversed.v1", true;
    /// The payer's bank contests a paid order.
    PaymentDisputed = "payment_disputed", "counterfoil.payment.disputed.v1", true;
    /// A dispute was won; a lost one is a reversal.
    PaymentDisputeClosed = "payment_dispute_closed", "counterfoil.payment.dispute_closed.v1", true;
    /// A payment request ran out unpaid.
    RequestExpired = "payment_request_expired", "counterfoil.payment_request.expired.v1", true;
    /// A payment request was called off, replaced, or revoked.
    RequestCancelled = "payment_request_cancelled", "counterfoil.payment_request.cancelled.v1", true;
    /// A part of the amount has arrived, and more is missing.
    PartiallyPaid = "payment_partially_paid", "counterfoil.payment.partially_paid.v1", false;
    /// Something waits for a person.
    ExceptionOpened = "exception_opened", "counterfoil.exception.opened.v1", false;
    /// A person has decided.
    ExceptionResolved = "exception_resolved", "counterfoil.exception.resolved.v1", false;
    /// Somebody asked for a test; only the tested subscriber gets it, whatever it wants.
    DeliveryTest = "delivery_test", "counterfoil.delivery.test.v1", false;
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl EventName {
    /// From its short name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|name| name.as_str() == text)
    }
}
