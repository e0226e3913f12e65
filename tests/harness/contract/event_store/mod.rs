//! What every event store must do. The macro [`event_store_contract`](crate::event_store_contract)
//! names every promise once, so that no adapter can leave one out.
//!
//! The default run is short; with `SLOW=1` the races run for longer.

mod appends;
mod claims;
mod faults;
mod no_skip;
mod reads;
mod reference;

pub use appends::*;
pub use claims::*;
pub use faults::*;
pub use no_skip::*;
pub use reads::*;
pub use reference::*;

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::ids::EventId;
use domain::ports::{AppendError, AppendRequest, Appended, EventStore, Expect, Filter, Position};
use domain::record::{Record, Recorded};
use domain::stream::{StreamId, Version};

/// One adapter under test.
pub trait StoreUnderTest: Send + Sync {
    /// A fresh, empty store.
    fn fresh() -> Self;

    /// The store.
    fn store(&self) -> Arc<dyn EventStore>;

    /// Closes and opens it, as a restart of the process does. Nobody holds the store meanwhile.
    fn reopen(&mut self);

    /// Holds what another user of the same database may hold for long, until it is dropped: an open
    /// snapshot, an idle transaction. Nothing where there is no such thing.
    fn another_user(&self) -> Box<dyn Any + Send>;
}

/// Instantiates every promise for one adapter, in a module of the given name.
#[macro_export]
macro_rules! event_store_contract {
    ($name:ident, $store:ty) => {
        mod $name {
            use super::*;
            $crate::event_store_contract! { @each $store:
                records_come_back_bit_for_bit
                one_of_64_creates_wins
                exact_race_on_a_hot_stream_one_wins
                too_much_is_refused_before_anything_is_written
                an_expectation_that_does_not_hold_tells_where_the_stream_stands
                an_append_is_all_or_nothing
                the_same_append_again_gives_the_first_answer
                an_id_is_never_used_for_other_content
                an_answer_can_be_read_at_once
                ids_out_of_time_order_change_no_order
                one_of_64_owners_gets_a_claim
                the_same_owner_may_claim_again
                a_claim_goes_over_by_its_generation_only
                racing_take_overs_one_wins
                a_refused_claim_appends_nothing
                a_claiming_append_may_be_repeated_after_a_take_over
                a_lost_reply_leaves_one_copy
                a_lost_request_is_applied_by_its_retry
                a_refused_append_leaves_nothing
                no_reader_skips_an_event
                no_reader_skips_an_event_across_a_restart
                readers_converge_without_wake_ups
                a_wake_up_follows_an_append
                filtered_reads_pass_only_over_what_does_not_match
                a_page_looks_at_no_more_than_its_limit
                a_stream_is_read_from_any_version
                positions_of_another_log_are_refused
                the_head_never_goes_back
                random_histories_agree_with_the_reference
            }
        }
    };
    (@each $store:ty: $($promise:ident)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $promise() {
            $crate::contract::event_store::$promise::<$store>().await;
        }
    )+};
}

/// `short`, or `long` when `SLOW=1`.
pub(crate) fn rounds(short: u64, long: u64) -> u64 {
    if std::env::var_os("SLOW").is_some_and(|value| value == "1") {
        long
    } else {
        short
    }
}

/// A stream of its own name.
pub(crate) fn stream(name: impl std::fmt::Display) -> StreamId {
    StreamId::parse(format!("case-{name}")).unwrap()
}

/// An id that no other call gives.
pub(crate) fn new_id() -> EventId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    EventId::from_parts(1_700_000_000_000 + number, [0; 10])
}

/// An append of records with fresh ids and these bytes.
pub(crate) fn append_of(stream: &StreamId, expect: Expect, bytes: &[&[u8]]) -> AppendRequest {
    let mut version = expect.first_version();
    let mut events = vec![];
    for bytes in bytes {
        let event_type = "Tested".into();
        events.push(Record {
            event_id: new_id(),
            event_type,
            version,
            bytes: (*bytes).into(),
        });
        version = version.next();
    }
    AppendRequest {
        stream: stream.clone(),
        expect,
        events,
        claims: vec![],
    }
}

/// An append of one small record.
pub(crate) fn one(stream: &StreamId, expect: Expect) -> AppendRequest {
    append_of(stream, expect, &[b"{}"])
}

/// Appends one small record behind the end of a stream, whoever else does so too.
pub(crate) async fn push(store: &dyn EventStore, stream: &StreamId) -> Appended {
    let mut expect = match store.read_last(stream).await.unwrap() {
        Some(last) => Expect::Exact(last.record.version),
        None => Expect::NoStream,
    };
    loop {
        match store.append(one(stream, expect)).await {
            Ok(appended) => return appended,
            Err(AppendError::Conflict { actual }) => {
                expect = actual.map_or(Expect::NoStream, Expect::Exact);
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// Every event of the log, in order.
pub(crate) async fn whole_log(store: &dyn EventStore) -> Vec<Recorded> {
    let mut events = vec![];
    let mut after: Option<Position> = None;
    loop {
        let page = store.read_all(after, &Filter::all(), 1000).await.unwrap();
        events.extend(page.events);
        if page.next == page.head {
            return events;
        }
        assert!(
            page.next > after,
            "a page that is not the last one makes progress"
        );
        after = page.next;
    }
}

/// All events of a stream.
pub(crate) async fn whole_stream(store: &dyn EventStore, stream: &StreamId) -> Vec<Recorded> {
    let events = store
        .read_stream(stream, Version::FIRST, 10_000)
        .await
        .unwrap();
    for (version, event) in events.iter().enumerate() {
        assert_eq!(
            event.record.version,
            Version(version as u64),
            "versions are dense from 0"
        );
        assert_eq!(&event.stream, stream);
    }
    assert!(
        events.is_sorted_by_key(|event| event.position),
        "stream order is global order"
    );
    events
}
