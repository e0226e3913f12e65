//! Puts the parts together. The only file that names concrete adapters.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use adapters::keys::{Argon2Passwords, FileEvidenceStore, Kek};
pub use adapters::sqlite::events::RawBaseline;
use adapters::sqlite::events::{SqliteEventStore, SqliteOptions};
use adapters::sqlite::keyring::SqliteKeyring;
use adapters::sqlite::ops::SqliteOps;
use adapters::sqlite::views::SqliteViewStore;
use adapters::system::{OsEntropy, SystemClock};
use domain::checkout::LinkKey;
use domain::ports::{BoxError, Clock, Entropy, EventStore, HttpOut, Keyring, Secrets};
use projections::ports::{GenerationState, OpsStore, ViewStore};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::app::App;
use crate::app::configuration::{apply_configuration, claim_instance};
use crate::app::context::Context;
use crate::app::directory::CallerDirectory;
use crate::app::links::Links;
use crate::app::recorder::Recorder;
use crate::app::registry::Registry;
use crate::config::Settings;
use crate::http::server::serve;
use crate::http::state::HttpState;
use crate::telemetry::figures;
use crate::work::supervise::{Stop, Stopper, stopper, supervise};
use crate::work::{Health, alerts, apply_notifications, batches, deliver, expire, follow_clients};
use crate::work::{look_up, overrides, refund, transfers};

mod alerting;
mod loops;
mod outgoing;
mod providers;

pub use self::alerting::alerts as alerts_of;
use self::loops::Supervised;
use self::outgoing::{http_out, to_subscribers, urls};
pub use self::providers::profile_mistakes;
use self::providers::providers;

/// The ledger cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no data folder, or no key.
    #[error("{what}; run counterfoil init first")]
    NotInitialised {
        /// What is missing.
        what: String,
    },
    /// A part cannot be opened.
    #[error("{part}: {cause}")]
    Part {
        /// Which.
        part: &'static str,
        /// Why.
        #[source]
        cause: BoxError,
    },
}

fn part(part: &'static str) -> impl Fn(BoxError) -> StartError {
    move |cause| StartError::Part { part, cause }
}

/// Opened stores and the use-cases over them, without loops and without a listener.
pub struct Opened {
    /// The use-cases.
    pub app: Arc<App>,
    /// The event store, to watch its health.
    pub events: Arc<SqliteEventStore>,
}

/// Makes the data folder, the key-encryption key and the instance. What exists is kept.
///
/// # Errors
/// [`StartError`].
pub async fn init(settings: &Settings, context: &Context) -> Result<Opened, StartError> {
    adapters::sqlite::open::make_private_folder(&settings.store.data)
        .map_err(|e| part("data folder")(e.into()))?;
    let kek_file = &settings.store.kek_file;
    if !kek_file.exists() {
        Kek::create(kek_file, &OsEntropy).map_err(|e| part("key-encryption key")(e.into()))?;
    }
    open(settings, context).await
}

/// Opens everything in the data folder, for this process alone.
///
/// # Errors
/// [`StartError`].
pub async fn open(settings: &Settings, context: &Context) -> Result<Opened, StartError> {
    open_at(settings, context, Arc::new(SystemClock::new())).await
}

