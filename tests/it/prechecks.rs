//! Providers that ask before money moves, and what they are told: Idram's two messages, and
//! Telegram's `pre_checkout_query`. Asking leaves each answer once, and pays nothing.

use std::time::Duration;

use domain::ids::ProviderCode;
use domain::payment::evidence::EvidenceClass;
use harness::node::Answer;
use harness::payer::form_token;
use harness::quiet_provider::SECRET;
use harness::shop::{Shop, case};
use md5::{Digest, Md5};
use serde_json::{Value, json};

const CALLBACK: &str = "/v1/callbacks/idram/sim-main";
const PAGE: &str = "https://banking.idram.am/Payment/GetPayment";
const PAYEE: &str = "100000114";
const PAYER: &str = "100000001";
const PRECHECKS: &str = "/v1/telegram/pre-checkout-queries";
const PAYMENTS: &str = "/v1/telegram/successful-payments";

/// A shop whose account is one at Idram.
async fn idram() -> Shop {
    Shop::open_with(|settings| {
        let account = &mut settings.merchants[0].accounts[0];
        account.provider = ProviderCode::parse("idram").unwrap();
        account.look_up = false;
        account.minimum = EvidenceClass::WeaklySigned;
        account.payee = Some(PAYEE.to_owned());
        settings.connections.get_mut("sim-main").unwrap().url = None;
    })
    .await
}

async fn send(shop: &Shop, form: &[(&str, &str)]) -> Answer {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    let request = shop
        .node
        .http()
        .post(shop.node.url(CALLBACK))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body);
    Answer::of(request.send().await.unwrap()).await
}

/// Idram's first message; what it was answered.
async fn asks(shop: &Shop, bill: &str, payee: &str, amount: &str) -> String {
    let form = [
        ("EDP_PRECHECK", "YES"),
        ("EDP_BILL_NO", bill),
        ("EDP_REC_ACCOUNT", payee),
        ("EDP_AMOUNT", amount),
    ];
    send(shop, &form).await.text
}

/// Idram's second message, under this key.
async fn confirms(shop: &Shop, bill: &str, amount: &str, key: &str) -> Answer {
    let (transaction, date) = ("12345678901234", "05/10/2026");
    let covered = format!("{PAYEE}:{amount}:{key}:{bill}:{PAYER}:{transaction}:{date}");
    let checksum: String = Md5::digest(covered)
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    send(
        shop,
        &[
            ("EDP_BILL_NO", bill),
            ("EDP_REC_ACCOUNT", PAYEE),
            ("EDP_PAYER_ACCOUNT", PAYER),
            ("EDP_AMOUNT", amount),
            ("EDP_TRANS_ID", transaction),
            ("EDP_TRANS_DATE", date),
            ("EDP_CHECKSUM", &checksum),
        ],
    )
    .await
}

