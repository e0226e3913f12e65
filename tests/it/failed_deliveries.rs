//! What an operator sees of failed deliveries: the filters of the list, the tab of one payment, the
//! exact request and its line for a shell, and what became of those whose subscriber is gone.

use std::time::Duration;

use harness::receiver::{Receiver, Reply};
use harness::shop::Shop;
use serde_json::{Value, json};

fn ids(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["id"].as_str().unwrap()).collect()
}

async fn patch(shop: &Shop, change: Value) {
    let token = format!("Bearer {}", shop.node.token("admin"));
    let path = "/v1/subscribers/crm";
    let answer = shop
        .node
        .call("PATCH", path, Some(&token), Some("patch-1"), Some(&change));
    answer.await.expect(200);
}

async fn exact(shop: &Shop, who: &str, id: &str, signed: bool) -> Value {
    let path = format!("/v1/deliveries/{id}/request?signed={signed}");
    shop.node.get(who, &path).await.expect(200).json()
}

fn header<'v>(shown: &'v Value, name: &str) -> &'v str {
    let mut headers = shown["headers"].as_array().unwrap().iter();
    let found = headers.find(|header| header["name"] == name).unwrap();
    found["value"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_narrowed_by_class_reason_state_and_time_and_paged_without_a_gap() {
    let shop = Shop::open_to_receivers().await;
    let (crm, erp) = (
        Receiver::answering([], Reply::Status(410)).await,
        Receiver::answering([], Reply::Status(503)).await,
    );
    shop.subscribe("crm", &crm).await;
    shop.subscribe("erp", &erp).await;
    let (first, _) = shop.pay("tea-1").await;
    let rows = shop.until_deliveries("state=dead_lettered", 1).await;
    shop.until_deliveries("class=http_5xx", 1).await;
    let middle = rows[0]["created_at"].as_str().unwrap().to_owned();
    tokio::time::sleep(Duration::from_millis(5)).await;
    shop.pay("tea-2").await;
    shop.until_deliveries("", 4).await;
    shop.until_deliveries("class=http_5xx", 2).await;
    for (filter, wanted) in [
        ("class=http_4xx".to_owned(), 1),
        ("class=http_4xx,http_5xx".to_owned(), 3),
        ("class=timeout".to_owned(), 0),
        ("reason=gone_410".to_owned(), 1),
        ("reason=max_age,crash_loop".to_owned(), 0),
        ("state=due,dead_lettered".to_owned(), 4),
        ("state=due,dead_lettered&subscriber=crm".to_owned(), 2),
        (format!("until={middle}"), 0),
        (format!("since={middle}"), 4),
        (format!("since={middle}&class=http_4xx&subscriber=erp"), 0),
        (format!("payment_request_id={first}"), 2),
    ] {
        let rows = shop.deliveries(&filter).await;
        assert_eq!(rows.len(), wanted, "{filter}: {rows:#?}");
    }
    for wrong in [
        "class=gone_410",
        "reason=timeout",
        "state=due,lost",
        "since=today",
        "until=1",
        "subscriber=C R M",
    ] {
        let path = format!("/v1/deliveries?{}", wrong.replace(' ', "%20"));
        let problem = shop.node.get("operator", &path).await.expect(422).json();
        let name = wrong.split('=').next().unwrap();
        assert_eq!(problem["errors"][0]["pointer"], name, "{problem}");
    }

    let all = shop.deliveries("").await;
    let (mut paged, mut cursor) = (vec![], String::new());
    loop {
        let path = format!("/v1/deliveries?limit=1{cursor}");
        let page = shop.node.get("operator", &path).await.expect(200).json();
        paged.extend(page["deliveries"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(ids(&paged), ids(&all));
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_has_a_tab_of_its_deliveries_and_anothers_has_none() {
    let shop = Shop::open_to_receivers().await;
    let (crm, erp) = (Receiver::start().await, Receiver::start().await);
    shop.subscribe("crm", &crm).await;
    shop.subscribe("erp", &erp).await;
    let (first, _) = shop.pay("tea-1").await;
    shop.pay("tea-2").await;
    shop.until_deliveries("state=delivered", 4).await;
    let tab = format!("/v1/payment-requests/{first}/deliveries");
    let shown = shop.node.get("auditor", &tab).await.expect(200).json();
    let rows = shown["deliveries"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row["subject"] == json!(first)));
    let narrowed = format!("{tab}?subscriber=erp&limit=1");
    let narrowed = shop.node.get("operator", &narrowed).await.expect(200);
    assert_eq!(narrowed.json()["deliveries"].as_array().unwrap().len(), 1);
    shop.node.get("other-operator", &tab).await.expect(404);
    shop.node.get("bot", &tab).await.expect(403);
    let unknown = "/v1/payment-requests/pr_aaaaaaaaaaaaaaaaaaaaaaaaaa/deliveries";
    shop.node.get("operator", unknown).await.expect(404);
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exact_request_is_as_it_was_sent_and_what_could_be_replayed_only_for_those_who_may() {
    let shop = Shop::open_to_receivers().await;
    let crm = Receiver::answering([Reply::Status(410)], Reply::Status(200)).await;
    shop.subscribe("crm", &crm).await;
    patch(
        &shop,
        json!({ "headers": { "X-Tenant": "o'clock $HOME", "X-Api-Key": "k-123" } }),
    )
    .await;
    shop.pay("tea-1").await;
    let failed = shop.turned_away("crm").await;
    let id = failed["id"].as_str().unwrap();
    let sent = crm.seen().remove(0);

    let shown = exact(&shop, "auditor", id, false).await;
    assert_eq!(
        (&shown["method"], &shown["url"]),
        (&json!("POST"), &json!(crm.url()))
    );
    assert_eq!(shown["body"].as_str().unwrap().as_bytes(), sent.body);
    for name in [
        "content-type",
        "user-agent",
        "webhook-id",
        "webhook-timestamp",
        "counterfoil-attempt",
        "counterfoil-generation",
        "traceparent",
        "x-tenant",
    ] {
        assert_eq!(header(&shown, name), sent.header(name), "{name}");
    }
    assert_eq!(header(&shown, "webhook-signature"), "(signature by crm-1)");
    assert_eq!(header(&shown, "x-api-key"), "***");
    let text = shown.to_string();
    assert!(!text.contains("v1,") && !text.contains("k-123"), "{text}");
    let tried = &shown["tries"][0];
    assert_eq!(
        (&tried["same_body"], &tried["same_url"], &tried["key_ids"]),
        (&json!(true), &json!(true), &json!(["crm-1"]))
    );
    assert_eq!(tried["body_sha256"], shown["body_sha256"]);

    // Signed, it is a credential for five minutes.
    let path = format!("/v1/deliveries/{id}/request?signed=true");
    let refused = shop.node.get("auditor", &path).await.expect(403);
    assert!(
        refused.json()["detail"]
            .as_str()
            .unwrap()
            .contains("deliveries:operate")
    );
    let denied = shop.log().await.of_type("AccessDenied").count();
    assert_eq!(denied, 1, "who asked for it leaves a trace");
    shop.node.get("other-operator", &path).await.expect(404);
    assert_eq!(crm.count(), 1, "nothing is sent by looking");

    patch_url(&shop, "https://crm.example/other").await;
    let moved = exact(&shop, "auditor", id, false).await;
    assert_eq!(moved["tries"][0]["same_url"], json!(false));
    shop.node.stop().await;
}

async fn patch_url(shop: &Shop, url: &str) {
    let token = format!("Bearer {}", shop.node.token("admin"));
    let (path, change) = ("/v1/subscribers/crm", json!({ "url": url }));
    let answer = shop
        .node
        .call("PATCH", path, Some(&token), Some("patch-2"), Some(&change));
    answer.await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_line_for_a_shell_sends_exactly_this_request() {
    let runs = |program: &str| {
        let known = std::process::Command::new(program)
            .arg("--version")
            .output();
        known.is_ok_and(|output| output.status.success())
    };
    if !runs("curl") || !runs("bash") {
        return;
    }
    let shop = Shop::open_to_receivers().await;
    let crm = Receiver::answering([Reply::Status(410)], Reply::Status(200)).await;
    let secret = shop.subscribe("crm", &crm).await;
    let tricky = r#"o'clock "$HOME" `id` \n !! %s &&"#;
    patch(
        &shop,
        json!({ "headers": { "X-Tenant": tricky, "X-Api-Key": "k-123" } }),
    )
    .await;
    shop.pay("tea-1").await;
    let failed = shop.turned_away("crm").await;
    let id = failed["id"].as_str().unwrap();
    let shown = exact(&shop, "operator", id, true).await;
    let line = shown["curl"].as_str().unwrap().to_owned();
    let ran = tokio::task::spawn_blocking(move || {
        let mut bash = std::process::Command::new("bash");
        bash.args(["-c", &line])
            .env("NO_PROXY", "*")
            .output()
            .unwrap()
    });
    let ran = ran.await.unwrap();
    assert!(ran.status.success(), "{ran:?}");
    assert!(String::from_utf8_lossy(&ran.stdout).starts_with("HTTP/1.1 200"));

    let seen = crm.seen();
    assert_eq!(seen.len(), 2);
    let (first, pasted) = (&seen[0], &seen[1]);
    assert_eq!((&pasted.body, &pasted.path), (&first.body, &first.path));
    assert_eq!(pasted.header("webhook-id"), id);
    assert_eq!(pasted.header("content-type"), first.header("content-type"));
    assert_eq!(pasted.header("user-agent"), first.header("user-agent"));
    assert_eq!(pasted.header("x-tenant"), tricky);
    assert_eq!(
        pasted.header("x-api-key"),
        "k-123",
        "a line that works covers nothing"
    );
    assert!(pasted.is_authentic(&secret));
    let rows = shop.deliveries("state=dead_lettered").await;
    assert_eq!(
        ids(&rows),
        [id],
        "what a person sends by hand decides nothing"
    );
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_due_to_a_subscriber_that_was_removed() {
    let shop = Shop::open_to_receivers().await;
    let crm = Receiver::start().await;
    shop.subscribe("crm", &crm).await;
    let pause = "/v1/subscribers/crm/pause";
    shop.node
        .post("operator", pause, "pause-1", &json!({}))
        .await
        .expect(200);
    let (_, our_reference) = shop.pay("tea-1").await;
    shop.give_back(&our_reference).await;
    shop.until_deliveries("state=due", 1).await;
    shop.until_deliveries("state=held", 1).await;
    let token = format!("Bearer {}", shop.node.token("admin"));
    let path = "/v1/subscribers/crm";
    let removed = shop
        .node
        .call("DELETE", path, Some(&token), Some("gone-1"), None);
    removed.await.expect(200);
    let ended = shop.until_deliveries("state=subscriber_removed", 2).await;
    assert!(ended.iter().all(|row| row["next_try_at"] == Value::Null));
    let id = ended[0]["id"].as_str().unwrap();
    let reason = json!({ "reason": "checked" });
    let refused = shop.decide(id, "redrive", "redrive-1", &reason).await;
    assert!(
        refused.expect(409).json()["detail"]
            .as_str()
            .unwrap()
            .contains("was removed")
    );
    assert!(shop.deliveries("state=due,held").await.is_empty());
    assert_eq!(crm.count(), 0);
    shop.node.stop().await;
}
