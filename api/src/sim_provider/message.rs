//! What the bank says on the wire: statements about orders, in notifications and in look-ups.

use domain::ids::ProviderRef;
use domain::money::Money;
use domain::payment::evidence::Mode;
use domain::time::Timestamp;
use serde::Serialize;

use super::bank::{Capture, Order};
use super::refunds::{Refund, RefundStanding};
use super::script::Changes;

/// One statement. Amounts are minor units as decimal text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Statement {
    /// What happened.
    pub status: String,
    /// The bank's order.
    pub order: ProviderRef,
    /// The merchant's reference.
    pub our_reference: ProviderRef,
    /// The movement of money, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction: Option<ProviderRef>,
    /// How much, where money moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    /// Its currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<&'static str>,
    /// Digits after the point of one major unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exponent: Option<u8>,
    /// How much went back, or was to go back, of a refund.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refunded: Option<String>,
    /// The refund.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reversal: Option<ProviderRef>,
    /// The merchant account.
    pub payee: String,
    /// `live` or `test`.
    pub mode: Mode,
    /// When.
    pub occurred_at: Timestamp,
}

/// How this bank names the merchant and its money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The merchant account.
    pub payee: String,
    /// Live or test.
    pub mode: Mode,
}

impl Identity {
    /// A statement that names no money.
    pub fn plain(&self, order: &Order, status: &str, at: Timestamp) -> Statement {
        Statement {
            status: status.to_owned(),
            order: order.id.clone(),
            our_reference: order.our_reference.clone(),
            transaction: None,
            amount: None,
            currency: None,
            exponent: None,
            refunded: None,
            reversal: None,
            payee: self.payee.clone(),
            mode: self.mode,
            occurred_at: at,
        }
    }

    /// Money was taken.
    pub fn captured(&self, order: &Order, capture: &Capture) -> Statement {
        let statement = self.plain(order, "captured", capture.at);
        Statement {
            payee: capture.payee.clone(),
            ..statement.about(capture.transaction.clone(), capture.amount)
        }
    }

    /// What a refund came to; nothing while it is under way.
    pub fn of_refund(&self, order: &Order, refund: &Refund) -> Option<Statement> {
        let status = match refund.standing {
            RefundStanding::Pending => return None,
            RefundStanding::Done => "refunded",
            RefundStanding::Failed => "refund_failed",
        };
        let currency = refund.amount.currency();
        Some(Statement {
            transaction: Some(refund.transaction.clone()),
            currency: Some(currency.code()),
            exponent: Some(currency.exponent()),
            refunded: Some(refund.amount.minor().to_string()),
            reversal: Some(refund.id.clone()),
            ..self.plain(order, status, refund.since)
        })
    }

    /// The truth at `now`: every capture and what went back of it; without one, where the order stands.
    pub fn truth(&self, order: &Order, now: Timestamp) -> Vec<Statement> {
        if order.captures.is_empty() {
            return vec![self.plain(order, order.standing(now).as_str(), order.since(now))];
        }
        let taken = order.captures.iter();
        let taken = taken.map(|capture| self.captured(order, capture));
        let given_back = order.refunds.iter();
        let given_back = given_back.filter_map(|refund| self.of_refund(order, refund));
        taken.chain(given_back).collect()
    }
}

impl Statement {
    fn about(self, transaction: ProviderRef, amount: Money) -> Self {
        let currency = amount.currency();
        Self {
            transaction: Some(transaction),
            amount: Some(amount.minor().to_string()),
            currency: Some(currency.code()),
            exponent: Some(currency.exponent()),
            ..self
        }
    }

    /// With what a script says instead. A status that speaks of money names some: `due` and
    /// `invented`, when nothing was taken.
    pub fn changed(mut self, changes: &Changes, due: Money, invented: &ProviderRef) -> Self {
        if let Some(status) = &changes.status {
            self.status.clone_from(status);
        }
        let of_money = matches!(self.status.as_str(), "captured" | "authorised" | "voided");
        let told =
            changes.amount.is_some() || changes.currency.is_some() || changes.transaction.is_some();
        if of_money || told {
            let minor = self.amount.as_deref().and_then(|text| text.parse().ok());
            let currency = self.currency.and_then(domain::money::Currency::from_code);
            let stated = minor
                .zip(currency)
                .and_then(|(minor, currency)| Money::new(minor, currency).ok());
            let base = stated.unwrap_or(due);
            // The script was checked against the order when both met.
            let amount = changes.money(base).unwrap_or(base);
            let transaction = changes.transaction.clone().or(self.transaction.take());
            self = self.about(transaction.unwrap_or_else(|| invented.clone()), amount);
        }
        if let Some(account) = &changes.account {
            self.payee.clone_from(account);
        }
        if let Some(reference) = &changes.reference {
            self.our_reference = reference.clone();
        }
        if let Some(order) = &changes.order {
            self.order = order.clone();
        }
        self.mode = changes.mode.unwrap_or(self.mode);
        self
    }

