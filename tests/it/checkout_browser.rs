//! The payer's page in a real Chromium: a payment from the first click to *paid*, with scripts and
//! without, by mouse and by keyboard; pictures of every state in `target/screenshots`; and nothing
//! that the browser complains about. Runs with `SLOW=1` only, and then fails without a `chromium`.

use api::config::settings::Language;
use api::sim_provider::Script;
use harness::browser::Browser;
use harness::payer::{PRICE, PayersShop, STATES};
use harness::quiet_provider::message;
use serde_json::json;

fn slow() -> bool {
    std::env::var_os("SLOW").is_some()
}

/// Nothing sticks out to the side, and everything that can be pressed is large enough for a finger
/// (WCAG 2.2, 2.5.8).
fn assert_fits(browser: &mut Browser, what: &str) {
    let root = "document.documentElement";
    let fits = browser.evaluate(&format!("{root}.scrollWidth <= {root}.clientWidth"));
    assert_eq!(fits, true, "{what} is wider than its window");
    let small = browser.evaluate(
        "[...document.querySelectorAll('button, nav a, fieldset label')].filter(found => {
            const box = found.getBoundingClientRect(); return box.width < 24 || box.height < 24; }).length",
    );
    assert_eq!(small, 0, "{what} has something too small to press");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_state_is_a_page_without_complaints() {
    if !slow() {
        return;
    }
    let shop = PayersShop::open().await;
    let mut browser = Browser::start();
    for state in STATES {
        let url = shop.node.url(&shop.in_state(state).await);
        let sign = if url.contains('?') { '&' } else { '?' };
        for (language, width, colours) in [
            (Language::En, 900, "light"),
            (Language::Hy, 320, "light"),
            (Language::Ru, 390, "dark"),
        ] {
            let code = language.texts().code;
            let name = format!("checkout-{state}-{code}-{width}-{colours}");
            browser.size(width, 800);
            browser.colours(colours);
            browser.open(&format!("{url}{sign}lang={code}"));
            assert_eq!(browser.text("document.documentElement.lang"), code);
            assert_fits(&mut browser, &name);
            browser.picture(&name);
            let complaints = browser.complaints();
            // The browser notes the 404 itself; nothing else may be said.
            let expected = usize::from(state == "not_found");
            assert_eq!(complaints.len(), expected, "{name}: {complaints:?}");
        }
    }
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payer_pays_with_scripts_and_without() {
    if !slow() {
        return;
    }
    for scripts in [true, false] {
        let (shop, bank) = PayersShop::open_with_bank(Script::default()).await;
        let mut browser = Browser::start();
        browser.scripts(scripts);
        let new = shop.new_request("order-1", "telegram", 3600).await;
        let title = |state: &str| format!("document.querySelector('h2').textContent == {state:?}");
        let texts = Language::En.texts();
        browser.open(&shop.node.url(&new.page));
        browser.until(&title(texts.payable_title));
        browser.click("main form button");
        assert_eq!(browser.text("location.origin"), bank.url(), "at the bank");
        browser.click("button[value=pay]");
        assert!(
            browser
                .text("document.body.textContent")
                .contains("Thank you")
        );
        browser.click("a[href*='/checkout/']");
        // Whatever the page said first, it comes to *paid* by itself.
        browser.until(&title(texts.paid_title));
        assert_eq!(
            browser.text("new URL(location.href).searchParams.get('lang')"),
            "en"
        );
        assert_eq!(
            browser.evaluate("document.querySelectorAll('button').length"),
            0
        );
        browser.picture(&format!("checkout-walk-paid-scripts-{scripts}"));
        let complaints = browser.complaints();
        assert!(complaints.is_empty(), "scripts {scripts}: {complaints:?}");
        bank.stop().await;
        shop.node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_page_follows_what_happens_with_scripts_and_without() {
    if !slow() {
        return;
    }
    for scripts in [true, false] {
        let shop = PayersShop::open().await;
        let new = shop.new_request("order-1", "telegram", 3600).await;
        shop.press_pay(&new.page).await;
        let mut browser = Browser::start();
        browser.scripts(scripts);
        let texts = Language::En.texts();
        browser.open(&shop.node.url(&format!("{}?returned=1&lang=en", new.page)));
        assert_eq!(
            browser.text("document.querySelector('h2').textContent"),
            texts.confirming_title
        );
        browser.evaluate("globalThis.kept = true");
        let captured = message("captured", &new.reference(), "acc-shop", PRICE);
        shop.tell(&new, &captured, "paid").await;
        browser.until(&format!(
            "document.querySelector('h2').textContent == {:?}",
            texts.paid_title
        ));
        // With scripts the news came into the page; without them the page was loaded again.
        assert_eq!(browser.evaluate("globalThis.kept === true"), scripts);
        assert_eq!(
            browser.text("document.documentElement.dataset.standing"),
            "paid"
        );
        assert!(browser.text("document.title").starts_with(texts.paid_title));
        let complaints = browser.complaints();
        assert!(complaints.is_empty(), "scripts {scripts}: {complaints:?}");
        shop.node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_is_enough_and_shows_where_it_is() {
    if !slow() {
        return;
    }
    let (shop, bank) = PayersShop::open_with_bank(Script::default()).await;
    let new = shop.new_request("order-1", "web", 3600).await;
    let mut browser = Browser::start();
    browser.open(&shop.node.url(&new.page));
    let mut way = vec![];
    for _ in 0..5 {
        browser.key("Tab");
        way.push(browser.text("document.activeElement.tagName"));
        let ring = browser.text("getComputedStyle(document.activeElement).outlineStyle");
        assert_eq!(ring, "solid", "{way:?}");
    }
    assert_eq!(way, ["A", "A", "A", "INPUT", "BUTTON"]);
    browser.picture("checkout-focus");
    browser.key("Enter");
    browser.until(&format!("location.origin == {:?}", bank.url()));
    // In the order of reading: one heading of the first rank, one main part, labels on all fields.
    browser.open(&shop.node.url(&new.page));
    for (expression, wanted) in [
        ("document.querySelectorAll('h1').length", json!(1)),
        ("document.querySelectorAll('main').length", json!(1)),
        (
            "[...document.querySelectorAll('input[type=radio]')].every(field => field.labels.length == 1)",
            json!(true),
        ),
        (
            "document.querySelector('[role=status]').textContent.length > 0",
            json!(true),
        ),
        ("document.querySelectorAll('[tabindex]').length", json!(0)),
    ] {
        assert_eq!(browser.evaluate(expression), wanted, "{expression}");
    }
    bank.stop().await;
    shop.node.stop().await;
}