async fn open_at(
    settings: &Settings,
    context: &Context,
    clock: Arc<dyn Clock>,
) -> Result<Opened, StartError> {
    let data = &settings.store.data;
    if !data.is_dir() {
        return Err(StartError::NotInitialised {
            what: format!("{} does not exist", data.display()),
        });
    }
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    let kek =
        Kek::read(&settings.store.kek_file).map_err(|e| part("key-encryption key")(e.into()))?;
    let options = SqliteOptions::new(Arc::clone(&clock), Arc::clone(&entropy));
    let events = Arc::new(
        SqliteEventStore::open(&data.join("events.db"), options)
            .map_err(|e| part("event store")(e.into()))?,
    );
    let keyring = SqliteKeyring::open(&data.join("keyring.db"), kek, Arc::clone(&entropy));
    let keyring = Arc::new(keyring.map_err(|e| part("keyring")(e.into()))?);
    let views =
        SqliteViewStore::open(&data.join("views.db")).map_err(|e| part("views")(e.into()))?;
    let ops =
        SqliteOps::open(&data.join("ops.db")).map_err(|e| part("operational store")(e.into()))?;
    let evidence = FileEvidenceStore::open(
        &data.join("evidence"),
        Arc::clone(&keyring) as Arc<dyn Keyring>,
        Arc::clone(&entropy),
    )
    .map_err(|e| part("evidence store")(e.into()))?;
    let key = keyring
        .instance_key()
        .map_err(|e| part("keyring")(e.into()))?;
    let link_key = keyring.link_key().map_err(|e| part("keyring")(e.into()))?;
    let recorder = Recorder::new(
        Arc::clone(&events) as Arc<dyn EventStore>,
        Arc::clone(&keyring) as Arc<dyn Keyring>,
        Arc::clone(&clock),
        Arc::clone(&entropy),
        key,
        &settings.ledger.origin,
        &settings.server.node,
    );
    let instance = claim_instance(&recorder, context, link_key.fingerprint()).await;
    instance
        .map_err(|e| part("instance")(e.into()))?
        .map_err(|e| part("instance")(e.into()))?;
    for config in &settings.merchants {
        let applied = apply_configuration(&recorder, context, config).await;
        if applied.map_err(|e| part("configuration")(e.into()))? {
            tracing::info!(merchant = %config.merchant, "configuration.applied");
        }
    }
    let secrets = keyring as Arc<dyn Secrets>;
    let providers = providers(settings, &secrets, &clock)?;
    let delivery = &settings.delivery;
    let destinations = urls(&delivery.allow_networks, delivery.danger_allow_http)?;
    let app = Arc::new(App {
        recorder,
        evidence: Arc::new(evidence),
        secrets,
        passwords: Arc::new(Argon2Passwords::new(entropy)),
        views: Arc::new(views) as Arc<dyn ViewStore>,
        ops: Arc::new(ops) as Arc<dyn OpsStore>,
        registry: Registry::new(settings.merchants.clone(), providers),
        links: Links::new(LinkKey::new(link_key), &settings.server.public_url),
        destinations: Arc::new(destinations),
    });
    Ok(Opened { app, events })
}

/// Opens the log for reading, beside a running server.
///
/// # Errors
/// [`StartError`].
pub fn open_log(settings: &Settings) -> Result<Arc<dyn EventStore>, StartError> {
    let path = settings.store.data.join("events.db");
    if !path.exists() {
        return Err(StartError::NotInitialised {
            what: format!("{} does not exist", path.display()),
        });
    }
    let store =
        SqliteEventStore::open_read_only(&path).map_err(|e| part("event store")(e.into()))?;
    Ok(Arc::new(store))
}

/// Outgoing HTTP to this machine only, for the demo and the simulated provider.
///
/// # Errors
/// [`StartError`].
pub fn loopback_http() -> Result<Arc<dyn HttpOut>, StartError> {
    http_out(&["127.0.0.0/8".to_owned(), "::1/128".to_owned()], true)
}

/// What a simulated provider needs of the outside. `None` when the secret is no `whsec_` of 24 to
/// 64 bytes.
///
/// # Errors
/// [`StartError`].
pub fn sim_hands(secret: &str) -> Result<Option<crate::sim_provider::Hands>, StartError> {
    use adapters::providers::signature::standard_webhooks;
    let Some(key) = standard_webhooks::key(secret.as_bytes()) else {
        return Ok(None);
    };
    Ok(Some(crate::sim_provider::Hands {
        http: loopback_http()?,
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(OsEntropy),
        sign: Arc::new(move |id, seconds, body| standard_webhooks::sign(&key, id, seconds, body)),
    }))
}

