//! Content security policies of pages of ours: styles and scripts are let through by their hash.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::digest::Digest32;

/// Only `style` is let through, by its hash, so that text which slipped in as markup could neither
/// run nor restyle anything. `form_action` says where forms may go.
pub fn only_style(style: &str, form_action: &str) -> String {
    let style = by_hash(style);
    format!(
        "default-src 'none'; style-src {style}; form-action {form_action}; \
         frame-ancestors 'none'; base-uri 'none'"
    )
}

/// The source expression that lets exactly this style or script through.
pub fn by_hash(text: &str) -> String {
    let hash = STANDARD.encode(Digest32::sha256(&[text.as_bytes()]).0);
    format!("'sha256-{hash}'")
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
