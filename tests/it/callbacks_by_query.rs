//! Providers that notify by a query string: the same proof, the same record, the same answer, and
//! only where the account's profile says so.

use std::time::Duration;

use adapters::providers::signature::{sign_sha256, to_hex};
use api::admin::AdminCommand;
use domain::ids::{KeyId, MerchantId, ProviderCode};
use domain::payment::evidence::EvidenceClass;
use domain::sealed::Commitment;
use harness::node::TestNode;
use harness::whole_log::WholeLog;
use serde_json::{Value, json};

const CALLBACK: &str = "/v1/callbacks/generic/sim-main";
const KEY: &str = "B07BAA3F9C809098ACBB462618A93275";

/// A bank that sends `name=value` pairs with a checksum over all of them.
const PROFILE: &str = r#"
methods = ["GET"]
signature_parameter = "checksum"
algorithm = "sha256"
signature_encoding = "hex"
key_encoding = "utf8"
amount_unit = "minor"
accepted_body = "OK"
signed_parameters = {}
fields = { status = "/operation", our_reference = "/orderNumber", transaction = "/mdOrder", amount = "/amount", currency = "/currency", payee = "/merchant" }
statuses = { captured = ["deposited"], declined = ["declined"] }
"#;

/// A ledger whose account is notified as `methods` say.
async fn ledger(methods: Value) -> TestNode {
    let node = TestNode::start_with(|settings| {
        let account = &mut settings.merchants[0].accounts[0];
        account.provider = ProviderCode::parse("generic").unwrap();
        account.look_up = false;
        account.minimum = EvidenceClass::Signed;
        let connection = settings.connections.get_mut("sim-main").unwrap();
        connection.url = None;
        let mut profile: toml::Table = PROFILE.parse().unwrap();
        profile.insert(
            "methods".to_owned(),
            toml::Value::try_from(methods).unwrap(),
        );
        connection.profile = Some(profile);
    })
    .await;
    node.admin(AdminCommand::SecretSet {
        merchant: MerchantId::parse("shop").unwrap(),
        purpose: "provider-inbound:sim-main".to_owned(),
        key_id: KeyId::parse("bank-1").unwrap(),
        value: KEY.to_owned(),
        retire_others_in_s: None,
    })
    .await;
    node
}

/// The parameters of a capture with their checksum, not in the order that is signed.
fn captured(our_reference: &str) -> String {
    let sorted = [
        ("amount", "150000"),
        ("currency", "051"),
        ("mdOrder", "md-1"),
        ("merchant", "acc-shop"),
        ("operation", "deposited"),
        ("orderNumber", our_reference),
    ];
    let signed: String = sorted
        .iter()
        .map(|(name, value)| format!("{name};{value};"))
        .collect();
    let checksum = to_hex(&sign_sha256(KEY.as_bytes(), &[signed.as_bytes()]));
    let sent = sorted.iter().rev();
    let sent: Vec<_> = sent
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    format!("{}&checksum={checksum}", sent.join("&"))
}

/// A request of 1500.00 AMD whose payer is at the bank: its path and our reference.
async fn waiting_for_payer(node: &TestNode) -> (String, String) {
    let body = json!({
        "order_id": "order-1", "scenario": "web", "amount": { "minor": "150000", "currency": "AMD" },
    });
    let created = node
        .post("backend", "/v1/payment-requests", "create-1", &body)
        .await;
    let path = format!("/v1/payment-requests/{}", created.expect(201).text_of("id"));
    let attempts = format!("{path}/attempts");
    let started = node
        .post("backend", &attempts, "attempt-1", &json!({}))
        .await;
    let started = started.expect(201).json();
    let our_reference = started["attempts"][0]["our_reference"].as_str().unwrap();
    (path, our_reference.to_owned())
}

async fn log(node: &TestNode) -> WholeLog {
    WholeLog::read(&**node.app().recorder.store()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_query_string_pays_once_and_is_kept_as_it_was_sent() {
    let node = ledger(json!(["GET"])).await;
    let (path, our_reference) = waiting_for_payer(&node).await;
    let query = captured(&our_reference);
    let url = format!("{CALLBACK}?{query}");
    for _ in 0..3 {
        let answer = node.call("GET", &url, None, None, None).await.expect(200);
        assert_eq!(answer.text, "OK");
    }
    let mut shown = Value::Null;
    for _ in 0..600 {
        shown = node.get("backend", &path).await.expect(200).json();
        if shown["status"] == "paid" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(shown["status"], "paid", "{shown}");

    let log = log(&node).await;
    let received = log.received(&our_reference);
    assert_eq!(received.len(), 1, "{received:?}");
    let (envelope, word) = &received[0];
    assert_eq!(word, "deposited");
    assert_eq!(
        envelope.source.entry,
        "GET /v1/callbacks/{provider}/{account}"
    );
    let commitment = envelope.data["observation"]["commitment"].clone();
    let commitment: Commitment = serde_json::from_value(commitment).unwrap();
    let kept = node.app().evidence.open(&commitment).await.unwrap();
    assert_eq!(String::from_utf8(kept.bytes).unwrap(), query);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_query_string_is_refused_and_leaves_no_event() {
    let node = ledger(json!(["GET"])).await;
    let (path, our_reference) = waiting_for_payer(&node).await;
    let query = captured(&our_reference);
    for bad in [
        String::new(),
        query.replace("150000", "150001"),
        query.replace("acc-shop", "acc-else"),
        format!("{query}&amount=1"),
        format!("{query}&extra=1"),
        query.replace("checksum=", "check="),
    ] {
        let answer = node
            .call("GET", &format!("{CALLBACK}?{bad}"), None, None, None)
            .await;
        assert_eq!(answer.status, 401, "{bad}: {}", answer.text);
    }
    let log = log(&node).await;
    assert_eq!(log.of_type("NotificationReceived").count(), 0);
    let shown = node.get("backend", &path).await.expect(200).json();
    assert_ne!(shown["status"], "paid");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_the_profile_does_not_name_is_405_even_when_it_is_signed() {
    for (taken, refused) in [("GET", "POST"), ("POST", "GET")] {
        let node = ledger(json!([taken])).await;
        let signed = captured("nobodys");
        let send = |method: &str| {
            let request = if method == "GET" {
                node.http().get(node.url(&format!("{CALLBACK}?{signed}")))
            } else {
                node.http().post(node.url(CALLBACK)).body(signed.clone())
            };
            request.send()
        };
        let answer = send(refused).await.unwrap();
        assert_eq!(answer.status(), 405);
        assert_eq!(answer.headers()["allow"], taken);
        let problem: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!(problem["code"], "method_not_allowed");
        assert_eq!(
            problem["detail"],
            format!("this account is notified by {taken}")
        );
        assert_eq!(log(&node).await.of_type("NotificationReceived").count(), 0);

        assert_eq!(send(taken).await.unwrap().status(), 200);
        assert_eq!(log(&node).await.of_type("NotificationReceived").count(), 1);
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_of_both_methods_takes_the_same_message_once() {
    let node = ledger(json!(["GET", "POST"])).await;
    let signed = captured("nobodys");
    let by_query = node.http().get(node.url(&format!("{CALLBACK}?{signed}")));
    let by_form = node.http().post(node.url(CALLBACK)).body(signed.clone());
    for request in [by_query, by_form] {
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
    assert_eq!(log(&node).await.of_type("NotificationReceived").count(), 1);
    node.stop().await;
}
