//! Pages: what they hold, how far they go, and whose positions they take.

use std::time::Duration;

use domain::ports::{Expect, Filter, Position, ReadError};
use domain::stream::{Category, StreamId, Version};

use super::{StoreUnderTest, append_of, one, stream, whole_log};
use crate::world::Dice;

/// S5 with a filter: `next` passes over events of other categories, and over no other.
pub async fn filtered_reads_pass_only_over_what_does_not_match<S: StoreUnderTest>() {
    let under_test = S::fresh();
    let store = under_test.store();
    let dice = Dice::new(9);
    let categories = [Category::Case, Category::Quote, Category::Delivery];
    for number in 0..120 {
        let category = categories[dice.below(3) as usize].as_str();
        let name = StreamId::parse(format!("{category}-{number}")).unwrap();
        store
            .append(append_of(&name, Expect::NoStream, &[b"0", b"1"]))
            .await
            .unwrap();
    }
    let log = whole_log(&*store).await;
    let filters = [
        Filter::categories(&[Category::Quote]),
        Filter::categories(&[Category::Quote, Category::Delivery]),
        Filter::categories(&[Category::Operator]),
        Filter::all(),
    ];
    for filter in filters {
        for limit in [1, 3, 7, 10_000] {
            let (mut after, mut got, mut pages) = (None, vec![], 0);
            loop {
                let page = store.read_all(after, &filter, limit).await.unwrap();
                if page.next == after {
                    assert!(page.events.is_empty());
                    break;
                }
                let passed = log.iter().filter(|event| {
                    Some(event.position) > after && Some(event.position) <= page.next
                });
                assert!(passed.clone().count() <= limit);
                let wanted: Vec<_> = passed
                    .filter(|event| filter.matches(&event.stream))
                    .cloned()
                    .collect();
                assert_eq!(page.events, wanted);
                got.extend(page.events);
                (after, pages) = (page.next, pages + 1);
            }
            let wanted: Vec<_> = log
                .iter()
                .filter(|event| filter.matches(&event.stream))
                .cloned()
                .collect();
            assert_eq!(got, wanted);
            assert_eq!(pages, log.len().div_ceil(limit));
            assert_eq!(after, store.head().await.unwrap());
        }
    }
}

/// A page is bounded by what it looks at, and a limit out of range is drawn into it.
pub async fn a_page_looks_at_no_more_than_its_limit<S: StoreUnderTest>() {
    let under_test = S::fresh();
    let store = under_test.store();
    let empty = store.read_all(None, &Filter::all(), 10).await.unwrap();
    assert_eq!(
        (empty.events.len(), empty.next, empty.head),
        (0, None, None)
    );
    store
        .append(append_of(
            &stream("a"),
            Expect::NoStream,
            &[b"{}".as_slice(); 5],
        ))
        .await
        .unwrap();
    let log = whole_log(&*store).await;
    for (limit, wanted) in [(0, 1), (1, 1), (3, 3), (5, 5), (6, 5), (usize::MAX, 5)] {
        let page = store.read_all(None, &Filter::all(), limit).await.unwrap();
        assert_eq!(page.events, log[..wanted], "{limit}");
        assert_eq!(
            (page.next, page.head),
            (Some(log[wanted - 1].position), Some(log[4].position))
        );
        assert_eq!(
            store
                .read_stream(&stream("a"), Version::FIRST, limit)
                .await
                .unwrap(),
            log[..wanted]
        );
    }
    let unmatched = store
        .read_all(None, &Filter::categories(&[Category::Quote]), 2)
        .await
        .unwrap();
    assert_eq!(
        (unmatched.events.len(), unmatched.next),
        (0, Some(log[1].position))
    );
    let end = store
        .read_all(Some(log[4].position), &Filter::all(), 2)
        .await
        .unwrap();
    assert_eq!(
        (end.events.len(), end.next, end.head),
        (0, Some(log[4].position), Some(log[4].position))
    );
}

/// Streams are read by version, apart from each other.
pub async fn a_stream_is_read_from_any_version<S: StoreUnderTest>() {
    let under_test = S::fresh();
    let store = under_test.store();
    let (a, b) = (stream("a"), stream("b"));
    let first = append_of(&a, Expect::NoStream, &[b"0", b"1"]);
    let between = append_of(&b, Expect::NoStream, &[b"x", b"y"]);
    let second = append_of(&a, Expect::Exact(Version(1)), &[b"2", b"3"]);
    let given = [first.events.clone(), second.events.clone()].concat();
    for request in [first, between, second] {
        store.append(request).await.unwrap();
    }
    for from in [0, 1, 2, 3, 4, 9, u64::MAX] {
        for limit in [1, 2, 100] {
            let read = store.read_stream(&a, Version(from), limit).await.unwrap();
            let records: Vec<_> = read.into_iter().map(|event| event.record).collect();
            let wanted: Vec<_> = given
                .iter()
                .skip(from.min(10) as usize)
                .take(limit)
                .cloned()
                .collect();
            assert_eq!(records, wanted, "from {from}, at most {limit}");
        }
    }
    assert!(
        store
            .read_stream(&stream("none"), Version::FIRST, 10)
            .await
            .unwrap()
            .is_empty()
    );
}

/// S13: a place in another store, in another epoch, or past the end is no place in this log.
pub async fn positions_of_another_log_are_refused<S: StoreUnderTest>() {
    let mut under_test = S::fresh();
    let store = under_test.store();
    for name in ["a", "b"] {
        store
            .append(one(&stream(name), Expect::NoStream))
            .await
            .unwrap();
    }
    let (identity, head) = (
        store.identity().clone(),
        store.head().await.unwrap().unwrap(),
    );
    let (commit, prepare) = head.parts();
    let of = |tag, epoch, commit| Position::new(tag, epoch, commit, prepare);
    assert_eq!(
        of(identity.tag(), identity.epoch, commit),
        head,
        "positions name store and epoch"
    );
    for foreign in [
        of(identity.tag() ^ 1, identity.epoch, commit),
        of(identity.tag(), identity.epoch + 1, commit),
        of(identity.tag(), identity.epoch, commit + 1),
        of(identity.tag(), identity.epoch, u64::MAX),
    ] {
        let refused = store.read_all(Some(foreign), &Filter::all(), 10).await;
        assert!(
            matches!(refused, Err(ReadError::OtherLog)),
            "{foreign}: {refused:?}"
        );
        // Who waits there reads again at once, and so hears of it.
        let waking = tokio::time::timeout(Duration::from_secs(5), store.wake_up(Some(foreign)));
        waking.await.unwrap();
    }
    drop(store);
    under_test.reopen();
    let store = under_test.store();
    assert_eq!(store.identity(), &identity, "a restart is no restore");
    assert_eq!(
        Position::parse(&head.to_string()),
        store.head().await.unwrap()
    );
}
