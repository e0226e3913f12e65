//! The queue of a receiver that fetches, beside the dispatcher and over a clock that tests move: what is
//! never sent, what an acknowledgement ends and frees, and what a crash leaves for the next call.

use std::time::Duration;

use adapters::memory::AppendFault;
use api::app::context::Context;
use api::app::error::AppError;
use api::app::pull::{Acknowledged, Pulled, Start};
use domain::delivery::{Command, Consumer, PullCursor};
use domain::ids::{ClientId, DeliveryId, SubscriberId};
use domain::subscriber::{self, Backfill};
use domain::time::Timestamp;
use harness::delivery_world::{DeliveryWorld, all, any, request_id, seconds, shop, states};
use harness::receiver::{Receiver, Reply};
use projections::views::delivery_queue::{DeliveryRow, QueueState};

fn id(name: &str) -> SubscriberId {
    SubscriberId::parse(name).unwrap()
}

async fn pull(world: &DeliveryWorld, name: &str, start: Start) -> Pulled {
    pull_at_most(100, world, name, start).await.unwrap()
}

async fn pull_at_most(
    limit: usize,
    world: &DeliveryWorld,
    name: &str,
    start: Start,
) -> Result<Pulled, AppError> {
    let (shop, app) = (shop(), &world.app);
    app.pull_events(&shop, &id(name), &start, limit).await
}

async fn acknowledge(
    world: &DeliveryWorld,
    name: &str,
    cursor: &PullCursor,
) -> Result<Acknowledged, AppError> {
    let consumer = Consumer::Client(ClientId::parse("box").unwrap());
    let context = Context::job("test");
    let app = &world.app;
    app.acknowledge_events(&shop(), &id(name), &context, cursor, consumer)
        .await
}

/// The last letter of each event's subject: the payment that it tells of.
fn told(pulled: &Pulled) -> String {
    let letter = |body: &str| {
        let event: serde_json::Value = serde_json::from_str(body).unwrap();
        event["subject"].as_str().unwrap().chars().last().unwrap()
    };
    pulled
        .events
        .iter()
        .map(|event| letter(&event.body))
        .collect()
}

/// How many outcomes the stream of a delivery has.
async fn outcomes(world: &DeliveryWorld, delivery: &DeliveryId) -> usize {
    let detail = world.app.delivery(&shop(), delivery).await.unwrap();
    detail.history.len()
}

#[tokio::test]
async fn what_waits_to_be_fetched_is_never_sent_tried_or_given_up() {
    let mut world = DeliveryWorld::start().await;
    world.stride = seconds(60);
    world.subscribe_to_pull("erp").await;
    world.pay('a').await;
    world.pay('b').await;
    world.quiet(seconds(8 * 24 * 3600)).await;
    let rows = world.rows().await;
    assert_eq!(states(&rows), [QueueState::Due, QueueState::Due]);
    let untried = |row: &DeliveryRow| row.attempts == 0 && row.outcome_version.is_none();
    assert!(rows.iter().all(untried));
    let subscriber = world.app.subscriber(&shop(), &id("erp")).await.unwrap();
    assert_eq!(subscriber.circuit_open_since, None);
    assert_eq!(world.sent(), 0);
    assert_eq!(told(&pull(&world, "erp", Start::Open).await), "ab");
}

#[tokio::test]
async fn one_that_gets_an_address_later_is_sent_what_it_did_not_fetch() {
    let mut world = DeliveryWorld::start().await;
    let erp = Receiver::start().await;
    world.subscribe_to_pull("erp").await;
    for letter in ['a', 'b', 'c'] {
        world.pay(letter).await;
    }
    world.catch_up().await;
    let first = pull_at_most(1, &world, "erp", Start::Open);
    let cursor = first.await.unwrap().cursor.unwrap();
    acknowledge(&world, "erp", &cursor).await.unwrap();
    let url = Some(erp.url());
    let moves = subscriber::Command::ChangeEndpoint { url };
    world.command("erp", &moves).await;
    let open = |rows: &[DeliveryRow]| !rows.iter().any(|row| row.state == QueueState::Due);
    world.until("sent", open).await;
    let subjects: Vec<_> = erp
        .seen()
        .iter()
        .map(|one| one.json()["subject"].clone())
        .collect();
    assert_eq!(
        subjects,
        [request_id('b').as_str(), request_id('c').as_str()]
    );
}

