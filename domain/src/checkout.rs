//! The payer's link, and the token of the form on the page behind it.
//!
//! A link is `<id>.<mac>`: the request's id without its prefix, and an HMAC over it with the link
//! key, which never rotates. So a link names its request without a view, stands in no event, is the
//! same whenever it is asked for, and cannot be made by anybody who only knows ids. Whoever holds it
//! may see the page and pay, and nothing else.

use std::time::Duration;

use subtle::ConstantTimeEq;

use crate::digest::{Digest32, InstanceKey};
use crate::ids::PaymentRequestId;
use crate::time::Timestamp;

/// How long a form that was shown may be sent.
pub const FORM_LIFE: Duration = Duration::from_secs(3600);

const PREFIX: &str = "pr_";
/// Characters of the id without its prefix, and of a MAC: 128 bits each.
const PART: usize = 26;

/// Makes and opens links. `Debug` hides the key.
#[derive(Debug, Clone)]
pub struct LinkKey(InstanceKey);

impl LinkKey {
    /// The link key of the keyring.
    pub fn new(key: InstanceKey) -> Self {
        Self(key)
    }

    /// The link of a request.
    pub fn link(&self, request: &PaymentRequestId) -> String {
        let id = request.as_str().trim_start_matches(PREFIX);
        format!("{id}.{}", self.mac(id))
    }

    /// The request that a link names; `None` for everything that [`LinkKey::link`] did not make.
    /// Takes the same time for every text of the right length, whatever is wrong with it.
    pub fn open(&self, link: &str) -> Option<PaymentRequestId> {
        let (id, mac) = link.split_at_checked(PART)?;
        let expected = format!(".{}", self.mac(id));
        let authentic: bool = expected.as_bytes().ct_eq(mac.as_bytes()).into();
        authentic.then(|| PaymentRequestId::parse(format!("{PREFIX}{id}")).ok())?
    }

    /// A token for a form of this link's page that is sent within [`FORM_LIFE`] of `now`.
    pub fn form_token(&self, link: &str, now: Timestamp) -> String {
        let until = now.plus(FORM_LIFE).seconds();
        format!("{until}.{}", self.form_mac(link, until).short())
    }

    /// True for a token that [`LinkKey::form_token`] made for this link less than [`FORM_LIFE`] ago.
    pub fn admits_form(&self, link: &str, token: &str, now: Timestamp) -> bool {
        let Some((until, mac)) = token.split_once('.') else {
            return false;
        };
        let Ok(until) = until.parse::<i64>() else {
            return false;
        };
        let expected = self.form_mac(link, until).short();
        let authentic: bool = expected.as_bytes().ct_eq(mac.as_bytes()).into();
        authentic && now.seconds() < until
    }

    fn mac(&self, id: &str) -> String {
        self.0.digest("checkout-link", &[id.as_bytes()]).short()
    }

    fn form_mac(&self, link: &str, until: i64) -> Digest32 {
        let until = until.to_be_bytes();
        self.0.digest("checkout-form", &[link.as_bytes(), &until])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> LinkKey {
        LinkKey::new(InstanceKey::new([7; 32]))
    }

    fn request(letter: &str) -> PaymentRequestId {
        PaymentRequestId::parse(format!("pr_{}", letter.repeat(26))).unwrap()
    }

    #[test]
    fn a_link_names_its_request_and_says_the_same_each_time() {
        let link = key().link(&request("a"));
        assert_eq!(link.len(), 53);
        assert_eq!(link, key().link(&request("a")));
        assert_eq!(key().open(&link), Some(request("a")));
    }

    #[test]
    fn no_other_text_opens_anything() {
        let link = key().link(&request("a"));
        for place in 0..link.len() {
            for letter in "ab7.A\u{e9} ".chars() {
                let altered: String = link
                    .char_indices()
                    .map(|(at, old)| if at == place { letter } else { old })
                    .collect();
                assert_eq!(key().open(&altered).is_some(), altered == link, "{altered}");
            }
        }
        let others = LinkKey::new(InstanceKey::new([8; 32])).link(&request("a"));
        let swapped = format!("{}{}", &key().link(&request("b"))[..26], &link[26..]);
        let (short, long) = (&link[..52], format!("{link}a"));
        for text in ["", ".", "a", short, &long, &others, &swapped] {
            assert_eq!(key().open(text), None, "{text}");
        }
    }

    #[test]
    fn a_form_is_of_one_link_and_one_hour() {
        let (key, now) = (key(), Timestamp::from_seconds(1_000_000));
        let (a, b) = (key.link(&request("a")), key.link(&request("b")));
        let token = key.form_token(&a, now);
        let later = |seconds| now.plus(Duration::from_secs(seconds));
        assert!(key.admits_form(&a, &token, now) && key.admits_form(&a, &token, later(3599)));
        assert!(!key.admits_form(&a, &token, later(3600)));
        assert!(!key.admits_form(&b, &token, now));
        let longer = token.replacen("1003600", "1007200", 1);
        assert_ne!(longer, token);
        let link_mac = format!("1003600.{}", &a[27..]);
        for forged in ["", ".", "1003600.", "x.y", &longer, &link_mac] {
            assert!(!key.admits_form(&a, forged, now), "{forged}");
        }
    }
}
