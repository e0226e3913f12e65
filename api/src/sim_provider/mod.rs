//! The simulated provider: a small bank to try the ledger with, as a process of its own or inside
//! of a test or demo.
//!
//! It registers orders, shows a payment page, takes no money, tells the ledger by signed messages
//! (Standard Webhooks), and answers look-ups. It keeps its own truth of what was paid, in memory, so
//! that look-ups tell the truth even when messages lie. It shares no code path with the ledger: what
//! it needs of the outside (HTTP, clock, chance, the signature) comes in through [`Hands`].
//!
//! # HTTP
//!
//! | call | key | what |
//! |---|---|---|
//! | `POST /orders` | yes | `{our_reference, amount, currency, description, session_s, script?}` -> 201 `{order, pay_url, session_expires_at}`; the same again -> 200 |
//! | `GET /orders/{order or our_reference}` | yes | look-up: `{order, our_reference, statements: [...]}` |
//! | `POST /orders/{..}/cancel` | yes | closes the session; 409 when money was taken |
//! | `POST /refunds` | yes | `{refund, transaction, amount, currency}` -> 201 `{refund, statements: [...]}`; keyed on `refund`: the same again -> 200 and no more money |
//! | `GET /refunds/{refund}` | yes | look-up; 404 when the bank has none of this id, no statement while it is under way |
//! | `PUT /orders/{..}/script` | yes | another script for this order, as text; it begins now |
//! | `GET`, `PUT /script` | yes | the script of orders to come |
//! | `GET /orders` | yes | every order, with its truth |
//! | `GET`, `POST /pay/{order}` | no | the page: pay, be declined, leave |
//! | `GET /health` | no | 200 |
//!
//! A statement, in messages and look-ups: `{status, order, our_reference, transaction, amount,
//! currency, exponent, refunded, reversal, payee, mode, occurred_at}`; amounts are minor units as text. A message that is
//! not answered with 2xx is sent again after 1 s, 5 s, 30 s, 2 min and 10 min, with the same id and
//! body and a new time.
//!
//! # Scripts
//!
//! A script is steps, separated by `;` and done one after the other. Words are plain and in lower
//! case. Lengths are `500ms`, `2s`, `5m`, `1h`. The empty script is an honest bank whose payer uses
//! the page.
//!
//! What the payer does (without such a step: whatever is chosen on the page):
//!
//! | step | meaning |
//! |---|---|
//! | `pay` | money is taken, without the page; a second `pay` takes it twice |
//! | `pay after 5s` | later |
//! | `pay late` | a second after the session has ended, by time or because it was cancelled |
//! | `pay amount=100.00` | other money is really taken; also `currency=`, `account=`, `transaction=` |
//! | `decline` | the payer's bank says no; `decline; pay after 2s` tries again |
//! | `leave` | nothing |
//!
//! What the bank tells about it. Such steps belong to the payer's step before them, and before the
//! first one to the page. Without any, one honest message is sent at once.
//!
//! | step | meaning |
//! |---|---|
//! | `notify` | an honest message |
//! | `notify after 2s`, `notify late` | later; a second after the session has ended |
//! | `notify again`, `notify again x3` | the message before, byte for byte, with its id |
//! | `notify amount=100.00` | a lie; also `currency=USD`, `account=other`, `status=declined`, `reference=`, `order=`, `transaction=`, `mode=live` |
//! | `notify forged`, `notify old` | signed wrongly; signed ten minutes ago. Sent once |
//! | `lose` | no message |
//!
//! How the bank is, wherever it stands in the script:
//!
//! | step | meaning |
//! |---|---|
//! | `reorder` | *processing* is told as well, and messages are sent last first |
//! | `late` (`late after expiry`) | messages are held back until the session has ended |
//! | `slow 5s` | every answer of the API takes so long |
//! | `register down`, `register lost`, `register slow 3s` | 503 and nothing made; made, and 504; made, and a slow answer |
//! | `lookup down`, `lookup lost`, `lookup slow 10s` | the same for look-ups |
//! | `refund down`, `refund lost`, `refund slow 3s` | the same for the call of a refund |
//! | `refund declined` | the bank gives nothing back |
//! | `refund after 5s`, `refund fails after 5s` | a refund is accepted, and done or failed later |
//! | `lookup account=other` | look-ups lie as well |
//!
//! `pay; notify again x3` is a duplicate, `pay; reorder` is out of order, `pay; lose` leaves the
//! ledger to its look-ups, `pay late` pays after expiry, `leave; notify status=captured` claims money
//! that never was. A wrong word is named, with the nearest right one.

mod bank;
mod happening;
mod mail;
mod message;
mod page;
mod parse;
mod refunds;
mod routes;
mod script;
mod teller;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use domain::payment::evidence::Mode;
use tokio::sync::broadcast;

