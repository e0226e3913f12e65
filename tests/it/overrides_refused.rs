//! What persons and programs may not decide, and what they are told then: proposals that lapsed,
//! tickets that do not count, and whoever has no say.

use std::time::Duration;

use api::app::caller::{Caller, Who};
use api::app::error::AppError;
use api::app::overrides::{NewProposal, Verdict};
use api::app::tickets;
use domain::access::role::Role;
use domain::ids::{OperatorId, ReasonCode};
use domain::payment::event::Proposed;
use domain::ports::Clock;
use harness::money_world::MoneyWorld;
use harness::people::{Person, grounds};
use harness::shop::Shop;
use serde_json::{Value, json};

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn two_persons(shop: &Shop) -> (Person, Person) {
    let ann = Person::hired(&shop.node, "ann", Role::Operator).await;
    let bob = Person::hired(&shop.node, "bob", Role::Approver).await;
    (ann, bob)
}

/// What a caller's stream tells of refused calls: route and what was lacking.
async fn denied(shop: &Shop, stream: &str) -> Vec<(String, String)> {
    let log = shop.log().await;
    let of_caller = log
        .of_type("AccessDenied")
        .filter(|record| record.stream.as_str() == stream);
    let text = |data: &Value, name: &str| data[name].as_str().unwrap().to_owned();
    of_caller
        .map(|record| (text(&record.data, "route"), text(&record.data, "scope")))
        .collect()
}

