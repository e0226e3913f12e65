//! The dispatcher's manners, beyond what is promised of deliveries: what it never follows, what it
//! waits for, and what it asks again before it sends.

use std::collections::BTreeSet;
use std::time::Duration;

use adapters::memory::AppendFault;
use api::admin::subscribers::{SubscriberAction, SubscriberCommand};
use api::admin::{AdminCommand, execute, socket};
use api::app::subscribers::{Destination, PolicyChange};
use domain::delivery::Command;
use domain::ids::{KeyId, OperatorId, SubscriberId};
use domain::ports::{Secret, SecretPurpose};
use domain::subscriber::{self, PausedWhy, StaticHeaders, Wants};
use harness::delivery_world::{DeliveryWorld, all, seconds, shop};
use harness::node::TestNode;
use harness::receiver::{Receiver, Reply};
use projections::views::delivery_queue::QueueState;

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_never_followed() {
    let mut world = DeliveryWorld::start().await;
    let elsewhere = Receiver::start().await;
    let crm = Receiver::answering([], Reply::Header(302, "location", elsewhere.url())).await;
    world.subscribe("crm", &crm.url()).await;
    world.pay('a').await;
    let rows = world
        .until("failed twice", |rows| {
            rows.iter().any(|row| row.attempts == 2)
        })
        .await;
    assert_eq!(
        (rows[0].last_failure(), rows[0].last_status),
        (Some("redirect"), Some(302))
    );
    assert_eq!(elsewhere.count(), 0);
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_sent_over_and_over() {
    let mut world = DeliveryWorld::start().await;
    world.stride = Duration::from_millis(200);
    let crm = Receiver::start().await;
    world.subscribe("crm", &crm.url()).await;
    world.pay('a').await;
    world.store.script([AppendFault::Full; 5]);
    world.quiet(seconds(60)).await;
    assert_eq!((world.store.faults_left(), crm.count()), (0, 1));
    world.until("delivered", all(QueueState::Delivered)).await;
    let seen = crm.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].header("webhook-id"), seen[1].header("webhook-id"));
}

#[tokio::test]
async fn both_keys_sign_while_one_is_exchanged_and_without_a_key_nothing_is_sent() {
    let mut world = DeliveryWorld::start().await;
    let crm = Receiver::start().await;
    let old = world.subscribe("crm", &crm.url()).await;
    let purpose = SecretPurpose::Subscriber("crm".into());
    let new = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let added = Secret {
        key_id: KeyId::parse("crm-2").unwrap(),
        value: new.into(),
        valid_from: world.now(),
        valid_until: None,
    };
    world
        .app
        .secrets
        .set(&shop(), &purpose, added.clone())
        .await
        .unwrap();
    world.pay('a').await;
    world.until("delivered", all(QueueState::Delivered)).await;
    let told = &crm.seen()[0];
    assert_eq!(told.header("webhook-signature").split(' ').count(), 2);
    assert!(told.is_authentic(&old) && told.is_authentic(new));

    for secret in world
        .app
        .secrets
        .active(&shop(), &purpose, world.now())
        .await
        .unwrap()
    {
        let over = Secret {
            valid_until: Some(world.now()),
            ..secret
        };
        world
            .app
            .secrets
            .set(&shop(), &purpose, over)
            .await
            .unwrap();
    }
    world.pay('b').await;
    let rows = world
        .until("not signed", |rows| {
            rows.iter().any(|row| row.last_failure().is_some())
        })
        .await;
    assert_eq!((rows[1].last_failure(), crm.count()), (Some("no_key"), 1));
    world
        .app
        .secrets
        .set(&shop(), &purpose, added)
        .await
        .unwrap();
    world.until("delivered", all(QueueState::Delivered)).await;
}

#[tokio::test]
async fn a_receiver_that_asks_for_patience_gets_it_for_all_its_deliveries() {
    let mut world = DeliveryWorld::start().await;
    world.stride = Duration::from_millis(200);
    let wish = Reply::Header(429, "retry-after", "90".into());
    let crm = Receiver::answering([wish], Reply::Status(200)).await;
    world.subscribe("crm", &crm.url()).await;
    world.pay('a').await;
    world.until("throttled", |rows| rows[0].attempts == 1).await;
    world.pay('b').await;
    world.quiet(seconds(85)).await;
    assert_eq!(crm.count(), 1);
    world.until("delivered", all(QueueState::Delivered)).await;
}

