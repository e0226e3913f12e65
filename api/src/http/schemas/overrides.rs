//! Of what people decide against the evidence.

use serde_json::{Value, json};

use super::{answer, object, text, time};

/// By name.
pub(super) fn schemas() -> Value {
    let piece = object(
        &[],
        json!({
            "commitment": text("Evidence that a record of the request names, as its trail shows it."),
            "text": text("A text, to be sealed."),
            "image_base64": text("A picture, to be sealed: PNG, JPEG or WebP.")
        }),
    );
    let pieces = json!({ "type": "array", "minItems": 1, "maxItems": 5, "items": piece });
    let words = "Words, at most 2,000 characters; kept sealed.";
    let new = object(
        &["reason", "text", "evidence"],
        json!({
            "reason": text("A short code for why."), "text": text(words),
            "evidence": {
                "description": "What it rests on: \"none\", or one to five pieces.",
                "oneOf": [{ "type": "string", "const": "none" }, pieces]
            }
        }),
    );
    let proposal = answer(
        &[
            "id",
            "payment_request_id",
            "decision",
            "state",
            "based_on",
            "lapses_at",
        ],
        json!({
            "id": text("ov_..."), "payment_request_id": text("pr_..."), "decision": text("pay or revoke."),
            "state": text("open, approved, rejected or lapsed."), "proposed_by": text("Who."), "proposed_at": time(),
            "reason": text("Why."), "text": text("Why, in their own words; for persons who propose or decide."),
            "evidence": { "type": ["string", "array"], "description": "none, or the sealed pieces." },
            "based_on": text("Digest of what it was made on; when that changes it lapses."), "lapses_at": time(),
            "ended": { "type": "object", "description": "By whom, when, why, and what had changed." }
        }),
    );
    let verdict = object(
        &["ticket", "reason"],
        json!({
            "ticket": text("cft_... for this proposal."), "reason": text("A short code for why."), "text": text(words)
        }),
    );
    json!({ "NewProposal": new, "Proposal": proposal, "Verdict": verdict })
}
