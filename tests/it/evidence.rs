//! Sealed evidence is opened by persons who decide, one piece at a time, with a reason that is in the
//! log before the bytes leave; by nobody else, and never as something that runs.

use std::path::PathBuf;

use api::admin::AdminCommand;
use api::admin::evidence::EvidenceCommand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::access::role::Role;
use domain::digest::Digest32;
use domain::ids::{MerchantId, OperatorId, PaymentRequestId, ReasonCode};
use domain::sealed::Commitment;
use harness::people::Person;
use harness::shop::Shop;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

/// A picture as far as its first bytes tell, with bytes in it that are no text.
const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\n\x00\xff\xfe receipt of Anahit";
const WORDS: &str = "the customer says that it is on the receipt";

/// An answer with its bytes as they are.
struct Opened {
    status: u16,
    headers: HeaderMap,
    bytes: Vec<u8>,
}

impl Opened {
    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    fn code(&self) -> String {
        let problem: Value = serde_json::from_slice(&self.bytes).unwrap();
        problem["code"].as_str().unwrap().to_owned()
    }
}

fn place(id: &str, commitment: &str) -> String {
    format!("/v1/payment-requests/{id}/evidence/{commitment}/open")
}

async fn open(shop: &Shop, token: &str, path: &str, key: &str) -> Opened {
    let body = json!({ "reason": "to_decide", "text": WORDS });
    let request = shop.node.http().post(shop.node.url(path));
    let request = request
        .bearer_auth(token)
        .header("idempotency-key", key)
        .header("content-type", "application/json")
        .body(body.to_string());
    let answer = request.send().await.unwrap();
    Opened {
        status: answer.status().as_u16(),
        headers: answer.headers().clone(),
        bytes: answer.bytes().await.unwrap().to_vec(),
    }
}

/// A request whose customer showed a picture, and the picture's commitment.
async fn shown_a_picture(shop: &Shop, order: &str) -> (String, String) {
    let (id, _) = shop.waiting_for_payer(order).await;
    let picture = json!({ "kind": "screenshot", "image_base64": STANDARD.encode(PICTURE) });
    shop.command(&id, "notices", &picture).await.expect(202);
    let log = shop.log().await;
    let notices = log.of_type("PayerNoticeRecorded");
    let ours = format!("payment_request-{id}");
    let mut ours = notices.filter(|record| record.stream.as_str() == ours);
    let commitment = ours.next().unwrap().evidence[0].commitment;
    (id, commitment.0.to_string())
}

