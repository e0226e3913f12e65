//! Several dispatchers over the same stores: each delivery goes out once, in order, whoever sends it; a
//! worker that was away for longer than its lease records nothing any more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use harness::delivery_world::{DeliveryWorld, all, seconds};
use harness::receiver::{Receiver, Reply};
use projections::views::delivery_queue::QueueState;

#[tokio::test]
async fn three_nodes_send_each_delivery_once_and_in_order() {
    let mut world = DeliveryWorld::start().await;
    world.start_node("b");
    world.start_node("c");
    let receivers = [Receiver::start().await, Receiver::start().await];
    for (name, receiver) in ["crm", "erp"].iter().zip(&receivers) {
        world.subscribe(name, &receiver.url()).await;
    }
    for letter in 'a'..='t' {
        world.pay(letter).await;
        world.refund(letter).await;
    }
    world.until("delivered", all(QueueState::Delivered)).await;
    world.quiet(seconds(5)).await;
    for receiver in &receivers {
        let seen = receiver.seen();
        let ids: BTreeSet<&str> = seen.iter().map(|one| one.header("webhook-id")).collect();
        assert_eq!((seen.len(), ids.len()), (40, 40));
        let mut last: BTreeMap<String, String> = BTreeMap::new();
        for event in seen.iter().map(|one| one.json()) {
            let word = |name: &str| event[name].as_str().unwrap().to_owned();
            let before = last.insert(word("subject"), word("sequence"));
            assert!(before.is_none_or(|before| before < word("sequence")));
        }
    }
}

#[tokio::test]
async fn who_was_away_for_longer_than_their_lease_records_nothing_any_more() {
    let mut world = DeliveryWorld::start().await;
    let crm = Receiver::answering([Reply::Silence], Reply::Status(200)).await;
    world.subscribe("crm", &crm.url()).await;
    let patient = Duration::from_secs(5);
    world.hangs_for(patient);
    world.pay('a').await;
    world.catch_up().await;
    while crm.count() == 0 {
        world.clock.advance(world.stride);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // The first node waits for an answer. For everybody else more than a minute goes by.
    world.clock.advance(seconds(61));
    world.start_node("b");
    let rows = world.until("delivered", all(QueueState::Delivered)).await;
    assert_eq!(crm.count(), 2);
    assert_eq!(
        crm.seen()[0].header("webhook-id"),
        crm.seen()[1].header("webhook-id")
    );
    // Now the first one gives up, and what it would say is refused.
    tokio::time::sleep(patient + Duration::from_millis(200)).await;
    world.quiet(seconds(2)).await;
    let outcomes = world.outcomes(&rows[0].id).await;
    assert_eq!(outcomes, ["DeliverySucceeded"]);
    assert_eq!(crm.count(), 2);
}

#[tokio::test]
async fn a_wall_clock_that_is_set_back_or_ahead_by_an_hour_loses_nothing_and_repeats_nothing() {
    for ahead in [true, false] {
        let mut world = DeliveryWorld::start().await;
        world.stride = seconds(1);
        let crm = Receiver::answering([Reply::Status(500)], Reply::Status(200)).await;
        world.subscribe("crm", &crm.url()).await;
        world.pay('a').await;
        world
            .until("refused once", |rows| {
                rows.first().is_some_and(|row| row.attempts == 1)
            })
            .await;
        let now = world.now();
        let set = if ahead {
            now.plus(seconds(3600))
        } else {
            now.minus(seconds(3600))
        };
        world.clock.set_wall(set);
        world.pay('b').await;
        // Set back, what was planned waits until its time comes again.
        world.stride = seconds(60);
        world
            .until("delivered", |rows| {
                rows.len() == 2 && all(QueueState::Delivered)(rows)
            })
            .await;
        let ids: Vec<_> = crm
            .seen()
            .iter()
            .map(|one| one.header("webhook-id").to_owned())
            .collect();
        let different: BTreeSet<_> = ids.iter().collect();
        assert_eq!((ids.len(), different.len()), (3, 2), "one was refused once");
    }
}
