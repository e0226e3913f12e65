//! The hosted payment page: three buttons, no script, readable by every browser and screen reader.

use domain::time::Timestamp;
use maud::{DOCTYPE, Markup, html};

use super::bank::{Order, Standing};

pub(super) const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1b1b;--paper:#fff;--quiet:#595959;--line:#d5d5d0;--main:#04603a;--on-main:#fff;--note:#8a6d00}\
@media(prefers-color-scheme:dark){:root{--ink:#eee;--paper:#161616;--quiet:#b0b0b0;--line:#444;--main:#7fd6ac;--on-main:#10291d;--note:#d9b43a}}\
body{font:1.1rem/1.5 system-ui,sans-serif;max-width:30rem;margin:0 auto;padding:1.5rem 1rem;color:var(--ink);background:var(--paper)}\
h1{font-size:1.9rem;line-height:1.2;margin:.5rem 0 1rem}\
dl{margin:0 0 1.2rem;border-top:1px solid var(--line)}dl div{padding:.5rem 0;border-bottom:1px solid var(--line)}\
dt{font-size:.95rem;color:var(--quiet)}dd{margin:0;overflow-wrap:anywhere}\
form{display:grid;gap:.6rem;margin:1rem 0}\
button{font:inherit;padding:.7rem 1.2rem;border:2px solid var(--ink);border-radius:.4rem;background:var(--paper);color:inherit;cursor:pointer}\
button.main{font-weight:600;background:var(--main);color:var(--on-main);border-color:var(--main)}\
button:focus-visible{outline:3px solid #1a5fb4;outline-offset:2px}.note{border-left:.3rem solid var(--note);padding-left:.8rem;margin-top:1.5rem}";

/// The page of an order.
pub(super) fn order(order: &Order, now: Timestamp) -> Markup {
    let standing = order.standing(now);
    let amount = order.amount.to_string();
    frame(
        &title(standing, &amount),
        &html! {
            p role="status" { (told(standing)) }
            dl {
                div { dt { "For" } dd { (order.description) } }
                div { dt { "Amount" } dd { (amount) } }
                div { dt { "Reference" } dd { (order.our_reference) } }
                @if order.payable(now) {
                    div { dt { "Pay before" } dd { time datetime=(order.expires_at) { (minute(order.expires_at)) } } }
                }
            }
            @if order.payable(now) {
                form method="post" action={ "/pay/" (order.id) } {
                    button.main type="submit" name="choice" value="pay" { "Pay " (amount) }
                    button type="submit" name="choice" value="decline" { "Be declined" }
                    button type="submit" name="choice" value="leave" { "Leave without paying" }
                }
            }
            (way_back(order))
        },
    )
}

fn title(standing: Standing, amount: &str) -> String {
    match standing {
        Standing::Open | Standing::Declined => format!("Pay {amount}"),
        Standing::Captured => format!("Paid {amount}"),
        Standing::Expired | Standing::Cancelled => "Nothing to pay".to_owned(),
    }
}

/// To the minute, as people read it.
fn minute(time: Timestamp) -> String {
    let text = time.to_string();
    let (day, clock) = text.split_once('T').unwrap_or((&text, ""));
    format!("{day}, {} UTC", clock.get(..5).unwrap_or(clock))
}

/// What the payer reads about where the order stands.
fn told(standing: Standing) -> &'static str {
    match standing {
        Standing::Open => "This order waits for your payment.",
        Standing::Declined => "The payment was declined. You can try again.",
        Standing::Captured => "Thank you, the payment was taken. You can close this page.",
        Standing::Expired => "The time for this payment is over. Ask the shop for a new link.",
        Standing::Cancelled => "The shop closed this payment. Ask it for a new link.",
    }
}

/// What a payer reads who left.
pub(super) fn left(order: &Order) -> Markup {
    frame(
        "You left",
        &html! {
            p role="status" { "Nothing was paid. The link works until its time is over." }
            (way_back(order))
        },
    )
}

fn way_back(order: &Order) -> Markup {
    html! {
        @if let Some(url) = &order.return_url { p { a href=(url) { "Back to the shop" } } }
    }
}

/// A page that only says something.
pub(super) fn notice(title: &str, text: &str) -> Markup {
    frame(title, &html! { p role="status" { (text) } })
}

fn frame(title: &str, inside: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { (title) " - simulated provider" }
                style { (maud::PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { (title) }
                    (inside)
                    p.note { "This is a simulated provider. No money moves here." }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::ids::ProviderRef;
    use domain::money::{Currency, Money};

    use super::super::bank::{Bank, NewOrder};
    use super::super::script::Script;
    use super::*;

    fn rendered(description: &str, seconds: i64) -> String {
        let mut bank = Bank::default();
        let new = NewOrder {
            return_url: Some("https://shop.example/back".into()),
            our_reference: ProviderRef::parse("pr_x-1").unwrap(),
            amount: Money::new(150_000, Currency::from_code("AMD").unwrap()).unwrap(),
            description: description.into(),
            session: Duration::from_secs(60),
            script: Script::default(),
        };
        let id = ProviderRef::parse("so_1").unwrap();
        let (made, _) = bank.register(new, id, Timestamp::from_seconds(0)).unwrap();
        order(&made, Timestamp::from_seconds(seconds)).into_string()
    }

    #[test]
    fn the_page_needs_no_script_and_names_what_is_paid() {
        let page = rendered("Two mugs", 0);
        for part in [
            "<html lang=\"en\">",
            "<h1>Pay 1500.00 AMD</h1>",
            "Two mugs",
            ">1970-01-01, 00:01 UTC</time>",
            "method=\"post\"",
            "value=\"decline\"",
            "<a href=\"https://shop.example/back\">Back to the shop</a>",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert!(!page.contains("<script"));
    }

    #[test]
    fn what_a_shop_writes_is_text_and_never_markup() {
        let page = rendered("<script>alert(1)</script>", 0);
        assert!(!page.contains("<script"), "{page}");
    }

    #[test]
    fn after_the_end_there_is_nothing_to_press() {
        let page = rendered("Two mugs", 60);
        assert!(
            !page.contains("<button")
                && page.contains("<h1>Nothing to pay</h1>")
                && page.contains("The time for this payment is over"),
            "{page}"
        );
    }
}
