//! The headline: once a reader was told `next = p`, no event at or before `p` appears later.

use std::sync::Arc;
use std::time::Duration;

use adapters::memory::FaultyEventStore;
use domain::ids::EventId;
use domain::ports::{AppendError, EventStore, Expect, Filter, Position};
use domain::record::Recorded;
use tokio::sync::watch;

use super::{StoreUnderTest, append_of, one, rounds, stream, whole_log};
use crate::world::Dice;

const WRITERS: u64 = 6;
const READERS: u64 = 4;

/// A reader's place and all that it has seen, as a projection keeps them.
#[derive(Default)]
struct Reader {
    after: Option<Position>,
    seen: Vec<Recorded>,
}

impl Reader {
    /// Reads a page of some size; true when it reached the head of that moment.
    async fn step(&mut self, store: &dyn EventStore, limit: usize) -> bool {
        let page = store
            .read_all(self.after, &Filter::all(), limit)
            .await
            .unwrap();
        assert!(
            page.next >= self.after && page.head >= page.next,
            "pages go forward: {page:?}"
        );
        for event in &page.events {
            assert!(
                Some(event.position) > self.after,
                "an event at or before what was told"
            );
            assert!(Some(event.position) <= page.next);
        }
        self.after = page.next;
        self.seen.extend(page.events);
        self.after == page.head
    }

    /// Reads in pages of random size, with or without wake-ups, until the writers are done and the
    /// head is reached.
    async fn follow(
        mut self,
        store: Arc<dyn EventStore>,
        dice: Dice,
        done: watch::Receiver<bool>,
    ) -> Self {
        loop {
            // Asked before the page is read: what is written before that must be in the page.
            let all_written = *done.borrow();
            let at_head = self.step(&*store, 1 + dice.below(40) as usize).await;
            if all_written && at_head {
                return self;
            }
            match dice.below(4) {
                0 => tokio::task::yield_now().await,
                1 if at_head => {
                    let poll = tokio::time::sleep(Duration::from_millis(2));
                    tokio::select! {
                        biased;
                        () = store.wake_up(self.after) => {}
                        () = poll => {}
                    }
                }
                _ => {}
            }
        }
    }
}

