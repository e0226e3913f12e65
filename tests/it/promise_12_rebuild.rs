//! Promise: every view can be dropped and rebuilt from the events to the same bytes; a rebuild shows
//! its progress and never sends anything.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use harness::delivery_world::{DeliveryWorld, all, seconds};
use harness::process_ledger::{ProcessLedger, plain_http};
use harness::quiet_provider::QuietProvider;
use harness::receiver::{Receiver, Reply};
use harness::shop::Shop;
use projections::ports::{At, ViewDigest};
use projections::rebuild::{Rebuild, RebuildProgress, Rebuilt, Verified};
use projections::view::View;
use projections::views::delivery_queue::QueueState;
use serde_json::{Value, json};
use tokio::sync::watch;

/// A bit of everything that views tell of: paid, refunded, late, cancelled, unmatched, short, shown
/// by a screenshot, told, not told, given up.
async fn busy_history(shop: &Shop, crm: &Receiver, erp: &Receiver) {
    shop.subscribe("crm", crm).await;
    shop.subscribe("erp", erp).await;
    for order in ["tea-1", "tea-2", "tea-3"] {
        let (_, our_reference) = shop.pay(order).await;
        shop.give_back(&our_reference).await;
        shop.tell(&shop.statement("declined", &our_reference)).await;
    }
    let (id, _) = shop.waiting_for_payer("cancelled").await;
    let path = format!("/v1/payment-requests/{id}");
    let notice = json!({ "kind": "message", "text": "I have paid, look at the picture" });
    let noticed = shop
        .node
        .post("backend", &format!("{path}/notices"), "notice-1", &notice)
        .await;
    noticed.expect(202);
    let (short, our_reference) = shop.waiting_for_payer("short").await;
    let short_of = json!({ "amount": "100" });
    shop.tell(&shop.statement_with("captured", &our_reference, short_of))
        .await;
    assert_eq!(shop.shown(&short).await["in_review"], true);
    shop.send(&shop.signed(&shop.statement("captured", &format!("pr_{}-1", "a".repeat(26)))))
        .await;
    let unpaid = json!({ "order_id": "nobody", "scenario": "web", "amount": { "minor": "20000", "currency": "AMD" } });
    let created = shop
        .node
        .post("backend", "/v1/payment-requests", "create-nobody", &unpaid)
        .await;
    let path = format!(
        "/v1/payment-requests/{}/cancel",
        created.expect(201).text_of("id")
    );
    shop.node
        .post("backend", &path, "cancel-1", &json!({}))
        .await
        .expect(200);
}

/// Digest of every live view, once nothing happens any more and all have taken in the whole log.
async fn digests(shop: &Shop) -> BTreeMap<&'static str, ViewDigest> {
    let app = shop.node.app();
    let mut head = None;
    loop {
        let now = app.recorder.store().head().await.unwrap();
        if now == head {
            break;
        }
        head = now;
        tokio::time::sleep(seconds(1)).await;
    }
    let mut digests = BTreeMap::new();
    for view in projections::views::all() {
        let spec = view.spec();
        assert!(
            app.wait_for_view(&spec, head.unwrap()).await.unwrap(),
            "{}",
            spec.name
        );
        digests.insert(spec.name, app.views.digest(&spec, At::Live).await.unwrap());
    }
    digests
}

