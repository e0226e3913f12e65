//! Where payers find their requests: the public base URL and the link key.

use domain::checkout::LinkKey;
use domain::ids::PaymentRequestId;

/// Makes checkout URLs.
#[derive(Debug, Clone)]
pub struct Links {
    key: LinkKey,
    public_url: String,
}

impl Links {
    /// Links below `public_url`.
    pub fn new(key: LinkKey, public_url: &str) -> Self {
        Self {
            key,
            public_url: public_url.trim_end_matches('/').to_owned(),
        }
    }

    /// The key that opens links.
    pub fn key(&self) -> &LinkKey {
        &self.key
    }

    /// The page of a request, for its payer.
    pub fn url(&self, request: &PaymentRequestId) -> String {
        format!("{}/checkout/{}", self.public_url, self.key.link(request))
    }

    /// Where a provider sends the payer back to, to read on in `language` where one was chosen.
    pub fn return_url(&self, request: &PaymentRequestId, language: Option<&str>) -> String {
        let language = language.map_or_else(String::new, |code| format!("&lang={code}"));
        format!("{}?returned=1{language}", self.url(request))
    }
}
