//! Fakes for the tests of this crate: a log and a view store in memory that can be told to fail, a
//! clock that stands still, and events of a toy aggregate.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use domain::actor::{Actor, Cause, Source};
use domain::digest::Digest32;
use domain::ids::EventId;
use domain::ports::{
    AppendError, AppendRequest, Appended, ClaimOwner, ClaimSpace, Clock, EventStore, Filter, Page,
    Position, ReadError, StoreIdentity,
};
use domain::record::{Envelope, Record, Recorded};
use domain::stream::{StreamId, Version};
use domain::time::Timestamp;

use crate::ports::*;

pub(crate) fn stream(name: &str) -> StreamId {
    StreamId::parse(name).unwrap()
}

/// An envelope with the fields that no test of a view looks at filled in.
pub(crate) fn envelope(
    stream: &StreamId,
    version: u64,
    event_type: &str,
    data: serde_json::Value,
) -> Envelope {
    let digest = Digest32::sha256(&[stream.as_str().as_bytes(), &version.to_be_bytes()]);
    let mut random = [0; 10];
    random.copy_from_slice(&digest.0[..10]);
    let id = EventId::from_parts(1_700_000_000_000 + version, random);
    let at = Timestamp::from_seconds(1_700_000_000 + i64::try_from(version).unwrap());
    Envelope {
        v: 1,
        origin: "ledger.example/test/1".into(),
        merchant: Some(domain::ids::MerchantId::parse("shop").unwrap()),
        stream: stream.clone(),
        stream_version: Version(version),
        event_id: id,
        event_type: event_type.into(),
        type_v: 1,
        recorded_at: at,
        occurred_at: at,
        actor: Actor::job("test"),
        on_behalf_of: None,
        source: Source {
            entry: "test".into(),
            node: "a".into(),
            ip_prefix: None,
        },
        cause: Cause {
            command: "test".into(),
            command_id: id,
            key_hmac: None,
            fingerprint: None,
            causation_id: None,
            correlation_id: None,
        },
        claims: vec![],
        reason: None,
        evidence: vec![],
        data,
        pii: BTreeMap::new(),
    }
}

/// A log that tests write directly.
pub(crate) struct FakeLog {
    identity: StoreIdentity,
    events: Mutex<Vec<Recorded>>,
}

impl FakeLog {
    pub(crate) fn new(store: u128, epoch: u32) -> Self {
        let store = uuid::Uuid::from_u128(store << 96 | store);
        let identity = StoreIdentity {
            store,
            epoch,
            backend: "memory",
            atomic_claims: true,
        };
        Self {
            identity,
            events: Mutex::new(vec![]),
        }
    }

    /// Appends an event and gives it back as readers get it.
    pub(crate) fn append_to(
        &self,
        name: &str,
        event_type: &str,
        data: serde_json::Value,
    ) -> Recorded {
        self.append_with(name, event_type, data, |_| {})
    }

    pub(crate) fn append_with(
        &self,
        name: &str,
        event_type: &str,
        data: serde_json::Value,
        change: impl FnOnce(&mut Envelope),
    ) -> Recorded {
        let mut events = self.events.lock().unwrap();
        let stream = stream(name);
        let version = events.iter().filter(|event| event.stream == stream).count() as u64;
        let mut envelope = envelope(&stream, version, event_type, data);
        change(&mut envelope);
        let record = Record::write(&envelope).unwrap();
        let commit = events.len() as u64 + 1;
        let position = Position::new(self.identity.tag(), self.identity.epoch, commit, 0);
        let recorded = Recorded {
            position,
            stream,
            record,
        };
        events.push(recorded.clone());
        recorded
    }

    /// A log of the same identity that tells another history.
    pub(crate) fn forked(&self, keep: usize) -> Self {
        let events = self.events.lock().unwrap()[..keep].to_vec();
        Self {
            identity: self.identity.clone(),
            events: Mutex::new(events),
        }
    }

    pub(crate) fn last_position(&self) -> Option<Position> {
        self.events
            .lock()
            .unwrap()
            .last()
            .map(|event| event.position)
    }
}

#[async_trait]
impl EventStore for FakeLog {
    fn identity(&self) -> &StoreIdentity {
        &self.identity
    }

    async fn append(&self, _: AppendRequest) -> Result<Appended, AppendError> {
        panic!("a view never appends")
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        from: Version,
        limit: usize,
    ) -> Result<Vec<Recorded>, ReadError> {
        let events = self.events.lock().unwrap();
        let wanted = events
            .iter()
            .filter(|event| event.stream == *stream && event.record.version >= from);
        Ok(wanted.take(limit).cloned().collect())
    }

    async fn read_last(&self, stream: &StreamId) -> Result<Option<Recorded>, ReadError> {
        Ok(self
            .events
            .lock()
            .unwrap()
            .iter()
            .rev()
            .find(|event| event.stream == *stream)
            .cloned())
    }