#[tokio::test]
async fn an_acknowledgement_frees_the_next_event_of_the_payment_and_empties_the_failed_list() {
    let mut world = DeliveryWorld::start().await;
    world.stride = seconds(1);
    let crm = Receiver::answering([], Reply::Status(422)).await;
    world.subscribe("crm", &crm.url()).await;
    world.pay('a').await;
    world.refund('a').await;
    world.until("given up", any(QueueState::DeadLettered)).await;
    assert_eq!(
        states(&world.rows().await),
        [QueueState::DeadLettered, QueueState::Held]
    );
    let one = pull_at_most(1, &world, "crm", Start::Open);
    let one = one.await.unwrap();
    assert_eq!((one.events.len(), one.done), (1, false));
    crm.answers(Reply::Status(200));
    let tried = crm.count();
    let ended = acknowledge(&world, "crm", &one.cursor.unwrap())
        .await
        .unwrap();
    assert_eq!(
        ended,
        Acknowledged {
            acknowledged: 1,
            done: true
        }
    );
    let rows = world
        .until("the next arrives", any(QueueState::Delivered))
        .await;
    assert_eq!(
        states(&rows),
        [QueueState::Acknowledged, QueueState::Delivered]
    );
    assert_eq!(crm.count(), tried + 1);
}

#[tokio::test]
async fn a_try_that_is_under_way_when_it_is_acknowledged_comes_too_late() {
    let mut world = DeliveryWorld::start().await;
    let crm = Receiver::answering([], Reply::Silence).await;
    world.subscribe("crm", &crm.url()).await;
    world.pay('a').await;
    while crm.count() == 0 {
        world.quiet(world.stride).await;
    }
    let cursor = pull(&world, "crm", Start::Open).await.cursor.unwrap();
    let ended = acknowledge(&world, "crm", &cursor).await.unwrap();
    assert_eq!(ended.acknowledged, 1);
    world.quiet(seconds(10)).await;
    let rows = world.rows().await;
    assert_eq!(rows[0].state, QueueState::Acknowledged);
    assert_eq!(outcomes(&world, &rows[0].id).await, 1);
    assert_eq!(crm.count(), 1, "it is not sent again");
}

#[tokio::test]
async fn pushes_and_acknowledgements_at_once_end_each_delivery_once() {
    let mut world = DeliveryWorld::start().await;
    let crm = Receiver::start().await;
    world.subscribe("crm", &crm.url()).await;
    let letters: Vec<char> = ('a'..='p').collect();
    for letter in &letters {
        world.pay(*letter).await;
        world.catch_up().await;
        if let Some(cursor) = pull(&world, "crm", Start::Open).await.cursor {
            // The dispatcher goes on meanwhile.
            world.clock.advance(world.stride);
            tokio::time::sleep(Duration::from_millis(u64::from(*letter as u32 % 4))).await;
            acknowledge(&world, "crm", &cursor).await.unwrap();
        }
    }
    let ended = |rows: &[DeliveryRow]| {
        rows.iter()
            .all(|row| matches!(row.state, QueueState::Delivered | QueueState::Acknowledged))
    };
    let rows = world.until("all ended", ended).await;
    assert_eq!(rows.len(), letters.len());
    for row in rows {
        assert_eq!(outcomes(&world, &row.id).await, 1, "{row:?}");
    }
}

