//! Promise 8: a manual override has an actor, a reason code, a text, evidence or an explicit "none", a
//! second person where policy asks for one, and stays visible until money proves it.

use std::time::Duration;

use domain::access::role::Role;
use domain::money::MinorText;
use harness::people::Person;
use harness::receiver::Receiver;
use harness::shop::{PRICE, Shop, case};
use serde_json::{Value, json};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Who proposes, and who decides.
async fn two_persons(shop: &Shop) -> (Person, Person) {
    let ann = Person::hired(&shop.node, "ann", Role::Operator).await;
    let bob = Person::hired(&shop.node, "bob", Role::Approver).await;
    (ann, bob)
}

/// An order that is paid by the decision of two persons: the request, our reference, the proposal.
async fn paid_by_decision(shop: &Shop, order: &str) -> (String, String, String) {
    let (id, reference) = shop.waiting_for_payer(order).await;
    let (ann, bob) = two_persons(shop).await;
    let proposal = ann.proposes_override(&shop.node, &id).await;
    bob.approves(&shop.node, &id, &proposal).await.expect(200);
    (id, reference, proposal)
}

/// What subscribers heard of one name.
fn heard(receiver: &Receiver, name: &str) -> Vec<Value> {
    let bodies = receiver.seen().into_iter().map(|seen| seen.json());
    let of_name = |body: &Value| body["type"] == format!("counterfoil.{name}.v1");
    bodies.filter(of_name).collect()
}