/// The clock of this machine, for commands that start no ledger.
pub fn clock() -> impl Clock {
    SystemClock::new()
}

/// 32 random bytes.
pub fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    OsEntropy.fill(&mut bytes);
    bytes
}

/// How long each part may take to end.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked whether the stores are still in use.
const STOP_STEP: Duration = Duration::from_millis(2);

/// A running ledger.
pub struct Node {
    /// The use-cases.
    pub app: Arc<App>,
    /// Where it listens.
    pub address: SocketAddr,
    /// How its parts do.
    pub health: Arc<Health>,
    events: Arc<SqliteEventStore>,
    stopper: Stopper,
    views_stop: watch::Sender<bool>,
    server: actix_web::dev::ServerHandle,
    serving: JoinHandle<std::io::Result<()>>,
    loops: Vec<JoinHandle<()>>,
}

/// Starts loops and listener.
///
/// # Errors
/// [`StartError`].
pub async fn start(settings: &Settings, listener: TcpListener) -> Result<Node, StartError> {
    start_at(settings, listener, Arc::new(SystemClock::new())).await
}

/// As [`start`], by another clock: for whoever cannot wait until a payment request expires.
///
/// # Errors
/// [`StartError`].
pub async fn start_at(
    settings: &Settings,
    listener: TcpListener,
    clock: Arc<dyn Clock>,
) -> Result<Node, StartError> {
    let context = Context::job("start");
    let Opened { app, events } = open_at(settings, &context, clock).await?;
    // The data folder is this process's alone, so whoever held leases under its name is dead.
    let dead = app.ops.release_all(app.recorder.node(), app.recorder.now());
    let dead = dead
        .await
        .map_err(|e| part("operational store")(e.into()))?;
    if dead > 0 {
        tracing::info!(leases = dead, "leases.of_a_dead_process");
    }
    let address = listener
        .local_addr()
        .map_err(|e| part("listener")(e.into()))?;
    let clock = Arc::clone(app.recorder.clock());
    let store = Arc::clone(app.recorder.store());
    let health = Arc::new(Health::default());
    let directory = Arc::new(CallerDirectory::new(Arc::clone(&store), Arc::clone(&clock)));
    directory
        .catch_up()
        .await
        .map_err(|e| part("clients")(e.into()))?;
    let (stopper, stop) = stopper();
    let (views_stop, views_stopped) = watch::channel(false);
    let mut loops = vec![];
    make_first_generations(&app).await?;
    for view in projections::views::all() {
        let (store, views) = (Arc::clone(&store), Arc::clone(&app.views));
        let (clock, health, stop) = (
            Arc::clone(&clock),
            Arc::clone(&health),
            views_stopped.clone(),
        );
        loops.push(tokio::spawn(crate::work::views::run(
            view, store, views, clock, health, stop,
        )));
    }
    let supervised = Supervised {
        app: &app,
        health: &health,
        clock: &clock,
        stop: &stop,
    };
    loops.push(supervised.run(apply_notifications::NAME, apply_notifications::run));
    loops.push(supervised.run(transfers::NAME, transfers::run));
    loops.push(supervised.run(look_up::NAME, look_up::run));
    loops.push(supervised.run(refund::NAME, refund::run));
    loops.push(supervised.run(expire::NAME, expire::run));
    loops.push(supervised.run(overrides::NAME, overrides::run));
    loops.push(supervised.run(batches::NAME, batches::run));
    let heard = Arc::new(alerts_of(settings)?);
    if !heard.channels.is_empty() {
        loops.push(supervised.run(alerts::NAME, move |app, health, stop| {
            alerts::run(app, Arc::clone(&heard), health, stop)
        }));
    }
    if settings.delivery.enabled {
        let http = to_subscribers(&settings.delivery)?;
        loops.push(supervised.run(deliver::NAME, move |app, health, stop| {
            deliver::run(app, Arc::clone(&http), health, stop)
        }));
    } else {
        health.works(deliver::NAME, clock.now(), Some("switched off".to_owned()));
    }
    loops.push({
        let (directory, store, clock) = (
            Arc::clone(&directory),
            Arc::clone(&store),
            Arc::clone(&clock),
        );
        let (health, stop) = (Arc::clone(&health), stop.clone());
        let (outer_clock, outer_health, outer_stop) =
            (Arc::clone(&clock), Arc::clone(&health), stop.clone());
        supervise(
            follow_clients::NAME,
            outer_clock,
            outer_health,
            outer_stop,
            move || {
                let (directory, store) = (Arc::clone(&directory), Arc::clone(&store));
                let (clock, health) = (Arc::clone(&clock), Arc::clone(&health));
                follow_clients::run(directory, store, clock, health, stop.clone())
            },
        )
    });
    let state = Arc::new(HttpState::new(
        Arc::clone(&app),
        directory,
        Arc::clone(&health),
        figures(),
        settings,
    ));
    let (admin_app, admin_data, admin_stop) =
        (Arc::clone(&app), settings.store.data.clone(), stop.clone());
    loops.push(tokio::spawn(async move {
        if let Err(error) = crate::admin::socket::serve(admin_app, admin_data, admin_stop).await {
            tracing::error!(error = %error, "admin.socket");
        }
    }));
    loops.push(tokio::spawn(tidy(
        Arc::clone(&state),
        Arc::clone(&clock),
        stop.clone(),
    )));
    let server = serve(listener, state, settings).map_err(|e| part("listener")(e.into()))?;
    let handle = server.handle();
    let serving = tokio::spawn(server);
    Ok(Node {
        app,
        address,
        health,
        events,
        stopper,
        views_stop,
        server: handle,
        serving,
        loops,
    })
}