    async fn read_all(
        &self,
        after: Option<Position>,
        filter: &Filter,
        limit: usize,
    ) -> Result<Page, ReadError> {
        let events = self.events.lock().unwrap();
        let seen: Vec<_> = events
            .iter()
            .filter(|event| Some(event.position) > after)
            .take(limit)
            .collect();
        let next = seen.last().map(|event| event.position).or(after);
        let events_read = seen
            .into_iter()
            .filter(|event| filter.matches(&event.stream))
            .cloned()
            .collect();
        Ok(Page {
            events: events_read,
            next,
            head: events.last().map(|event| event.position),
        })
    }

    async fn head(&self) -> Result<Option<Position>, ReadError> {
        Ok(self.last_position())
    }

    async fn wake_up(&self, _: Option<Position>) {
        std::future::pending().await
    }

    async fn find_claim(
        &self,
        _: ClaimSpace,
        _: &Digest32,
    ) -> Result<Option<ClaimOwner>, ReadError> {
        Ok(None)
    }
}

/// A clock that stands still; sleeping gives way once and returns.
#[derive(Default)]
pub(crate) struct StillClock;

#[async_trait]
impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(1_800_000_000)
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    async fn sleep(&self, _: Duration) {
        tokio::task::yield_now().await;
    }
}

/// What the next transactions do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process dies before the commit.
    BeforeCommit,
    /// The commit is kept and its answer lost.
    AfterCommit,
}

#[derive(Clone)]
struct Filled {
    spec: ViewSpec,
    number: u32,
    version: u32,
    state: GenerationState,
    checkpoint: Option<Checkpoint>,
    rows: BTreeMap<(String, String), Row>,
    parked: BTreeMap<StreamId, Parked>,
}

/// A view store of copies: a transaction works on a clone.
#[derive(Default)]
pub(crate) struct FakeStore {
    copies: Mutex<Vec<Filled>>,
    faults: Mutex<Vec<Fault>>,
}

impl FakeStore {
    pub(crate) fn fail_next(&self, fault: Fault) {
        self.faults.lock().unwrap().push(fault);
    }

    /// Changes a row behind everybody's back.
    pub(crate) fn tamper(&self, key: &str, body: &[u8]) {
        for copy in self.copies.lock().unwrap().iter_mut() {
            for ((_, row_key), row) in &mut copy.rows {
                if row_key == key {
                    row.body = body.to_vec();
                }
            }
        }
    }

    fn find<T>(
        &self,
        view: &str,
        at: At,
        use_it: impl FnOnce(&mut Filled) -> T,
    ) -> Result<T, ViewStoreError> {
        let mut copies = self.copies.lock().unwrap();
        let wanted = |copy: &&mut Filled| {
            copy.spec.name == view
                && match at {
                    At::Live => copy.state == GenerationState::Live,
                    At::Generation(number) => copy.number == number,
                }
        };
        let found = copies.iter_mut().find(wanted);
        found
            .map(use_it)
            .ok_or_else(|| ViewStoreError::NoGeneration {
                view: view.to_owned(),
            })
    }
}

struct Open<'a>(&'a mut Filled);

impl Rows for Open<'_> {
    fn get(&mut self, table: &str, key: &str) -> Result<Option<Row>, RowsError> {
        Ok(self
            .0
            .rows
            .get(&(table.to_owned(), key.to_owned()))
            .cloned())
    }

    fn put(&mut self, table: &str, row: Row) -> Result<(), RowsError> {
        self.0.rows.insert((table.to_owned(), row.key.clone()), row);
        Ok(())
    }

    fn delete(&mut self, table: &str, key: &str) -> Result<(), RowsError> {
        self.0.rows.remove(&(table.to_owned(), key.to_owned()));
        Ok(())
    }

    fn scan(
        &mut self,
        table: &str,
        column: &str,
        value: &Cell,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Row>, RowsError> {
        let place = self.0.spec.column(self.0.spec.table(table)?, column)?;
        let matching = self.0.rows.iter().filter(|((row_table, key), row)| {
            row_table == table && Some(key.as_str()) > after && row.cells[place] == *value
        });
        Ok(matching.take(limit).map(|(_, row)| row.clone()).collect())
    }
}

impl ViewTransaction for Open<'_> {
    fn park(&mut self, parked: Parked) -> Result<(), RowsError> {
        self.0.parked.insert(parked.stream.clone(), parked);
        Ok(())
    }

    fn unpark(&mut self, stream: &StreamId) -> Result<(), RowsError> {
        self.0.parked.remove(stream);
        Ok(())
    }

    fn parked(&mut self) -> Result<Vec<Parked>, RowsError> {
        Ok(self.0.parked.values().cloned().collect())
    }
}

#[async_trait]
impl ViewStore for FakeStore {
    async fn generations(&self) -> Result<Vec<Generation>, ViewStoreError> {
        let copies = self.copies.lock().unwrap();
        let shown = copies.iter().map(|copy| Generation {
            view: copy.spec.name.to_owned(),
            number: copy.number,
            version: copy.version,
            state: copy.state,
            checkpoint: copy.checkpoint.clone(),
            parked: copy.parked.len() as u64,
        });
        Ok(shown.collect())
    }