fn route(last: &str) -> String {
    format!("POST /v1/payment-requests/{{id}}/overrides/{{proposal_id}}/{last}")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_proposed_it_never_approves_it_whatever_their_role_or_session() {
    let shop = Shop::open().await;
    let (id, _) = shop.waiting_for_payer("tea-1").await;
    let (mut ann, bob) = two_persons(&shop).await;
    let node = &shop.node;
    let proposal = ann.proposes_override(node, &id).await;
    let decision = (id.as_str(), proposal.as_str());
    let refused = ann.decides(node, "approve", decision, "cft_none").await;
    assert_eq!(refused.expect(403).code(), "forbidden");
    // With the scope it is still the same person, in this session and in another one.
    ann.becomes(node, Role::Approver).await;
    for _ in 0..2 {
        let refused = ann.approves(node, &id, &proposal).await.expect(403);
        assert_eq!(refused.code(), "four_eyes");
        ann.comes_back(node).await;
    }
    assert_eq!(shop.shown(&id).await["status"], "pending");
    assert_eq!(shop.events(&id, "OverrideApproved").await, 0);
    // Each kind of refusal is told once.
    let told = denied(&shop, "operator-ann").await;
    let expected = ["overrides:approve", "four_eyes"];
    let expected = expected.map(|lacked| (route("approve"), lacked.to_owned()));
    assert_eq!(told, expected);
    bob.approves(node, &id, &proposal).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_proposes_or_decides() {
    let shop = Shop::open().await;
    let (id, _) = shop.waiting_for_payer("tea-1").await;
    let (ann, bob) = two_persons(&shop).await;
    let node = &shop.node;
    let proposal = ann.proposes_override(node, &id).await;
    let ticket = bob.ticket(node, &proposal).await;
    let request = format!("/v1/payment-requests/{id}");
    // The operator's token has the scope, and is no person.
    for (who, lacked) in [("operator", "session"), ("backend", "overrides:propose")] {
        for path in ["overrides", "revocations"] {
            let path = format!("{request}/{path}");
            let refused = node.post(who, &path, "by-token", &grounds()).await;
            assert_eq!(refused.expect(403).code(), "forbidden");
        }
        let told = denied(&shop, &format!("client-{who}")).await;
        assert_eq!(told.len(), 2);
        assert!(told.iter().all(|(_, scope)| scope == lacked), "{told:?}");
    }
    let verdict = json!({ "ticket": ticket, "reason": "checked_with_bank" });
    for (who, _) in harness::node::SHOP {
        for last in ["approve", "reject"] {
            let path = format!("{request}/overrides/{proposal}/{last}");
            let refused = node.post(who, &path, "by-token", &verdict).await;
            assert_eq!(refused.expect(403).code(), "forbidden", "{who}");
        }
        let told = denied(&shop, &format!("client-{who}")).await;
        let about = told.iter().filter(|(path, _)| *path == route("approve"));
        assert_eq!(about.count(), 1, "{who}: {told:?}");
    }
    assert_eq!(shop.shown(&id).await["proposals"][0]["state"], "open");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_counts_for_its_person_its_proposal_and_five_minutes() {
    let shop = Shop::open().await;
    let (id, _) = shop.waiting_for_payer("tea-1").await;
    let (other, _) = shop.waiting_for_payer("tea-2").await;
    let (ann, bob) = two_persons(&shop).await;
    let node = &shop.node;
    let cid = Person::hired(node, "cid", Role::Approver).await;
    // The same key on two requests makes two proposals.
    let mut made = vec![];
    for request in [&id, &other] {
        let path = format!("/v1/payment-requests/{request}/overrides");
        let answer = ann.post_as(node, &path, "one-key", &grounds()).await;
        made.push(answer.expect(201).text_of("id"));
    }
    assert_ne!(made[0], made[1]);
    let decision = (id.as_str(), made[0].as_str());
    let expired = bob.ticket(node, &made[0]).await;
    node.leap(Duration::from_secs(300)).await;
    let others = bob.ticket(node, &made[1]).await;
    let cids = cid.ticket(node, &made[0]).await;
    for ticket in [&expired, &others, &cids, "cft_1_0", ""] {
        for what in ["approve", "reject"] {
            let refused = bob.decides(node, what, decision, ticket).await;
            assert_eq!(refused.expect(403).code(), "ticket_refused", "{ticket}");
        }
    }
    assert_eq!(shop.shown(&id).await["proposals"][0]["state"], "open");
    let lacked = |last: &str| (route(last), "approval_ticket".to_owned());
    let told = denied(&shop, "operator-bob").await;
    assert_eq!(told, [lacked("approve"), lacked("reject")]);
    // A good one decides once, however often it is shown.
    let good = bob.ticket(node, &made[0]).await;
    bob.decides(node, "approve", decision, &good)
        .await
        .expect(200);
    let head = shop.node.app().recorder.store().head().await.unwrap();
    let again = bob.decides(node, "approve", decision, &good).await;
    assert_eq!(again.expect(200).json()["status"], "paid");
    let refused = bob.decides(node, "reject", decision, &good).await;
    assert_eq!(refused.expect(409).code(), "proposal_decided");
    assert_eq!(shop.node.app().recorder.store().head().await.unwrap(), head);
    assert_eq!(shop.events(&id, "PaymentVerified").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_decision_was_not_written_down_hears_whose_was() {
    for (first, second) in [
        ("approve", "approve"),
        ("reject", "reject"),
        ("approve", "reject"),
    ] {
        let shop = Shop::open().await;
        let (id, _) = shop.waiting_for_payer("tea-1").await;
        let (ann, bob) = two_persons(&shop).await;
        let node = &shop.node;
        let cid = Person::hired(node, "cid", Role::Approver).await;
        let proposal = ann.proposes_override(node, &id).await;
        let decision = (id.as_str(), proposal.as_str());
        let (bobs, cids) = (
            bob.ticket(node, &proposal).await,
            cid.ticket(node, &proposal).await,
        );
        bob.decides(node, first, decision, &bobs).await.expect(200);
        let path = format!("/v1/payment-requests/{id}/overrides/{proposal}");
        let ended = bob.get(node, &path).await.expect(200).json()["ended"].clone();
        let head = node.app().recorder.store().head().await.unwrap();
        // His own, said again for the same reason, is the same; for another reason it is another.
        bob.decides(node, first, decision, &bobs).await.expect(200);
        let other = json!({ "ticket": bobs, "reason": "on_second_thought" });
        let other = bob.post(node, &format!("{path}/{first}"), &other).await;
        assert_eq!(other.expect(409).code(), "proposal_decided");
        let refused = cid.decides(node, second, decision, &cids).await.expect(409);
        assert_eq!(refused.code(), "proposal_decided");
        let told = refused.json();
        assert_eq!(told["decided_by"], "operator:bob");
        assert_eq!(told["decided_at"], ended["at"]);
        let decided = if first == "approve" {
            "approved"
        } else {
            "rejected"
        };
        assert_eq!(told["decision"], decided);
        assert_eq!(node.app().recorder.store().head().await.unwrap(), head);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_lapses_with_what_it_was_made_on_and_the_answer_says_what_changed() {
    let shop = Shop::open().await;
    let (id, reference) = shop.waiting_for_payer("tea-1").await;
    let (ann, bob) = two_persons(&shop).await;
    let node = &shop.node;
    let proposal = ann.proposes_override(node, &id).await;
    let ticket = bob.ticket(node, &proposal).await;
    shop.tell(&shop.statement("captured", &reference)).await;
    shop.paid(&id).await;
    let decision = (id.as_str(), proposal.as_str());
    let refused = bob.decides(node, "approve", decision, &ticket).await;
    let refused = refused.expect(409);
    assert_eq!(refused.code(), "proposal_lapsed");
    let changed = json!(["captures", "verification", "attempts"]);
    assert_eq!(refused.json()["changed"], changed);
    let path = format!("/v1/payment-requests/{id}/overrides/{proposal}");
    let shown = bob.get(node, &path).await.expect(200).json();
    assert_eq!(shown["state"], "lapsed");
    assert_eq!(shown["ended"]["changed"], changed);
    assert_eq!(shop.events(&id, "OverrideRejected").await, 1);
    assert_eq!(shop.events(&id, "PaymentVerified").await, 1);
    let shown = shop.shown(&id).await;
    assert_eq!(shown["verification"]["method"], "signed_notification");
    assert_eq!(shown["in_review"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_lapses_after_a_day_even_after_a_restart() {
    let mut shop = Shop::open().await;
    let (id, reference) = shop.waiting_for_payer("tea-1").await;
    shop.tell(&shop.statement("captured", &reference)).await;
    shop.paid(&id).await;
    let (mut ann, mut bob) = two_persons(&shop).await;
    let proposal = ann.proposes_revocation(&shop.node, &id).await;
    shop.node.leap(DAY - Duration::from_secs(3600)).await;
    shop.node.restart().await;
    assert_eq!(shop.shown(&id).await["proposals"][0]["state"], "open");
    shop.node.leap(Duration::from_secs(3601)).await;
    shop.eventually("a lapse", async || {
        (shop.events(&id, "OverrideRejected").await == 1).then_some(())
    })
    .await;
    let shown = shop.shown(&id).await;
    assert_eq!(shown["proposals"][0]["state"], "lapsed");
    assert_eq!(
        (&shown["status"], &shown["in_review"]),
        (&json!("paid"), &json!(false))
    );
    bob.comes_back(&shop.node).await;
    let refused = bob.approves(&shop.node, &id, &proposal).await.expect(409);
    assert_eq!(refused.code(), "proposal_lapsed");
    assert_eq!(refused.json()["changed"], json!([]));
    // Another may be made.
    ann.comes_back(&shop.node).await;
    ann.proposes_revocation(&shop.node, &id).await;
}

/// In memory and without loops, so that nobody else can look at it before.
#[tokio::test]
async fn a_proposal_that_no_loop_saw_lapses_when_it_is_approved_and_the_repeat_hears_the_same() {
    let world = MoneyWorld::new();
    let id = world.create("tea-1", "create", false).await;
    let person = |name: &str| OperatorId::parse(name).unwrap();
    let caller = |name: &str| Caller {
        who: Who::Operator(person(name)),
        ..world.caller().clone()
    };
    let why = || (ReasonCode::parse("bank_confirmed").unwrap(), None);
    let (app, context) = (&world.app, world.context("propose"));
    let new = NewProposal {
        decision: Proposed::Pay,
        why: why(),
        evidence: vec![],
    };
    let made = app.propose(&caller("ann"), &context, &id, new).await;
    let proposal = made.unwrap().proposal;
    world.clock.advance(DAY);
    let now = world.clock.now();
    let until = now.plus(Duration::from_secs(1));
    let ticket = tickets::issue(app.recorder.key(), &person("bob"), &proposal, until);
    let (bob, context) = (caller("bob"), world.context("approve"));
    for _ in 0..2 {
        let decided = app.decide_proposal(
            &bob,
            &context,
            (&id, &proposal),
            Verdict::Approve,
            ticket.reveal(),
            why(),
        );
        let Err(AppError::ProposalLapsed { changed }) = decided.await else {
            panic!("it lapsed");
        };
        assert_eq!(changed, []);
    }
    let events = world.events(&id).await;
    let expected = [
        "PaymentRequestCreated",
        "OverrideProposed",
        "OverrideRejected",
    ];
    assert_eq!(events, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_says_why_and_on_what_and_the_same_command_makes_one() {
    let shop = Shop::open().await;
    let (id, reference) = shop.waiting_for_payer("tea-1").await;
    let (ann, _) = two_persons(&shop).await;
    let node = &shop.node;
    let path = format!("/v1/payment-requests/{id}/overrides");
    let unknown = "0".repeat(64);
    for (body, pointer) in [
        (json!({ "text": "t", "evidence": "none" }), "/reason"),
        (json!({ "reason": "r", "evidence": "none" }), "/text"),
        (json!({ "reason": "r", "text": "t" }), "/evidence"),
        (
            json!({ "reason": "r", "text": "t", "evidence": [] }),
            "/evidence",
        ),
        (
            json!({ "reason": "r", "text": "t", "evidence": "some" }),
            "/evidence",
        ),
        (
            json!({ "reason": "r", "text": "t", "evidence": [{}] }),
            "/evidence",
        ),
        (
            json!({ "reason": "r", "text": "t", "evidence": [{ "image_base64": "aGVsbG8=" }] }),
            "/evidence",
        ),
        (
            json!({ "reason": "r", "evidence": "none", "text": "x".repeat(2001) }),
            "/text",
        ),
    ] {
        let refused = ann.post(node, &path, &body).await.expect(422);
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer, "{body}");
    }
    let foreign = json!({ "reason": "r", "text": "t", "evidence": [{ "commitment": unknown }] });
    let refused = ann.post(node, &path, &foreign).await.expect(422);
    assert_eq!(refused.code(), "refused");
    // What a customer showed can be named.
    let notice = json!({ "kind": "message", "text": "I paid" });
    shop.command(&id, "notices", &notice).await.expect(202);
    let log = shop.log().await;
    let notice = log.of_type("PayerNoticeRecorded").next().unwrap();
    let commitment = &notice.evidence[0].commitment;
    let body = json!({ "reason": "seen", "text": "t", "evidence": [{ "commitment": commitment }] });
    let first = ann.post_as(node, &path, "k", &body).await.expect(201);
    assert_eq!(first.json()["evidence"][0]["kind"], "payer_notice");
    let again = ann.post_as(node, &path, "k", &body).await.expect(201);
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.text, first.text);
    let other = json!({ "reason": "other", "text": "t", "evidence": "none" });
    let refused = ann.post_as(node, &path, "k", &other).await.expect(422);
    assert_eq!(refused.code(), "idempotency_mismatch");
    // One at a time.
    let second = ann.post(node, &path, &other).await.expect(409);
    assert_eq!(second.code(), "state_conflict");
    assert_eq!(shop.events(&id, "OverrideProposed").await, 1);
    // And only about what can be decided.
    let unpaid = format!("/v1/payment-requests/{id}/revocations");
    let refused = ann.post(node, &unpaid, &other).await.expect(409);
    assert_eq!(refused.code(), "state_conflict");
    shop.tell(&shop.statement("captured", &reference)).await;
    shop.paid(&id).await;
    let refused = ann.post(node, &path, &other).await.expect(409);
    assert_eq!(refused.code(), "already_paid");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scenario_may_allow_no_overrides() {
    let shop = Shop::open_with(|settings| {
        for scenario in settings.merchants.iter_mut().flat_map(|m| &mut m.scenarios) {
            scenario.overrides.allowed = false;
        }
    })
    .await;
    let (id, _) = shop.waiting_for_payer("tea-1").await;
    let (ann, _) = two_persons(&shop).await;
    let path = format!("/v1/payment-requests/{id}/overrides");
    let refused = ann.post(&shop.node, &path, &grounds()).await.expect(422);
    assert_eq!(refused.code(), "refused");
    assert_eq!(shop.events(&id, "OverrideProposed").await, 0);
}
