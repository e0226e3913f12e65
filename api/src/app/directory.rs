//! Who may call: every client and every session in memory, kept up with the log, so that
//! authentication reads no store. A follower that is too far behind refuses everybody rather than
//! let a revoked token in.
//!
//! When a session was last used is known here and nowhere else: each node counts for itself, and a
//! restart begins anew. The absolute end of a session stands in its event and holds everywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use domain::access::client::Client;
use domain::access::directory::Directory;
use domain::access::operator::{Operator, SESSION_IDLE_MAX};
use domain::access::role::Role;
use domain::access::token::{Bearer, Token};
use domain::codec::decode;
use domain::ids::OperatorId;
use domain::ports::{Clock, EventStore, Filter, Position};
use domain::stream::Category;
use domain::time::Timestamp;
use subtle::ConstantTimeEq;

use super::caller::{Caller, Who};
use super::error::AppError;

/// The directory must have been brought up within this time.
pub const BEHIND_MAX: Duration = Duration::from_secs(1);
/// Wake-ups are hints; the log is looked at this often in any case.
pub const POLL: Duration = Duration::from_millis(250);
const PAGE: usize = 1000;

/// Why a token is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthError {
    /// Unknown, expired, revoked, mistyped, or of the other mode. The caller is not told which.
    Refused,
    /// The session was not used for too long; it is to be told as expired.
    Idle {
        /// Whose.
        operator: OperatorId,
        /// Which.
        key_id: String,
    },
    /// Nobody can say right now.
    Behind,
}

/// The callers of all merchants.
pub struct CallerDirectory {
    store: Arc<dyn EventStore>,
    clock: Arc<dyn Clock>,
    state: RwLock<State>,
    /// One at a time: an event that is folded after a later one would bring back what has ended.
    catching_up: tokio::sync::Mutex<()>,
    /// When each live session was last used, by the monotonic clock.
    used: Mutex<BTreeMap<String, Duration>>,
}

#[derive(Default)]
struct State {
    directory: Directory,
    at: Option<Position>,
    caught_up: Option<Duration>,
}