fn rebuild_of(shop: &Shop, view: &Arc<dyn View>) -> Rebuild {
    let app = shop.node.app();
    let (log, clock) = (app.recorder.store().clone(), app.recorder.clock().clone());
    Rebuild::new(view.clone(), log, app.views.clone(), clock).with_page(7)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_view_is_dropped_and_rebuilt_to_the_same_bytes_and_nobody_is_told_again() {
    let mut shop = Shop::open_to_receivers().await;
    let crm = Receiver::answering([Reply::Status(410)], Reply::Status(200)).await;
    let erp = Receiver::start().await;
    busy_history(&shop, &crm, &erp).await;
    shop.until_deliveries("state=delivered&subscriber=erp", 6)
        .await;
    shop.until_deliveries("state=dead_lettered", 1).await;
    let before = digests(&shop).await;
    assert_eq!(before.len(), 5);
    for (view, digest) in &before {
        assert!(digest.rows > 0, "{view} has something to tell");
    }
    let sent = (crm.count(), erp.count());

    // Beside the live ones, while the ledger works.
    for view in projections::views::all() {
        let name = view.spec().name;
        let (_go_on, stop) = watch::channel(false);
        let rebuilt = rebuild_of(&shop, &view)
            .rebuild(&|_| {}, &stop)
            .await
            .unwrap();
        assert!(
            matches!(
                rebuilt,
                Rebuilt::Switched {
                    generation: 2,
                    previous: Some(1),
                    ..
                }
            ),
            "{name}: {rebuilt:?}"
        );
        let verified = rebuild_of(&shop, &view)
            .verify(&|_| {}, &stop)
            .await
            .unwrap();
        assert!(
            matches!(verified, Verified::Equal(_)),
            "{name}: {verified:?}"
        );
    }
    assert_eq!(digests(&shop).await, before);

    // Dropped with the file that they stand in.
    shop.node
        .restart_after(|data| {
            let dropped = std::fs::read_dir(data)
                .unwrap()
                .map(|entry| entry.unwrap().path());
            let views: Vec<_> = dropped
                .filter(|path| {
                    path.file_name()
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .starts_with("views.db")
                })
                .collect();
            assert!(!views.is_empty());
            for file in views {
                std::fs::remove_file(file).unwrap();
            }
        })
        .await;
    assert_eq!(digests(&shop).await, before);
    shop.pay("news").await;
    shop.until_deliveries("state=delivered&subscriber=erp", sent.1 + 1)
        .await;
    assert_eq!(
        (crm.count(), erp.count()),
        (sent.0, sent.1 + 1),
        "news goes out, and nothing else"
    );
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_shows_how_far_it_is_and_goes_on_where_it_was_stopped() {
    let shop = Shop::open_to_receivers().await;
    for order in ["tea-1", "tea-2"] {
        shop.pay(order).await;
    }
    let views = projections::views::all();
    let view = views
        .iter()
        .find(|view| view.spec().name == "audit_trail")
        .unwrap();
    let (stopper, stop) = watch::channel(false);
    let first_page = |_: &RebuildProgress| {
        stopper.send_replace(true);
    };
    let stopped = rebuild_of(&shop, view)
        .rebuild(&first_page, &stop)
        .await
        .unwrap();
    assert_eq!(stopped, Rebuilt::Stopped { generation: 2 });
    let shown = shop
        .node
        .get("admin", "/v1/projections")
        .await
        .expect(200)
        .json();
    let of_view = |number: u64| -> Value {
        let rows = shown["projections"].as_array().unwrap();
        let row = rows
            .iter()
            .find(|row| row["view"] == "audit_trail" && row["generation"] == number);
        row.unwrap().clone()
    };
    assert_eq!(
        (&of_view(1)["state"], &of_view(2)["state"]),
        (&json!("live"), &json!("building"))
    );
    assert!(of_view(2)["position"].is_string());
    assert_ne!(
        of_view(2)["position"],
        of_view(2)["head"],
        "it is under way: {shown:#}"
    );

    let told: Mutex<Vec<RebuildProgress>> = Mutex::default();
    let (_go_on, stop) = watch::channel(false);
    let tell = |progress: &RebuildProgress| told.lock().unwrap().push(progress.clone());
    let rebuilt = rebuild_of(&shop, view).rebuild(&tell, &stop).await.unwrap();
    let told = told.into_inner().unwrap();
    assert!(
        matches!(rebuilt, Rebuilt::Switched { generation: 2, .. }),
        "{rebuilt:?}"
    );
    assert!(told.len() > 2);
    for pair in told.windows(2) {
        assert!(
            pair[0].events <= pair[1].events && pair[0].left >= pair[1].left,
            "{pair:?}"
        );
        assert!(
            pair[0].position < pair[1].position || pair[1].left == Some(0),
            "{pair:?}"
        );
    }
    let (first, last) = (&told[0], told.last().unwrap());
    assert!(first.left > Some(0), "{first:?}");
    assert_eq!((last.left, last.position), (Some(0), last.head));
    shop.node.stop().await;
}

#[tokio::test]
async fn a_rebuild_sends_nothing() {
    let mut world = DeliveryWorld::start().await;
    let crm = Receiver::answering([Reply::Status(500)], Reply::Status(200)).await;
    let erp = Receiver::start().await;
    world.subscribe("crm", &crm.url()).await;
    world.subscribe("erp", &erp.url()).await;
    for letter in 'a'..='f' {
        world.pay(letter).await;
        world.refund(letter).await;
    }
    let before = world.until("delivered", all(QueueState::Delivered)).await;
    let sent = world.sent();
    assert_eq!((before.len(), sent), (24, 25));
    for _ in 0..3 {
        assert!(matches!(world.rebuild().await, Rebuilt::Switched { .. }));
        world.quiet(seconds(5)).await;
    }
    assert!(world.generations().await.len() > 1);
    assert_eq!(world.rows().await, before);
    assert_eq!(world.sent(), sent);
    world.pay('g').await;
    world
        .until("news still goes out", |rows| {
            rows.len() == 26 && all(QueueState::Delivered)(rows)
        })
        .await;
}

/// What `projections verify --json` says of each view: equal, and the digest.
fn verified(ledger: &ProcessLedger) -> BTreeMap<String, Value> {
    let said = ledger.program.run(&["projections", "verify", "--json"]);
    let lines = said
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .map(|line| {
            assert_eq!(line["equal"], true, "{line}");
            (
                line["view"].as_str().unwrap().to_owned(),
                line["digest"].clone(),
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_rebuilds_every_view_and_compares_it_with_the_log() {
    let provider = QuietProvider::start();
    let ledger = ProcessLedger::set_up(&provider);
    let http = plain_http();
    let mut serving = ledger.start();
    ledger.is_up(&mut serving, &http).await;
    for number in 0..3 {
        let body = json!({ "order_id": format!("tea-{number}"), "scenario": "web", "amount": { "minor": "150000", "currency": "AMD" } });
        let created = http
            .post(format!("{}/v1/payment-requests", ledger.base))
            .bearer_auth(&ledger.token)
            .header("idempotency-key", format!("create-{number}"))
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(created.status().as_u16(), 201);
    }
    assert!(serving.terminate(), "{}", ledger.said());

    ledger.program.run(&["projections", "rebuild"]);
    let before = verified(&ledger);
    assert_eq!(before.len(), 5, "{before:?}");
    let rebuilt = ledger.program.run(&["projections", "rebuild", "--json"]);
    for line in rebuilt.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line["events"].as_u64().unwrap() > 0, "{line}");
        assert!(
            line["generation"].as_u64() > line["previous"].as_u64(),
            "{line}"
        );
    }
    assert_eq!(rebuilt.lines().count(), 5);
    assert_eq!(verified(&ledger), before);
    std::fs::remove_file(ledger.data().join("views.db")).unwrap();
    ledger.program.run(&["projections", "rebuild"]);
    assert_eq!(verified(&ledger), before, "dropped and built again");
}