fn blob(shop: &Shop, commitment: &str) -> PathBuf {
    shop.node.folder().join("data/evidence").join(commitment)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approver_looks_at_the_picture_and_the_log_says_who_did_and_why() {
    let shop = Shop::open().await;
    let (id, commitment) = shown_a_picture(&shop, "tea-1").await;
    let node = &shop.node;
    let ann = Person::hired(node, "ann", Role::Operator).await;
    let bob = Person::hired(node, "bob", Role::Approver).await;
    let proposal = ann.proposes_override(node, &id).await;

    let list = format!("/v1/payment-requests/{id}/evidence");
    let list = bob.get(node, &list).await.expect(200).json();
    let pieces = list["evidence"].as_array().unwrap();
    let ours = pieces
        .iter()
        .find(|piece| piece["commitment"] == *commitment);
    let ours = ours.unwrap();
    assert_eq!(ours["kind"], "payer_notice");
    assert_eq!(ours["media"], "image/png");
    assert_eq!(ours["event"], "PayerNoticeRecorded");
    assert_eq!(ours["actor"], "client:backend");

    let path = place(&id, &commitment);
    let opened = open(&shop, &bob.token, &path, "k-1").await;
    assert_eq!((opened.status, opened.bytes.as_slice()), (200, PICTURE));
    assert_eq!(opened.header("content-type"), "image/png");
    let name = format!(
        "attachment; filename=\"evidence-{}.png\"",
        &commitment[..12]
    );
    assert_eq!(opened.header("content-disposition"), name);
    assert_eq!(opened.header("x-content-type-options"), "nosniff");
    assert_eq!(opened.header("cache-control"), "no-store");
    let policy = opened.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; sandbox;"),
        "{policy}"
    );

    // Who, what and why; in whose words, only under their seal.
    let trail = format!("/v1/payment-requests/{id}/trail");
    let trail = node.get("auditor", &trail).await.expect(200);
    let steps = trail.json()["steps"].as_array().unwrap().clone();
    let told: Vec<_> = steps
        .iter()
        .filter(|step| step["what"] == "EvidenceOpened")
        .collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["who"], "operator:bob");
    assert_eq!(told[0]["why"], "to_decide");
    assert_eq!(told[0]["data"]["commitment"], *commitment);
    assert!(!trail.text.contains(WORDS));

    // The same key: the first opening. Another one: another opening.
    let again = open(&shop, &bob.token, &path, "k-1").await;
    assert_eq!((again.status, again.bytes.as_slice()), (200, PICTURE));
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(shop.events(&id, "EvidenceOpened").await, 1);
    assert_eq!(open(&shop, &bob.token, &path, "k-2").await.status, 200);
    assert_eq!(open(&shop, &ann.token, &path, "k-2").await.status, 200);
    assert_eq!(shop.events(&id, "EvidenceOpened").await, 3);

    // Looking changes nothing of what is decided on.
    let shown = shop.shown(&id).await;
    assert_eq!(shown["proposals"][0]["state"], "open");
    bob.approves(node, &id, &proposal).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_opens_it_and_nobody_opens_what_is_not_the_requests() {
    let shop = Shop::open().await;
    let (id, commitment) = shown_a_picture(&shop, "tea-1").await;
    let (other, others) = shown_a_picture(&shop, "tea-2").await;
    let node = &shop.node;
    let path = place(&id, &commitment);
    let list = format!("/v1/payment-requests/{id}/evidence");
    for (who, _) in harness::node::SHOP.iter().chain(&harness::node::OTHER) {
        let refused = open(&shop, node.token(who), &path, "k").await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (403, "forbidden")
        );
        node.get(who, &list).await.expect(403);
    }
    for (name, role) in [
        ("fay", Role::Finance),
        ("ivy", Role::Auditor),
        ("ada", Role::Admin),
    ] {
        let person = Person::hired(node, name, role).await;
        let refused = open(&shop, &person.token, &path, "k").await;
        assert_eq!(refused.code(), "forbidden", "{name}");
    }
    let bob = Person::hired(node, "bob", Role::Approver).await;
    let nobodys = "0".repeat(64);
    for wrong in [
        place(&id, &others),
        place(&other, &commitment),
        place(&id, &nobodys),
        place(&id, "x"),
        place(&format!("pr_{}", "z".repeat(26)), &commitment),
    ] {
        let refused = open(&shop, &bob.token, &wrong, "k").await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (404, "not_found")
        );
    }
    // One key opens one piece.
    assert_eq!(open(&shop, &bob.token, &path, "one").await.status, 200);
    let second = json!({ "kind": "message", "text": "and I wrote this" });
    shop.command(&id, "notices", &second).await.expect(202);
    let pieces = bob.get(node, &list).await.expect(200).json();
    let pieces = pieces["evidence"].as_array().unwrap();
    let written = pieces.iter().rfind(|piece| piece["kind"] == "payer_notice");
    let written = written.unwrap()["commitment"].as_str().unwrap();
    let refused = open(&shop, &bob.token, &place(&id, written), "one").await;
    assert_eq!(refused.code(), "idempotency_mismatch");
    // Why is said, and holds no card number.
    for (body, code) in [
        (json!({}), "invalid"),
        (
            json!({ "reason": "r", "text": "4111 1111 1111 1111" }),
            "card_number",
        ),
    ] {
        let refused = bob.post(node, &path, &body).await.expect(422);
        assert_eq!(refused.code(), code);
    }
    assert_eq!(shop.events(&id, "EvidenceOpened").await, 1);
    assert_eq!(shop.events(&other, "EvidenceOpened").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_of_another_merchant_finds_nothing() {
    let shop = Shop::open().await;
    let (id, commitment) = shown_a_picture(&shop, "tea-1").await;
    for (whose, found) in [("shop", true), ("other", false)] {
        let open = EvidenceCommand::Open {
            merchant: MerchantId::parse(whose).unwrap(),
            request: PaymentRequestId::parse(&*id).unwrap(),
            commitment: Commitment(Digest32::from_hex(&commitment).unwrap()),
            reason: ReasonCode::parse("to_decide").unwrap(),
            text: None,
        };
        let context = api::admin::socket::context(&OperatorId::parse("op-test").unwrap(), "cli");
        let done = api::admin::execute(shop.node.app(), &context, AdminCommand::Evidence(open));
        let done = done.await.ok();
        let bytes = done.map(|opened| STANDARD.decode(opened["base64"].as_str().unwrap()).unwrap());
        assert_eq!(bytes.as_deref(), found.then_some(PICTURE));
    }
    assert_eq!(shop.events(&id, "EvidenceOpened").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_erased_is_gone_and_nobody_is_said_to_have_seen_it() {
    let shop = Shop::open().await;
    let (id, commitment) = shown_a_picture(&shop, "tea-1").await;
    let bob = Person::hired(&shop.node, "bob", Role::Approver).await;
    let (path, file) = (place(&id, &commitment), blob(&shop, &commitment));
    let sealed = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let gone = open(&shop, &bob.token, &path, "k-1").await;
    assert_eq!((gone.status, gone.code().as_str()), (410, "evidence_gone"));
    // What was altered is a fault of ours, and shows nothing.
    let text = String::from_utf8(sealed.clone()).unwrap();
    std::fs::write(&file, text.replacen("\"c\":\"", "\"c\":\"AAAA", 1)).unwrap();
    let altered = open(&shop, &bob.token, &path, "k-2").await;
    assert_eq!((altered.status, altered.code().as_str()), (500, "internal"));
    assert_eq!(shop.events(&id, "EvidenceOpened").await, 0);
    // As it was, it opens; and once it is gone, its first opening is no way to it either.
    std::fs::write(&file, &sealed).unwrap();
    assert_eq!(open(&shop, &bob.token, &path, "k-3").await.status, 200);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(open(&shop, &bob.token, &path, "k-3").await.status, 410);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_a_customer_sent_is_a_text_to_be_kept() {
    let shop = Shop::open().await;
    let (id, _) = shop.waiting_for_payer("tea-1").await;
    let page = "<html><script>alert(1)</script>";
    let notice = json!({ "kind": "message", "text": page });
    shop.command(&id, "notices", &notice).await.expect(202);
    let bob = Person::hired(&shop.node, "bob", Role::Approver).await;
    let list = format!("/v1/payment-requests/{id}/evidence");
    let kept = bob.get(&shop.node, &list).await.expect(200).json();
    let commitment = kept["evidence"][0]["commitment"].as_str().unwrap();
    let opened = open(&shop, &bob.token, &place(&id, commitment), "k").await;
    assert_eq!(opened.bytes, page.as_bytes());
    assert_eq!(opened.header("content-type"), "text/plain; charset=utf-8");
    assert!(
        opened
            .header("content-disposition")
            .starts_with("attachment;")
    );
    assert_eq!(opened.header("x-content-type-options"), "nosniff");
}
