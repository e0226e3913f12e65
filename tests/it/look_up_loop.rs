//! When providers are asked, how often, and what is done where they never answer.

use std::time::Duration;

use domain::ids::PaymentRequestId;
use domain::payment::exception::{ExceptionKind, Severity};
use domain::payment::fact::{Fact, FactKind};
use domain::payment::request::{AttemptState, Closure};
use domain::ports::{LookUpOutcome, RegisterOutcome};
use domain::stream::{StreamId, Version};
use harness::money_world::{LIFE, MoneyWorld, captured, says, unknown};
use harness::quiet_provider::{Notification, signed};
use harness::shop::{PRICE, Shop, case};
use serde_json::json;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn idle() -> LookUpOutcome {
    says(&[Fact::bare(FactKind::Registered)])
}

fn wants_rest(length: Duration) -> LookUpOutcome {
    LookUpOutcome::Unknown {
        why: "http_429".to_owned(),
        retry_after: Some(length),
    }
}

fn asked(world: &MoneyWorld, our_reference: &str) -> usize {
    let asked = world.provider.asked();
    asked.iter().filter(|name| *name == our_reference).count()
}

/// Requests with an attempt each, started at the pace of the account, which the provider answers alike.
async fn attempts(world: &MoneyWorld, count: usize, answer: &LookUpOutcome) -> Vec<String> {
    let mut references = vec![];
    for number in 0..count {
        world.clock.advance(Duration::from_millis(200));
        let (_, ours) = world.attempt(&format!("o-{number}"), "asked").await;
        world.provider.looked_up(&ours, answer.clone());
        references.push(ours);
    }
    references
}

#[tokio::test]
async fn an_attempt_is_asked_about_on_schedule_and_a_restart_repeats_no_question_a11() {
    let world = MoneyWorld::new();
    let ours = attempts(&world, 1, &idle()).await.remove(0);
    world.runs_for(seconds(12), SECOND).await;
    assert_eq!(asked(&world, &ours), 0);
    world.runs_for(seconds(8), SECOND).await;
    assert_eq!(asked(&world, &ours), 1);
    world.runs_for(seconds(4), SECOND).await;
    assert_eq!(asked(&world, &ours), 1, "what was asked is not asked again");
    world.runs_for(seconds(10), SECOND).await;
    assert_eq!(asked(&world, &ours), 2);
    // What fell due while nobody ran is asked once.
    world.clock.advance(seconds(700));
    world.runs_for(seconds(2), SECOND).await;
    assert_eq!(asked(&world, &ours), 3);
}

#[tokio::test]
async fn a_status_that_stays_unknown_is_told_to_a_person_once_a17() {
    let world = MoneyWorld::new();
    let (id, ours) = world.attempt("o-1", "asked").await;
    let days = LIFE + 72 * HOUR;
    world.runs_for(days, 2 * HOUR).await;
    assert_eq!(
        world.cases(&id).await,
        [ExceptionKind::RegistrationUncertain; 0]
    );
    let before = asked(&world, &ours);
    world.runs_for(HOUR, HOUR / 2).await;
    assert_eq!(world.cases(&id).await, [ExceptionKind::StatusUnknown]);
    assert!(
        asked(&world, &ours) > before,
        "it is asked before a person is"
    );
    let asked_until_then = asked(&world, &ours);
    world.runs_for(48 * HOUR, 12 * HOUR).await;
    assert_eq!(world.cases(&id).await, [ExceptionKind::StatusUnknown]);
    assert_eq!(asked(&world, &ours), asked_until_then);
    assert_eq!(severity(&world, &id).await, Severity::Medium);
}

async fn severity(world: &MoneyWorld, id: &PaymentRequestId) -> Severity {
    let stream = StreamId::payment_request(id);
    let store = world.app.recorder.store();
    let events = store.read_stream(&stream, Version::FIRST, 1_000).await;
    let envelopes = events.unwrap().into_iter().map(|e| e.envelope().unwrap());
    let decoded = envelopes.map(|envelope| domain::codec::decode(&envelope).unwrap());
    let mut severities = decoded.filter_map(|event| match event {
        domain::payment::Event::ExceptionOpened { severity, .. } => Some(severity),
        _ => None,
    });
    severities.next().unwrap()
}

#[tokio::test]
async fn a_registration_that_stays_in_doubt_is_told_to_a_person_a7() {
    let world = MoneyWorld::new();
    let why = "timeout".to_owned();
    world.provider.next_registration(RegisterOutcome::Unknown {
        why,
        retry_after: None,
    });
    let (id, ours) = world.attempt("o-1", "asked").await;
    world.provider.looked_up(&ours, says(&[])); // It answers, and says nothing.
    world.runs_for(LIFE + 73 * HOUR, 2 * HOUR).await;
    let attempt = world.request(&id).await.attempts()[&1].state;
    assert_eq!(attempt, AttemptState::Uncertain);
    let cases = world.cases(&id).await;
    assert_eq!(cases, [ExceptionKind::RegistrationUncertain]);
    assert_eq!(severity(&world, &id).await, Severity::Low);
}

