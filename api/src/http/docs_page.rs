//! `/docs`: the interface to read in a browser. Made from the table of routes; no script, nothing
//! from elsewhere.

use actix_web::HttpResponse;
use maud::{DOCTYPE, Markup, html};

use super::csp;
use super::ops::{Access, Op, Spec};
use super::problem::CODES;
use super::schemas::schemas;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1a1a1a;--paper:#fff;--quiet:#595959;--line:#ddd;--field:#f3f3f0;--link:#0b57a4}\
@media(prefers-color-scheme:dark){:root{--ink:#eee;--paper:#161616;--quiet:#b0b0b0;--line:#3a3a3a;--field:#262626;--link:#8ab8ff}}\
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:var(--ink);background:var(--paper)}\
a{color:var(--link)}h1{margin-bottom:.5rem}h2{margin:2.5rem 0 .5rem;padding-top:.5rem;border-top:2px solid var(--line)}\
h3{margin:0 0 .2rem;font-size:1rem}p{margin:.3rem 0}\
code,pre{font:14px/1.4 ui-monospace,monospace;background:var(--field);border-radius:4px}\
code{padding:.1em .3em;overflow-wrap:anywhere}pre{padding:1rem;overflow:auto}h3 code{background:none;padding:0;font-size:1rem}\
.m{display:inline-block;min-width:3.2rem;font-weight:700}.q{color:var(--quiet)}\
nav ul{list-style:none;display:flex;flex-wrap:wrap;gap:.3rem 1.2rem;margin:1rem 0;padding:0}\
section{padding:.8rem 0;border-bottom:1px solid var(--line)}summary{cursor:pointer;padding:.2rem 0}\
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem .3rem 0;border-bottom:1px solid var(--line);vertical-align:top}\
:target{scroll-margin-top:3rem;outline:2px solid var(--link);outline-offset:4px}\
@media(max-width:40rem){tr{display:block;padding:.5rem 0;border-bottom:1px solid var(--line)}td{display:inline-block;border:0;padding:0 .6rem 0 0}\
td:last-child{display:block}th{display:none}}";

/// `GET /docs`
pub async fn page() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header(("content-security-policy", csp::only_style(STYLE, "'none'")))
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
                    a href="/openapi.json" { "OpenAPI 3.1" } ". What subscribers are sent: " a href="/asyncapi.json" { "AsyncAPI 3.0" } "."
                }
                p {
                    "Callers send " code { "Authorization: Bearer cf_..." } ". Every route that changes something needs an "
                    code { "Idempotency-Key" } ": new for each command, equal for each repeat of it."
                }
                nav aria-label="Parts of this page" {
                    ul {
                        @for group in Op::groups() { li { a href={ "#" (anchor(group)) } { (group) } } }
                        li { a href="#errors" { "Errors" } }
                        li { a href="#schemas" { "Schemas" } }
                    }
                }
                @for group in Op::groups() {
                    h2 id=(anchor(group)) { (group) }
                    @for op in Op::ALL {
                        @let spec = op.spec();
                        @if spec.group == group { (route(&spec)) }
                    }
                }
                h2 id="errors" { "Errors" }
                table {
                    tr { th { "code" } th { "status" } th { "what to do" } }
                    @for code in CODES {
                        tr id=(code.code) { td { code { (code.code) } } td { (code.status) } td { (prose(code.advice)) } }
                    }
                }
                h2 id="schemas" { "Schemas" }
                @if let Some(schemas) = schemas.as_object() {
                    @for (name, schema) in schemas {
                        // A link to what is folded in opens it, without a script.
                        details {
                            summary { code { (name) } }
                            pre id={ "schema-" (name) } { (serde_json::to_string_pretty(schema).unwrap_or_default()) }
                        }
                    }
                }
            }
        }
    }
}

/// Text in which backticks stand around code.
fn prose(text: &str) -> Markup {
    html! {
        @for (index, part) in text.split('`').enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

fn anchor(group: &str) -> String {
    group.to_ascii_lowercase().replace(' ', "-")
}

fn route(spec: &Spec) -> Markup {
    html! {
        section id=(spec.id) {
            h3 { code { span.m { (spec.method) } " " (spec.path) } }
            p { (prose(spec.summary)) }
            p.q {
                @match spec.access {
                    Access::Public => { "Anybody may call." }
                    Access::Provider => { "Authenticated by the provider's signature." }
                    Access::Credentials => { "A person, by the credentials in the body." }
                    Access::Session => { "A person who signed in." }
                    Access::Link => { "Whoever holds the link." }
                    Access::Scope(scope) => { "Scope " code { (scope.as_str()) } "." }
                    Access::Person(scope) => { "A person with scope " code { (scope.as_str()) } "." }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_inside_the_page_leads_somewhere_and_no_place_has_two() {
        let page = markup().into_string();
        let cut = |mark: &str| -> Vec<String> {
            let parts = page.split(mark).skip(1);
            parts
                .map(|part| part.split('"').next().unwrap().to_owned())
                .collect()
        };
        let places = cut(" id=\"");
        let once: std::collections::BTreeSet<_> = places.iter().collect();
        assert_eq!(once.len(), places.len(), "a place stands twice");
        let links = cut("href=\"#");
        assert!(links.len() > 30, "{links:?}");
        for link in links {
            assert!(once.contains(&link), "#{link}");
        }
    }

    #[test]
    fn every_route_stands_under_its_heading_once() {
        let page = markup().into_string();
        for op in Op::ALL {
            let section = format!("<section id=\"{}\">", op.spec().id);
            assert_eq!(page.matches(&section).count(), 1, "{section}");
        }
        assert!(!page.contains("<script") && !page.contains('`'));
    }
}
