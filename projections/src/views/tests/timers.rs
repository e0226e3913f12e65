//! What is due, and when.

use super::super::timers::*;
use super::*;

async fn timers(log: &Arc<FakeLog>) -> Filled {
    let filled = filled(Arc::new(TimersView), log, 2).await;
    assert_eq!(filled.parked().await, [""; 0]);
    filled
}

#[tokio::test]
async fn an_expiry_is_due_until_the_request_is_paid_or_closed() {
    let log = log();
    let due = async |log: &Arc<FakeLog>| {
        let rows: Vec<ExpiryRow> = timers(log).await.all().await;
        rows.into_iter().map(|row| row.due_at).collect::<Vec<_>>()
    };
    tell_all(&log, 'a', &[created('a')]);
    tell_all(&log, 'b', &[created('b')]);
    assert_eq!(due(&log).await, [at(600), at(600)]);
    tell_all(&log, 'a', &[deferred(900)]);
    assert_eq!(due(&log).await, [at(900), at(600)]);
    tell_all(&log, 'b', &[Event::Expired { confirmed: true }]);
    assert_eq!(due(&log).await, [at(900)]);
    tell_all(
        &log,
        'a',
        &[started(1, 300), captured(1, "t1", 1_000, 0), verified()],
    );
    assert_eq!(due(&log).await, []);
}

#[tokio::test]
async fn attempts_are_asked_about_while_the_provider_may_still_report_money() {
    let log = log();
    let asked = async |log: &Arc<FakeLog>| timers(log).await.all::<LookUpRow>().await;
    tell_all(&log, 'a', &[created('a'), started(1, 300)]);
    let rows = asked(&log).await;
    assert_eq!(
        (rows[0].state, rows[0].started_at),
        (AttemptState::Started, at(1))
    );
    let three_days = at(600).plus(Duration::from_secs(72 * 3_600));
    assert_eq!(rows[0].until, three_days.plus(Duration::from_secs(900)));
    tell_all(
        &log,
        'a',
        &[
            registered(1),
            Event::Expired { confirmed: false },
            started(2, 900),
        ],
    );
    let rows = asked(&log).await;
    assert_eq!(
        rows.iter().map(|row| row.attempt_no).collect::<Vec<_>>(),
        [1, 2]
    );
    assert_eq!((rows[0].started_at, rows[1].started_at), (at(1), at(4)));
    assert_eq!(rows[0].provider_order_ref, Some(reference("order-1")));
    assert_eq!(rows[1].until, rows[0].until.plus(Duration::from_secs(300)));
    tell_all(&log, 'a', &[failed(1)]);
    assert_eq!(
        asked(&log)
            .await
            .iter()
            .map(|row| row.attempt_no)
            .collect::<Vec<_>>(),
        [2]
    );
    tell_all(&log, 'a', &[captured(2, "t1", 0, 5)]);
    assert_eq!(asked(&log).await, []);
}

#[tokio::test]
async fn a_doubt_is_told_once_and_an_end_that_was_asked_for_is_known_until_it_comes() {
    let log = log();
    let row = async |log: &Arc<FakeLog>| {
        let rows = timers(log).await.all::<LookUpRow>().await;
        rows.into_iter().next()
    };
    tell_all(&log, 'a', &[created('a'), started(1, 300)]);
    let doubtful = row(&log).await.unwrap();
    assert_eq!(doubtful.silent_at, Some(doubtful.until));
    assert_eq!(doubtful.cancel_at, None);
    tell_all(&log, 'a', &[registered(1)]);
    assert_eq!(row(&log).await.unwrap().silent_at, None);
    let state = Progress::Processing;
    let progressed = Event::AttemptProgressed {
        attempt_no: 1,
        state,
    };
    let ending = Event::AttemptCancelRequested { attempt_no: 1 };
    tell_all(&log, 'a', &[progressed, ending]);
    let (asked_at, in_flight) = (at(4), row(&log).await.unwrap());
    assert_eq!(in_flight.silent_at, Some(in_flight.until));
    assert_eq!(in_flight.cancel_at, Some(asked_at));
    let told = Event::ExceptionOpened {
        case: CaseId::parse(format!("payment_request-{}~1", request_id('a'))).unwrap(),
        kind: ExceptionKind::StatusUnknown,
        severity: Severity::Medium,
        due: at(9_000),
        about: "attempt 1".to_owned(),
        capture: None,
    };
    tell_all(&log, 'a', &[told]);
    let told = row(&log).await.unwrap();
    assert_eq!((told.silent_at, told.cancel_at), (None, Some(asked_at)));
    tell_all(&log, 'a', &[failed(1)]);
    assert_eq!(row(&log).await, None);
}

#[tokio::test]
async fn weak_proof_and_payer_notices_make_a_look_up_due() {
    let log = log();
    tell_all(
        &log,
        'a',
        &[created('a'), started(1, 300), registered(1), notice()],
    );
    tell_all(&log, 'b', &[created('b')]);
    let asked = async |log: &Arc<FakeLog>| timers(log).await.all::<AskedRow>().await;
    assert_eq!(
        asked(&log).await,
        [AskedRow {
            request: request_id('a'),
            at: at(3)
        }]
    );
    tell(&log, "notification-x", &received("ours-1"));
    // Recorded earlier by the clock: the newest time stands, whatever the order of the log.
    tell(&log, "notification-x", &applied(Outcome::LookUp, Some('a')));
    tell(&log, "notification-y", &received("ours-1"));
    tell(&log, "notification-y", &applied(Outcome::LookUp, Some('b')));
    tell(&log, "notification-z", &received("ours-1"));
    tell(
        &log,
        "notification-z",
        &applied(Outcome::Duplicate, Some('b')),
    );
    // Row C6: a reversal that waits for its money.
    tell_all(&log, 'c', &[created('c')]);
    tell(&log, "notification-u", &received("ours-1"));
    tell(&log, "notification-u", &applied(Outcome::Parked, None));
    tell(&log, "notification-v", &received("ours-1"));
    tell(&log, "notification-v", &applied(Outcome::Parked, Some('c')));
    let row = |letter, version| AskedRow {
        request: request_id(letter),
        at: at(version),
    };
    let expected = [row('a', 3), row('b', 1), row('c', 1)];
    assert_eq!(asked(&log).await, expected);
}

#[tokio::test]
async fn a_notification_is_pending_until_it_is_settled() {
    let log = log();
    tell(&log, "notification-x", &received("ours-1"));
    let pending = async |log: &Arc<FakeLog>| timers(log).await.all::<PendingRow>().await;
    let rows = pending(&log).await;
    assert_eq!((rows[0].parked, rows[0].retry_at), (false, at(900)));
    assert_eq!(rows[0].our_reference, Some(reference("ours-1")));
    tell(&log, "notification-x", &applied(Outcome::Parked, None));
    let rows = pending(&log).await;
    assert_eq!(
        (rows.len(), rows[0].parked, rows[0].retry_at),
        (1, true, at(900))
    );
    tell(&log, "notification-x", &applied(Outcome::Unmatched, None));
    assert_eq!(pending(&log).await, []);
}
