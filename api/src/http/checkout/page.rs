//! The page itself. Every value is escaped by the templates; nothing personal is among them.

use domain::money::Sum;
use domain::payment::evidence::Mode;
use domain::payment::{Label, PricedBy, Request};
use domain::ports::PayForm;
use domain::time::Timestamp;
use jiff::tz::TimeZone;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::assets::{SCRIPT, STYLE};
use super::format::{moment, money};
use super::standing::{Standing, note};
use super::texts::Texts;
use crate::config::settings::Language;

/// A way to pay, for the form.
pub(super) struct Way {
    /// The account, as the form sends it.
    pub(super) account: String,
    /// What payers read.
    pub(super) name: String,
    /// True for the one that is chosen at first.
    pub(super) first: bool,
}

/// Everything that a page shows.
pub(super) struct Shown<'a> {
    pub(super) request: &'a Request,
    pub(super) standing: Standing,
    pub(super) merchant: &'a str,
    /// What is sold, by name, and how many.
    pub(super) items: Vec<(String, u32)>,
    pub(super) ways: Vec<Way>,
    pub(super) link: &'a str,
    pub(super) form_token: String,
    pub(super) language: Language,
    pub(super) zone: &'a TimeZone,
    pub(super) tag: String,
    /// True when the payer came back from the provider.
    pub(super) returned: bool,
    /// Why the form was not taken. Such a page stands at the form's address, where nothing follows.
    pub(super) form_refused: Option<&'static str>,
}

/// The page of a request.
pub(super) fn of(shown: &Shown<'_>) -> Markup {
    let texts = shown.language.texts();
    let standing = shown.standing;
    let (title, text) = standing.told(texts);
    let follows = shown.form_refused.is_none();
    let every = standing.look_again_s().filter(|_| follows);
    let payable = standing == Standing::Payable;
    let text = if payable && shown.ways.is_empty() {
        texts.no_way_text
    } else {
        text
    };
    let note = shown
        .form_refused
        .or_else(|| note(shown.request, standing, texts));
    let test = shown.request.terms().mode == Mode::Test;
    let frame = Frame {
        language: shown.language,
        title: format!("{title} \u{2013} {}", shown.merchant),
        standing: standing.as_str(),
        every: every.unwrap_or(0),
        tag: &shown.tag,
        refresh: every.filter(|_| standing.waits()),
        here: address(shown.link, shown.returned),
    };
    framed(
        &frame,
        &html! {
            @if test { p.test { (texts.test_mode) } }
            section #terms { (terms(shown, texts)) }
            section #standing role="status" aria-label=(texts.status) {
                @if let Some(note) = note { div.standing.note { p { (note) } } }
                div.standing {
                    h2 { (title) }
                    p { (text) }
                }
            }
            section #action { (action(shown, texts)) }
            section #more {
                @if standing.look_again_s().is_some() {
                    p {
                        @if standing.waits() && follows { (texts.follows) " " }
                        a href=(url(shown.link, shown.returned, shown.language)) { (texts.reload) }
                    }
                }
            }
        },
        texts,
    )
}

/// A page about no request.
pub(super) fn notice(language: Language, title: &str, text: &str) -> Markup {
    let frame = Frame {
        language,
        title: title.to_owned(),
        standing: "none",
        every: 0,
        tag: "",
        refresh: None,
        here: None,
    };
    let texts = language.texts();
    framed(
        &frame,
        &html! {
            section #terms { h1 { (texts.payment) } }
            section #standing role="status" aria-label=(texts.status) {
                div.standing {
                    h2 { (title) }
                    p { (text) }
                }
            }
        },
        texts,
    )
}

/// The last step where a provider takes a form: the payer's browser sends it there.
pub(super) fn hand_over(language: Language, link: &str, form: &PayForm) -> Markup {
    let texts = language.texts();
    let frame = Frame {
        language,
        title: texts.payment.to_owned(),
        standing: "hand_over",
        every: 0,
        tag: "",
        refresh: None,
        here: address(link, false),
    };
    framed(
        &frame,
        &html! {
            section #terms { h1 { (texts.payment) } }
            section #standing role="status" aria-label=(texts.status) {
                div.standing { p { (texts.payable_text) } }
            }
            section #action {
                form method="post" action=(form.action) accept-charset="utf-8" {
                    @for (name, value) in &form.fields {
                        input type="hidden" name=(name) value=(value);
                    }
                    button type="submit" { (texts.resume) }
                }
            }
        },
        texts,
    )
}

