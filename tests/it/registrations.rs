//! Registrations keep the pace of their account, and none is sent to one that does not answer: whoever
//! wants to pay hears so at once, and nothing is written down of an attempt that never was.

use std::time::Duration;

use api::app::context::Context;
use api::app::error::AppError;
use api::app::pace::{Admission, Held};
use domain::ids::{AccountSlug, PaymentRequestId};
use domain::payment::request::AttemptState;
use domain::ports::{LookUpOutcome, RegisterOutcome};
use harness::money_world::MoneyWorld;
use harness::shop::Shop;
use serde_json::{Value, json};

const REQUESTS: &str = "/v1/payment-requests";

fn account(name: &str) -> AccountSlug {
    AccountSlug::parse(name).unwrap()
}

fn unsure(retry_after: Option<Duration>) -> RegisterOutcome {
    let why = "timeout".to_owned();
    RegisterOutcome::Unknown { why, retry_after }
}

/// Starts an attempt at an account under a key; gives the request's newest attempt, or why not.
async fn start(
    world: &MoneyWorld,
    id: &PaymentRequestId,
    key: &str,
    at: &str,
) -> Result<AttemptState, Held> {
    let (context, at) = (world.context(key), account(at));
    let started = world
        .app
        .start_attempt(world.caller(), &context, id, Some(&at));
    match started.await {
        Ok(started) => Ok(started
            .request
            .attempts()
            .values()
            .next_back()
            .unwrap()
            .state),
        Err(AppError::ProviderUnavailable { held }) => Err(held),
        Err(other) => panic!("{other}"),
    }
}

/// So many requests, each with one attempt at the account whose registration got no answer.
async fn unanswered(world: &MoneyWorld, times: usize, at: &str) {
    for number in 0..times {
        let order = format!("unanswered-{at}-{number}");
        let id = world.create(&order, &order, false).await;
        world.provider.next_registration(unsure(None));
        let state = start(world, &id, &format!("start-{order}"), at).await;
        assert_eq!(state, Ok(AttemptState::Uncertain));
    }
}

#[tokio::test]
async fn an_account_that_does_not_answer_is_left_alone_and_nothing_is_started() {
    let world = MoneyWorld::new();
    unanswered(&world, 5, "asked").await;
    let id = world.create("tea-1", "tea-1", false).await;
    let called = world.provider.registered().len();
    let held = start(&world, &id, "k-1", "asked").await.unwrap_err();
    assert_eq!((held.resting, held.seconds()), (true, 30));
    assert_eq!(world.events(&id).await, ["PaymentRequestCreated"]);
    assert_eq!(world.provider.registered().len(), called);
    // It is the pace of the look-ups: those of the account rest as well.
    assert_eq!(world.app.admission(&account("asked")), Admission::Resting);
    // Another account of the request is not in the way.
    let second = start(&world, &id, "k-2", "second").await;
    assert_eq!(second, Ok(AttemptState::Registered));

    // The same key starts it as soon as the account may be called; its answer lets all others through.
    let id = world.create("tea-2", "tea-2", false).await;
    start(&world, &id, "k-3", "asked").await.unwrap_err();
    world.clock.advance(Duration::from_secs(30));
    let state = start(&world, &id, "k-3", "asked").await;
    assert_eq!(state, Ok(AttemptState::Registered));
    let id = world.create("tea-3", "tea-3", false).await;
    start(&world, &id, "k-4", "asked").await.unwrap();
    assert_eq!(world.app.admission(&account("asked")), Admission::Go);
}

