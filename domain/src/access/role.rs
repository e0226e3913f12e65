//! Roles: named sets of scopes. Events hold the scopes, so that a later change of a role changes
//! nobody's rights.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::scope::Scope;

/// A named set of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    /// Telegram, WhatsApp: asks for priced requests and shows their status.
    #[serde(rename = "bot")]
    Bot,
    /// The shop's own systems.
    #[serde(rename = "backend")]
    Backend,
    /// Works exceptions and deliveries, and proposes overrides.
    #[serde(rename = "operator")]
    Operator,
    /// Decides on what another person proposed, and proposes nothing.
    #[serde(rename = "approver")]
    Approver,
    /// Does what operators and approvers do: alone where a scenario lets one person decide, with
    /// another person from its limit on.
    #[serde(rename = "supervisor")]
    Supervisor,
    /// Looks after the money that came and went.
    #[serde(rename = "finance")]
    Finance,
    /// Reads everything that is not personal; changes nothing.
    #[serde(rename = "auditor")]
    Auditor,
    /// Subscribers and views.
    #[serde(rename = "admin")]
    Admin,
    /// Fetches the events of one subscriber.
    #[serde(rename = "receiver")]
    Receiver,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 9] = [
        Self::Bot,
        Self::Backend,
        Self::Operator,
        Self::Approver,
        Self::Supervisor,
        Self::Finance,
        Self::Auditor,
        Self::Admin,
        Self::Receiver,
    ];

    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bot => "bot",
            Self::Backend => "backend",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Supervisor => "supervisor",
            Self::Finance => "finance",
            Self::Auditor => "auditor",
            Self::Admin => "admin",
            Self::Receiver => "receiver",
        }
    }

    /// From its wire name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// Its scopes.
    pub fn scopes(self) -> BTreeSet<Scope> {
        let scopes: &[Scope] = match self {
            Self::Bot => &[
                Scope::RequestsCreate,
                Scope::RequestsRead,
                Scope::NoticesWrite,
                Scope::Precheck,
            ],
            Self::Backend => &[
                Scope::QuotesWrite,
                Scope::AmountSet,
                Scope::RequestsCreate,
                Scope::RequestsRead,
                Scope::RequestsCancel,
                Scope::RefundsRequest,
                Scope::NoticesWrite,
                Scope::Precheck,
            ],
            Self::Operator => &[
                Scope::RequestsRead,
                Scope::NoticesWrite,
                Scope::ExceptionsResolve,
                Scope::OverridesPropose,
                Scope::PiiEvidence,
                Scope::DeliveriesRead,
                Scope::DeliveriesOperate,
            ],
            Self::Approver => &[
                Scope::RequestsRead,
                Scope::OverridesApprove,
                Scope::PiiEvidence,
                Scope::AuditRead,
            ],
            Self::Supervisor => {
                let both = [Self::Operator.scopes(), Self::Approver.scopes()];
                return both.into_iter().flatten().collect();
            }
            Self::Finance => &[Scope::RequestsRead],
            Self::Auditor => &[Scope::RequestsRead, Scope::AuditRead, Scope::DeliveriesRead],
            Self::Admin => &[
                Scope::RequestsRead,
                Scope::DeliveriesRead,
                Scope::SubscribersAdmin,
                Scope::ProjectionsAdmin,
                Scope::AuditRead,
            ],
            Self::Receiver => &[Scope::DeliveriesPull],
        };
        scopes.iter().copied().collect()
    }

    /// True for roles that see only what they created themselves.
    pub fn own_only(self) -> bool {
        match self {
            Self::Bot => true,
            Self::Backend
            | Self::Operator
            | Self::Approver
            | Self::Supervisor
            | Self::Finance
            | Self::Auditor
            | Self::Admin
            | Self::Receiver => false,
        }
    }

    /// True for the role that is bound to one subscriber.
    pub fn is_bound(self) -> bool {
        self.scopes().contains(&Scope::DeliveriesPull)
    }

    /// False for the roles of machines.
    pub fn fits_a_person(self) -> bool {
        match self {
            Self::Bot | Self::Backend | Self::Receiver => false,
            Self::Operator
            | Self::Approver
            | Self::Supervisor
            | Self::Finance
            | Self::Auditor
            | Self::Admin => true,
        }
    }

    /// False for the roles whose word needs a person who shows credentials: a token never approves.
    pub fn fits_a_client(self) -> bool {
        !self.scopes().contains(&Scope::OverridesApprove)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_supervisor_proposes_and_approves_and_is_a_person() {
        let with = |scope| -> Vec<Role> {
            let has = |role: &Role| role.scopes().contains(&scope);
            Role::ALL.into_iter().filter(has).collect()
        };
        let decide = [Role::Approver, Role::Supervisor];
        assert_eq!(with(Scope::OverridesApprove), decide);
        let propose = [Role::Operator, Role::Supervisor];
        assert_eq!(with(Scope::OverridesPropose), propose);
        let not_for = |fits: fn(Role) -> bool| -> Vec<Role> {
            Role::ALL.into_iter().filter(|role| !fits(*role)).collect()
        };
        assert_eq!(not_for(Role::fits_a_client), decide);
        assert_eq!(
            not_for(Role::fits_a_person),
            [Role::Bot, Role::Backend, Role::Receiver]
        );
    }

    #[test]
    fn a_receiver_fetches_and_nobody_else_does() {
        assert_eq!(Role::Receiver.scopes(), [Scope::DeliveriesPull].into());
        let bound: Vec<Role> = Role::ALL
            .into_iter()
            .filter(|role| role.is_bound())
            .collect();
        assert_eq!(bound, [Role::Receiver]);
    }

    #[test]
    fn who_decides_opens_evidence_and_nobody_else_does() {
        for role in Role::ALL {
            let scopes = role.scopes();
            let decides = [Scope::OverridesPropose, Scope::OverridesApprove];
            let decides = decides.iter().any(|scope| scopes.contains(scope));
            assert_eq!(scopes.contains(&Scope::PiiEvidence), decides, "{role:?}");
        }
    }

    #[test]
    fn a_bot_can_never_set_an_amount_and_an_auditor_changes_nothing() {
        let bot = Role::Bot.scopes();
        for forbidden in [
            Scope::AmountSet,
            Scope::QuotesWrite,
            Scope::AuditRead,
            Scope::DeliveriesRead,
        ] {
            assert!(!bot.contains(&forbidden));
        }
        let reads = [Scope::RequestsRead, Scope::AuditRead, Scope::DeliveriesRead];
        assert!(
            Role::Auditor
                .scopes()
                .iter()
                .all(|scope| reads.contains(scope))
        );
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
        }
        for scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.as_str()), Some(*scope));
        }
    }
}
