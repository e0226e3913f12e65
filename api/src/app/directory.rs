//! Who may call: every client in memory, kept up with the log, so that authentication reads no
//! store. A follower that is too far behind refuses everybody rather than let a revoked token in.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use domain::access::client;
use domain::access::directory::Directory;
use domain::access::token::Token;
use domain::codec::decode;
use domain::ports::{Clock, EventStore, Filter, Position};
use domain::stream::Category;
use domain::time::Timestamp;
use subtle::ConstantTimeEq;

use super::caller::Caller;
use super::error::AppError;

/// The directory must have been brought up within this time.
pub const BEHIND_MAX: Duration = Duration::from_secs(1);
/// Wake-ups are hints; the log is looked at this often in any case.
pub const POLL: Duration = Duration::from_millis(250);
const PAGE: usize = 1000;

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthError {
    /// Unknown, expired, revoked, mistyped, or of the other mode. The caller is not told which.
    Refused,
    /// Nobody can say right now.
    Behind,
}

/// The clients of all merchants.
pub struct ClientDirectory {
    store: Arc<dyn EventStore>,
    clock: Arc<dyn Clock>,
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    directory: Directory,
    at: Option<Position>,
    caught_up: Option<Duration>,
}

impl ClientDirectory {
    /// An empty directory; [`ClientDirectory::catch_up`] fills it.
    pub fn new(store: Arc<dyn EventStore>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            state: RwLock::default(),
        }
    }

    /// Takes in what happened since the last time.
    ///
    /// # Errors
    /// [`AppError`]: the store is away, or an event cannot be read.
    pub async fn catch_up(&self) -> Result<(), AppError> {
        let filter = Filter::categories(&[Category::Client]);
        loop {
            let started = self.clock.monotonic();
            let at = self.state.read().map_err(|_| AppError::bug("poisoned"))?.at;
            let page = self.store.read_all(at, &filter, PAGE).await?;
            let done = page.next == page.head;
            let mut state = self.state.write().map_err(|_| AppError::bug("poisoned"))?;
            for recorded in &page.events {
                let envelope = recorded.envelope().map_err(AppError::bug)?;
                let event: client::Event = decode(&envelope).map_err(AppError::bug)?;
                state.directory.fold(&recorded.stream, &event);
            }
            state.at = page.next.or(at);
            if done {
                state.caught_up = Some(started);
                return Ok(());
            }
        }
    }

    /// Every client.
    pub fn all(&self) -> Vec<client::Client> {
        self.state
            .read()
            .map(|state| state.directory.clients().cloned().collect())
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
        let (client, digest) = state
            .directory
            .find(token.key_id(), now)
            .ok_or(AuthError::Refused)?;
        let same: bool = digest.0.ct_eq(&token.digest().0).into();
        if !same || client.mode != token.mode() || client.revoked {
            return Err(AuthError::Refused);
        }
        Ok(caller_of(client, token.key_id()))
    }

    /// The caller as they are now; `None` once their token is gone.
    pub fn still(&self, caller: &Caller) -> Option<Caller> {
        let state = self.fresh().ok()?;
        let (client, _) = state.directory.find(&caller.key_id, self.clock.now())?;
        Some(caller_of(client, &caller.key_id))
    }

    fn fresh(&self) -> Result<std::sync::RwLockReadGuard<'_, State>, AuthError> {
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

fn caller_of(client: &client::Client, key_id: &str) -> Caller {
    Caller {
        client: client.id.clone(),
        merchant: client.merchant.clone(),
        mode: client.mode,
        key_id: key_id.to_owned(),
        scopes: client.scopes.clone(),
        scenarios: client.scenarios.clone(),
        own_only: client.role.is_none_or(domain::access::role::Role::own_only),
    }
}