impl CallerDirectory {
    /// An empty directory; [`CallerDirectory::catch_up`] fills it.
    pub fn new(store: Arc<dyn EventStore>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            state: RwLock::default(),
            catching_up: tokio::sync::Mutex::default(),
            used: Mutex::default(),
        }
    }

    /// Takes in what happened since the last time.
    ///
    /// # Errors
    /// [`AppError`]: the store is away, or an event cannot be read.
    pub async fn catch_up(&self) -> Result<(), AppError> {
        let filter = Filter::categories(&[Category::Client, Category::Operator]);
        let _turn = self.catching_up.lock().await;
        loop {
            let started = self.clock.monotonic();
            let at = self.state.read().map_err(|_| AppError::bug("poisoned"))?.at;
            let page = self.store.read_all(at, &filter, PAGE).await?;
            let done = page.next == page.head;
            let mut state = self.state.write().map_err(|_| AppError::bug("poisoned"))?;
            for recorded in &page.events {
                let envelope = recorded.envelope().map_err(AppError::bug)?;
                let stream = &recorded.stream;
                if stream.category() == Category::Operator {
                    let event = decode(&envelope).map_err(AppError::bug)?;
                    state.directory.fold_operator(stream, &event);
                } else {
                    let event = decode(&envelope).map_err(AppError::bug)?;
                    state.directory.fold(stream, &event);
                }
            }
            state.at = page.next.or(at);
            if done {
                state.caught_up = Some(started);
                self.forget_ended(&state.directory, started);
                return Ok(());
            }
        }
    }

    /// Sessions that are new here count as used just now; those that ended are forgotten.
    fn forget_ended(&self, directory: &Directory, now: Duration) {
        let live = directory
            .operators()
            .flat_map(|known| known.sessions.keys());
        let live: BTreeSet<&String> = live.collect();
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|key_id, _| live.contains(key_id));
        for key_id in live {
            used.entry(key_id.clone()).or_insert(now);
        }
    }

    /// Every client.
    pub fn all(&self) -> Vec<Client> {
        self.state
            .read()
            .map(|state| state.directory.clients().cloned().collect())
            .unwrap_or_default()
    }

    /// Every person.
    pub fn operators(&self) -> Vec<Operator> {
        self.state
            .read()
            .map(|state| state.directory.operators().cloned().collect())
            .unwrap_or_default()
    }

    /// Where the follower stands, for its wake-up.
    pub fn position(&self) -> Option<Position> {
        self.state.read().ok().and_then(|state| state.at)
    }

    /// The caller of a token.
    ///
    /// # Errors
    /// [`AuthError`]. A mistyped token is refused by its checksum, before anything is looked up.
    pub fn authenticate(&self, token: &str, now: Timestamp) -> Result<Caller, AuthError> {
        let token = Token::parse(token).ok_or(AuthError::Refused)?;
        let state = self.fresh()?;
        let key_id = token.key_id();
        let (caller, digest) = match token.bearer() {
            Bearer::Client => {
                let found = state.directory.find(key_id, now);
                let (client, digest) = found.ok_or(AuthError::Refused)?;
                (of_client(client, key_id), digest)
            }
            Bearer::Session => {
                let found = state.directory.find_session(key_id, now);
                let (operator, digest) = found.ok_or(AuthError::Refused)?;
                (of_operator(operator, key_id), digest)
            }
        };
        let same: bool = digest.0.ct_eq(&token.digest().0).into();
        if !same || caller.mode != token.mode() {
            return Err(AuthError::Refused);
        }
        if let Who::Operator(operator) = &caller.who
            && !self.use_session(key_id)
        {
            return Err(AuthError::Idle {
                operator: operator.clone(),
                key_id: key_id.to_owned(),
            });
        }
        Ok(caller)
    }

    /// Notes a use of the session; false when it comes too late.
    fn use_session(&self, key_id: &str) -> bool {
        let now = self.clock.monotonic();
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let last = used.entry(key_id.to_owned()).or_insert(now);
        let in_time = now.saturating_sub(*last) <= SESSION_IDLE_MAX;
        if in_time {
            *last = now;
        }
        in_time
    }

    /// The caller as they are now; `None` once their token or session is gone.
    pub fn still(&self, caller: &Caller) -> Option<Caller> {
        let state = self.fresh().ok()?;
        let (key_id, now) = (&caller.key_id, self.clock.now());
        match &caller.who {
            Who::Client(_) => {
                let (client, _) = state.directory.find(key_id, now)?;
                Some(of_client(client, key_id))
            }
            Who::Operator(_) => {
                let (operator, _) = state.directory.find_session(key_id, now)?;
                Some(of_operator(operator, key_id))
            }
        }
    }

    fn fresh(&self) -> Result<RwLockReadGuard<'_, State>, AuthError> {
        let state = self.state.read().map_err(|_| AuthError::Behind)?;
        let age = state
            .caught_up
            .map(|at| self.clock.monotonic().saturating_sub(at));
        if age.is_some_and(|age| age <= BEHIND_MAX) {
            Ok(state)
        } else {
            Err(AuthError::Behind)
        }
    }
}

fn of_client(client: &Client, key_id: &str) -> Caller {
    Caller {
        who: Who::Client(client.id.clone()),
        merchant: client.merchant.clone(),
        mode: client.mode,
        key_id: key_id.to_owned(),
        scopes: client.scopes.clone(),
        scenarios: client.scenarios.clone(),
        subscriber: client.subscriber.clone(),
        own_only: client.role.is_none_or(Role::own_only),
    }
}

fn of_operator(operator: &Operator, key_id: &str) -> Caller {
    Caller {
        who: Who::Operator(operator.id.clone()),
        merchant: operator.merchant.clone(),
        mode: operator.mode,
        key_id: key_id.to_owned(),
        scopes: operator.scopes.clone(),
        scenarios: BTreeSet::new(),
        subscriber: None,
        own_only: false,
    }
}