#[tokio::test]
async fn what_an_expiry_told_already_is_not_told_again_e5() {
    let world = MoneyWorld::new();
    let (id, _) = world.attempt("o-1", "asked").await;
    world.look_up(&id, 1).await;
    world.clock.advance(LIFE + HOUR);
    world.app.expire_request(&id).await.unwrap();
    assert_eq!(world.cases(&id).await, [ExceptionKind::StatusUnknown]);
    world.runs_for(75 * HOUR, 5 * HOUR).await;
    assert_eq!(world.cases(&id).await, [ExceptionKind::StatusUnknown]);
}

#[tokio::test]
async fn an_account_is_asked_at_its_pace_and_everybody_has_a_turn() {
    let world = MoneyWorld::new();
    let references = attempts(&world, 40, &idle()).await;
    world.clock.advance(seconds(29));
    world.runs_for(SECOND / 2, SECOND / 2).await;
    let at_first = world.provider.asked().len();
    assert!(
        (5..=20).contains(&at_first),
        "{at_first} within two seconds"
    );
    world.runs_for(seconds(8), SECOND).await;
    let all = references.iter().all(|ours| asked(&world, ours) > 0);
    assert!(all, "{:?}", world.provider.asked());
}

#[tokio::test]
async fn an_account_that_never_answers_holds_up_no_other_one() {
    let world = MoneyWorld::new();
    let (_, mute) = world.attempt("o-1", "asked").await;
    let (_, other) = world.attempt("o-2", "second").await;
    world.provider.is_mute_about(&mute);
    world.provider.looked_up(&other, idle());
    world.clock.advance(seconds(16));
    world.runs_for(seconds(120), seconds(5)).await;
    assert_eq!(asked(&world, &mute), 1);
    assert!(asked(&world, &other) >= 3, "{:?}", world.provider.asked());
}

#[tokio::test]
async fn a_provider_that_does_not_answer_is_left_alone_and_health_says_so() {
    let world = MoneyWorld::new();
    let references = attempts(&world, 12, &unknown()).await;
    world.clock.advance(seconds(16));
    let note = world.runs_for(seconds(4), SECOND).await;
    let note = note.expect("health says that an account is left alone");
    assert!(note.contains("left alone: asked for "), "{note}");
    let before = world.provider.asked().len();
    assert!(before <= 7, "{before}");
    for ours in &references {
        world.provider.looked_up(ours, idle());
    }
    // One probe, then all of them.
    let note = world.runs_for(seconds(60), SECOND).await;
    assert_eq!(note, None);
    let all = references.iter().all(|ours| asked(&world, ours) > 0);
    assert!(all, "{:?}", world.provider.asked());
}

#[tokio::test]
async fn a_provider_that_wants_to_be_left_alone_is() {
    let world = MoneyWorld::new();
    let references = attempts(&world, 3, &wants_rest(seconds(100))).await;
    world.clock.advance(seconds(16));
    world.runs_for(seconds(90), seconds(5)).await;
    assert_eq!(world.provider.asked().len(), 1);
    for ours in &references {
        world.provider.looked_up(ours, idle());
    }
    world.runs_for(seconds(20), SECOND).await;
    assert!(world.provider.asked().len() > 1);
}

#[tokio::test]
async fn a_request_of_an_account_that_is_left_alone_waits_and_ends_all_the_same_e5() {
    let world = MoneyWorld::new();
    let (id, ours) = world.attempt("o-1", "asked").await;
    world.provider.looked_up(&ours, wants_rest(HOUR));
    world.clock.advance(LIFE);
    world.look_up(&id, 1).await;
    let before = asked(&world, &ours);
    for _ in 0..11 {
        world.app.expire_request(&id).await.unwrap();
        assert_eq!(*world.request(&id).await.closure(), Closure::Open);
        world.clock.advance(seconds(5 * 60));
    }
    assert_eq!(
        asked(&world, &ours),
        before,
        "nobody asks who wants to be left alone"
    );
    world.clock.advance(seconds(5 * 60));
    world.app.expire_request(&id).await.unwrap();
    assert_eq!(*world.request(&id).await.closure(), Closure::Expired);
    assert_eq!(world.cases(&id).await, [ExceptionKind::StatusUnknown]);
}

#[tokio::test]
async fn a_request_waits_for_its_turn_before_it_expires_e1() {
    let world = MoneyWorld::new();
    let mut requests = vec![];
    for number in 0..8 {
        let (id, ours) = world.attempt(&format!("o-{number}"), "asked").await;
        world
            .provider
            .looked_up(&ours, says(&[Fact::bare(FactKind::SessionExpired)]));
        requests.push(id);
    }
    world.clock.advance(LIFE);
    let mut expired = vec![];
    for id in &requests {
        expired.push(world.app.expire_request(id).await.unwrap());
    }
    let turns = [true, true, true, true, true, false, false, false];
    assert_eq!(expired, turns);
    world.clock.advance(SECOND);
    assert!(world.app.expire_request(&requests[7]).await.unwrap());
}