#[tokio::test]
async fn a_row_that_is_out_of_date_sends_nothing() {
    let mut world = DeliveryWorld::start().await;
    let crm = Receiver::start().await;
    world.subscribe("crm", &crm.url()).await;
    world.kill_dispatcher().await;
    world.pay('a').await;
    world.catch_up().await;
    let id = world.rows().await[0].id.clone();
    // The queue does not take this in: its row still says due.
    world.decide(&id, &Command::Abandon { batch: None }).await;
    world.start_dispatcher();
    for _ in 0..300 {
        world.clock.advance(Duration::from_millis(20));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(world.rows().await[0].state, QueueState::Due);
    assert_eq!(world.sent(), 0);
    world.until("abandoned", all(QueueState::Abandoned)).await;
}

#[tokio::test]
async fn a_pause_holds_even_before_the_queue_knows_of_it() {
    let mut world = DeliveryWorld::start().await;
    let crm = Receiver::start().await;
    world.subscribe("crm", &crm.url()).await;
    world.kill_dispatcher().await;
    world.pay('a').await;
    world.catch_up().await;
    world
        .command("crm", &subscriber::Command::Pause(PausedWhy::Operator))
        .await;
    world.start_dispatcher();
    for _ in 0..300 {
        world.clock.advance(Duration::from_millis(20));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(world.sent(), 0);
    world.command("crm", &subscriber::Command::Resume).await;
    world.until("delivered", all(QueueState::Delivered)).await;
}

#[tokio::test]
async fn a_test_event_goes_to_the_tested_one_alone() {
    let mut world = DeliveryWorld::start().await;
    let (crm, erp) = (Receiver::start().await, Receiver::start().await);
    let secret = world.subscribe("crm", &crm.url()).await;
    world.subscribe("erp", &erp.url()).await;
    world.command("crm", &subscriber::Command::Test).await;
    world.until("delivered", all(QueueState::Delivered)).await;
    assert_eq!((crm.count(), erp.count()), (1, 0));
    assert_eq!(crm.seen()[0].json()["type"], "counterfoil.delivery.test.v1");
    assert!(crm.seen()[0].is_authentic(&secret));
}

#[tokio::test]
async fn an_exchange_of_signing_keys_leaves_its_trace_and_a_mistake_retires_nothing() {
    let node = TestNode::start().await;
    let id = SubscriberId::parse("crm").unwrap();
    let add = SubscriberAction::Add {
        to: Destination::Push("https://crm.example/hook".to_owned()),
        wants: Wants::default(),
        policy: PolicyChange::default(),
        headers: StaticHeaders::default(),
        history_from: None,
    };
    node.admin(AdminCommand::Subscriber(SubscriberCommand {
        merchant: shop(),
        id: id.clone(),
        action: add,
    }))
    .await;
    let by = socket::context(&OperatorId::parse("op-test").unwrap(), "test");
    let set = |key_id: &str, value: &str| {
        let command = AdminCommand::SecretSet {
            merchant: shop(),
            purpose: "subscriber:crm".to_owned(),
            key_id: KeyId::parse(key_id).unwrap(),
            value: value.to_owned(),
            retire_others_in_s: Some(3600),
        };
        execute(node.app(), &by, command)
    };
    let names = async || {
        let purpose = SecretPurpose::Subscriber("crm".into());
        let now = node.app().recorder.now();
        let live = node
            .app()
            .secrets
            .active(&shop(), &purpose, now)
            .await
            .unwrap();
        let until = |secret: &Secret| (secret.key_id.to_string(), secret.valid_until.is_some());
        live.iter().map(until).collect::<BTreeSet<_>>()
    };
    let first = names().await;
    assert!(
        set("crm-2", "a sentence that is no signing secret")
            .await
            .is_err()
    );
    let (name, _) = first.first().unwrap().clone();
    assert!(
        set(&name, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
            .await
            .is_err()
    );
    assert_eq!(names().await, first, "the key in use is untouched");

    set("crm-2", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        .await
        .unwrap();
    assert_eq!(
        names().await,
        BTreeSet::from([(name, true), ("crm-2".to_owned(), false)])
    );
    let known = node.app().subscriber(&shop(), &id).await.unwrap();
    let live = known
        .keys
        .iter()
        .filter(|(_, key)| key.valid_until.is_none());
    let live: Vec<_> = live.map(|(key_id, _)| key_id.as_str()).collect();
    assert_eq!((live, known.keys.len()), (vec!["crm-2"], 2));
    node.stop().await;
}
