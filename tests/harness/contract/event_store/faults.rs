//! What a caller does when an answer does not arrive.

use adapters::memory::{AppendFault, FaultyEventStore};
use domain::ports::{AppendError, EventStore, Expect, Outcome};
use domain::stream::Version;

use super::{StoreUnderTest, append_of, one, stream, whole_log};

fn outcome(answer: Result<domain::ports::Appended, AppendError>) -> Outcome {
    match answer {
        Err(AppendError::Unavailable { outcome, .. }) => outcome,
        other => panic!("{other:?}"),
    }
}

/// S7, S12: the commit happened, the answer was lost; the retry finds it, now or after a restart.
pub async fn a_lost_reply_leaves_one_copy<S: StoreUnderTest>() {
    let mut under_test = S::fresh();
    let (now, later) = (stream("now"), stream("later"));
    let first = append_of(&now, Expect::NoStream, &[b"0", b"1"]);
    let second = append_of(&later, Expect::NoStream, &[b"0", b"1"]);
    let store = FaultyEventStore::new(under_test.store());
    store.script([
        AppendFault::ReplyLost,
        AppendFault::ReplyLost,
        AppendFault::Passes,
        AppendFault::ReplyLost,
    ]);
    assert_eq!(outcome(store.append(first.clone()).await), Outcome::Unknown);
    assert_eq!(outcome(store.append(first.clone()).await), Outcome::Unknown);
    let answer = store.append(first).await.unwrap();
    assert_eq!((answer.version, answer.repeated), (Version(1), true));
    assert_eq!(
        outcome(store.append(second.clone()).await),
        Outcome::Unknown
    );
    assert_eq!(store.faults_left(), 0);
    drop(store);
    under_test.reopen();

    let store = under_test.store();
    let answer = store.append(second).await.unwrap();
    assert_eq!((answer.version, answer.repeated), (Version(1), true));
    assert_eq!(whole_log(&*store).await.len(), 4);
}

/// S12: the caller cannot tell a lost request from a lost reply, and need not.
pub async fn a_lost_request_is_applied_by_its_retry<S: StoreUnderTest>() {
    let under_test = S::fresh();
    let store = FaultyEventStore::new(under_test.store());
    store.script([AppendFault::RequestLost]);
    let request = one(&stream("a"), Expect::NoStream);
    assert_eq!(
        outcome(store.append(request.clone()).await),
        Outcome::Unknown
    );
    assert_eq!(store.head().await.unwrap(), None);
    let answer = store.append(request).await.unwrap();
    assert_eq!((answer.version, answer.repeated), (Version(0), false));
}

/// S12: *not applied* means so, and another may append meanwhile.
pub async fn a_refused_append_leaves_nothing<S: StoreUnderTest>() {
    let under_test = S::fresh();
    let store = FaultyEventStore::new(under_test.store());
    store.script([AppendFault::NotApplied, AppendFault::Full]);
    let request = one(&stream("a"), Expect::NoStream);
    assert_eq!(
        outcome(store.append(request.clone()).await),
        Outcome::NotApplied
    );
    assert!(matches!(
        store.append(request.clone()).await,
        Err(AppendError::Full)
    ));
    assert_eq!(store.head().await.unwrap(), None);
    store
        .append(one(&stream("a"), Expect::NoStream))
        .await
        .unwrap();
    let answer = store.append(request).await;
    assert!(
        matches!(
            answer,
            Err(AppendError::Conflict {
                actual: Some(Version(0))
            })
        ),
        "{answer:?}"
    );
    assert_eq!(whole_log(&store).await.len(), 1);
}