#[tokio::test]
async fn an_acknowledgement_that_broke_off_is_completed_by_its_repeat() {
    let mut world = DeliveryWorld::start().await;
    world.subscribe_to_pull("erp").await;
    for letter in ['a', 'b', 'c', 'd', 'e'] {
        world.pay(letter).await;
    }
    world.catch_up().await;
    let page = pull(&world, "erp", Start::Open).await;
    let cursor = page.cursor.unwrap();
    let faults = [
        AppendFault::Passes,
        AppendFault::Passes,
        AppendFault::NotApplied,
    ];
    world.store.script(faults);
    assert!(acknowledge(&world, "erp", &cursor).await.is_err());
    let mut before = 0;
    for event in &page.events {
        before += outcomes(&world, &event.delivery).await;
    }
    assert!((1..5).contains(&before), "{before}");
    let ended = acknowledge(&world, "erp", &cursor).await.unwrap();
    assert_eq!(ended.acknowledged, 5 - before);
    for event in &page.events {
        assert_eq!(outcomes(&world, &event.delivery).await, 1);
    }
    world
        .until("acknowledged", all(QueueState::Acknowledged))
        .await;
}

#[tokio::test]
async fn a_time_finds_the_first_place_at_which_something_as_late_is_told() {
    let mut world = DeliveryWorld::start().await;
    world.subscribe_to_pull("erp").await;
    world.pay('a').await;
    world.clock.advance(seconds(60));
    let between = world.now();
    world.pay('b').await;
    world.subscribe_to_pull("late").await;
    world.pay('c').await;
    let everything = Backfill {
        from: Timestamp::from_seconds(0),
        to: world.now(),
        subjects: Default::default(),
    };
    let everything = subscriber::Command::Backfill(everything);
    world.command("late", &everything).await;
    world.catch_up().await;
    let since = async |name, at| told(&pull(&world, name, Start::Since(at)).await);
    assert_eq!(since("erp", Timestamp::from_seconds(0)).await, "abc");
    assert_eq!(since("erp", between).await, "bc");
    assert_eq!(since("erp", world.now().plus(seconds(1))).await, "");
    // History stands behind what was told at once, and nothing of that time is left out.
    assert_eq!(since("late", Timestamp::from_seconds(0)).await, "cab");
    assert_eq!(since("late", between).await, "cab");
}

#[tokio::test]
async fn what_was_abandoned_is_passed_over_and_a_place_holds_through_a_rebuild() {
    let mut world = DeliveryWorld::start().await;
    world.subscribe_to_pull("erp").await;
    for letter in ['a', 'b', 'c'] {
        world.pay(letter).await;
    }
    world.catch_up().await;
    let page = pull(&world, "erp", Start::Open).await;
    assert_eq!(told(&page), "abc");
    world
        .decide(&page.events[1].delivery, &Command::Abandon { batch: None })
        .await;
    world.catch_up().await;
    assert_eq!(told(&pull(&world, "erp", Start::Open).await), "ac");

    let one = pull_at_most(1, &world, "erp", Start::Open);
    let first = one.await.unwrap().cursor.unwrap();
    let after = || Start::After(first.clone());
    let before = pull(&world, "erp", after()).await;
    world.rebuild().await;
    assert_eq!(pull(&world, "erp", after()).await, before);
    acknowledge(&world, "erp", &before.cursor.unwrap())
        .await
        .unwrap();
    world.catch_up().await;
    let live = world.rows().await;
    world.rebuild().await;
    assert_eq!(world.rows().await, live);
    assert_eq!(
        states(&live),
        [
            QueueState::Acknowledged,
            QueueState::Abandoned,
            QueueState::Acknowledged
        ]
    );
}

#[tokio::test]
async fn a_place_that_does_not_fit_the_queue_any_more_acknowledges_nothing() {
    let mut world = DeliveryWorld::start().await;
    world.subscribe_to_pull("erp").await;
    world.pay('a').await;
    world.pay('b').await;
    world.catch_up().await;
    let cursor = pull(&world, "erp", Start::Open).await.cursor.unwrap();
    for ordinal in [1, 3] {
        let moved = PullCursor {
            ordinal,
            ..cursor.clone()
        };
        let ended = acknowledge(&world, "erp", &moved).await;
        assert!(matches!(ended, Err(AppError::OtherQueue)), "{ended:?}");
        let read = pull_at_most(10, &world, "erp", Start::After(moved)).await;
        assert!(matches!(read, Err(AppError::OtherQueue)), "{read:?}");
    }
    world.quiet(seconds(1)).await;
    assert!(all(QueueState::Due)(&world.rows().await));
}