    /// Its bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a statement of text fields always serialises")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::money::Currency;

    use super::super::bank::{Bank, NewOrder};
    use super::super::script::Script;
    use super::*;

    fn reference(text: &str) -> ProviderRef {
        ProviderRef::parse(text).unwrap()
    }

    fn order() -> (Bank, Identity) {
        let mut bank = Bank::default();
        let new = NewOrder {
            return_url: None,
            our_reference: reference("pr_x-1"),
            amount: Money::new(150_000, Currency::from_code("AMD").unwrap()).unwrap(),
            description: "Order 1".into(),
            session: Duration::from_secs(60),
            script: Script::default(),
        };
        bank.register(new, reference("so_1"), Timestamp::from_seconds(0))
            .unwrap();
        (
            bank,
            Identity {
                payee: "shop".into(),
                mode: Mode::Test,
            },
        )
    }

    #[test]
    fn a_capture_states_amount_currency_account_and_both_references() {
        let (mut bank, identity) = order();
        let paid = bank
            .pay(
                "so_1",
                reference("st_1"),
                "shop",
                Timestamp::from_seconds(5),
            )
            .unwrap();
        let truth = identity.truth(&paid, Timestamp::from_seconds(999));
        let expected = concat!(
            r#"[{"status":"captured","order":"so_1","our_reference":"pr_x-1","transaction":"st_1","amount":"150000","#,
            r#""currency":"AMD","exponent":2,"payee":"shop","mode":"test","occurred_at":"1970-01-01T00:00:05.000Z"}]"#,
        );
        assert_eq!(serde_json::to_string(&truth).unwrap(), expected);
    }

    #[test]
    fn without_a_capture_the_truth_names_no_money() {
        let (bank, identity) = order();
        let order = bank.find("so_1").unwrap();
        for (seconds, status) in [(0, "registered"), (60, "session_expired")] {
            let truth = identity.truth(order, Timestamp::from_seconds(seconds));
            assert_eq!((truth[0].status.as_str(), truth.len()), (status, 1));
            assert_eq!((&truth[0].amount, &truth[0].transaction), (&None, &None));
        }
    }

    #[test]
    fn a_lie_changes_what_it_names_and_nothing_else() {
        let (mut bank, identity) = order();
        let paid = bank
            .pay(
                "so_1",
                reference("st_1"),
                "shop",
                Timestamp::from_seconds(5),
            )
            .unwrap();
        let honest = identity.captured(&paid, &paid.captures[0]);
        let lie = |text: &str| {
            let script: Script = format!("lookup {text}").parse().unwrap();
            honest.clone().changed(
                &script.look_up_changes,
                paid.amount,
                &reference("st_invented"),
            )
        };
        assert_eq!(
            lie("amount=100.00"),
            Statement {
                amount: Some("10000".into()),
                ..honest.clone()
            }
        );
        assert_eq!(
            lie("currency=USD"),
            Statement {
                currency: Some("USD"),
                ..honest.clone()
            }
        );
        assert_eq!(
            lie("account=other"),
            Statement {
                payee: "other".into(),
                ..honest.clone()
            }
        );
        assert_eq!(lie("reference=pr_y-1").our_reference.as_str(), "pr_y-1");
        assert_eq!(lie("order=so_2").order.as_str(), "so_2");
        assert_eq!(lie("mode=live").mode, Mode::Live);
    }

    #[test]
    fn a_capture_that_never_was_is_stated_with_invented_money() {
        let (bank, identity) = order();
        let order = bank.find("so_1").unwrap();
        let script: Script = "lookup status=captured".parse().unwrap();
        let truth = identity.plain(order, "registered", order.made_at);
        let lie = truth.changed(
            &script.look_up_changes,
            order.amount,
            &reference("st_invented"),
        );
        assert_eq!(lie.transaction, Some(reference("st_invented")));
        assert_eq!(lie.amount.as_deref(), Some("150000"));
    }
}
