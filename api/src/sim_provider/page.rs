//! The hosted payment page: three buttons, no script, readable by every browser and screen reader.

use domain::time::Timestamp;
use maud::{DOCTYPE, Markup, html};

use super::bank::{Order, Standing};

const STYLE: &str = "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:2rem auto;padding:0 1rem;\
color:#1b1b1b;background:#fff}dt{font-weight:600}dd{margin:0 0 .75rem}button{font:inherit;padding:.6rem 1.2rem;\
margin:.3rem .3rem .3rem 0;border:2px solid #1b1b1b;border-radius:.4rem;background:#fff;color:inherit}\
button.main{background:#0b5;background:#04603a;color:#fff;border-color:#04603a}\
button:focus-visible{outline:3px solid #1a5fb4;outline-offset:2px}.note{border-left:.3rem solid #8a6d00;padding-left:.8rem}";

/// The page of an order.
pub(super) fn order(order: &Order, now: Timestamp) -> Markup {
    let standing = order.standing(now);
    let amount = order.amount.to_string();
    frame(
        &format!("Pay {amount}"),
        &html! {
            dl {
                dt { "For" } dd { (order.description) }
                dt { "Amount" } dd { (amount) }
                dt { "Reference" } dd { (order.our_reference) }
                dt { "Pay before" } dd { time datetime=(order.expires_at) { (order.expires_at) } }
            }
            p role="status" { (told(standing)) }
            @if order.payable(now) {
                form method="post" action={ "/pay/" (order.id) } {
                    button.main type="submit" name="choice" value="pay" { "Pay " (amount) }
                    button type="submit" name="choice" value="decline" { "Be declined" }
                    button type="submit" name="choice" value="leave" { "Leave without paying" }
                }
            }
        },
    )
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
            "method=\"post\"",
            "value=\"decline\"",
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
            !page.contains("<button") && page.contains("The time for this payment is over"),
            "{page}"
        );
    }
}
