//! One append after another, and many at once.

use futures::future::join_all;

use domain::ids::EventId;
use domain::ports::{AppendError, AppendRequest, Claim, ClaimExpect, ClaimSpace, Expect};
use domain::record::{RECORD_BYTES_MAX, Record, leaf_hash};
use domain::stream::Version;

use super::{StoreUnderTest, append_of, one, push, rounds, stream, whole_log, whole_stream};

/// S10: bytes, type, id and place are those that were given.
pub async fn records_come_back_bit_for_bit<S: StoreUnderTest>() {
    let mut under_test = S::fresh();
    let store = under_test.store();
    let every_byte: Vec<u8> = (0..=255).collect();
    let longest = vec![b'x'; RECORD_BYTES_MAX];
    let bytes: [&[u8]; 6] = [
        b"{}",
        "{\"name\":\"\u{570}\u{561}\u{575} \u{1f4b3}\"}".as_bytes(),
        b"\0\0",
        &every_byte,
        &longest,
        b" ",
    ];
    let mut request = append_of(&stream("a"), Expect::NoStream, &bytes);
    request.events[1].event_type = "\u{570}\u{561}\u{575}".into();
    let appended = store.append(request.clone()).await.unwrap();
    let hashes: Vec<_> = bytes.iter().map(|bytes| leaf_hash(bytes)).collect();
    assert_eq!(appended.leaf_hashes, hashes);
    assert_eq!((appended.version, appended.repeated), (Version(5), false));
    drop(store);

    for _ in 0..2 {
        let store = under_test.store();
        for read in [
            whole_log(&*store).await,
            whole_stream(&*store, &request.stream).await,
        ] {
            let records: Vec<Record> = read.iter().map(|event| event.record.clone()).collect();
            assert_eq!(records, request.events);
            assert_eq!(read.last().unwrap().position, appended.position);
        }
        let last = store.read_last(&request.stream).await.unwrap().unwrap();
        assert_eq!(Some(&last.record), request.events.last());
        assert_eq!(store.read_last(&stream("b")).await.unwrap(), None);
        drop(store);
        under_test.reopen();
    }
}

/// S4: of many that expect no stream, one gets it.
pub async fn one_of_64_creates_wins<S: StoreUnderTest>() {
    let under_test = S::fresh();
    for round in 0..rounds(3, 100) {
        let store = under_test.store();
        let name = stream(round);
        let tasks = (0..64).map(|_| {
            let (store, request) = (store.clone(), one(&name, Expect::NoStream));
            tokio::spawn(async move { (request.events[0].event_id, store.append(request).await) })
        });
        let mut winners = vec![];
        for done in join_all(tasks).await {
            match done.unwrap() {
                (id, Ok(appended)) => {
                    assert_eq!((appended.version, appended.repeated), (Version(0), false));
                    winners.push(id);
                }
                (_, Err(AppendError::Conflict { actual })) => assert_eq!(actual, Some(Version(0))),
                (_, Err(other)) => panic!("{other:?}"),
            }
        }
        let stored: Vec<EventId> = whole_stream(&*store, &name)
            .await
            .iter()
            .map(|event| event.record.event_id)
            .collect();
        assert_eq!(stored, winners);
        assert_eq!(stored.len(), 1);
    }
}

/// S4: of many that expect the same version, one gets the next.
pub async fn exact_race_on_a_hot_stream_one_wins<S: StoreUnderTest>() {
    let under_test = S::fresh();
    let store = under_test.store();
    let name = stream("hot");
    let each = rounds(10, 500);
    let writers = (0..16).map(|_| {
        let (store, name) = (store.clone(), name.clone());
        tokio::spawn(async move {
            let mut won = vec![];
            for _ in 0..each {
                won.push(push(&*store, &name).await.version);
            }
            won
        })
    });
    let mut won: Vec<Version> = vec![];
    for writer in join_all(writers).await {
        won.extend(writer.unwrap());
    }
    won.sort();
    let all: Vec<Version> = (0..16 * each).map(Version).collect();
    assert_eq!(won, all, "every version was won once");
    let last = store.read_last(&name).await.unwrap().unwrap();
    assert_eq!(last.record.version, Version(16 * each - 1));
}

