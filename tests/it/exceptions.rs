//! Exceptions as people work on them: the review list and its filters, one case in full, assign, and
//! every way to decide; who may, what a repeat does, and what is refused.

use std::time::Duration;

use api::admin::AdminCommand;
use api::admin::exceptions::ExceptionCommand;
use api::app::case_decisions::How;
use api::app::cases::CaseFilter;
use api::app::context::Context;
use domain::access::role::Role;
use domain::ids::{CaseId, MerchantId, OperatorId, ReasonCode};
use domain::payment::{Command, RefundAnswer};
use harness::money_world::MoneyWorld;
use harness::node::Answer;
use harness::shop::{PRICE, Shop};
use projections::views::exceptions::CaseState;
use serde_json::{Value, json};

const EXCEPTIONS: &str = "/v1/exceptions";
const WORDS: &str = "the customer rang and still wants the tea";

fn first_case(id: &str) -> String {
    format!("payment_request-{id}~1")
}

fn decision(resolution: &str) -> Value {
    json!({ "resolution": resolution, "reason": "payer_called", "text": WORDS })
}

async fn resolve(shop: &Shop, case: &str, key: &str, body: &Value) -> Answer {
    let path = format!("{EXCEPTIONS}/{case}/resolve");
    shop.node.post("operator", &path, key, body).await
}

async fn read(shop: &Shop, case: &str) -> Value {
    let path = format!("{EXCEPTIONS}/{case}");
    shop.node.get("operator", &path).await.expect(200).json()
}

/// The ways to decide a case that are open now.
async fn ways(shop: &Shop, case: &str) -> Vec<String> {
    let shown = read(shop, case).await;
    let ways = shown["resolutions"].as_array().unwrap().iter();
    let possible = ways.filter(|way| way["possible"] == true);
    possible
        .map(|way| way["resolution"].as_str().unwrap().to_owned())
        .collect()
}