/// Appends of 1 to 5 events at random moments, some to a stream that all share, some refused.
/// Returns the ids that were acknowledged.
async fn write(store: Arc<dyn EventStore>, name: String, appends: u64) -> Vec<EventId> {
    let dice = Dice::new(
        name.bytes()
            .fold(7, |seed, byte| seed * 31 + u64::from(byte)),
    );
    let (own, shared) = (stream(&name), stream("shared"));
    let mut acknowledged = vec![];
    for _ in 0..appends {
        let name = if dice.below(3) == 0 { &shared } else { &own };
        let expect = match store.read_last(name).await.unwrap() {
            Some(last) => Expect::Exact(last.record.version),
            None => Expect::NoStream,
        };
        let bytes = vec![b"{}".as_slice(); 1 + dice.below(5) as usize];
        let request = append_of(name, expect, &bytes);
        let ids: Vec<EventId> = request
            .events
            .iter()
            .map(|record| record.event_id)
            .collect();
        match store.append(request).await {
            Ok(_) => acknowledged.extend(ids),
            Err(AppendError::Conflict { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
        match dice.below(4) {
            0 => tokio::time::sleep(Duration::from_micros(dice.below(1500))).await,
            1 => tokio::task::yield_now().await,
            _ => {}
        }
    }
    acknowledged
}

/// Lets writers write and readers follow, and gives the readers and what was acknowledged.
async fn race(
    store: &Arc<dyn EventStore>,
    round: u64,
    readers: Vec<Reader>,
    appends: u64,
) -> (Vec<Reader>, Vec<EventId>) {
    let (done, _) = watch::channel(false);
    let following: Vec<_> = readers
        .into_iter()
        .enumerate()
        .map(|(number, reader)| {
            let dice = Dice::new(round * 1000 + number as u64);
            tokio::spawn(reader.follow(store.clone(), dice, done.subscribe()))
        })
        .collect();
    let writing: Vec<_> = (0..WRITERS)
        .map(|writer| tokio::spawn(write(store.clone(), format!("{round}-{writer}"), appends)))
        .collect();
    let mut acknowledged = vec![];
    for writer in writing {
        acknowledged.extend(writer.await.unwrap());
    }
    done.send_replace(true);
    let mut readers = vec![];
    for reader in following {
        readers.push(reader.await.unwrap());
    }
    (readers, acknowledged)
}

fn new_readers() -> Vec<Reader> {
    (0..READERS).map(|_| Reader::default()).collect()
}

/// Every reader saw the log as it stands, in order; every acknowledged event is in it once.
async fn check(store: &dyn EventStore, readers: &[Reader], acknowledged: &mut [EventId]) {
    let log = whole_log(store).await;
    assert!(log.is_sorted_by(|a, b| a.position < b.position));
    for reader in readers {
        let seen = |events: &[Recorded]| -> Vec<_> {
            events
                .iter()
                .map(|event| (event.position, event.record.event_id))
                .collect()
        };
        assert_eq!(
            seen(&reader.seen),
            seen(&log),
            "a reader missed or repeated something"
        );
    }
    let mut stored: Vec<EventId> = log.iter().map(|event| event.record.event_id).collect();
    stored.sort();
    acknowledged.sort();
    assert_eq!(stored, acknowledged);
}

/// S5, S6, with an open snapshot of another user.
pub async fn no_reader_skips_an_event<S: StoreUnderTest>() {
    let under_test = S::fresh();
    let store = under_test.store();
    store
        .append(one(&stream("before"), Expect::NoStream))
        .await
        .unwrap();
    let mut acknowledged: Vec<EventId> = whole_log(&*store)
        .await
        .iter()
        .map(|event| event.record.event_id)
        .collect();
    let other = under_test.another_user();
    let (readers, written) = race(&store, 1, new_readers(), rounds(60, 4000)).await;
    drop(other);
    acknowledged.extend(written);
    check(&*store, &readers, &mut acknowledged).await;
}

/// S5 across restarts: readers keep their place, and one that starts from nothing catches up while
/// others write.
pub async fn no_reader_skips_an_event_across_a_restart<S: StoreUnderTest>() {
    let mut under_test = S::fresh();
    let (mut readers, mut acknowledged) = (new_readers(), vec![]);
    for round in 0..rounds(3, 20) {
        readers.push(Reader::default());
        let store = under_test.store();
        let (followed, written) = race(&store, round, readers, rounds(20, 500)).await;
        readers = followed;
        acknowledged.extend(written);
        check(&*store, &readers, &mut acknowledged).await;
        drop(store);
        under_test.reopen();
    }
}

/// Wake-ups are a hint: readers that never get one see everything.
pub async fn readers_converge_without_wake_ups<S: StoreUnderTest>() {
    let under_test = S::fresh();
    let deaf = FaultyEventStore::new(under_test.store());
    deaf.lose_wake_ups(true);
    let store: Arc<dyn EventStore> = Arc::new(deaf);
    let (readers, mut acknowledged) = race(&store, 2, new_readers(), rounds(20, 1000)).await;
    check(&*store, &readers, &mut acknowledged).await;
}

/// An append wakes who waits at the head, and nobody waits for what is there already.
pub async fn a_wake_up_follows_an_append<S: StoreUnderTest>() {
    let under_test = S::fresh();
    let store = under_test.store();
    let soon = Duration::from_secs(5);
    let name = stream("a");
    for after_first in [false, true] {
        let after = store.head().await.unwrap();
        assert_eq!(after.is_some(), after_first);
        let (waiting, waits) = (store.clone(), after);
        let waiter = tokio::spawn(async move { waiting.wake_up(waits).await });
        tokio::task::yield_now().await;
        super::push(&*store, &name).await;
        tokio::time::timeout(soon, waiter).await.unwrap().unwrap();
        tokio::time::timeout(soon, store.wake_up(after))
            .await
            .unwrap();
    }
}

/// S10 of the port's `head`: it only grows, and nothing is seen past it.
pub async fn the_head_never_goes_back<S: StoreUnderTest>() {
    let mut under_test = S::fresh();
    assert_eq!(under_test.store().head().await.unwrap(), None);
    let mut head = None;
    for round in 0..2 {
        let store = under_test.store();
        let writing = tokio::spawn(write(store.clone(), format!("{round}"), rounds(40, 2000)));
        while !writing.is_finished() {
            let now = store.head().await.unwrap();
            assert!(now >= head, "{now:?} after {head:?}");
            head = now;
        }
        assert!(!writing.await.unwrap().is_empty());
        head = store.head().await.unwrap();
        assert_eq!(
            whole_log(&*store).await.last().map(|event| event.position),
            head
        );
        drop(store);
        under_test.reopen();
        assert_eq!(under_test.store().head().await.unwrap(), head);
    }
}