    async fn create(&self, spec: &ViewSpec, state: GenerationState) -> Result<u32, ViewStoreError> {
        let mut copies = self.copies.lock().unwrap();
        let number = copies.iter().map(|copy| copy.number).max().unwrap_or(0) + 1;
        let (rows, parked) = (BTreeMap::new(), BTreeMap::new());
        let version = spec.version;
        copies.push(Filled {
            spec: *spec,
            number,
            version,
            state,
            checkpoint: None,
            rows,
            parked,
        });
        Ok(number)
    }

    async fn transact(
        &self,
        spec: &ViewSpec,
        generation: u32,
        expected: Option<Checkpoint>,
        work: Work,
    ) -> Result<Option<Checkpoint>, ViewStoreError> {
        let fault = self.faults.lock().unwrap().pop();
        self.find(spec.name, At::Generation(generation), |copy| {
            if copy.checkpoint != expected {
                return Err(ViewStoreError::Fenced {
                    view: spec.name.to_owned(),
                });
            }
            let mut changed = copy.clone();
            let checkpoint = work(&mut Open(&mut changed))?;
            changed.checkpoint = checkpoint.or(expected);
            if fault != Some(Fault::BeforeCommit) {
                *copy = changed;
            }
            if fault.is_some() {
                return Err(ViewStoreError::Unavailable("the process died".into()));
            }
            Ok(copy.checkpoint.clone())
        })?
    }

    async fn switch(&self, view: &str, from: Option<u32>, to: u32) -> Result<(), ViewStoreError> {
        let old = match from {
            Some(from) => self.find(view, At::Generation(from), |copy| copy.checkpoint.clone())?,
            None => None,
        };
        let new = self.find(view, At::Generation(to), |copy| copy.checkpoint.clone())?;
        if !Checkpoint::may_follow(new.as_ref(), old.as_ref()) {
            return Err(ViewStoreError::Behind {
                view: view.to_owned(),
            });
        }
        if let Some(from) = from {
            self.find(view, At::Generation(from), |copy| {
                copy.state = GenerationState::Previous
            })?;
        }
        self.find(view, At::Generation(to), |copy| {
            copy.state = GenerationState::Live
        })
    }

    async fn retire(&self, view: &str, generation: u32) -> Result<(), ViewStoreError> {
        self.copies
            .lock()
            .unwrap()
            .retain(|copy| copy.spec.name != view || copy.number != generation);
        Ok(())
    }

    async fn standing(&self, spec: &ViewSpec, at: At) -> Result<Standing, ViewStoreError> {
        self.find(spec.name, at, |copy| {
            if copy.version != spec.version {
                let view = spec.name.to_owned();
                return Err(ViewStoreError::OtherVersion {
                    view,
                    stored: copy.version,
                    code: spec.version,
                });
            }
            Ok(Standing {
                generation: copy.number,
                checkpoint: copy.checkpoint.clone(),
            })
        })?
    }

    async fn get(
        &self,
        spec: &ViewSpec,
        at: At,
        table: &str,
        key: &str,
    ) -> Result<Option<Row>, ViewStoreError> {
        self.find(spec.name, at, |copy| {
            copy.rows.get(&(table.to_owned(), key.to_owned())).cloned()
        })
    }

    async fn query(
        &self,
        spec: &ViewSpec,
        at: At,
        table: &str,
        query: &ViewQuery,
    ) -> Result<RowPage, ViewStoreError> {
        assert!(
            query.after.is_none() && query.order_by.is_none(),
            "the fake only filters"
        );
        let spec_table = spec.table(table)?;
        let passes = |row: &Row| {
            query.conditions.iter().all(|condition| {
                condition
                    .test
                    .passes(&row.cells[spec.column(spec_table, condition.column).unwrap()])
            })
        };
        self.find(spec.name, at, |copy| {
            let rows = copy
                .rows
                .iter()
                .filter(|((name, _), row)| name == table && passes(row));
            RowPage {
                rows: rows.take(query.limit).map(|(_, row)| row.clone()).collect(),
                next: None,
            }
        })
    }

    async fn parked(&self, spec: &ViewSpec, at: At) -> Result<Vec<Parked>, ViewStoreError> {
        self.find(spec.name, at, |copy| {
            copy.parked.values().cloned().collect()
        })
    }

    async fn digest(&self, spec: &ViewSpec, at: At) -> Result<ViewDigest, ViewStoreError> {
        self.find(spec.name, at, |copy| {
            let mut digester = ViewDigester::new(spec);
            for ((table, key), row) in &copy.rows {
                digester.row(table, key, &row.body);
            }
            for parked in copy.parked.values() {
                digester.parked(&parked.stream, parked.position);
            }
            digester.finish(copy.checkpoint.clone())
        })
    }
}
