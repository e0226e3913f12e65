//! The reference event store: what the port promises, in the plainest way.
//!
//! It answers in the call itself and draws nothing, so that one seed gives one history. It keeps
//! nothing beyond the process. Simulations, tests and the contract suite call it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::watch;

use domain::digest::Digest32;
use domain::ids::EventId;
use domain::ports::{
    AppendError, AppendRequest, Appended, ClaimOwner, ClaimSpace, EventStore, Filter, Page,
    Position, ReadError, StoreIdentity,
};
use domain::record::{Record, Recorded};
use domain::stream::{StreamId, Version};

use crate::append_rules;

/// An event store in memory.
#[derive(Debug)]
pub struct MemoryEventStore {
    identity: StoreIdentity,
    log: Mutex<Log>,
    /// How many events there are; readers wait on it.
    length: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Log {
    /// In order; the position of an event is its index here plus one.
    events: Vec<Recorded>,
    /// Indexes of each stream's events; the place there is the version.
    streams: BTreeMap<StreamId, Vec<usize>>,
    ids: BTreeMap<EventId, usize>,
    claims: BTreeMap<(ClaimSpace, Digest32), ClaimOwner>,
}

impl MemoryEventStore {
    /// An empty store with this identity.
    pub fn new(store: uuid::Uuid, epoch: u32) -> Self {
        let identity = StoreIdentity {
            store,
            epoch,
            backend: "memory",
            atomic_claims: true,
        };
        Self {
            identity,
            log: Mutex::default(),
            length: watch::Sender::new(0),
        }
    }

    /// A panic elsewhere cannot leave the log half changed: an append changes it in one go after
    /// everything was checked.
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn position(&self, number: u64) -> Position {
        Position::new(self.identity.tag(), self.identity.epoch, number, 0)
    }

    fn head_of(&self, log: &Log) -> Option<Position> {
        log.events.last().map(|event| event.position)
    }
}

impl Log {
    /// The events of a stream from `version` on.
    fn stream_from(&self, stream: &StreamId, version: Version) -> impl Iterator<Item = &Recorded> {
        let indexes = self.streams.get(stream).map_or(&[][..], Vec::as_slice);
        let skipped = usize::try_from(version.0).unwrap_or(usize::MAX);
        indexes
            .iter()
            .skip(skipped)
            .map(|index| &self.events[*index])
    }

    fn last_of(&self, stream: &StreamId) -> Option<&Recorded> {
        let index = self.streams.get(stream)?.last()?;
        Some(&self.events[*index])
    }

    /// What the claims become, or who stands in the way.
    fn settled_claims(
        &self,
        request: &AppendRequest,
    ) -> Result<BTreeMap<(ClaimSpace, Digest32), ClaimOwner>, AppendError> {
        let mut changed = BTreeMap::new();
        for claim in &request.claims {
            let name = (claim.ns, claim.key);
            let held = changed.get(&name).or_else(|| self.claims.get(&name));
            if let Some(now) = append_rules::settle(claim, held)? {
                changed.insert(name, now);
            }
        }
        Ok(changed)
    }

    /// An id that stands somewhere in the log already, or twice in the request.
    fn knows_an_id_of(&self, records: &[Record]) -> bool {
        records.iter().enumerate().any(|(place, record)| {
            self.ids.contains_key(&record.event_id)
                || records[..place]
                    .iter()
                    .any(|earlier| earlier.event_id == record.event_id)
        })
    }
}

#[async_trait]
impl EventStore for MemoryEventStore {
    fn identity(&self) -> &StoreIdentity {
        &self.identity
    }

    async fn append(&self, request: AppendRequest) -> Result<Appended, AppendError> {
        append_rules::check(&request)?;
        let mut log = self.log();
        let first = request.expect.first_version();
        let leaf_hashes = request.events.iter().map(Record::leaf_hash).collect();
        let actual = log
            .last_of(&request.stream)
            .map(|event| event.record.version);
        if actual.map_or(Version::FIRST, Version::next) != first {
            let there: Vec<Recorded> = log
                .stream_from(&request.stream, first)
                .take(request.events.len())
                .cloned()
                .collect();
            let records: Vec<Record> = there.iter().map(|event| event.record.clone()).collect();
            append_rules::same_append(&request, &records, actual)?;
            let last = there.last().ok_or(AppendError::Conflict { actual })?;
            let (version, position) = (last.record.version, last.position);
            return Ok(Appended {
                version,
                position,
                leaf_hashes,
                repeated: true,
            });
        }
        if log.knows_an_id_of(&request.events) {
            return Err(AppendError::IdReused);
        }
        let mut claims = log.settled_claims(&request)?;

        log.claims.append(&mut claims);
        let AppendRequest { stream, events, .. } = request;
        let (mut version, mut position) = (first, self.position(0));
        for record in events {
            let index = log.events.len();
            (version, position) = (record.version, self.position(index as u64 + 1));
            log.ids.insert(record.event_id, index);
            log.streams.entry(stream.clone()).or_default().push(index);
            log.events.push(Recorded {
                position,
                stream: stream.clone(),
                record,
            });
        }
        self.length.send_replace(log.events.len() as u64);
        Ok(Appended {
            version,
            position,
            leaf_hashes,
            repeated: false,
        })
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        from: Version,
        limit: usize,
    ) -> Result<Vec<Recorded>, ReadError> {
        let limit = append_rules::page_limit(limit);
        Ok(self
            .log()
            .stream_from(stream, from)
            .take(limit)
            .cloned()
            .collect())
    }

    async fn read_last(&self, stream: &StreamId) -> Result<Option<Recorded>, ReadError> {
        Ok(self.log().last_of(stream).cloned())
    }

    async fn read_all(
        &self,
        after: Option<Position>,
        filter: &Filter,
        limit: usize,
    ) -> Result<Page, ReadError> {
        let log = self.log();
        let passed = append_rules::passed(&self.identity, after, log.events.len() as u64)?;
        let passed = usize::try_from(passed).map_err(|_| ReadError::OtherLog)?;
        let end = log
            .events
            .len()
            .min(passed.saturating_add(append_rules::page_limit(limit)));
        let seen = &log.events[passed..end];
        Ok(Page {
            events: seen
                .iter()
                .filter(|event| filter.matches(&event.stream))
                .cloned()
                .collect(),
            next: seen.last().map(|event| event.position).or(after),
            head: self.head_of(&log),
        })
    }

    async fn head(&self) -> Result<Option<Position>, ReadError> {
        Ok(self.head_of(&self.log()))
    }

    async fn wake_up(&self, after: Option<Position>) {
        append_rules::wait_past(&self.identity, self.length.subscribe(), after).await;
    }

    async fn find_claim(
        &self,
        ns: ClaimSpace,
        key: &Digest32,
    ) -> Result<Option<ClaimOwner>, ReadError> {
        Ok(self.log().claims.get(&(ns, *key)).cloned())
    }
}