#[tokio::test]
async fn what_was_started_needs_no_leave_again() {
    let world = MoneyWorld::new();
    let id = world.create("tea-1", "tea-1", false).await;
    start(&world, &id, "k-1", "asked").await.unwrap();
    unanswered(&world, 5, "asked").await;
    // The first answer again, and the live attempt by another key.
    for key in ["k-1", "k-2"] {
        let state = start(&world, &id, key, "asked").await;
        assert_eq!(state, Ok(AttemptState::Registered), "{key}");
    }
    assert_eq!(world.request(&id).await.attempts().len(), 1);
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_or_wants_a_pause_is_heard() {
    let world = MoneyWorld::new();
    for number in 0..5 {
        let order = format!("down-{number}");
        let id = world.create(&order, &order, false).await;
        let why = "connect".to_owned();
        let down = RegisterOutcome::NotSent { why };
        world.provider.next_registration(down);
        let state = start(&world, &id, &format!("start-{order}"), "asked").await;
        assert!(matches!(state, Ok(AttemptState::Failed(_))), "{state:?}");
    }
    let id = world.create("tea-1", "tea-1", false).await;
    let held = start(&world, &id, "k-1", "asked").await.unwrap_err();
    assert!(held.resting);
    // One word of the provider is enough.
    let pause = unsure(Some(Duration::from_secs(90)));
    world.provider.next_registration(pause);
    start(&world, &id, "k-2", "second").await.unwrap();
    let id = world.create("tea-2", "tea-2", false).await;
    let held = start(&world, &id, "k-3", "second").await.unwrap_err();
    assert_eq!((held.resting, held.seconds()), (true, 90));
}

#[tokio::test]
async fn registrations_keep_the_pace_and_go_before_questions() {
    let world = MoneyWorld::new();
    let mut ids = vec![];
    for number in 0..15 {
        let order = format!("rush-{number}");
        ids.push(world.create(&order, &order, false).await);
    }
    // 300 in a minute, and two seconds of them at once.
    let mut held = vec![];
    for (number, id) in ids.iter().enumerate() {
        if let Err(why) = start(&world, id, &format!("k-{number}"), "asked").await {
            assert_eq!((why.resting, why.seconds()), (false, 1));
            held.push((number, id));
        }
    }
    assert_eq!(held.len(), 5);
    assert_eq!(world.app.admission(&account("asked")), Admission::Later);
    world.clock.advance(Duration::from_secs(1));
    for (number, id) in held {
        let state = start(&world, id, &format!("k-{number}"), "asked").await;
        assert_eq!(state, Ok(AttemptState::Registered));
    }
    assert_eq!(world.app.admission(&account("asked")), Admission::Later);
    world.clock.advance(Duration::from_secs(2));
    assert_eq!(world.app.admission(&account("asked")), Admission::Go);
}

#[tokio::test]
async fn whoever_cancels_hears_at_once_that_nobody_can_be_asked() {
    let world = MoneyWorld::new();
    let (id, ours) = world.attempt("tea-1", "asked").await;
    unanswered(&world, 5, "asked").await;
    let before = world.events(&id).await;
    let cancelled = world
        .app
        .cancel(world.caller(), &world.context("cancel"), &id)
        .await;
    let Err(AppError::ProviderUnavailable { held }) = cancelled else {
        panic!("nobody can be asked");
    };
    assert!(held.resting);
    assert_eq!(world.events(&id).await, before);
    assert_eq!(world.provider.asked(), [""; 0]);
    // The same key cancels it when it can be asked.
    world.clock.advance(Duration::from_secs(30));
    world.provider.looked_up(&ours, LookUpOutcome::NotFound);
    let cancelled = world
        .app
        .cancel(world.caller(), &world.context("cancel"), &id)
        .await;
    assert!(!cancelled.unwrap().request.payable());
}

#[tokio::test]
async fn each_call_to_end_a_session_is_counted() {
    let world = MoneyWorld::new();
    let (id, ours) = world.attempt("tea-1", "asked").await;
    world.provider.looked_up(&ours, LookUpOutcome::NotFound);
    world.clock.advance(Duration::from_secs(10));
    let context = Context::job("test");
    assert!(world.app.end_attempt(&id, 1, &context).await.unwrap());
    assert_eq!(world.provider.cancelled().len(), 1);
    // The call and the question after it, of five at once.
    let asked = (0..5).take_while(|_| world.app.admission(&account("asked")) == Admission::Go);
    assert_eq!(asked.count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payer_is_told_that_the_provider_is_down_and_pays_when_it_is_back() {
    let mut shop = Shop::open().await;
    let url = shop.provider.url();
    shop.node
        .restart_with(|settings| {
            for connection in settings.connections.values_mut() {
                connection.url = Some("http://127.0.0.1:9".to_owned());
            }
        })
        .await;
    let create = async |shop: &Shop, order: &str| -> Value {
        let amount = json!({ "minor": "150000", "currency": "AMD" });
        let body = json!({ "order_id": order, "scenario": "web", "amount": amount });
        let created = shop.node.post("backend", REQUESTS, order, &body).await;
        created.expect(201).json()
    };
    let start = async |shop: &Shop, id: &str, key: &str| {
        let path = format!("{REQUESTS}/{id}/attempts");
        shop.node.post("backend", &path, key, &json!({})).await
    };
    for number in 0..5 {
        let made = create(&shop, &format!("down-{number}")).await;
        let id = made["id"].as_str().unwrap();
        let started = start(&shop, id, &format!("down-{number}")).await;
        let started = started.expect(201).json();
        assert_eq!(started["attempts"][0]["state"], "failed");
    }
    let made = create(&shop, "tea-1").await;
    let id = made["id"].as_str().unwrap().to_owned();
    let refused = start(&shop, &id, "k").await.expect(503);
    assert_eq!(refused.code(), "provider_unavailable");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    assert_eq!(refused.json()["retry_after"], wait);
    assert_eq!(shop.shown(&id).await["attempts"], json!([]));
    assert_eq!(shop.events(&id, "AttemptStarted").await, 0);
    // It is back, and the same command starts the attempt.
    shop.node
        .restart_with(|settings| {
            for connection in settings.connections.values_mut() {
                connection.url = Some(url.clone());
            }
        })
        .await;
    let started = start(&shop, &id, "k").await.expect(201).json();
    assert_eq!(started["attempts"][0]["state"], "registered");
}