async fn listed(shop: &Shop, query: &str) -> Vec<String> {
    shop.views_have_caught_up().await;
    let path = format!("{EXCEPTIONS}?{query}");
    let list = shop.node.get("operator", &path).await.expect(200).json();
    let rows = list["exceptions"].as_array().unwrap().iter();
    rows.map(|row| row["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn late_money_that_a_person_accepts_pays_late_and_only_once_e9() {
    let shop = Shop::open().await;
    let (id, case) = shop.paid_after_cancel("late").await;
    let shown = read(&shop, &case).await;
    assert_eq!(shown["holds"]["minor"], PRICE.to_string(), "{shown}");
    assert_eq!(
        (&shown["kind"], &shown["state"]),
        (&json!("paid_after_cancel"), &json!("open"))
    );
    assert_eq!(
        ways(&shop, &case).await,
        ["accept", "refund", "reassign", "keep_as_income"]
    );

    let first = resolve(&shop, &case, "k-1", &decision("accept"))
        .await
        .expect(200);
    let told = first.json();
    assert_eq!(
        (&told["status"], &told["resolution"]),
        (&json!("paid"), &json!("accepted"))
    );
    let paid = shop.paid(&id).await;
    assert_eq!(paid["verification"]["late"], true);
    assert_eq!(paid["unapplied"], json!([]));
    assert_eq!(paid["in_review"], false);

    // The same key: the first answer. The same decision by another key: nothing new.
    let again = resolve(&shop, &case, "k-1", &decision("accept"))
        .await
        .expect(200);
    assert_eq!(again.text, first.text);
    assert_eq!(again.header("idempotent-replayed"), "true");
    resolve(&shop, &case, "k-2", &decision("accept"))
        .await
        .expect(200);
    assert_eq!(shop.events(&id, "PaymentVerified").await, 1);
    assert_eq!(shop.events(&id, "UnappliedMoneyAccepted").await, 1);
    // The same key for something else, and another decision.
    let other = resolve(&shop, &case, "k-1", &decision("refund"))
        .await
        .expect(422);
    assert_eq!(other.code(), "idempotency_mismatch");
    let other = resolve(&shop, &case, "k-3", &decision("refund"))
        .await
        .expect(409);
    assert_eq!(other.code(), "state_conflict");
    assert_eq!(ways(&shop, &case).await, [""; 0]);
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn late_money_is_not_accepted_while_another_request_stands_for_the_order_e9() {
    let shop = Shop::open().await;
    let (id, case) = shop.paid_after_cancel("again").await;
    let (second, reference) = shop.waiting_for_payer("again").await;
    let refused = resolve(&shop, &case, "k-1", &decision("accept"))
        .await
        .expect(409);
    assert_eq!(refused.code(), "open_request_exists");
    assert_eq!(refused.text_of("payment_request_id"), second);
    assert_eq!(
        ways(&shop, &case).await,
        ["refund", "reassign", "keep_as_income"]
    );
    assert_eq!(
        shop.tell(&shop.statement("captured", &reference)).await,
        "applied"
    );
    shop.paid(&second).await;
    let refused = resolve(&shop, &case, "k-1", &decision("accept"))
        .await
        .expect(409);
    assert_eq!(refused.code(), "already_paid");
    assert_eq!(refused.text_of("payment_request_id"), second);
    assert_eq!(shop.shown(&id).await["status"], "cancelled");
    // What was refused took nothing away: it can still go back, and not both.
    let asked = resolve(&shop, &case, "k-2", &decision("refund"))
        .await
        .expect(200)
        .json();
    assert!(
        asked["refund_id"].as_str().unwrap().starts_with("rf_"),
        "{asked}"
    );
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_goes_back_is_held_and_asked_for_once_e10() {
    let shop = Shop::open().await;
    let (id, case) = shop.paid_after_cancel("back").await;
    // Nobody knows whether it went while the provider does not answer, so it stays held.
    shop.provider.is_away(true);
    let first = resolve(&shop, &case, "k-1", &decision("refund"))
        .await
        .expect(200);
    let told = first.json();
    assert_eq!(
        (&told["state"], &told["resolution"]),
        (&json!("open"), &Value::Null)
    );
    assert_eq!(told["status"], "cancelled");
    let again = resolve(&shop, &case, "k-1", &decision("refund"))
        .await
        .expect(200);
    assert_eq!(again.text, first.text);
    for (key, other) in [
        ("k-2", "refund"),
        ("k-3", "accept"),
        ("k-4", "keep_as_income"),
    ] {
        let refused = resolve(&shop, &case, key, &decision(other))
            .await
            .expect(409);
        assert_eq!(refused.code(), "state_conflict", "{other}");
    }
    assert_eq!(shop.events(&id, "RefundRequested").await, 1);
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_cases_of_one_request_are_decided_one_by_one() {
    let shop = Shop::open().await;
    let (id, reference) = shop.waiting_for_payer("many").await;
    for (transaction, more) in [
        ("tx-1", json!({})),
        ("tx-2", json!({})),
        ("tx-3", json!({ "currency": "USD", "amount": "500" })),
        ("tx-4", json!({ "payee": "acc-other", "amount": "31" })),
    ] {
        let mut says = more;
        says["transaction"] = json!(transaction);
        let told = shop.statement_with("captured", &reference, says);
        assert_eq!(shop.tell(&told).await, "applied");
    }
    let [twice, dollars, elsewhere] = [1, 2, 3].map(|n| format!("payment_request-{id}~{n}"));
    // The most urgent first, then the one that is due first.
    let of_it = format!("payment_request_id={id}");
    let all = [elsewhere.clone(), twice.clone(), dollars.clone()];
    assert_eq!(listed(&shop, &of_it).await, all);

    let refused = resolve(&shop, &twice, "k", &decision("dismiss"))
        .await
        .expect(409);
    assert_eq!(refused.code(), "state_conflict");
    // It is paid; nothing of what came besides can pay it again.
    for case in [&twice, &dollars, &elsewhere] {
        resolve(&shop, case, "k", &decision("accept"))
            .await
            .expect(409);
    }
    let kept = resolve(&shop, &twice, "k-2", &decision("keep_as_income")).await;
    assert_eq!(kept.expect(200).json()["resolution"], "kept_as_income");
    assert_eq!(
        listed(&shop, &of_it).await,
        [elsewhere.clone(), dollars.clone()]
    );
    assert_eq!(shop.shown(&id).await["in_review"], true);
    for (key, case) in [("k-3", &dollars), ("k-4", &elsewhere)] {
        let kept = resolve(&shop, case, key, &decision("keep_as_income")).await;
        kept.expect(200);
    }
    assert_eq!(listed(&shop, &of_it).await, [""; 0]);
    let resolved = format!("{of_it}&state=resolved");
    assert_eq!(listed(&shop, &resolved).await, all);
    let shown = shop.shown(&id).await;
    assert_eq!(
        (&shown["in_review"], &shown["unapplied"]),
        (&json!(false), &json!([]))
    );
    assert_eq!(shown["applied"]["minor"], PRICE.to_string());
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn small_payments_are_accepted_together_e9() {
    let shop = Shop::open().await;
    let (id, reference) = shop.waiting_for_payer("halves").await;
    for transaction in ["half-1", "half-2"] {
        let says = json!({ "amount": "75000", "transaction": transaction });
        let told = shop.statement_with("captured", &reference, says);
        assert_eq!(shop.tell(&told).await, "applied");
    }
    let case = first_case(&id);
    let refused = resolve(&shop, &case, "k", &decision("accept"))
        .await
        .expect(422);
    assert!(
        refused
            .text
            .contains("75000 minor units would still be missing"),
        "{}",
        refused.text
    );
    let mut both = decision("accept");
    both["with"] = json!([format!("payment_request-{id}~2")]);
    resolve(&shop, &case, "k", &both).await.expect(200);
    let paid = shop.paid(&id).await;
    assert_eq!(paid["verification"]["late"], false);
    assert_eq!(paid["in_review"], false);
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_leaves_for_another_request_of_the_merchant_and_currency_only_e15() {
    let shop = Shop::open().await;
    let (id, case) = shop.paid_after_cancel("old").await;
    let (target, _) = shop.waiting_for_payer("new").await;
    let tea = json!({ "items": [{ "item": "tea", "quantity": 1 }], "order_id": "theirs", "scenario": "web" });
    let theirs = shop
        .node
        .post("other-backend", "/v1/payment-requests", "k", &tea)
        .await;
    let theirs = theirs.expect(201).text_of("id");
    let to = |to: &str| {
        let mut body = decision("reassign");
        body["to"] = json!(to);
        body
    };
    let nobody = format!("pr_{}", "z".repeat(26));
    for (wrong, status) in [(&theirs, 422), (&nobody, 422), (&id, 422)] {
        resolve(&shop, &case, "k-1", &to(wrong))
            .await
            .expect(status);
    }
    let (_, reference) = shop.waiting_for_payer("dollars").await;
    let says = json!({ "currency": "USD", "transaction": "tx-usd" });
    let told = shop.statement_with("captured", &reference, says);
    assert_eq!(shop.tell(&told).await, "applied");
    let dollars = first_case(reference.strip_suffix("-1").unwrap());
    let refused = resolve(&shop, &dollars, "k-1", &to(&target))
        .await
        .expect(422);
    assert!(
        refused.text.contains("another currency"),
        "{}",
        refused.text
    );

    let first = resolve(&shop, &case, "k-1", &to(&target)).await.expect(200);
    let told = first.json();
    assert_eq!(
        (&told["state"], &told["resolution"]),
        (&json!("resolved"), &json!("reassigned"))
    );
    assert!(told["transfer_id"].as_str().unwrap().starts_with("tr_"));
    let again = resolve(&shop, &case, "k-1", &to(&target)).await.expect(200);
    assert_eq!(again.text, first.text);
    assert_eq!(shop.events(&id, "CaptureReassigned").await, 1);
    assert_eq!(shop.shown(&id).await["unapplied"], json!([]));
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_was_sent_away_is_not_said_to_have_gone_elsewhere_e15() {
    let shop = Shop::open().await;
    let (id, case) = shop.paid_after_cancel("old").await;
    let (first, _) = shop.waiting_for_payer("first").await;
    let (second, _) = shop.waiting_for_payer("second").await;
    let to = |to: &str, reason: &str| {
        let mut body = decision("reassign");
        body["to"] = json!(to);
        body["reason"] = json!(reason);
        body
    };
    let body = to(&first, "payer_called");
    let sent = resolve(&shop, &case, "k-1", &body).await.expect(200);
    shop.paid(&first).await;
    let head = shop.node.app().recorder.store().head().await.unwrap();
    // Under another key it is the same decision, by the transfer that there was.
    let again = resolve(&shop, &case, "k-2", &body).await.expect(200);
    assert!(sent.text_of("transfer_id").starts_with("tr_"));
    assert_eq!(again.text_of("transfer_id"), sent.text_of("transfer_id"));
    // Of another target, or for another reason, nothing would be written down.
    for (key, other) in [
        ("k-3", to(&second, "payer_called")),
        ("k-4", to(&first, "old_link")),
    ] {
        let refused = resolve(&shop, &case, key, &other).await;
        assert_eq!(refused.expect(409).code(), "state_conflict");
    }
    assert_eq!(shop.node.app().recorder.store().head().await.unwrap(), head);
    assert_eq!(shop.shown(&second).await["status"], "pending");
    assert_eq!(shop.events(&id, "CaptureReassigned").await, 1);
    shop.node.stop().await;
}

/// A request that nobody can be asked about, and what a customer says of it.
async fn noticed(shop: &Shop, order: &str) -> String {
    let tea = json!({ "items": [{ "item": "tea", "quantity": 1 }], "order_id": order, "scenario": "telegram" });
    let created = shop
        .node
        .post("bot", "/v1/payment-requests", order, &tea)
        .await;
    let id = created.expect(201).text_of("id");
    let notice = json!({ "kind": "message", "text": "I paid" });
    let path = format!("/v1/payment-requests/{id}/notices");
    shop.node
        .post("bot", &path, order, &notice)
        .await
        .expect(202);
    first_case(&id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_looks_after_a_case_and_decides_it_under_their_own_name() {
    let shop = Shop::open().await;
    shop.node.person("op-7", Role::Operator).await;
    let session = format!("Bearer {}", shop.node.sign_in("op-7").await);
    let case = noticed(&shop, "noticed").await;
    let assign = format!("{EXCEPTIONS}/{case}/assign");
    let give = async |key: &str, to: Value| {
        shop.node
            .post("operator", &assign, key, &json!({ "to": to }))
            .await
    };
    let refused = give("k-1", json!("op-8")).await.expect(422);
    assert!(refused.text.contains("no such person"), "{}", refused.text);
    assert_eq!(
        give("k-1", json!("op-7")).await.expect(200).json()["assignee"],
        "op-7"
    );
    assert_eq!(
        give("k-2", json!("op-7")).await.expect(200).json()["assignee"],
        "op-7"
    );
    assert_eq!(listed(&shop, "assignee=op-7").await.first(), Some(&case));
    assert_eq!(listed(&shop, "assignee=-").await, [""; 0]);
    give("k-3", Value::Null).await.expect(200);
    assert_eq!(listed(&shop, "assignee=-").await.first(), Some(&case));
    give("k-4", json!("op-7")).await.expect(200);

    let path = format!("{EXCEPTIONS}/{case}/resolve");
    let body = decision("dismiss");
    let done = shop
        .node
        .call("POST", &path, Some(&session), Some("k"), Some(&body));
    assert_eq!(done.await.expect(200).json()["resolution"], "dismissed");
    let shown = read(&shop, &case).await;
    let history: Vec<_> = shown["history"].as_array().unwrap().iter().collect();
    let what: Vec<_> = history
        .iter()
        .map(|step| step["what"].as_str().unwrap())
        .collect();
    assert_eq!(
        what,
        ["opened", "assigned", "assigned", "assigned", "resolved"]
    );
    let last = history.last().unwrap();
    assert_eq!(
        (&last["actor"], &last["reason"]),
        (&json!("operator:op-7"), &json!("payer_called"))
    );
    assert_eq!(last["text"], WORDS);
    assert_eq!(history[1]["actor"], "client:operator");
    // The words are kept under seal.
    for event in shop.log().await.of_type("ExceptionResolved") {
        let reason = event.reason.as_ref().unwrap();
        assert!(reason.text.is_some() && !format!("{event:?}").contains(WORDS));
    }
    // What is decided is given to nobody any more.
    assert_eq!(
        give("k-5", Value::Null).await.expect(409).code(),
        "state_conflict"
    );
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_of_another_merchant_is_not_there_and_a_bot_may_not_look() {
    let shop = Shop::open().await;
    let (_, case) = shop.paid_after_cancel("ours").await;
    let one = format!("{EXCEPTIONS}/{case}");
    let (assign, resolve) = (format!("{one}/assign"), format!("{one}/resolve"));
    let to = json!({ "to": null });
    let calls = [(&assign, to), (&resolve, decision("keep_as_income"))];
    for (who, status) in [
        ("other-operator", 404),
        ("bot", 403),
        ("backend", 403),
        ("auditor", 403),
    ] {
        shop.node.get(who, &one).await.expect(status);
        for (path, body) in &calls {
            shop.node.post(who, path, "k", body).await.expect(status);
        }
    }
    for unknown in [
        "payment_request-pr_x~1",
        "unmatched-x~1",
        "client-bot~1",
        "~1",
        "x",
        &format!("{case}1"),
    ] {
        let path = format!("{EXCEPTIONS}/{unknown}");
        shop.node.get("operator", &path).await.expect(404);
        let resolve = format!("{path}/resolve");
        shop.node
            .post("operator", &resolve, "k", &decision("dismiss"))
            .await
            .expect(404);
    }
    shop.views_have_caught_up().await;
    let theirs = shop
        .node
        .get("other-operator", EXCEPTIONS)
        .await
        .expect(200)
        .json();
    assert_eq!(theirs["exceptions"], json!([]));
    assert_eq!(ways(&shop, &case).await.len(), 4);
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_says_why_in_a_code_and_in_words() {
    let shop = Shop::open().await;
    let case = noticed(&shop, "why").await;
    let with = |name: &str, value: Value| {
        let mut body = decision("dismiss");
        body[name] = value;
        body
    };
    let long = "x".repeat(2_001);
    for (body, pointer) in [
        (with("reason", Value::Null), "/reason"),
        (with("text", Value::Null), "/text"),
        (with("text", json!(" ")), "/text"),
        (with("text", json!(long)), "/text"),
        (with("resolution", json!("approve")), "/resolution"),
        (with("to", json!(format!("pr_{}", "a".repeat(26)))), "/to"),
        (with("resolution", json!("reassign")), "/to"),
        (with("resolution", json!("refund_answer")), "/settled"),
    ] {
        let refused = resolve(&shop, &case, "k", &body).await.expect(422);
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer, "{body}");
    }
    // A way that is not for this kind.
    let refused = resolve(&shop, &case, "k", &decision("accept"))
        .await
        .expect(422);
    assert_eq!(refused.code(), "refused");
    let path = format!("{EXCEPTIONS}/{case}/assign");
    for (body, pointer) in [
        (json!({}), "/to"),
        (json!({ "to": null, "text": "x" }), "/reason"),
    ] {
        let refused = shop
            .node
            .post("operator", &path, "k", &body)
            .await
            .expect(422);
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer);
    }
    resolve(&shop, &case, "k", &decision("dismiss"))
        .await
        .expect(200);
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_review_list_is_narrowed_down_and_read_in_pages() {
    let shop = Shop::open().await;
    let low = noticed(&shop, "low").await;
    let (id, high) = shop.paid_after_cancel("high").await;
    shop.node.leap(Duration::from_secs(2 * 3600)).await;
    let young = noticed(&shop, "young").await;
    let all = [high.clone(), low.clone(), young.clone()];
    assert_eq!(listed(&shop, "").await, all);
    let soon = shop
        .node
        .app()
        .recorder
        .now()
        .plus(Duration::from_secs(24 * 3600));
    for (query, expected) in [
        ("kind=paid_after_cancel".to_owned(), &all[..1]),
        ("kind=payer_notice,paid_after_cancel".to_owned(), &all[..]),
        ("severity=low".to_owned(), &all[1..]),
        ("severity=critical".to_owned(), &[]),
        ("older_than_s=3600".to_owned(), &all[..2]),
        (format!("due_before={soon}"), &all[..1]),
        ("overdue=true".to_owned(), &[]),
        ("overdue=false".to_owned(), &all[..]),
        (format!("payment_request_id={id}"), &all[..1]),
        ("order_id=young".to_owned(), &all[2..]),
        ("state=resolved".to_owned(), &[]),
    ] {
        assert_eq!(listed(&shop, &query).await, expected, "{query}");
    }
    for wrong in [
        "kind=x",
        "severity=urgent",
        "older_than_s=x",
        "due_before=x",
        "overdue=x",
        "assignee=A",
        "state=x",
    ] {
        let path = format!("{EXCEPTIONS}?{wrong}");
        shop.node.get("operator", &path).await.expect(422);
    }
    shop.node.leap(Duration::from_secs(23 * 3600)).await;
    assert_eq!(listed(&shop, "overdue=true").await, all[..1]);
    let (mut pages, mut cursor) = (vec![], String::new());
    loop {
        let page = shop
            .node
            .get("operator", &format!("{EXCEPTIONS}?limit=1{cursor}"))
            .await;
        let page = page.expect(200).json();
        pages.push(page["exceptions"][0]["id"].as_str().unwrap().to_owned());
        let Some(next) = page["next"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(pages, all);
    // A low one that is due today still comes after a high one that is due tomorrow.
    shop.node
        .leap(Duration::from_secs(4 * 24 * 3600 - 3600))
        .await;
    let (_, fresh) = shop.paid_after_cancel("fresh").await;
    assert_eq!(listed(&shop, "").await, [high, fresh, low, young]);
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_does_the_same() {
    let shop = Shop::open().await;
    shop.node.person("op-7", Role::Operator).await;
    let (id, case) = shop.paid_after_cancel("cli").await;
    shop.views_have_caught_up().await;
    let merchant = MerchantId::parse("shop").unwrap();
    let do_it = async |command| shop.node.admin(AdminCommand::Exception(command)).await;
    let filter = CaseFilter::of(CaseState::Open);
    let list = ExceptionCommand::List {
        merchant: merchant.clone(),
        filter,
        limit: 10,
    };
    assert_eq!(do_it(list).await[0]["id"], case);
    let case = CaseId::parse(case).unwrap();
    let to = Some(OperatorId::parse("op-7").unwrap());
    let assign = ExceptionCommand::Assign {
        merchant: merchant.clone(),
        id: case.clone(),
        to,
    };
    assert_eq!(do_it(assign).await["assignee"], "op-7");
    let resolve = ExceptionCommand::Resolve {
        merchant: merchant.clone(),
        id: case.clone(),
        how: How::Accept { with: vec![] },
        reason: ReasonCode::parse("payer_called").unwrap(),
        text: WORDS.to_owned(),
    };
    assert_eq!(do_it(resolve).await["status"], "paid");
    let shown = do_it(ExceptionCommand::Show { merchant, id: case }).await;
    let history = shown["history"].as_array().unwrap();
    assert_eq!(history.last().unwrap()["actor"], "operator:op-test");
    shop.paid(&id).await;
    shop.node.stop().await;
}

/// Nobody can be asked about it any more, so what a person found out is the answer.
#[tokio::test]
async fn what_a_person_found_out_about_a_refund_ends_its_doubt_f6() {
    let world = MoneyWorld::new();
    for settled in [true, false] {
        let id = world.paid_after_cancel("o-1", &settled.to_string()).await;
        let [late, doubtful] =
            [1, 2].map(|n| CaseId::parse(format!("payment_request-{id}~{n}")).unwrap());
        let (merchant, job) = (world.caller().merchant.clone(), Context::job("test"));
        let why = || {
            (
                ReasonCode::parse("bank_says").unwrap(),
                Some(WORDS.to_owned()),
            )
        };
        let decide = async |case: &CaseId, how: How| {
            let decided = world
                .app
                .resolve_case(&merchant, &job, case, how, why())
                .await;
            decided.unwrap()
        };
        let asked = decide(&late, How::Refund).await;
        let refund = asked.refund().unwrap().clone();
        let why_not = "timeout".to_owned();
        for command in [
            Command::SubmitRefund {
                refund: refund.clone(),
            },
            Command::AnswerRefund {
                refund,
                answer: RefundAnswer::Unknown { why: why_not },
            },
        ] {
            world.app.execute(&id, &job, &command).await.unwrap();
        }
        let shown = world.app.case(&merchant, &doubtful).await.unwrap();
        let open: Vec<_> = shown
            .resolutions
            .iter()
            .filter(|way| way.possible)
            .collect();
        assert_eq!(open.len(), 1);
        assert_eq!(open[0].resolution, "refund_answer");
        let reversal = None;
        decide(&doubtful, How::RefundAnswer { settled, reversal }).await;
        let request = world.request(&id).await;
        assert!(!request.refund_pending());
        assert_eq!(request.unapplied().is_empty(), settled);
        assert!(!request.cases()[&doubtful].open());
        assert_eq!(request.cases()[&late].open(), !settled);
    }
}
