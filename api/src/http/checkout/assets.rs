//! Style and script of the page, inline, with the hashes that the content policy admits them by.
//! Nothing is loaded from anywhere.

use std::sync::LazyLock;

use super::super::csp::by_hash;

/// The style sheet.
pub(super) const STYLE: &str = include_str!("style.css");
/// The script, for browsers that run one. The page does everything without it.
pub(super) const SCRIPT: &str = include_str!("follow.js");

static HASHES: LazyLock<(String, String)> = LazyLock::new(|| (by_hash(STYLE), by_hash(SCRIPT)));

/// The content policy of a page whose form leads to one of these origins. A browser follows a form's
/// redirect only to where `form-action` allows.
pub(super) fn content_policy(pay_origins: &[String]) -> String {
    let (style, script) = &*HASHES;
    let origins: String = pay_origins
        .iter()
        .map(|origin| format!(" {origin}"))
        .collect();
    format!(
        "default-src 'none'; style-src {style}; script-src {script}; connect-src 'self'; \
         form-action 'self'{origins}; frame-ancestors 'none'; base-uri 'none'"
    )
}

#[cfg(test)]
#[path = "contrast_tests.rs"]
mod contrast_tests;
