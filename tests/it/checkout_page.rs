//! The page that a payer sees, over real HTTP: every state in every language, who may open it, what
//! its form does, and what it never says.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use api::config::settings::Language;
use api::http::checkout::texts::Texts;
use api::sim_provider::{Choice, Plan, Script};
use harness::node::Answer;
use harness::payer::{PAY_ORIGIN, PRICE, PayersShop, STATES, form_token};
use harness::quiet_provider::message;
use harness::whole_log::WholeLog;
use serde_json::json;

/// The title that a state has.
fn title(texts: &Texts, state: &str) -> &'static str {
    match state {
        "payable" | "declined" | "partly_paid" => texts.payable_title,
        "opening" => texts.opening_title,
        "confirming" => texts.confirming_title,
        "processing" => texts.processing_title,
        "in_review" => texts.review_title,
        "paid" => texts.paid_title,
        "partly_refunded" => texts.partly_refunded_title,
        "refunded" => texts.refunded_title,
        "expired" => texts.expired_title,
        "cancelled" => texts.cancelled_title,
        "not_found" => texts.not_found_title,
        other => panic!("{other} is no state"),
    }
}

fn in_language(path: &str, language: Language) -> String {
    let sign = if path.contains('?') { '&' } else { '?' };
    format!("{path}{sign}lang={}", language.texts().code)
}

