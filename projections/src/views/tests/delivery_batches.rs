//! Batches as they are read off the log: whom they take in, and how they count.

use domain::delivery::Event as Outcome;
use domain::delivery::event::FailureClass;
use domain::subscriber::{BatchOrder, DeliveryBatch, Event, FailedFilter};

use super::super::delivery_queue::{BatchRow, BatchState, DeliveryQueueView, DeliveryRow};
use super::delivery_queue::{dead, outcome, pay, register, rows};
use super::*;

fn id(letter: char) -> BatchId {
    BatchId::parse(format!("bat_{}", letter.to_string().repeat(26))).unwrap()
}

fn request(log: &FakeLog, letter: char, which: FailedFilter) {
    let batch = DeliveryBatch {
        id: id(letter),
        order: BatchOrder::Redrive,
        which,
        per_second: 5,
    };
    tell(log, "subscriber-crm", &Event::BatchRequested { batch });
}

fn everything() -> FailedFilter {
    FailedFilter::default()
}

async fn batch(log: &Arc<FakeLog>, letter: char) -> BatchRow {
    let filled = filled(Arc::new(DeliveryQueueView), log, 10).await;
    let found = filled.reader().get(id(letter).as_str()).await;
    found.unwrap().unwrap()
}

/// Total, done, skipped, elsewhere.
async fn counts(log: &Arc<FakeLog>, letter: char) -> (u64, u64, u64, u64) {
    let row = batch(log, letter).await;
    (row.total, row.done, row.skipped, row.elsewhere)
}

async fn row(log: &Arc<FakeLog>, letter: char) -> DeliveryRow {
    let mut rows = rows(log).await.into_iter();
    rows.find(|row| row.subject == request_id(letter).as_str())
        .unwrap()
}

fn redriven(batch: Option<char>) -> impl Fn(domain::delivery::event::Pair) -> Outcome {
    move |of| Outcome::Redriven {
        of,
        generation: 2,
        batch: batch.map(id),
    }
}

/// Payments whose deliveries are on the failed list.
async fn failed(letters: &[char]) -> Arc<FakeLog> {
    let log = log();
    register(&log, "crm", &["ordinary"]);
    for letter in letters {
        pay(&log, *letter);
        outcome(&log, &row(&log, *letter).await, dead);
    }
    log
}

#[tokio::test]
async fn a_batch_takes_in_what_has_failed_as_of_its_place_in_the_log() {
    let log = failed(&['a', 'b']).await;
    pay(&log, 'c');
    request(&log, 'x', everything());
    outcome(&log, &row(&log, 'c').await, dead);
    assert_eq!(counts(&log, 'x').await, (2, 0, 0, 0));
    assert_eq!(row(&log, 'c').await.batch, None, "it failed later");
    let shown = batch(&log, 'x').await;
    assert_eq!(
        (shown.state, shown.left(), shown.per_second),
        (BatchState::Running, 2, 5)
    );
}

#[tokio::test]
async fn a_filter_narrows_a_batch() {
    let log = failed(&['a', 'b']).await;
    let classes = |class| FailedFilter {
        classes: [class].into(),
        ..everything()
    };
    request(&log, 'x', classes(FailureClass::Timeout));
    assert_eq!(counts(&log, 'x').await, (0, 0, 0, 0));
    request(&log, 'y', classes(FailureClass::ServerError));
    assert_eq!(counts(&log, 'y').await, (2, 0, 0, 0));
    let recorded = row(&log, 'b').await.created_at;
    let since = FailedFilter {
        since: Some(recorded),
        ..everything()
    };
    request(&log, 'z', since);
    assert_eq!(
        counts(&log, 'z').await,
        (0, 0, 0, 2),
        "they are in the other"
    );
    let until = FailedFilter {
        until: Some(recorded),
        ..everything()
    };
    request(&log, 'w', until);
    assert_eq!(counts(&log, 'w').await, (0, 0, 0, 0));
}

#[tokio::test]
async fn a_second_batch_leaves_alone_what_is_under_way_in_the_first() {
    let log = failed(&['a', 'b']).await;
    request(&log, 'x', everything());
    outcome(&log, &row(&log, 'a').await, redriven(Some('x')));
    pay(&log, 'c');
    outcome(&log, &row(&log, 'c').await, dead);
    request(&log, 'y', everything());
    assert_eq!(counts(&log, 'x').await, (2, 1, 0, 0));
    assert_eq!(
        counts(&log, 'y').await,
        (1, 0, 0, 1),
        "one is new, one waits"
    );
    assert_eq!(row(&log, 'b').await.batch, Some(id('x')));
    assert_eq!(row(&log, 'c').await.batch, Some(id('y')));
}

#[tokio::test]
async fn what_somebody_else_decides_first_is_skipped() {
    let log = failed(&['a', 'b', 'c']).await;
    request(&log, 'x', everything());
    outcome(&log, &row(&log, 'a').await, redriven(None));
    outcome(&log, &row(&log, 'b').await, |of| Outcome::Abandoned {
        of,
        batch: None,
    });
    outcome(&log, &row(&log, 'c').await, redriven(Some('x')));
    assert_eq!(counts(&log, 'x').await, (3, 1, 2, 0));
    let (done, skipped) = (1, 2);
    let finished = Event::BatchFinished {
        batch: id('x'),
        done,
        skipped,
    };
    tell(&log, "subscriber-crm", &finished);
    let shown = batch(&log, 'x').await;
    assert_eq!((shown.state, shown.left()), (BatchState::Finished, 0));
    assert!(shown.ended_at.is_some());
}

#[tokio::test]
async fn what_is_left_of_a_cancelled_batch_is_free_for_another() {
    let log = failed(&['a', 'b']).await;
    request(&log, 'x', everything());
    let late = row(&log, 'a').await;
    tell(
        &log,
        "subscriber-crm",
        &Event::BatchCancelled { batch: id('x') },
    );
    assert_eq!(row(&log, 'a').await.batch, None);
    request(&log, 'y', everything());
    assert_eq!(counts(&log, 'y').await, (2, 0, 0, 0));
    // The loop was about to do it when the batch was cancelled: true, and counted once each.
    outcome(&log, &late, redriven(Some('x')));
    assert_eq!(counts(&log, 'x').await, (2, 1, 0, 0));
    assert_eq!(counts(&log, 'y').await, (2, 0, 1, 0));
    assert_eq!(batch(&log, 'x').await.state, BatchState::Cancelled);
}
