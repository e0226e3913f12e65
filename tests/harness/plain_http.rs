//! HTTP as a caller of the ledger speaks it. The product's own client judges where it may go; this one
//! goes wherever a test sends it.

/// A client to be built: straight to where it is sent, whatever the environment says of proxies.
pub fn client() -> reqwest::ClientBuilder {
    // No client is built before a provider of TLS is chosen, even where nothing of it is used. An
    // error says that one is chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy()
}