/// Views of a new ledger are made before anybody reads them. Those of another version are rebuilt by
/// their own loop, which may take a while.
async fn make_first_generations(app: &App) -> Result<(), StartError> {
    let known = app
        .views
        .generations()
        .await
        .map_err(|e| part("views")(e.into()))?;
    for view in projections::views::all() {
        let spec = view.spec();
        if !known.iter().any(|generation| generation.view == spec.name) {
            let made = app.views.create(&spec, GenerationState::Live).await;
            made.map_err(|e| part("views")(e.into()))?;
        }
    }
    Ok(())
}

async fn tidy(state: Arc<HttpState>, clock: Arc<dyn Clock>, mut stop: Stop) {
    while !stop.sleeps(&*clock, Duration::from_secs(60)).await {
        state.tidy();
    }
}

impl Node {
    /// Returns when the event store has failed for good: nothing may be acknowledged any more, and
    /// the process ends so that a restart reads the disk again.
    pub async fn store_failed(&self) -> Arc<str> {
        self.events.failed().await
    }

    /// Stops: no new requests, what is under way ends, loops end after what they are doing, and every
    /// file is closed, so that another process may open them.
    pub async fn stop(self) {
        self.stopper.stop();
        self.server.stop(true).await;
        let _ = self.serving.await;
        self.views_stop.send_replace(true);
        for mut work in self.loops {
            if tokio::time::timeout(STOP_PATIENCE, &mut work)
                .await
                .is_err()
            {
                work.abort();
            }
        }
        let (app, events) = (self.app, self.events);
        // Threads of the server end a moment later than the server. Whoever is last closes the files,
        // so that has to be this one; the log is held here and by the recorder.
        let held = || {
            let counts = (Arc::strong_count(&app), Arc::strong_count(&app.views));
            counts != (1, 1) || Arc::strong_count(&events) != 2
        };
        let alone = async {
            while held() {
                tokio::time::sleep(STOP_STEP).await;
            }
        };
        if tokio::time::timeout(STOP_PATIENCE, alone).await.is_err() {
            tracing::warn!("the stores are still in use");
        }
        // Closing waits for the writer and for the disk.
        let _ = tokio::task::spawn_blocking(move || drop((app, events))).await;
    }
}
