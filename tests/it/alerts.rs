//! Alerts: what waits for a person is told on a channel that is none of the subscribers', once when it
//! begins and once when it is over.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::work::alerts::{self, Alerts, Patience};
use api::work::supervise::{Stopper, stopper};
use async_trait::async_trait;
use domain::delivery::Command;
use domain::ports::{Alert, AlertChannel, AlertError, AlertKind, AlertState};
use domain::subscriber;
use harness::delivery_world::{DeliveryWorld, any, seconds};
use harness::node::TestNode;
use harness::receiver::{Receiver, Reply};
use projections::views::delivery_queue::{DeliveryRow, QueueState};
use serde_json::json;

/// A person who writes down what they hear, and who can be unreachable.
#[derive(Default)]
struct Listener {
    heard: Mutex<Vec<Alert>>,
    deaf: Mutex<bool>,
}

#[async_trait]
impl AlertChannel for Listener {
    async fn tell(&self, alert: &Alert) -> Result<(), AlertError> {
        if *self.deaf.lock().unwrap() {
            return Err(AlertError {
                channel: "test",
                cause: "nobody is there".into(),
            });
        }
        self.heard.lock().unwrap().push(alert.clone());
        Ok(())
    }
}

impl Listener {
    fn heard(&self) -> Vec<(AlertKind, AlertState, String)> {
        let heard = self.heard.lock().unwrap();
        let told = heard
            .iter()
            .map(|alert| (alert.alert, alert.state, alert.subject.clone()));
        told.collect()
    }
}

fn listen(world: &DeliveryWorld, listener: &Arc<Listener>) -> Stopper {
    let (stopper, stop) = stopper();
    let heard = Arc::new(Alerts {
        channels: vec![Arc::clone(listener) as Arc<dyn AlertChannel>],
        patience: Patience {
            late: seconds(900),
            away: seconds(300),
            part: seconds(60),
        },
        again: seconds(86_400),
    });
    let (app, health) = (world.app.clone(), world.health.clone());
    tokio::spawn(alerts::run(app, heard, health, stop));
    stopper
}

fn raised(kind: AlertKind, subject: &str) -> (AlertKind, AlertState, String) {
    (kind, AlertState::Raised, subject.to_owned())
}

fn cleared(kind: AlertKind, subject: &str) -> (AlertKind, AlertState, String) {
    (kind, AlertState::Cleared, subject.to_owned())
}

#[tokio::test]
async fn a_subscriber_that_is_away_is_told_of_once_and_once_more_when_it_is_back() {
    let mut world = DeliveryWorld::start().await;
    world.stride = seconds(2);
    let listener = Arc::new(Listener::default());
    let _running = listen(&world, &listener);
    let crm = Receiver::answering([], Reply::Status(500)).await;
    let erp = Receiver::start().await;
    world.subscribe("crm", &crm.url()).await;
    world.subscribe("erp", &erp.url()).await;
    for letter in ['a', 'b', 'c'] {
        world.pay(letter).await;
    }
    world.quiet(seconds(200)).await;
    assert_eq!(listener.heard(), [], "trouble of a minute is none");
    world.quiet(seconds(1000)).await;
    let told = [
        raised(AlertKind::SubscriberAway, "crm"),
        raised(AlertKind::DeliveriesLate, "crm"),
    ];
    assert_eq!(listener.heard(), told);
    let first = listener.heard.lock().unwrap()[0].clone();
    assert!(first.text.contains("has not answered since"), "{first:?}");
    assert_eq!(
        first.to_do,
        "counterfoil subscribers show crm --merchant shop"
    );
    assert!(first.at.since(first.since) >= seconds(300), "{first:?}");

    crm.answers(Reply::Status(200));
    world
        .until("all arrived", |rows| {
            rows.iter().all(|row| row.state == QueueState::Delivered)
        })
        .await;
    world.quiet(seconds(10)).await;
    let mut over = listener.heard().split_off(2);
    over.sort_by_key(|(kind, ..)| *kind);
    let expected = [
        cleared(AlertKind::SubscriberAway, "crm"),
        cleared(AlertKind::DeliveriesLate, "crm"),
    ];
    assert_eq!(over, expected);
}

#[tokio::test]
async fn a_receiver_that_stays_away_is_told_of_by_what_it_did_not_fetch_and_as_nothing_else() {
    let mut world = DeliveryWorld::start().await;
    world.stride = seconds(2);
    let listener = Arc::new(Listener::default());
    let _running = listen(&world, &listener);
    world.subscribe_to_pull("erp").await;
    world.pay('a').await;
    world.pay('b').await;
    world.quiet(seconds(800)).await;
    assert_eq!(listener.heard(), []);
    world.quiet(seconds(400)).await;
    let late = raised(AlertKind::DeliveriesLate, "erp");
    assert_eq!(listener.heard(), std::slice::from_ref(&late));
    world.fetch_all("erp").await;
    world.quiet(seconds(20)).await;
    let over = cleared(AlertKind::DeliveriesLate, "erp");
    assert_eq!(listener.heard(), [late, over]);
}