/// What is over the limits, or cannot be, is refused whole.
pub async fn too_much_is_refused_before_anything_is_written<S: StoreUnderTest>() {
    let under_test = S::fresh();
    let store = under_test.store();
    let name = stream("a");
    let of = |count: usize, bytes: usize| {
        let record = vec![b'x'; bytes];
        append_of(&name, Expect::NoStream, &vec![record.as_slice(); count])
    };
    let mut claims = of(1, 2);
    let claim = Claim {
        ns: ClaimSpace::Order,
        key: leaf_hash(b"x"),
        owner: name.clone(),
        detail: 0,
        expect: ClaimExpect::Free,
    };
    claims.claims = vec![claim.clone(); AppendRequest::CLAIMS_MAX + 1];
    let mut gap = of(2, 2);
    gap.events[1].version = Version(2);
    let mut late = of(1, 2);
    late.events[0].version = Version(1);
    for (why, request) in [
        ("65 events", of(AppendRequest::EVENTS_MAX + 1, 2)),
        ("a byte too many", of(16, AppendRequest::BYTES_MAX / 16 + 1)),
        ("a record too long", of(1, RECORD_BYTES_MAX + 1)),
        ("nine claims", claims),
    ] {
        let refused = store.append(request).await;
        assert!(
            matches!(refused, Err(AppendError::TooLarge { .. })),
            "{why}: {refused:?}"
        );
    }
    for (why, request) in [
        ("a gap", gap),
        ("a late start", late),
        ("no events", of(0, 0)),
    ] {
        let refused = store.append(request).await;
        assert!(
            matches!(refused, Err(AppendError::Malformed { .. })),
            "{why}: {refused:?}"
        );
    }
    assert_eq!(store.head().await.unwrap(), None);
    assert_eq!(store.find_claim(claim.ns, &claim.key).await.unwrap(), None);

    let most = of(16, AppendRequest::BYTES_MAX / 16);
    assert_eq!(store.append(most).await.unwrap().version, Version(15));
    let mut many = append_of(
        &stream("b"),
        Expect::NoStream,
        &[b"{}".as_slice(); AppendRequest::EVENTS_MAX],
    );
    many.claims = (0..AppendRequest::CLAIMS_MAX as u8)
        .map(|n| Claim {
            key: leaf_hash(&[n]),
            ..claim.clone()
        })
        .collect();
    assert_eq!(store.append(many).await.unwrap().version, Version(63));
}

/// A conflict says where to go on from.
pub async fn an_expectation_that_does_not_hold_tells_where_the_stream_stands<S: StoreUnderTest>() {
    let under_test = S::fresh();
    let store = under_test.store();
    let (old, absent) = (stream("old"), stream("absent"));
    store
        .append(append_of(&old, Expect::NoStream, &[b"0", b"1", b"2"]))
        .await
        .unwrap();
    let three = Some(Version(2));
    for (name, expect, wanted) in [
        (&old, Expect::NoStream, three),
        (&old, Expect::Exact(Version(0)), three),
        (&old, Expect::Exact(Version(1)), three),
        (&old, Expect::Exact(Version(3)), three),
        (&old, Expect::Exact(Version(u64::MAX - 1)), three),
        (&absent, Expect::Exact(Version(0)), None),
        (&absent, Expect::Exact(Version(7)), None),
    ] {
        match store.append(one(name, expect)).await {
            Err(AppendError::Conflict { actual }) => assert_eq!(actual, wanted, "{expect:?}"),
            other => panic!("{expect:?}: {other:?}"),
        }
    }
    assert_eq!(whole_log(&*store).await.len(), 3);
    assert!(whole_stream(&*store, &absent).await.is_empty());
    assert_eq!(
        store
            .append(one(&old, Expect::Exact(Version(2))))
            .await
            .unwrap()
            .version,
        Version(3)
    );
}

/// S1: readers see all events of an append or none, also while it happens.
pub async fn an_append_is_all_or_nothing<S: StoreUnderTest>() {
    let under_test = S::fresh();
    let store = under_test.store();
    let (writer, count) = (store.clone(), rounds(40, 2000));
    let writing = tokio::spawn(async move {
        for round in 0..count {
            let request = append_of(&stream(round), Expect::NoStream, &[b"{}".as_slice(); 7]);
            writer.append(request).await.unwrap();
        }
    });
    let mut seen = 0;
    while seen < count * 7 {
        seen = whole_log(&*store).await.len() as u64;
        assert_eq!(seen % 7, 0, "a part of an append was visible");
        tokio::task::yield_now().await;
    }
    writing.await.unwrap();
}