/// What stands on every page, whatever it says.
#[track_caller]
fn assert_page(page: &Answer) {
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("x-frame-options"), "DENY");
    let policy = page.header("content-security-policy");
    let directives: BTreeSet<&str> = policy
        .split("; ")
        .map(|directive| directive.split(' ').next().unwrap())
        .collect();
    let wanted = [
        "default-src",
        "style-src",
        "script-src",
        "connect-src",
        "form-action",
        "frame-ancestors",
        "base-uri",
    ];
    assert_eq!(directives, wanted.into(), "{policy}");
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-"),
        "{policy}"
    );
    assert!(policy.contains("; script-src 'sha256-"), "{policy}");
    assert!(
        !policy.contains("unsafe") && !policy.contains('*'),
        "{policy}"
    );
    assert!(page.headers.get("set-cookie").is_none());
    for never in [
        " style=",
        " onclick=",
        "javascript:",
        "http://",
        "https://",
        "//cdn",
        "<img",
    ] {
        assert!(!page.text.contains(never), "{never} in {}", page.text);
    }
    for needed in [
        "<main>",
        "<nav aria-label=",
        "role=\"status\"",
        "name=\"viewport\"",
        "<h1>",
    ] {
        assert!(
            page.text.contains(needed),
            "{needed} is missing in {}",
            page.text
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_state_is_told_in_every_language() {
    let shop = PayersShop::open().await;
    for state in STATES {
        let path = shop.in_state(state).await;
        for language in Language::ALL {
            let texts = language.texts();
            let page = shop.look(&in_language(&path, language)).await;
            let what = format!("{state} {language:?}: {}", page.text);
            assert_eq!(
                page.status,
                if state == "not_found" { 404 } else { 200 },
                "{what}"
            );
            assert_page(&page);
            assert!(
                page.text
                    .contains(&format!("<html lang=\"{}\"", texts.code)),
                "{what}"
            );
            assert!(
                page.text
                    .contains(&format!("<h2>{}</h2>", title(texts, state))),
                "{what}"
            );
            if state == "not_found" {
                continue;
            }
            let amount = match language {
                Language::En => "3,000.00\u{a0}AMD",
                Language::Hy | Language::Ru => "3\u{a0}000,00\u{a0}AMD",
            };
            assert!(
                page.text.contains(&format!(": </span>{amount}</p>")),
                "{what}"
            );
            assert!(page.text.contains("Ararat Tea House"), "{what}");
            assert!(
                page.text.contains("<li>Tea, 100 g \u{d7}\u{a0}2</li>"),
                "{what}"
            );
            assert!(page.text.contains(texts.test_mode), "{what}");
            // One button where something can be done, and none where paying again would be a mistake.
            let buttons = page.text.matches("<button").count();
            let can_act = ["payable", "declined", "partly_paid", "confirming"].contains(&state);
            assert_eq!(buttons, usize::from(can_act), "{what}");
            let waits = ["opening", "confirming", "processing", "in_review"].contains(&state);
            let refreshes = page.text.contains("<noscript><meta http-equiv=\"refresh\"");
            assert_eq!(refreshes, waits, "{what}");
            let ends = [
                "paid",
                "partly_refunded",
                "refunded",
                "expired",
                "cancelled",
            ];
            assert_eq!(
                page.text.contains("<script>"),
                !ends.contains(&state),
                "{what}"
            );
            assert_eq!(
                page.text.contains(texts.note_declined),
                state == "declined",
                "{what}"
            );
            assert_eq!(
                page.text.contains(texts.given_back),
                state == "partly_refunded" || state == "refunded",
                "{what}"
            );
            assert_eq!(
                page.text.contains(texts.still_due),
                state == "partly_paid",
                "{what}"
            );
            assert_eq!(
                page.text.contains(texts.choose_provider),
                ["payable", "partly_paid"].contains(&state),
                "{what}"
            );
        }
    }
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payer_reads_the_language_that_is_chosen_else_the_browsers_else_the_shops() {
    let shop = PayersShop::open_with(|settings| settings.checkout.language = Language::Hy).await;
    let page = shop.new_request("order-1", "web", 3600).await.page;
    let russian = [("accept-language", "ru-RU,ru;q=0.9,en;q=0.1")];
    for (query, headers, wanted) in [
        ("", &[][..], "hy"),
        ("", &[("accept-language", "de-DE")], "hy"),
        ("", &russian, "ru"),
        ("?lang=en", &russian, "en"),
        ("?lang=xx", &russian, "ru"),
    ] {
        let page = shop
            .look_with(&format!("{page}{query}"), headers)
            .await
            .expect(200);
        assert!(
            page.text.contains(&format!("<html lang=\"{wanted}\"")),
            "{query} {headers:?}"
        );
    }
    let until = shop.look(&format!("{page}?lang=en")).await.text;
    assert!(until.contains("(UTC+4)</time>"), "{until}");
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_link_opens_anything_and_none_says_why() {
    let shop = PayersShop::open().await;
    let page = shop.new_request("order-1", "web", 3600).await.page;
    let other = shop.new_request("order-2", "web", 3600).await.page;
    let link = page.trim_start_matches("/checkout/");
    let (id, mac) = link.split_once('.').unwrap();
    let flipped = format!(
        "{id}.{}{}",
        if mac.starts_with('a') { "b" } else { "a" },
        &mac[1..]
    );
    let answers = [
        shop.look("/checkout/x").await,
        shop.look(&format!("/checkout/{flipped}")).await,
        shop.look(&format!("/checkout/{id}.{}", &other[other.len() - 26..]))
            .await,
        shop.look(&format!("/checkout/pr_{id}")).await,
        shop.look(&format!("/checkout/{}", link.to_uppercase()))
            .await,
        shop.look(&format!("{page}a")).await,
        shop.look(&format!("/checkout/{}.{}", "a".repeat(26), "a".repeat(26)))
            .await,
    ];
    for answer in &answers {
        assert_eq!((answer.status, &answer.text), (404, &answers[0].text));
        assert_page(answer);
    }
    let forged = shop.send_form(&format!("/checkout/{flipped}"), &[]).await;
    assert_eq!(forged.status, 404);
    shop.look(&page).await.expect(200);
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_is_the_same_everywhere_and_for_ever_and_in_no_event() {
    let mut shop = PayersShop::open().await;
    let new = shop.new_request("order-1", "telegram", 3600).await;
    let link = new.page.trim_start_matches("/checkout/").to_owned();
    let path = format!("/v1/payment-requests/{}", new.id);
    let read = shop
        .node
        .get("backend", &path)
        .await
        .text_of("checkout_url");
    assert!(
        read.starts_with("http://127.0.0.1:8080/checkout/") && read.ends_with(&link),
        "{read}"
    );
    shop.press_pay(&new.page).await;
    shop.node.restart().await;
    shop.look(&new.page).await.expect(200);
    let position = shop.node.get("backend", &path).await;
    assert_eq!(position.text_of("checkout_url"), read);
    let list = shop
        .node
        .get("auditor", "/v1/payment-requests")
        .await
        .expect(200)
        .json();
    assert_eq!(list["payment_requests"][0]["checkout_url"], read);
    let log = WholeLog::read(&**shop.node.app().recorder.store()).await;
    let mac = link.split_once('.').unwrap().1;
    let events = shop
        .node
        .get("auditor", "/v1/events?limit=500")
        .await
        .expect(200);
    assert!(events.text.contains(&new.id) && !events.text.contains(mac));
    assert!(log.of_type("AttemptStarted").count() == 1);
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paying_starts_one_attempt_and_every_further_click_leads_to_the_same_page() {
    let shop = PayersShop::open().await;
    let new = shop.new_request("order-1", "web", 3600).await;
    let page = shop.look(&new.page).await.expect(200);
    assert!(
        page.header("content-security-policy")
            .contains(&format!("form-action 'self' {PAY_ORIGIN};"))
    );
    let token = form_token(&page.text);
    let (form, at_second) = (
        [("token", &*token)],
        [("token", &*token), ("account", "sim-second")],
    );
    let clicks = futures::future::join_all((0..4).map(|_| shop.send_form(&new.page, &form))).await;
    let wanted = format!("{PAY_ORIGIN}/{}", new.reference());
    for click in clicks
        .iter()
        .chain([&shop.send_form(&new.page, &form).await])
    {
        assert_eq!(
            (click.status, click.header("location")),
            (303, &*wanted),
            "{}",
            click.text
        );
    }
    let attempts = async || {
        let path = format!("/v1/payment-requests/{}", new.id);
        shop.node.get("backend", &path).await.json()["attempts"].clone()
    };
    assert_eq!(attempts().await.as_array().unwrap().len(), 1);
    // Another way to pay is another attempt.
    let second = shop.send_form(&new.page, &at_second).await;
    assert_eq!(
        second.header("location"),
        format!("{PAY_ORIGIN}/{}-2", new.id)
    );
    assert_eq!(attempts().await[1]["account"], "sim-second");

    let events = shop
        .node
        .get(
            "auditor",
            &format!("/v1/streams/payment_request-{}", new.id),
        )
        .await;
    let events = events.expect(200).json();
    let mut started = events["events"].as_array().unwrap().iter();
    let started = started
        .find(|event| event["record"]["type"] == "AttemptStarted")
        .unwrap();
    assert_eq!(
        started["record"]["actor"],
        json!({ "kind": "payer", "auth": "link" })
    );
    assert_eq!(
        started["record"]["source"]["entry"],
        "POST /checkout/{link}/pay"
    );
    assert_eq!(started["record"]["source"]["ip_prefix"], "127.0.0.0/24");
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_is_forged_foreign_or_of_another_page_starts_nothing() {
    let shop = PayersShop::open().await;
    let new = shop.new_request("order-1", "web", 3600).await;
    let other = shop.new_request("order-2", "web", 3600).await;
    let token = form_token(&shop.look(&new.page).await.text);
    let foreign = form_token(&shop.look(&other.page).await.text);
    for form in [
        &[][..],
        &[("token", "")],
        &[("token", "9999999999.aaaaaaaaaaaaaaaaaaaaaaaaaa")],
        &[("token", &foreign)],
        &[("token", &token), ("account", "sim-other")],
    ] {
        let answer = shop.send_form(&new.page, form).await;
        assert_eq!(answer.status, 403, "{form:?}");
        assert_page(&answer);
        assert!(answer.text.contains(Language::En.texts().note_stale));
        // The page that tells so has a form that works.
        assert_ne!(form_token(&answer.text), "");
    }
    let cross = shop
        .node
        .http()
        .post(shop.node.url(&format!("{}/pay", new.page)));
    let cross = cross
        .header("content-type", "application/x-www-form-urlencoded")
        .header("sec-fetch-site", "cross-site")
        .body(format!("token={token}"));
    assert_eq!(cross.send().await.unwrap().status(), 403);
    let path = format!("{}/pay", new.page);
    assert_eq!(
        shop.node
            .call("POST", &path, None, None, Some(&json!({})))
            .await
            .status,
        415
    );
    shop.look(&path).await.expect(405);
    let shown = shop
        .node
        .get("backend", &format!("/v1/payment-requests/{}", new.id))
        .await;
    assert_eq!(shown.json()["attempts"], json!([]));
    assert_eq!(
        shop.send_form(&new.page, &[("token", &token)]).await.status,
        303
    );
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_sent_to_a_page_that_was_not_configured() {
    let shop = PayersShop::open_with(|settings| {
        for connection in settings.connections.values_mut() {
            connection.pay_origins = vec!["https://pay.example".to_owned()];
        }
    })
    .await;
    let new = shop.new_request("order-1", "web", 3600).await;
    let answer = shop.press_pay(&new.page).await;
    assert_eq!((answer.status, answer.header("location")), (503, ""));
    assert!(answer.text.contains(Language::En.texts().note_unreachable));
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_is_told_paid_by_the_ledger_and_by_nothing_else() {
    let shop = PayersShop::open().await;
    let new = shop.new_request("order-1", "telegram", 3600).await;
    let back = format!("{}?returned=1&lang=en&status=paid&success=true", new.page);
    let texts = Language::En.texts();
    // Before anything was started there is nothing to confirm.
    assert!(shop.look(&back).await.text.contains(texts.payable_title));
    shop.press_pay(&new.page).await;
    let page = shop.look(&back).await.expect(200);
    assert!(page.text.contains(texts.confirming_title) && page.text.contains(texts.resume_text));
    assert!(!page.text.contains(texts.paid_title));
    let captured = message("captured", &new.reference(), "acc-shop", PRICE);
    shop.tell(&new, &captured, "paid").await;
    assert!(
        shop.look(&back)
            .await
            .text
            .contains(&format!("<h2>{}</h2>", texts.paid_title))
    );
    // What is paid starts nothing more.
    let token = shop.node.app().links.key().form_token(
        new.page.trim_start_matches("/checkout/"),
        shop.node.app().recorder.now(),
    );
    let again = shop.send_form(&new.page, &[("token", &token)]).await;
    assert_eq!(
        (again.status, again.header("location")),
        (303, &*format!("{}?lang=en", new.page))
    );
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_has_the_provider_asked_at_once() {
    let silent = Script {
        page: Plan::Lost,
        ..Script::default()
    };
    let (shop, bank) = PayersShop::open_with_bank(silent).await;
    let new = shop.new_request("order-1", "telegram", 3600).await;
    let sent = shop.press_pay(&new.page).await;
    assert!(
        sent.header("location").starts_with(&bank.url()),
        "{}",
        sent.text
    );
    // The bank takes the money and tells nobody.
    bank.choose(&new.reference(), Choice::Pay).unwrap();
    let begun = Instant::now();
    let back = format!("{}?returned=1&lang=en", new.page);
    let texts = Language::En.texts();
    let mut page = shop.look(&back).await.expect(200);
    assert!(page.text.contains(texts.confirming_title), "{}", page.text);
    while !page.text.contains(texts.paid_title) {
        // The schedule's first question comes fifteen seconds after the start.
        assert!(begun.elapsed() < Duration::from_secs(8), "{}", page.text);
        tokio::time::sleep(Duration::from_millis(50)).await;
        page = shop.look(&back).await.expect(200);
    }
    let path = format!("/v1/payment-requests/{}", new.id);
    let shown = shop.node.get("backend", &path).await.json();
    assert_eq!(shown["verification"]["method"], "status_lookup", "{shown}");
    bank.stop().await;
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_nothing_personal_and_nothing_of_the_machinery() {
    let shop = PayersShop::open().await;
    for state in STATES {
        let path = shop.in_state(state).await;
        let page = shop.look(&path).await.text;
        for never in [
            "cust-canary",
            "backend",
            "telegram",
            "acc-shop",
            "pr_",
            "qo_",
            "qt_",
            "127.0.0",
        ] {
            assert!(!page.contains(never), "{never} in {state}: {page}");
        }
    }
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_looked_at_and_paid_only_so_often() {
    let shop = PayersShop::open_with(|settings| {
        settings.limits.checkout_requests_per_s = 4;
        settings.limits.checkout_starts_per_min = 2;
    })
    .await;
    let new = shop.new_request("order-1", "web", 3600).await;
    let other = shop.new_request("order-2", "web", 3600).await;
    let token = form_token(&shop.look(&new.page).await.text);
    for wanted in [303, 303, 429] {
        let answer = shop.send_form(&new.page, &[("token", &token)]).await;
        assert_eq!(answer.status, wanted);
        assert_eq!(
            answer.header("retry-after"),
            if wanted == 429 { "60" } else { "" }
        );
    }
    let begun = Instant::now();
    let mut looks = 0;
    let limited = loop {
        let page = shop.look(&new.page).await;
        if page.status != 200 {
            break page;
        }
        looks += 1;
        assert!(
            looks < 100 && begun.elapsed() < Duration::from_secs(10),
            "never limited"
        );
    };
    assert_eq!((limited.status, limited.header("retry-after")), (429, "1"));
    assert_page(&limited);
    assert!(limited.text.contains(Language::En.texts().busy_title));
    // Others are not touched by it.
    shop.look(&other.page).await.expect(200);
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_starts_only_so_many_payments() {
    let shop = PayersShop::open_with(|settings| {
        settings.limits.checkout_address_starts_per_min = 2;
    })
    .await;
    for (order, wanted) in [("order-1", 303), ("order-2", 303), ("order-3", 429)] {
        let new = shop.new_request(order, "web", 3600).await;
        assert_eq!(shop.press_pay(&new.page).await.status, wanted);
    }
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_page_is_not_sent_again() {
    let shop = PayersShop::open().await;
    let new = shop.new_request("order-1", "telegram", 3600).await;
    shop.press_pay(&new.page).await;
    let tag = shop.look(&new.page).await.header("etag").to_owned();
    let unchanged = shop.look_with(&new.page, &[("if-none-match", &tag)]).await;
    assert_eq!((unchanged.status, &*unchanged.text), (304, ""));
    shop.look_with(&format!("{}?lang=ru", new.page), &[("if-none-match", &tag)])
        .await
        .expect(200);
    let captured = message("captured", &new.reference(), "acc-shop", PRICE);
    shop.tell(&new, &captured, "paid").await;
    shop.look_with(&new.page, &[("if-none-match", &tag)])
        .await
        .expect(200);
    shop.node.stop().await;
}
