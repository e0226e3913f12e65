//! Idram's messages: a form whose fields begin with `EDP_`. What stands in none of them is the shop's
//! own and is not looked at.

use std::collections::BTreeMap;

use domain::ids::ProviderRef;
use domain::money::{Currency, Money};
use domain::ports::{InboundRequest, Rejected};
use domain::time::{Precision, ProviderTime, Timestamp};
use md5::{Digest, Md5};

/// Between the parts of the checksum. No field may hold it: the boundary would be anybody's guess.
const SEPARATOR: char = ':';

/// The `EDP_` fields by name.
pub(super) struct Message(BTreeMap<String, String>);

impl Message {
    /// Reads the body. A field that stands twice is refused: two readers could take two of them.
    pub(super) fn read(request: &InboundRequest) -> Result<Self, Rejected> {
        let mut fields = BTreeMap::new();
        let parsed = url::form_urlencoded::parse(request.message());
        for (name, value) in parsed.filter(|(name, _)| name.starts_with("EDP_")) {
            if fields
                .insert(name.into_owned(), value.into_owned())
                .is_some()
            {
                return Err(Rejected::Malformed);
            }
        }
        Ok(Self(fields))
    }

    /// A field as it was sent, whatever it holds.
    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A field of printable characters that cannot be mistaken for two.
    fn field(&self, name: &str, fits: impl Fn(&str) -> bool) -> Result<&str, Rejected> {
        self.raw(name)
            .filter(|value| {
                let plain = |c: char| c.is_ascii_graphic() && c != SEPARATOR;
                (1..=100).contains(&value.len()) && value.chars().all(plain) && fits(value)
            })
            .ok_or(Rejected::Malformed)
    }

    /// `EDP_REC_ACCOUNT`: the merchant's account.
    pub(super) fn payee(&self) -> Result<&str, Rejected> {
        self.field("EDP_REC_ACCOUNT", alphanumeric)
    }

    /// `EDP_BILL_NO`: our reference.
    pub(super) fn bill(&self) -> Result<ProviderRef, Rejected> {
        let bill = self.field("EDP_BILL_NO", |_| true)?;
        ProviderRef::parse(bill).map_err(|_| Rejected::Malformed)
    }

    /// `EDP_AMOUNT`, as text: the checksum covers it to the letter.
    fn amount_text(&self) -> Result<&str, Rejected> {
        let decimal = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        self.field("EDP_AMOUNT", decimal)
    }

    /// `EDP_AMOUNT` in drams, the only currency there is. `None` for what is no amount of money.
    pub(super) fn amount(&self) -> Option<Money> {
        let drams = Currency::from_code("AMD")?;
        Money::from_major(self.amount_text().ok()?, drams).ok()
    }

    /// `EDP_TRANS_ID`: the movement of money.
    pub(super) fn transaction(&self) -> Result<ProviderRef, Rejected> {
        let id = self.field("EDP_TRANS_ID", |id| id.len() <= 14 && alphanumeric(id))?;
        ProviderRef::parse(id).map_err(|_| Rejected::Malformed)
    }

    /// `EDP_TRANS_DATE`, `dd/mm/yyyy`.
    fn date_text(&self) -> Result<&str, Rejected> {
        self.field("EDP_TRANS_DATE", |date| {
            date.len() == 10 && date.bytes().all(|b| b.is_ascii_digit() || b == b'/')
        })
    }

    /// The day of the payment, taken as a day of UTC. An Armenian day ends four hours earlier, so what
    /// is provably in time this way is so the other way too.
    pub(super) fn day(&self) -> Option<ProviderTime> {
        let mut parts = self.date_text().ok()?.splitn(3, '/');
        let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
        let at = Timestamp::parse(&format!("{year}-{month}-{day}T00:00:00Z")).ok()?;
        Some(ProviderTime {
            at,
            precision: Precision::Day,
        })
    }

    /// What the checksum covers, without the key, before and after which it stands.
    pub(super) fn covered(&self) -> Result<[String; 2], Rejected> {
        let payer = self.field("EDP_PAYER_ACCOUNT", |_| true)?;
        let (transaction, bill) = (self.transaction()?, self.bill()?);
        let before = format!("{}:{}:", self.payee()?, self.amount_text()?);
        let after = format!(":{bill}:{payer}:{transaction}:{}", self.date_text()?);
        Ok([before, after])
    }
}

fn alphanumeric(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// `EDP_CHECKSUM` of what is [covered](Message::covered), as bytes.
pub(super) fn checksum([before, after]: &[String; 2], key: &[u8]) -> [u8; 16] {
    let hash = Md5::new()
        .chain_update(before)
        .chain_update(key)
        .chain_update(after);
    hash.finalize().into()
}
