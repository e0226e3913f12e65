//! The content security policy of a page of ours that holds one style of its own and no script.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::digest::Digest32;

/// Only `style` is let through, by its hash, so that text which slipped in as markup could neither
/// run nor restyle anything. `form_action` says where forms may go.
pub fn only_style(style: &str, form_action: &str) -> String {
    let hash = STANDARD.encode(Digest32::sha256(&[style.as_bytes()]).0);
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action {form_action}; \
         frame-ancestors 'none'; base-uri 'none'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_is_let_through_by_its_hash_and_nothing_else_is() {
        // FIPS 180-2: the digest of "abc".
        let hash = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";
        let policy = only_style("abc", "'self'");
        assert!(
            policy.contains(&format!("style-src 'sha256-{hash}'")),
            "{policy}"
        );
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
    }
}