/// The verdicts that the log holds, with who asked.
async fn verdicts(shop: &Shop) -> Vec<String> {
    let log = shop.log().await;
    let told = log.of_type("AttemptPrechecked").map(|envelope| {
        let verdict = &envelope.data["verdict"];
        match verdict["reason"].as_str() {
            Some(reason) => reason.to_owned(),
            None => "allowed".to_owned(),
        }
    });
    told.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payer_goes_to_idram_by_a_form_and_the_order_is_paid_a8_a12() {
    let shop = idram().await;
    let amount = json!({ "minor": "150000", "currency": "AMD" });
    let order = json!({ "order_id": "o-1", "scenario": "web", "amount": amount });
    let created = shop
        .node
        .post("backend", "/v1/payment-requests", "k", &order)
        .await
        .expect(201);
    let (id, url) = (created.text_of("id"), created.text_of("checkout_url"));
    let page = url.split_once("/checkout/").unwrap().1;
    let page = format!("/checkout/{page}");
    let shown = shop.node.call("GET", &page, None, None, None).await;
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("token", &form_token(&shown.expect(200).text))
        .finish();
    let press = shop
        .node
        .http()
        .post(shop.node.url(&format!("{page}/pay?lang=hy")))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form);
    let handed_over = Answer::of(press.send().await.unwrap()).await.expect(200);
    let bill = format!("{id}-1");
    for part in [
        format!("<form method=\"post\" action=\"{PAGE}\""),
        "name=\"EDP_LANGUAGE\" value=\"AM\"".to_owned(),
        format!("name=\"EDP_REC_ACCOUNT\" value=\"{PAYEE}\""),
        "name=\"EDP_AMOUNT\" value=\"1500.00\"".to_owned(),
        format!("name=\"EDP_BILL_NO\" value=\"{bill}\""),
    ] {
        assert!(
            handed_over.text.contains(&part),
            "{part}: {}",
            handed_over.text
        );
    }
    let policy = handed_over.header("content-security-policy");
    assert!(
        policy.contains("form-action 'self' https://banking.idram.am;"),
        "{policy}"
    );
    assert!(!handed_over.text.contains("<script"), "it needs none");

    assert_eq!(asks(&shop, &bill, PAYEE, "1500.00").await, "OK");
    for _ in 0..3 {
        let answer = confirms(&shop, &bill, "1500.00", SECRET).await.expect(200);
        assert_eq!(answer.text, "OK");
        assert_eq!(answer.header("content-type"), "text/plain");
    }
    let paid = shop.paid(&id).await;
    assert_eq!(paid["verification"]["method"], "signed_notification");
    assert_eq!(shop.events(&id, "PaymentCaptured").await, 1);
    // Who paid stands in no event.
    let log = shop.log().await;
    let facts = format!("{:?}", log.events);
    assert!(!facts.contains(PAYER));
    // Idram does not call it paid twice, and is told so.
    assert_eq!(asks(&shop, &bill, PAYEE, "1500.00").await, "REFUSED");
    assert_eq!(verdicts(&shop).await, ["allowed", "not_payable"]);
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_answer_is_written_once_however_often_it_is_asked_for_a8_a10() {
    let shop = idram().await;
    let (id, bill) = shop.waiting_for_payer("o-1").await;
    for _ in 0..3 {
        assert_eq!(asks(&shop, &bill, PAYEE, "1500.00").await, "OK");
        assert_eq!(asks(&shop, &bill, PAYEE, "1500").await, "OK");
        assert_eq!(asks(&shop, &bill, PAYEE, "1499.99").await, "REFUSED");
        assert_eq!(asks(&shop, &bill, PAYEE, "15000").await, "REFUSED");
        assert_eq!(asks(&shop, &bill, "100000115", "1500.00").await, "REFUSED");
    }
    assert_eq!(verdicts(&shop).await, ["allowed", "amount", "account"]);
    let cases = shop.cases(Some(&id)).await;
    assert_eq!(cases, [case("tampered_terms", "medium", None)]);
    let log = shop.log().await;
    let asked = log.of_type("AttemptPrechecked").next().unwrap();
    let actor = serde_json::to_value(&asked.actor).unwrap();
    assert_eq!(actor["kind"], "provider", "{actor}");
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_about_nobody_leaves_nothing_a9() {
    let shop = idram().await;
    let (id, bill) = shop.waiting_for_payer("o-1").await;
    let before = shop.log().await.events.len();
    for unknown in [
        format!("{id}-2"),
        id.clone(),
        "pr_aaaaaaaaaaaaaaaaaaaaaaaaaa-1".to_owned(),
        "1806".to_owned(),
    ] {
        assert_eq!(asks(&shop, &unknown, PAYEE, "1500.00").await, "REFUSED");
    }
    for unreadable in ["", "1.234", "-1500", "1500:00"] {
        assert_ne!(asks(&shop, &bill, PAYEE, unreadable).await, "OK");
    }
    // The first message has no checksum, and the second one needs it.
    let told = [("EDP_BILL_NO", bill.as_str()), ("EDP_AMOUNT", "1500.00")];
    assert_eq!(send(&shop, &told).await.status, 401);
    assert_eq!(shop.log().await.events.len(), before);

    let cancelled = shop.command(&id, "cancel", &json!({})).await;
    cancelled.expect(200);
    assert_eq!(asks(&shop, &bill, PAYEE, "1500.00").await, "REFUSED");
    assert_eq!(verdicts(&shop).await, ["not_payable"]);
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_without_its_question_pays_nothing_and_a_forged_one_leaves_nothing_d8_g2() {
    let shop = idram().await;
    let (id, bill) = shop.waiting_for_payer_of_bot("o-1").await;
    let before = shop.log().await.events.len();
    for (amount, key) in [("1500.00", "another"), ("1500.00", "")] {
        confirms(&shop, &bill, amount, key).await.expect(401);
    }
    assert_eq!(shop.log().await.events.len(), before);

    let told = confirms(&shop, &bill, "1500.00", SECRET).await.expect(200);
    assert_eq!(told.text, "OK");
    let found = shop
        .eventually("a case", async || shop.cases(Some(&id)).await.pop())
        .await;
    assert_eq!(found, case("unprovable_amount", "high", None));
    assert_eq!(shop.shown(&id).await["status"], "pending");
    assert_eq!(shop.bot_says(&id).await, "in_review");
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_amount_than_was_asked_for_is_kept_and_pays_nothing_d1() {
    let shop = idram().await;
    let (id, bill) = shop.waiting_for_payer("o-1").await;
    assert_eq!(asks(&shop, &bill, PAYEE, "1500.00").await, "OK");
    confirms(&shop, &bill, "1499.00", SECRET).await.expect(200);
    let found = shop
        .eventually("a case", async || shop.cases(Some(&id)).await.pop())
        .await;
    assert_eq!(found, case("underpaid", "high", Some("149900 AMD")));
    assert_eq!(shop.shown(&id).await["status"], "pending");
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_idram_was_let_through_for_waits_half_an_hour_more_e1_e5() {
    let shop = idram().await;
    let life = json!({ "expires_in_s": 3600 });
    let (asked, bill) = shop.waiting_with("o-1", life.clone()).await;
    let (idle, _) = shop.waiting_with("o-2", life).await;
    assert_eq!(asks(&shop, &bill, PAYEE, "1500.00").await, "OK");
    shop.node.leap(Duration::from_secs(3601)).await;
    shop.has_status(&idle, "expired").await;
    shop.eventually("a postponed end", async || {
        (shop.events(&asked, "ExpiryDeferred").await > 0).then_some(())
    })
    .await;
    assert_eq!(shop.shown(&asked).await["status"], "pending");
    shop.node.leap(Duration::from_secs(31 * 60)).await;
    shop.has_status(&asked, "expired").await;
    let cases = shop.cases(Some(&asked)).await;
    assert_eq!(cases, [case("status_unknown", "medium", None)]);
    assert!(shop.cases(Some(&idle)).await.is_empty());
    shop.node.stop().await;
}

/// As Telegram sends it, with everything about the person.
fn query(id: &str, payload: &str, amount: i64, language: &str) -> Value {
    json!({
        "id": id,
        "from": {
            "id": 5_123_456_789_i64, "is_bot": false, "first_name": "Anahit-the-payer",
            "language_code": language,
        },
        "currency": "AMD",
        "total_amount": amount,
        "invoice_payload": payload,
        "order_info": { "name": "Anahit-the-payer", "phone_number": "+37491555777" },
    })
}

async fn told(shop: &Shop, who: &str, query: &Value) -> Value {
    let key = query["id"].as_str().unwrap();
    let answer = shop.node.post(who, PRECHECKS, key, query).await;
    answer.expect(200).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_gets_what_it_sends_back_to_telegram_a8_a9_a10() {
    let shop = Shop::open().await;
    let (id, reference) = shop.waiting_for_payer_of_bot("o-1").await;
    let allowed = told(&shop, "bot", &query("4111111111111111", &id, 150_000, "hy")).await;
    assert_eq!(
        allowed,
        json!({ "pre_checkout_query_id": "4111111111111111", "ok": true })
    );
    let refused = async |query_id: &str, payload: &str, amount, language| {
        let answer = told(&shop, "bot", &query(query_id, payload, amount, language)).await;
        assert_eq!(answer["pre_checkout_query_id"], query_id);
        assert_eq!(answer["ok"], false);
        answer["error_message"].as_str().unwrap().to_owned()
    };
    let changed = refused("2", &id, 1_500, "en-GB").await;
    assert!(changed.contains("no longer matches"), "{changed}");
    let armenian = refused("3", &id, 1_500, "hy").await;
    assert!(armenian.contains("պատվերին"), "{armenian}");
    let russian = refused("4", &id, 1_500, "ru").await;
    assert!(russian.contains("заказу"), "{russian}");
    assert_eq!(verdicts(&shop).await, ["allowed", "amount"]);

    // One of nobody, of another bot, and of no request at all are refused alike.
    let (foreign, _) = shop.waiting_for_payer("o-2").await;
    let before = shop.log().await.events.len();
    let over = refused("5", &foreign, 150_000, "en").await;
    for payload in ["pr_aaaaaaaaaaaaaaaaaaaaaaaaaa", "o-1", "", &reference] {
        assert_eq!(refused("6", payload, 150_000, "en").await, over);
    }
    assert_eq!(shop.log().await.events.len(), before);

    shop.tell(&shop.statement("captured", &reference)).await;
    shop.paid(&id).await;
    assert_eq!(refused("7", &id, 150_000, "en").await, over);
    // The first query again is answered as it was.
    let again = query("4111111111111111", &id, 150_000, "hy");
    let again = shop.node.post("bot", PRECHECKS, "4111111111111111", &again);
    let again = again.await.expect(200);
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.json(), allowed);
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_query_of_telegram_is_refused_by_the_field() {
    let shop = Shop::open().await;
    let (id, _) = shop.waiting_for_payer_of_bot("o-1").await;
    let whole = query("77", &id, 150_000, "en");
    for (member, value, pointer) in [
        ("id", json!(77), "/id"),
        ("id", json!("seven and seven"), "/id"),
        ("id", Value::Null, "/id"),
        ("currency", Value::Null, "/currency"),
        ("total_amount", json!("150000"), "/total_amount"),
        ("invoice_payload", Value::Null, "/invoice_payload"),
    ] {
        let mut bad = whole.clone();
        bad[member] = value;
        let answer = shop.node.post("bot", PRECHECKS, "k", &bad).await;
        let problem = answer.expect(422).json();
        assert_eq!(problem["code"], "invalid");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    let none = shop.node.post("bot", PRECHECKS, "k", &json!([])).await;
    assert_eq!(none.expect(400).code(), "malformed");
    let keyless = shop.node.token("bot").to_owned();
    let keyless = format!("Bearer {keyless}");
    let answer = shop
        .node
        .call("POST", PRECHECKS, Some(&keyless), None, Some(&whole));
    answer.await.expect(400);
    assert!(verdicts(&shop).await.is_empty());
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_in_the_chat_is_a_notice_and_pays_nothing_h1() {
    let shop = Shop::open().await;
    let (id, reference) = shop.waiting_for_payer_of_bot("o-1").await;
    let payment = |charge: &str| {
        json!({
            "currency": "AMD", "total_amount": 150_000, "invoice_payload": id,
            "telegram_payment_charge_id": charge, "provider_payment_charge_id": "ch_of-the-provider",
            "order_info": { "name": "Anahit-the-payer" },
        })
    };
    let first = payment("5123456789_charge-1");
    for _ in 0..2 {
        let answer = shop.node.post("bot", PAYMENTS, "c-1", &first).await;
        assert_eq!(answer.expect(202).text_of("status"), "in_review");
    }
    assert_eq!(shop.bot_says(&id).await, "in_review");
    assert_eq!(shop.shown(&id).await["status"], "pending");
    let log = shop.log().await;
    let recorded: Vec<_> = log.of_type("PayerNoticeRecorded").collect();
    assert_eq!(recorded.len(), 1);
    let text = format!("{recorded:?}");
    for hidden in ["charge-1", "of-the-provider", "Anahit"] {
        assert!(!text.contains(hidden), "{hidden} in {text}");
    }
    // The sealed part says which charge it was, and nothing of the person.
    let evidence = recorded[0].evidence[0].commitment;
    let kept = shop.node.app().evidence.open(&evidence).await.unwrap();
    assert_eq!(kept.media, "application/json");
    let kept: Value = serde_json::from_slice(&kept.bytes).unwrap();
    let mut expected = first.clone();
    let members = expected.as_object_mut().unwrap();
    members.remove("order_info");
    members.remove("invoice_payload");
    assert_eq!(kept, expected);

    // Every payment of one invoice is a notice of its own.
    let second = payment("5123456789_charge-2");
    let answer = shop.node.post("bot", PAYMENTS, "c-2", &second).await;
    answer.expect(202);
    assert_eq!(shop.events(&id, "PayerNoticeRecorded").await, 2);
    shop.eventually("a question to the provider", async || {
        (shop.provider.asked(&reference) > 0).then_some(())
    })
    .await;

    let mut foreign = payment("c");
    foreign["invoice_payload"] = json!(shop.waiting_for_payer("o-2").await.0);
    let answer = shop.node.post("bot", PAYMENTS, "c-3", &foreign).await;
    answer.expect(404);
    let card = payment("4111111111111111");
    let answer = shop.node.post("bot", PAYMENTS, "c-4", &card).await;
    assert_eq!(answer.expect(422).code(), "card_number");
    shop.node.stop().await;
}