pub use bank::{BankRefusal, Capture, Order, Standing};
pub use happening::{Happening, What};
pub use message::{Identity, Statement};
pub use parse::ScriptError;
pub use refunds::{Fate, Refund, RefundStanding};
pub use script::{Act, Answering, Changes, Choice, Message, Plan, Script, When};
pub use teller::{Hands, Signer};

use routes::State;
use teller::Teller;

/// The head of a request must be there by then.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// How a simulated provider is set up. `Debug` hides the key.
#[derive(Clone)]
pub struct SimOptions {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where payers reach it, without a slash at the end. `None`: `http://<address>`.
    pub public_url: Option<String>,
    /// Where messages go: the ledger's callback of the account.
    pub notify_url: String,
    /// How it names the merchant account.
    pub payee: String,
    /// Live or test money; test, unless a mix-up is to be shown.
    pub mode: Mode,
    /// The key that merchants call it with. Not empty.
    pub api_key: String,
    /// The script of orders that bring none.
    pub script: Script,
}

impl std::fmt::Debug for SimOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimOptions")
            .field("listen", &self.listen)
            .field("notify_url", &self.notify_url)
            .field("payee", &self.payee)
            .field("script", &self.script.to_string())
            .finish_non_exhaustive()
    }
}

/// It cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// An empty key would let everybody in.
    #[error("the simulated provider needs an API key")]
    NoKey,
    /// The address cannot be listened on.
    #[error("the simulated provider cannot listen on {address}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
}

/// A running simulated provider. Dropping it stops nothing; call [`Handle::stop`].
pub struct Handle {
    address: SocketAddr,
    teller: Arc<Teller>,
    server: ServerHandle,
    running: tokio::task::JoinHandle<std::io::Result<()>>,
}

/// Starts a simulated provider and gives its handle once it listens. Must be called inside of a
/// tokio runtime, which then runs its scripts.
///
/// # Errors
/// [`SimError`].
pub fn run(options: SimOptions, hands: Hands) -> Result<Handle, SimError> {
    if options.api_key.is_empty() {
        return Err(SimError::NoKey);
    }
    let cannot = |cause| SimError::Listen {
        address: options.listen,
        cause,
    };
    let listener = TcpListener::bind(options.listen).map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    let identity = Identity {
        payee: options.payee,
        mode: options.mode,
    };
    let runtime = tokio::runtime::Handle::current();
    let teller = Arc::new(Teller::new(
        identity,
        options.notify_url,
        options.script,
        hands,
        runtime,
    ));
    let state = Data::new(State {
        teller: Arc::clone(&teller),
        api_key: options.api_key,
        public_url: options
            .public_url
            .unwrap_or_else(|| format!("http://{address}")),
    });
    let server = HttpServer::new(move || {
        App::new()
            .app_data(state.clone())
            .configure(routes::configure)
    })
    .workers(1)
    .client_request_timeout(HEAD_TIMEOUT)
    .shutdown_timeout(1)
    .disable_signals()
    .listen(listener)
    .map_err(cannot)?
    .run();
    let handle = server.handle();
    Ok(Handle {
        address,
        teller,
        server: handle,
        running: tokio::spawn(server),
    })
}

impl Handle {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its API is, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What happens from now on. A watcher that falls behind by 1024 misses the oldest.
    pub fn watch(&self) -> broadcast::Receiver<Happening> {
        self.teller.watch()
    }

    /// The truth about an order, by the bank's id or the merchant's reference.
    pub fn order(&self, name: &str) -> Option<Order> {
        self.teller.order(name)
    }

    /// The truth about every order.
    pub fn orders(&self) -> Vec<Order> {
        self.teller.orders()
    }

    /// The script of orders to come.
    pub fn set_script(&self, script: Script) {
        self.teller.set_default_script(script);
    }

    /// Another script for one order; it begins now.
    ///
    /// # Errors
    /// [`BankRefusal::Unknown`].
    pub fn set_order_script(&self, name: &str, script: Script) -> Result<Order, BankRefusal> {
        self.teller.set_script(name, script)
    }

    /// Does what a payer does on the page.
    ///
    /// # Errors
    /// [`BankRefusal`].
    pub fn choose(&self, name: &str, choice: Choice) -> Result<Order, BankRefusal> {
        self.teller.choose(name, choice)
    }

    /// Returns when the server has ended by itself.
    ///
    /// # Errors
    /// When it broke.
    pub async fn ended(&mut self) -> std::io::Result<()> {
        (&mut self.running)
            .await
            .unwrap_or_else(|panicked| Err(std::io::Error::other(panicked)))
    }

    /// Ends every script and retry, then the server.
    pub async fn stop(self) {
        self.teller.stop();
        self.server.stop(false).await;
        // What it ended with is of no interest to one who stops it.
        let _ = self.running.await;
    }
}

#[cfg(test)]
#[path = "sim_provider_tests.rs"]
mod tests;