fn terms(shown: &Shown<'_>, texts: &Texts) -> Markup {
    let request = shown.request;
    let terms = request.terms();
    let sum = |sum: Sum| money(texts, sum);
    let currency = terms.amount.currency();
    let returned = Sum::new(request.returned_applied(), currency);
    html! {
        h1 { span { (texts.pay_to) } (shown.merchant) }
        p.amount { span.heard { (texts.amount) ": " } (sum(terms.amount.into())) }
        dl {
            @if request.label() == Label::PartiallyPaid {
                (row(texts.received, &sum(request.applied())))
                (row(texts.still_due, &sum(Sum::new(request.missing_minor(), currency))))
            }
            @if returned.minor() > 0 { (row(texts.given_back, &sum(returned))) }
            (row(texts.order, terms.order_id.as_str()))
            @if !shown.items.is_empty() {
                div {
                    dt { (texts.items) }
                    dd {
                        ul {
                            @for (name, quantity) in &shown.items {
                                li { (name) @if *quantity != 1 { " \u{d7}\u{a0}" (quantity) } }
                            }
                        }
                    }
                }
            }
            @if matches!(shown.standing, Standing::Payable | Standing::Opening | Standing::Confirming) {
                div {
                    dt { (texts.pay_before) }
                    dd { time datetime=(terms.expires_at) { (moment(texts, terms.expires_at, shown.zone)) } }
                }
            }
        }
    }
}

fn row(label: &str, value: &str) -> Markup {
    html! { div { dt { (label) } dd { (value) } } }
}

/// The form that leads to the provider: the main thing while it can be paid, and a way back for who
/// returned too early.
fn action(shown: &Shown<'_>, texts: &Texts) -> Markup {
    let due = Sum::new(
        shown.request.missing_minor(),
        shown.request.terms().amount.currency(),
    );
    let resumes = shown.standing == Standing::Confirming && shown.returned;
    if shown.ways.is_empty() || !(resumes || shown.standing == Standing::Payable) {
        return html! {};
    }
    html! {
        form method="post" action={ "/checkout/" (shown.link) "/pay?lang=" (texts.code) } {
            input type="hidden" name="token" value=(shown.form_token);
            @if resumes {
                p { (texts.resume_text) }
                button.second type="submit" { (texts.resume) }
            } @else {
                @if shown.ways.len() > 1 {
                    fieldset {
                        legend { (texts.choose_provider) }
                        @for way in &shown.ways {
                            label {
                                input type="radio" name="account" value=(way.account) checked[way.first];
                                (way.name)
                            }
                        }
                    }
                }
                button type="submit" { (texts.pay.replace("{amount}", &money(texts, due))) }
            }
        }
    }
}

fn address(link: &str, returned: bool) -> Option<(String, bool)> {
    Some((link.to_owned(), returned))
}

fn url(link: &str, returned: bool, language: Language) -> String {
    let returned = if returned { "&returned=1" } else { "" };
    format!("/checkout/{link}?lang={}{returned}", language.texts().code)
}

struct Frame<'a> {
    language: Language,
    title: String,
    standing: &'a str,
    every: u32,
    tag: &'a str,
    refresh: Option<u32>,
    here: Option<(String, bool)>,
}

fn framed(frame: &Frame<'_>, inside: &Markup, texts: &Texts) -> Markup {
    let here = |language| {
        let (link, returned) = frame.here.as_ref()?;
        Some(url(link, *returned, language))
    };
    html! {
        (DOCTYPE)
        html lang=(texts.code) data-standing=(frame.standing) data-every=(frame.every) data-tag=(frame.tag) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex, nofollow";
                meta name="color-scheme" content="light dark";
                title { (frame.title) }
                style { (PreEscaped(STYLE)) }
                @if let (Some(seconds), Some(url)) = (frame.refresh, here(frame.language)) {
                    noscript { meta http-equiv="refresh" content={ (seconds) "; url=" (url) }; }
                }
            }
            body {
                header {
                    nav aria-label=(texts.choose_language) {
                        ul {
                            @for language in Language::ALL {
                                @let known = language.texts();
                                @let current = (language == frame.language).then_some("true");
                                li {
                                    a href=(here(language).unwrap_or_else(|| format!("?lang={}", known.code)))
                                        lang=(known.code) hreflang=(known.code) aria-current=[current] {
                                        (known.language)
                                    }
                                }
                            }
                        }
                    }
                }
                main { (inside) }
                @if frame.here.is_some() { footer { p { (texts.keep_private) } } }
                @if frame.every > 0 { script { (PreEscaped(SCRIPT)) } }
            }
        }
    }
}

/// What is sold, where a catalogue priced it. Who knows an item no more shows its code.
pub(super) fn items(
    priced_by: &PricedBy,
    title_of: impl Fn(&str) -> Option<String>,
) -> Vec<(String, u32)> {
    match priced_by {
        PricedBy::Amount {} | PricedBy::Quote { .. } => vec![],
        PricedBy::Catalogue { lines } => lines
            .iter()
            .map(|line| {
                let code = line.item.as_str();
                (
                    title_of(code).unwrap_or_else(|| code.to_owned()),
                    line.quantity,
                )
            })
            .collect(),
    }
}

/// Changes whenever the page would, and now and then while it has a form, so that the form stays
/// fresh.
pub(super) fn tag(version: &str, standing: Standing, language: Language, now: Timestamp) -> String {
    let half_hour = match standing {
        Standing::Payable | Standing::Confirming => now.seconds() / 1800,
        Standing::Opening
        | Standing::Processing
        | Standing::InReview
        | Standing::Paid
        | Standing::PartlyRefunded
        | Standing::Refunded
        | Standing::Expired
        | Standing::Cancelled => 0,
    };
    format!(
        "\"{version}.{}.{}.{half_hour}\"",
        standing.as_str(),
        language.texts().code
    )
}