#[tokio::test]
async fn what_was_given_up_is_told_of_until_a_person_has_decided() {
    let mut world = DeliveryWorld::start().await;
    world.stride = seconds(2);
    let listener = Arc::new(Listener::default());
    let running = listen(&world, &listener);
    // What arrives in between says that the receiver is there, and only refuses.
    let answers = [404, 404, 404, 404, 200].map(Reply::Status);
    let crm = Receiver::answering(answers, Reply::Status(404)).await;
    world.subscribe("crm", &crm.url()).await;
    world.pay('a').await;
    world.until("given up", any(QueueState::DeadLettered)).await;
    world.quiet(seconds(20)).await;
    assert_eq!(
        listener.heard(),
        [raised(AlertKind::DeliveriesFailed, "crm")]
    );
    // One more of the same trouble is no new trouble.
    world.pay('b').await;
    world.until("arrived", any(QueueState::Delivered)).await;
    world.pay('c').await;
    let failed = |row: &&DeliveryRow| row.state == QueueState::DeadLettered;
    let both = |rows: &[DeliveryRow]| rows.iter().filter(failed).count() == 2;
    let mut rows = world.until("both given up", both).await;
    rows.retain(|row| row.state == QueueState::DeadLettered);

    // A new process knows what was told.
    running.stop();
    let _running = listen(&world, &listener);
    world.quiet(seconds(20)).await;
    assert_eq!(listener.heard().len(), 1);
    // What lasts is told again.
    world.stride = seconds(600);
    world.quiet(seconds(90_000)).await;
    assert_eq!(
        listener.heard(),
        vec![raised(AlertKind::DeliveriesFailed, "crm"); 2]
    );

    world.stride = seconds(2);
    for row in &rows {
        let abandon = Command::Abandon { batch: None };
        world.decide(&row.id, &abandon).await;
    }
    world.quiet(seconds(20)).await;
    let over = listener.heard.lock().unwrap().last().cloned().unwrap();
    assert_eq!(over.text, "It is over: 2 of crm ended without success");
    assert_eq!(
        listener.heard()[2..],
        [cleared(AlertKind::DeliveriesFailed, "crm")]
    );
}

#[tokio::test]
async fn a_subscriber_that_is_gone_is_told_of_and_one_that_a_person_paused_is_not() {
    let mut world = DeliveryWorld::start().await;
    world.stride = seconds(2);
    let listener = Arc::new(Listener::default());
    let _running = listen(&world, &listener);
    let gone = Receiver::answering([], Reply::Status(410)).await;
    let quiet = Receiver::start().await;
    world.subscribe("crm", &gone.url()).await;
    world.subscribe("erp", &quiet.url()).await;
    let pause = subscriber::Command::Pause(subscriber::PausedWhy::Operator);
    world.command("erp", &pause).await;
    world.pay('a').await;
    world.quiet(seconds(2000)).await;
    let mut heard = listener.heard();
    heard.sort_by_key(|(kind, ..)| *kind);
    let expected = [
        raised(AlertKind::SubscriberGone, "crm"),
        raised(AlertKind::DeliveriesFailed, "crm"),
    ];
    assert_eq!(heard, expected);
}

#[tokio::test]
async fn an_alert_that_nobody_heard_is_told_until_somebody_does() {
    let mut world = DeliveryWorld::start().await;
    world.stride = seconds(2);
    let listener = Arc::new(Listener::default());
    let _running = listen(&world, &listener);
    *listener.deaf.lock().unwrap() = true;
    world
        .health
        .fails("view:order_status", world.now(), "the disk is full");
    world.quiet(seconds(100)).await;
    let part = world.health.parts().remove(alerts::NAME).unwrap();
    assert!(!part.ok && part.note.unwrap().contains("nobody is there"));
    *listener.deaf.lock().unwrap() = false;
    world.quiet(seconds(20)).await;
    assert_eq!(
        listener.heard(),
        [raised(AlertKind::PartFails, "view:order_status")]
    );
    assert!(world.health.parts()[alerts::NAME].ok);
    world.health.works("view:order_status", world.now(), None);
    world.quiet(seconds(20)).await;
    assert_eq!(
        listener.heard()[1..],
        [cleared(AlertKind::PartFails, "view:order_status")]
    );
}

#[tokio::test]
async fn a_whole_ledger_tells_an_address_and_a_program() {
    let hook = Receiver::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("told");
    let script = format!("cat >> {}", file.display());
    let node = TestNode::start_with(|settings| {
        let alerts = &mut settings.alerts;
        alerts.url = hook.url();
        alerts.command = vec!["sh".to_owned(), "-c".to_owned(), script];
        alerts.allow_networks = vec!["127.0.0.0/8".to_owned()];
        alerts.danger_allow_http = true;
        settings.delivery.allow_networks = vec!["127.0.0.0/8".to_owned()];
        settings.delivery.danger_allow_http = true;
    })
    .await;
    let gone = Receiver::answering([], Reply::Status(410)).await;
    let crm = json!({ "id": "crm", "url": gone.url() });
    let made = node.post("admin", "/v1/subscribers", "k1", &crm).await;
    made.expect(201);
    let test = "/v1/subscribers/crm/test";
    node.post("admin", test, "k2", &json!({})).await.expect(202);
    let told = wait_for(|| hook.count() >= 2 && lines(&file) >= 2).await;
    assert!(told, "{:?}", hook.seen());
    let seen = hook.seen();
    let mut kinds: Vec<_> = seen
        .iter()
        .map(|post| post.json()["alert"].clone())
        .collect();
    kinds.sort_by_key(ToString::to_string);
    assert_eq!(kinds, ["deliveries_failed", "subscriber_gone"]);
    let text = std::fs::read_to_string(&file).unwrap();
    for post in &seen {
        assert!(
            text.contains(std::str::from_utf8(&post.body).unwrap()),
            "{text}"
        );
    }
    node.stop().await;
}

fn lines(file: &Path) -> usize {
    std::fs::read_to_string(file).map_or(0, |text| text.lines().count())
}

async fn wait_for(so: impl Fn() -> bool) -> bool {
    for _ in 0..600 {
        if so() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}
