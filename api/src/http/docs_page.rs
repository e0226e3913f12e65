//! `/docs`: the interface to read in a browser. Made from the table of routes; no script, nothing
//! from elsewhere.

use actix_web::HttpResponse;
use maud::{DOCTYPE, Markup, html};

use super::ops::{Access, Op, Spec};
use super::problem::CODES;
use super::schemas::schemas;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}\
code,pre{font:14px/1.4 ui-monospace,monospace;background:#f3f3f0;border-radius:4px}code{padding:.1em .3em}pre{padding:1rem;overflow:auto}\
section{border-top:1px solid #ddd;padding:.5rem 0}h3 code{font-size:1rem}.m{font-weight:700}table{border-collapse:collapse;width:100%}\
td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #eee;vertical-align:top}\
@media(prefers-color-scheme:dark){body{color:#eee;background:#161616}code,pre{background:#262626}section{border-color:#333}td,th{border-color:#333}}";

/// `GET /docs`
pub async fn page() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((
            "content-security-policy",
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ))
        .body(markup().into_string())
}

fn markup() -> Markup {
    let schemas = schemas();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Counterfoil API" }
                style { (maud::PreEscaped(STYLE)) }
            }
            body {
                h1 { "Counterfoil API" }
                p {
                    "The one place that decides whether an order is paid. The same as "
                    a href="/openapi.json" { "OpenAPI 3.1" } "."
                }
                p {
                    "Callers send " code { "Authorization: Bearer cf_..." } ". Every route that changes something needs an "
                    code { "Idempotency-Key" } ": new for each command, equal for each repeat of it."
                }
                @for op in Op::ALL { (route(&op.spec())) }
                h2 id="errors" { "Errors" }
                table {
                    tr { th { "code" } th { "status" } th { "what to do" } }
                    @for code in CODES {
                        tr id=(code.code) { td { code { (code.code) } } td { (code.status) } td { (code.advice) } }
                    }
                }
                h2 { "Schemas" }
                @if let Some(schemas) = schemas.as_object() {
                    @for (name, schema) in schemas {
                        details id={ "schema-" (name) } {
                            summary { code { (name) } }
                            pre { (serde_json::to_string_pretty(schema).unwrap_or_default()) }
                        }
                    }
                }
            }
        }
    }
}

fn route(spec: &Spec) -> Markup {
    html! {
        section id=(spec.id) {
            h3 { code { span.m { (spec.method) } " " (spec.path) } }
            p { (spec.summary) }
            p {
                @match spec.access {
                    Access::Public => { "Anybody may call." }
                    Access::Provider => { "Authenticated by the provider's signature." }
                    Access::Scope(scope) => { "Scope " code { (scope.as_str()) } "." }
                }
                @if spec.keyed { " Needs an " code { "Idempotency-Key" } "." }
                @if !spec.body.is_empty() { " Body " a href={ "#schema-" (spec.body) } { (spec.body) } "." }
                " Answers " (spec.success)
                @if !spec.answer.is_empty() { " " a href={ "#schema-" (spec.answer) } { (spec.answer) } }
                "."
            }
        }
    }
}