/// S7: a retry is told what the first one was told, also later and after a restart.
pub async fn the_same_append_again_gives_the_first_answer<S: StoreUnderTest>() {
    let mut under_test = S::fresh();
    let name = stream("a");
    let create = append_of(&name, Expect::NoStream, &[b"0", b"1"]);
    let next = append_of(&name, Expect::Exact(Version(1)), &[b"2", b"3", b"4"]);
    let store = under_test.store();
    let mut first = vec![];
    for request in [&create, &next] {
        let appended = store.append(request.clone()).await.unwrap();
        assert!(!appended.repeated);
        first.push(appended);
    }
    push(&*store, &name).await;
    drop(store);
    for _ in 0..2 {
        let store = under_test.store();
        for (request, appended) in [&create, &next].into_iter().zip(&first) {
            let again = store.append(request.clone()).await.unwrap();
            assert!(again.repeated);
            assert_eq!(
                (again.version, again.position),
                (appended.version, appended.position)
            );
            assert_eq!(again.leaf_hashes, appended.leaf_hashes);
        }
        assert_eq!(whole_stream(&*store, &name).await.len(), 6);
        drop(store);
        under_test.reopen();
    }
}

/// An id stands for its bytes at their place, and for nothing else.
pub async fn an_id_is_never_used_for_other_content<S: StoreUnderTest>() {
    let under_test = S::fresh();
    let store = under_test.store();
    let name = stream("a");
    let create = append_of(&name, Expect::NoStream, &[b"0", b"1"]);
    store.append(create.clone()).await.unwrap();

    let mut other_bytes = create.clone();
    other_bytes.events[1].bytes = b"other".as_slice().into();
    let mut longer = create.clone();
    longer
        .events
        .extend(append_of(&name, Expect::Exact(Version(1)), &[b"2"]).events);
    let mut mixed = append_of(&name, Expect::NoStream, &[b"0", b"1"]);
    mixed.events[1].event_id = create.events[1].event_id;
    let mut elsewhere = create.clone();
    elsewhere.stream = stream("b");
    let mut later = append_of(&name, Expect::Exact(Version(1)), &[b"0"]);
    later.events[0].event_id = create.events[0].event_id;
    let mut twice = append_of(&stream("c"), Expect::NoStream, &[b"0", b"1"]);
    twice.events[1].event_id = twice.events[0].event_id;
    for (why, request) in [
        ("other bytes", other_bytes),
        ("more events", longer),
        ("an old id beside a new one", mixed),
        ("another stream", elsewhere),
        ("a later version", later),
        ("twice in one append", twice),
    ] {
        let refused = store.append(request).await;
        assert!(
            matches!(refused, Err(AppendError::IdReused)),
            "{why}: {refused:?}"
        );
    }
    assert_eq!(whole_log(&*store).await.len(), 2);
}

/// S8: who has an answer reads what it tells.
pub async fn an_answer_can_be_read_at_once<S: StoreUnderTest>() {
    let under_test = S::fresh();
    let store = under_test.store();
    let writers = (0..8).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            for round in 0..rounds(10, 300) {
                let name = stream(format!("{writer}-{round}"));
                let appended = push(&*store, &name).await;
                let last = store.read_last(&name).await.unwrap().unwrap();
                assert_eq!(last.position, appended.position);
                assert!(store.head().await.unwrap() >= Some(appended.position));
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
}

/// A clock that goes back gives earlier ids; the order stays that of the appends.
pub async fn ids_out_of_time_order_change_no_order<S: StoreUnderTest>() {
    let under_test = S::fresh();
    let store = under_test.store();
    let name = stream("a");
    let mut given = vec![];
    for (version, millis) in [5_000, 1_000, 9_000, 0, 4_999].into_iter().enumerate() {
        let expect = version
            .checked_sub(1)
            .map_or(Expect::NoStream, |v| Expect::Exact(Version(v as u64)));
        let mut request = one(&name, expect);
        request.events[0].event_id = EventId::from_parts(millis, [1; 10]);
        given.push(request.events[0].event_id);
        store.append(request).await.unwrap();
    }
    for read in [whole_log(&*store).await, whole_stream(&*store, &name).await] {
        let ids: Vec<EventId> = read.iter().map(|event| event.record.event_id).collect();
        assert_eq!(ids, given);
    }
}