async fn hears(shop: &Shop, receiver: &Receiver, name: &str) -> Value {
    let what = format!("news of {name}");
    let one = async || heard(receiver, name).into_iter().next();
    shop.eventually(&what, one).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_takes_two_persons_and_is_visible_until_money_proves_it() {
    let shop = Shop::open_to_receivers().await;
    let crm = Receiver::start().await;
    shop.subscribe("crm", &crm).await;
    let (id, reference) = shop.waiting_for_payer_of_bot("tea-1").await;
    let (ann, bob) = two_persons(&shop).await;
    let node = &shop.node;
    let request = format!("/v1/payment-requests/{id}");

    // One proposes, and nothing is paid.
    let body = json!({
        "reason": "bank_confirmed_by_phone", "text": "Spoke with their bank.",
        "evidence": [{ "text": "Reference 4711 of their bank" }],
    });
    let made = ann.post(node, &format!("{request}/overrides"), &body).await;
    let made = made.expect(201);
    let proposal = made.text_of("id");
    let address = format!("{request}/overrides/{proposal}");
    assert_eq!(made.header("location"), address);
    let made = made.json();
    assert_eq!(
        (&made["decision"], &made["state"]),
        (&json!("pay"), &json!("open"))
    );
    assert_eq!(made["based_on"].as_str().unwrap().len(), 64);
    let at = |name: &str| domain::time::Timestamp::parse(made[name].as_str().unwrap()).unwrap();
    let life = at("lapses_at").since(at("proposed_at"));
    // Decided a moment before it is recorded.
    assert!(
        life <= DAY && life > DAY - Duration::from_secs(60),
        "{life:?}"
    );
    let shown = shop.shown(&id).await;
    assert_eq!(shown["status"], "pending");
    assert_eq!(shown["in_review"], true);
    assert_eq!(shown["proposals"][0]["id"], proposal);
    assert_eq!(shown["proposals"][0]["proposed_by"], "ann");
    // A bot says that somebody looks at it, and knows nothing else of it.
    assert_eq!(shop.bot_says(&id).await, "in_review");
    let bots = node.get("bot", &request).await.expect(200);
    assert!(!bots.text.contains("proposal") && !bots.text.contains(&proposal));
    node.get("bot", &address).await.expect(404);
    // Why is for persons who decide; a program reads the code of it.
    let read = bob.get(node, &address).await.expect(200).json();
    assert_eq!(read["text"], "Spoke with their bank.");
    assert_eq!(read["evidence"][0]["kind"], "proposal");
    let read = node.get("backend", &address).await.expect(200).json();
    assert_eq!(read["reason"], "bank_confirmed_by_phone");
    assert_eq!(read.get("text"), None);

    // Another approves, and it counts as paid, by decision.
    let approved = bob.approves(node, &id, &proposal).await.expect(200).json();
    assert_eq!(approved["status"], "paid");
    assert_eq!(approved["verification"]["method"], "override");
    assert_eq!(approved["override"]["state"], "unproven");
    assert_eq!(approved["override"]["proposal"], proposal);
    assert_eq!(approved["proposals"][0]["state"], "approved");
    assert_eq!(approved["applied"]["minor"], "0");
    assert_eq!(shop.bot_says(&id).await, "paid");
    let unproven = [case("override_unproven", "low", None)];
    assert_eq!(shop.cases(Some(&id)).await, unproven);
    let rows = shop.listed().await;
    assert_eq!(rows[0]["verification"]["method"], "override");
    assert_eq!(rows[0]["override"]["state"], "unproven");
    let told = hears(&shop, &crm, "payment.verified").await["data"].clone();
    assert_eq!(told["verification"]["method"], "override");
    assert_eq!(told["amount"]["minor"], PRICE.to_string());
    let decided = &told["override"];
    assert_eq!(decided["actor_id"], "ann");
    assert_eq!(decided["approved_by"], "bob");
    assert_eq!(decided["reason_code"], "bank_confirmed_by_phone");
    assert_eq!(decided["proven"]["minor"], "0");
    let read = bob.get(node, &address).await.expect(200).json();
    assert_eq!(read["ended"]["by"], "operator:bob");
    assert_eq!(read["ended"]["reason"], "checked_with_bank");
    assert_eq!(read["ended"]["text"], "I called.");

    // The trail says who, why and on what, and nobody's words.
    let trail = node.get("auditor", &format!("{request}/trail")).await;
    let trail = trail.expect(200);
    let steps = trail.json()["steps"].as_array().unwrap().clone();
    let step = |what: &str| steps.iter().find(|step| step["what"] == what).unwrap();
    for (what, who, why) in [
        (
            "OverrideProposed",
            "operator:ann",
            "bank_confirmed_by_phone",
        ),
        ("OverrideApproved", "operator:bob", "checked_with_bank"),
        ("PaymentVerified", "operator:bob", "checked_with_bank"),
    ] {
        assert_eq!(
            (&step(what)["who"], &step(what)["why"]),
            (&json!(who), &json!(why))
        );
    }
    assert_eq!(step("OverrideProposed")["evidence"][0]["kind"], "proposal");
    assert_eq!(
        decided["audit_event_id"],
        step("OverrideApproved")["event_id"]
    );
    for words in ["Spoke with their bank", "4711 of their bank"] {
        assert!(!trail.text.contains(words));
    }

    // The money comes later, and is told to nobody as another payment (row H5).
    let captured = shop.statement("captured", &reference);
    assert_eq!(shop.tell(&captured).await, "applied");
    let shown = shop.shown(&id).await;
    assert_eq!(shown["status"], "paid");
    assert_eq!(shown["override"]["state"], "proven");
    assert_eq!(shown["applied"]["minor"], PRICE.to_string());
    assert_eq!(shop.cases(Some(&id)).await, []);
    assert_eq!(shop.events(&id, "PaymentVerified").await, 1);
    assert_eq!(shop.events(&id, "OverrideSubstantiated").await, 1);
    shop.views_have_caught_up().await;
    let deliveries = format!("payment_request_id={id}");
    assert_eq!(shop.deliveries(&deliveries).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_proposal_leaves_the_order_as_it_was() {
    let shop = Shop::open().await;
    let (id, reference) = shop.waiting_for_payer_of_bot("tea-1").await;
    let (ann, bob) = two_persons(&shop).await;
    let node = &shop.node;
    let proposal = ann.proposes_override(node, &id).await;
    let ticket = bob.ticket(node, &proposal).await;
    let decision = (id.as_str(), proposal.as_str());
    let shown = bob.decides(node, "reject", decision, &ticket).await;
    let shown = shown.expect(200).json();
    assert_eq!(shown["proposals"][0]["state"], "rejected");
    assert_eq!(
        (&shown["status"], &shown["in_review"]),
        (&json!("pending"), &json!(false))
    );
    assert_eq!(shop.bot_says(&id).await, "pending");
    let late = bob.decides(node, "approve", decision, &ticket).await;
    assert_eq!(late.expect(409).code(), "proposal_decided");
    // Money pays it as if nobody had asked.
    shop.tell(&shop.statement("captured", &reference)).await;
    let shown = shop.paid(&id).await;
    assert_eq!(shown["verification"]["method"], "signed_notification");
    assert_eq!(shown.get("override"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_is_enough_below_the_scenarios_limit_and_not_at_it() {
    for (limit, alone) in [(PRICE + 1, true), (PRICE, false)] {
        let shop = Shop::open_with(|settings| {
            for scenario in settings.merchants.iter_mut().flat_map(|m| &mut m.scenarios) {
                scenario.overrides.four_eyes_from_minor = MinorText(limit);
            }
        })
        .await;
        let node = &shop.node;
        let (id, _) = shop.waiting_for_payer("tea-1").await;
        let sue = Person::hired(node, "sue", Role::Supervisor).await;
        let tom = Person::hired(node, "tom", Role::Supervisor).await;
        let approvals = async || {
            let log = shop.log().await;
            let approved = log.of_type("OverrideApproved");
            approved
                .map(|record| (record.actor.display(), record.data["alone"].clone()))
                .collect::<Vec<_>>()
        };
        for revoke in [false, true] {
            let proposal = if revoke {
                sue.proposes_revocation(node, &id).await
            } else {
                sue.proposes_override(node, &id).await
            };
            let decision = (id.as_str(), proposal.as_str());
            let bare = sue.decides(node, "approve", decision, "cft_none").await;
            assert_eq!(bare.expect(403).code(), "ticket_refused");
            let decided = sue.approves(node, &id, &proposal).await;
            if !alone {
                assert_eq!(decided.expect(403).code(), "four_eyes");
                tom.approves(node, &id, &proposal).await.expect(200);
            }
            let status = shop.shown(&id).await["status"].clone();
            assert_eq!(status, if revoke { "cancelled" } else { "paid" });
        }
        let (who, marked) = if alone {
            ("operator:sue", json!(true))
        } else {
            ("operator:tom", Value::Null)
        };
        let expected = [(who.to_owned(), marked.clone()), (who.to_owned(), marked)];
        assert_eq!(approvals().await, expected, "{limit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_limit_no_role_decides_alone() {
    let shop = Shop::open().await;
    let (id, _) = shop.waiting_for_payer("tea-1").await;
    let sue = Person::hired(&shop.node, "sue", Role::Supervisor).await;
    let proposal = sue.proposes_override(&shop.node, &id).await;
    let refused = sue.approves(&shop.node, &id, &proposal).await.expect(403);
    assert_eq!(refused.code(), "four_eyes");
    assert_eq!(shop.shown(&id).await["status"], "pending");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_money_proves_nothing_and_waits_for_a_person() {
    for (minor, kind) in [(PRICE - 1, "underpaid"), (PRICE + 1, "overpaid")] {
        let shop = Shop::open().await;
        let (id, reference, _) = paid_by_decision(&shop, "tea-1").await;
        let other = json!({ "amount": minor.to_string() });
        let captured = shop.statement_with("captured", &reference, other);
        assert_eq!(shop.tell(&captured).await, "applied");
        let shown = shop.shown(&id).await;
        assert_eq!(shown["status"], "paid");
        assert_eq!(shown["override"]["state"], "unproven");
        assert_eq!(shown["applied"]["minor"], "0");
        assert_eq!(shown["unapplied"][0]["minor"], minor.to_string());
        let money = format!("{minor} AMD");
        let mut expected = [
            case("override_unproven", "low", None),
            case(kind, "high", Some(&money)),
        ];
        expected.sort();
        assert_eq!(shop.cases(Some(&id)).await, expected);
        assert_eq!(shop.events(&id, "OverrideSubstantiated").await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_that_no_money_proves_in_time_is_told_once_even_after_a_restart() {
    let mut shop = Shop::open().await;
    let (id, _, _) = paid_by_decision(&shop, "tea-1").await;
    shop.node.restart().await;
    let prove_by = shop.shown(&id).await["override"]["prove_by"].clone();
    let prove_by = domain::time::Timestamp::parse(prove_by.as_str().unwrap()).unwrap();
    let left = prove_by.since(shop.node.app().recorder.now());
    assert!(
        left > 5 * DAY - Duration::from_secs(60),
        "five business days: {left:?}"
    );
    shop.node.leap(left - Duration::from_secs(3600)).await;
    shop.views_have_caught_up().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(shop.events(&id, "OverrideUnsubstantiated").await, 0);
    shop.node.leap(Duration::from_secs(3601)).await;
    shop.eventually("word of it", async || {
        (shop.events(&id, "OverrideUnsubstantiated").await > 0).then_some(())
    })
    .await;
    let expected = [
        case("override_unproven", "low", None),
        case("override_unsubstantiated", "high", None),
    ];
    assert_eq!(shop.cases(Some(&id)).await, expected);
    let shown = shop.shown(&id).await;
    assert_eq!(shown["status"], "paid", "time takes no payment back");
    assert_eq!(shown["override"]["state"], "unsubstantiated");
    shop.node.leap(5 * DAY).await;
    shop.node.restart().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(shop.events(&id, "OverrideUnsubstantiated").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_takes_two_persons_and_sets_the_money_aside() {
    let shop = Shop::open_to_receivers().await;
    let crm = Receiver::start().await;
    shop.subscribe("crm", &crm).await;
    let (id, _) = shop.pay("tea-1").await;
    let (ann, bob) = two_persons(&shop).await;
    let node = &shop.node;
    let proposal = ann.proposes_revocation(node, &id).await;
    let shown = shop.shown(&id).await;
    assert_eq!(shown["status"], "paid");
    assert_eq!(shown["proposals"][0]["decision"], "revoke");
    let shown = bob.approves(node, &id, &proposal).await.expect(200).json();
    assert_eq!(shown["status"], "cancelled");
    assert_eq!(shown["cancelled_by"], "revoked");
    assert_eq!(shown.get("verification"), None);
    assert_eq!(shown["applied"]["minor"], "0");
    assert_eq!(shown["unapplied"][0]["minor"], PRICE.to_string());
    let money = format!("{PRICE} AMD");
    let expected = [case("verification_revoked", "high", Some(&money))];
    assert_eq!(shop.cases(Some(&id)).await, expected);
    let told = hears(&shop, &crm, "payment.reversed").await["data"]["reversal"].clone();
    assert_eq!(told["kind"], "revoked");
    assert_eq!(told["delta"]["minor"], PRICE.to_string());
    let rows = shop.listed().await;
    assert_eq!(rows[0]["cancelled_by"], "revoked");
    // The order may be asked for again.
    shop.waiting_for_payer("tea-1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_override_leaves_nothing_to_prove() {
    let shop = Shop::open().await;
    let (id, _, _) = paid_by_decision(&shop, "tea-1").await;
    let ann = Person {
        id: "ann".to_owned(),
        token: shop.node.sign_in("ann").await,
    };
    let bob = Person {
        id: "bob".to_owned(),
        token: shop.node.sign_in("bob").await,
    };
    let proposal = ann.proposes_revocation(&shop.node, &id).await;
    let shown = bob.approves(&shop.node, &id, &proposal).await;
    let shown = shown.expect(200).json();
    assert_eq!(shown["status"], "cancelled");
    assert_eq!(shown.get("override"), None);
    assert_eq!(shop.cases(Some(&id)).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_of_what_expired_pays_late_and_takes_its_order_along() {
    let shop = Shop::open().await;
    let five_s = json!({ "expires_in_s": 5 });
    let (id, _) = shop.waiting_with("tea-1", five_s).await;
    shop.node.leap(Duration::from_secs(6)).await;
    shop.has_status(&id, "expired").await;
    let (ann, bob) = two_persons(&shop).await;
    let proposal = ann.proposes_override(&shop.node, &id).await;
    let shown = bob.approves(&shop.node, &id, &proposal).await;
    let shown = shown.expect(200).json();
    assert_eq!(shown["status"], "paid");
    assert_eq!(shown["verification"]["late"], true);
    let again = json!({
        "order_id": "tea-1", "scenario": "web",
        "amount": { "minor": PRICE.to_string(), "currency": "AMD" },
    });
    let path = "/v1/payment-requests";
    let again = shop.node.post("backend", path, "again", &again).await;
    assert_eq!(again.expect(409).code(), "already_paid");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_override_pays_an_order_that_another_request_stands_for() {
    let shop = Shop::open().await;
    let five_s = json!({ "expires_in_s": 5 });
    let (id, _) = shop.waiting_with("tea-1", five_s).await;
    shop.node.leap(Duration::from_secs(6)).await;
    shop.has_status(&id, "expired").await;
    let (second, reference) = shop.waiting_for_payer("tea-1").await;
    let (ann, bob) = two_persons(&shop).await;
    let proposal = ann.proposes_override(&shop.node, &id).await;
    let refused = bob.approves(&shop.node, &id, &proposal).await.expect(409);
    assert_eq!(refused.code(), "open_request_exists");
    assert_eq!(refused.text_of("payment_request_id"), second);
    shop.tell(&shop.statement("captured", &reference)).await;
    shop.paid(&second).await;
    let refused = bob.approves(&shop.node, &id, &proposal).await.expect(409);
    assert_eq!(refused.code(), "already_paid");
    let shown = shop.shown(&id).await;
    assert_eq!(shown["status"], "expired");
    assert_eq!(shown["proposals"][0]["state"], "open");
    assert_eq!(shop.events(&id, "PaymentVerified").await, 0);
}