#[tokio::test]
async fn an_answer_that_changes_nothing_is_not_kept() {
    let world = MoneyWorld::new();
    let (id, ours) = world.attempt("o-1", "asked").await;
    world.provider.looked_up(&ours, idle());
    world.look_up(&id, 1).await;
    world.look_up(&id, 1).await;
    assert_eq!(world.kept_bytes(), 0);
    world.provider.looked_up(&ours, says(&[captured("tx-1")]));
    world.look_up(&id, 1).await;
    world.look_up(&id, 1).await;
    assert_eq!(world.kept_bytes(), 1);
}

/// A message in which the provider names the order by its own name only.
fn without_our_reference(shop: &Shop, status: &str, reference: &str) -> Notification {
    let mut statement = shop.statement(status, reference);
    statement.as_object_mut().unwrap().remove("our_reference");
    let seconds = statement_seconds(shop);
    signed("msg-parked", seconds, &statement)
}

fn statement_seconds(shop: &Shop) -> i64 {
    shop.node.app().recorder.now().seconds()
}

#[tokio::test(flavor = "multi_thread")]
async fn money_before_its_order_is_known_waits_over_a_restart_and_pays_once_c5() {
    let mut shop = Shop::open().await;
    let body = json!({
        "order_id": "early", "scenario": "web",
        "amount": { "minor": PRICE.to_string(), "currency": "AMD" },
    });
    let created = shop
        .node
        .post("backend", "/v1/payment-requests", "k", &body)
        .await;
    let id = created.expect(201).text_of("id");
    let early = without_our_reference(&shop, "captured", &format!("{id}-1"));
    assert_eq!(shop.send_and_settle(&early).await, "parked");
    shop.node.restart().await;
    let path = format!("/v1/payment-requests/{id}/attempts");
    shop.node
        .post("backend", &path, "a", &json!({}))
        .await
        .expect(201);
    shop.paid(&id).await;
    assert_eq!(shop.events(&id, "PaymentVerified").await, 1);
    assert_eq!(shop.events(&id, "PaymentCaptured").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_before_its_money_is_asked_about_and_booked_after_a_restart_c6() {
    let mut shop = Shop::open().await;
    let (id, reference) = shop.waiting_for_payer("refund-first").await;
    // The schedule has nothing to ask for the next minutes then.
    shop.node.leap(seconds(700)).await;
    let asked = async || shop.provider.asked(&reference);
    let first = async || (asked().await == 1).then_some(());
    shop.eventually("what fell due meanwhile", first).await;
    let told = json!({ "refunded": PRICE.to_string(), "reversal": "r-1" });
    let refund = shop.statement_with("refunded", &reference, told);
    let early = shop.signed(&refund);
    assert_eq!(shop.send_and_settle(&early).await, "parked");
    let second = async || (asked().await == 2).then_some(());
    shop.eventually("a question about the money", second).await;
    shop.node.restart().await;
    let captured = shop.signed(&shop.statement("captured", &reference));
    assert_eq!(shop.send(&captured).await, 200);
    shop.has_status(&id, "refunded").await;
    assert_eq!(shop.events(&id, "PaymentVerified").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_whose_money_never_came_goes_to_a_person_after_a_restart_c6() {
    let mut shop = Shop::open().await;
    let (id, reference) = shop.waiting_for_payer("refund-only").await;
    let told = json!({ "refunded": PRICE.to_string(), "reversal": "r-1" });
    let refund = shop.statement_with("refunded", &reference, told);
    let early = shop.signed(&refund);
    assert_eq!(shop.send_and_settle(&early).await, "parked");
    shop.node.restart().await;
    shop.node.leap(seconds(15 * 60 + 1)).await;
    shop.eventually("a case", async || {
        let cases = shop.cases(Some(&id)).await;
        (cases == [case("reversal_without_capture", "medium", None)]).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_look_up_told_of_unmatched_money_is_kept_g1() {
    let shop = Shop::open().await;
    let captured = shop.statement("captured", "nobodys-1");
    shop.provider.says("nobodys-1", &captured);
    let message = without_our_reference(&shop, "captured", "nobodys-1");
    assert_eq!(shop.send_and_settle(&message).await, "parked");
    shop.node.leap(seconds(15 * 60 + 1)).await;
    let evidence = shop
        .eventually("money in suspense", async || {
            let log = shop.log().await;
            let observed = log.of_type("UnmatchedPaymentObserved").next()?;
            let kinds = observed.evidence.iter().map(|kept| kept.kind.clone());
            Some(kinds.collect::<Vec<_>>())
        })
        .await;
    assert_eq!(evidence, ["notification", "look_up"]);
}
