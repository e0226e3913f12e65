//! The one thread that writes: it takes what waits, commits it together, tells everybody, and
//! keeps the write-ahead log short.
//!
//! No delay is added to make batches: they form while the commit before them is being synced. The
//! thread ends when its queue is closed, or at the first error after which the disk cannot be
//! trusted; the process then has to end as well, and a restart reads what is really there.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use domain::ports::{AppendError, AppendRequest, Appended, Clock, Outcome};

use super::batch::{self, Answer, Verdict};
use super::rows::Places;

/// Most requests of one commit.
const BATCH_REQUESTS_MAX: usize = 256;
/// A batch takes no further request once it holds this many bytes of records.
const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// Without a request for this long the write-ahead log is copied into the file.
const IDLE: Duration = Duration::from_millis(100);
/// How often a full disk is asked whether it has space by now.
const PROBE_EVERY: Duration = Duration::from_secs(5);
/// How long one look at the queue lasts while the disk is full.
const PROBE_TICK: Duration = Duration::from_millis(100);
/// How long a checkpoint waits for readers of the log that it wants to cut.
const CHECKPOINT_PATIENCE: Duration = Duration::from_millis(250);
/// How long anything else waits for a lock of another process.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// Whether the store takes writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It does.
    Writing,
    /// The disk is full: appends are refused with [`AppendError::Full`], reads go on, and the
    /// writer looks every 5 seconds whether there is space again.
    Full,
    /// The disk or the file cannot be trusted any more. Nothing is acknowledged again; the process
    /// must end.
    Failed(Arc<str>),
}

/// What the thread needs.
pub(super) struct Setup {
    pub connection: Connection,
    pub places: Places,
    /// The number of the last committed event.
    pub head: u64,
    pub clock: Arc<dyn Clock>,
    /// Requests that may wait.
    pub queue: usize,
    /// The file of the write-ahead log, and how long it may grow before it is cut.
    pub wal: PathBuf,
    pub wal_bytes_max: u64,
    pub heads: watch::Sender<u64>,
    pub health: watch::Sender<Health>,
}

/// The handle of the thread. Dropping it lets the thread finish what waits, and waits for it.
pub(super) struct Writer {
    queue: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

struct Job {
    request: AppendRequest,
    reply: Waiting,
}

/// The reply of a request that waits. Dropped while it waits, it says that nothing was applied, so
/// that this also holds for a request that slips into the queue while the thread is ending.
struct Waiting(Option<oneshot::Sender<Answer>>);

impl Waiting {
    /// The request is started: from here on only its answer tells what became of it.
    fn started(mut self) -> Option<oneshot::Sender<Answer>> {
        self.0.take()
    }

    /// Answers without starting. A caller that is gone needs no answer.
    fn refuse(mut self, error: AppendError) {
        if let Some(reply) = self.0.take() {
            let _ = reply.send(Err(error));
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(reply) = self.0.take() {
            let _ = reply.send(Err(not_applied(NotTaken::Stopped)));
        }
    }
}

/// Why the writer did not take a request.
#[derive(Debug, thiserror::Error)]
enum NotTaken {
    #[error("too many appends are waiting")]
    QueueFull,
    #[error("the writer has stopped")]
    Stopped,
}

fn not_applied(why: NotTaken) -> AppendError {
    AppendError::Unavailable {
        outcome: Outcome::NotApplied,
        cause: Box::new(why),
    }
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(setup: Setup) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel(setup.queue);
        let thread = std::thread::Builder::new()
            .name("event-writer".to_owned())
            .spawn(move || {
                let cut_wal_at = setup.wal_bytes_max;
                Thread {
                    setup,
                    jobs,
                    since_probe: Duration::ZERO,
                    cut_wal_at,
                }
                .run();
            })?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    /// Queues a request and waits for its answer. A caller that stops waiting leaves the request in
    /// the queue: it may still be applied.
    pub(super) async fn append(&self, request: AppendRequest) -> Result<Appended, AppendError> {
        let (reply, answer) = oneshot::channel();
        let Some(queue) = &self.queue else {
            return Err(not_applied(NotTaken::Stopped));
        };
        queue
            .try_send(Job {
                request,
                reply: Waiting(Some(reply)),
            })
            .map_err(|refused| match refused {
                TrySendError::Full(_) => not_applied(NotTaken::QueueFull),
                TrySendError::Disconnected(_) => not_applied(NotTaken::Stopped),
            })?;
        // The thread answers every job that it started. If it panicked instead, nobody knows.
        answer.await.unwrap_or_else(|_| {
            let cause = Box::new(NotTaken::Stopped);
            Err(AppendError::Unavailable {
                outcome: Outcome::Unknown,
                cause,
            })
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread is told by `health` already.
            let _ = thread.join();
        }
    }
}

struct Thread {
    setup: Setup,
    jobs: Receiver<Job>,
    /// Monotonic time of the last look for space.
    since_probe: Duration,
    /// Length of the write-ahead log at which it is cut next.
    cut_wal_at: u64,
}

impl Thread {
    fn run(mut self) {
        let _told = TellOfPanic(self.setup.health.clone());
        let mut unsaved = false;
        while !self.failed() {
            match self.jobs.recv_timeout(self.patience(unsaved)) {
                Ok(job) if self.full() => job.reply.refuse(AppendError::Full),
                Ok(job) => {
                    self.commit(job);
                    unsaved = true;
                    self.cut_long_wal();
                }
                Err(RecvTimeoutError::Timeout) if unsaved && !self.full() => {
                    self.checkpoint("passive");
                    unsaved = false;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.probe_when_due();
        }
        // What waits in the queue of a failed store goes with the queue and was never started.
    }

    /// How long the thread may sleep when no request comes.
    fn patience(&self, unsaved: bool) -> Duration {
        match (self.full(), unsaved) {
            (true, _) => PROBE_TICK,
            (false, true) => IDLE,
            (false, false) => Duration::MAX,
        }
    }

    fn full(&self) -> bool {
        *self.setup.health.borrow() == Health::Full
    }

    fn failed(&self) -> bool {
        matches!(*self.setup.health.borrow(), Health::Failed(_))
    }

    /// Commits `first` and what waits behind it, then publishes, then answers: whoever has an
    /// answer can read what it tells.
    fn commit(&mut self, first: Job) {
        let size = |job: &Job| {
            job.request
                .events
                .iter()
                .map(|record| record.bytes.len())
                .sum::<usize>()
        };
        let mut bytes = size(&first);
        let (mut requests, mut replies) = (vec![first.request], vec![first.reply.started()]);
        while requests.len() < BATCH_REQUESTS_MAX && bytes < BATCH_BYTES_MAX {
            let Ok(job) = self.jobs.try_recv() else { break };
            bytes += size(&job);
            requests.push(job.request);
            replies.push(job.reply.started());
        }
        let Setup {
            connection,
            places,
            head,
            ..
        } = &mut self.setup;
        let done = batch::apply(connection, *places, *head, &requests);
        *head = done.head;
        self.obey(done.verdict, "append");
        self.setup
            .heads
            .send_if_modified(|head| std::mem::replace(head, done.head) != done.head);
        for (reply, answer) in replies.into_iter().zip(done.answers) {
            // A caller that is gone needs no answer.
            let _ = reply.map(|reply| reply.send(answer));
        }
    }

    /// Copies the write-ahead log into the file. `truncate` also cuts it, once no reader needs it.
    fn checkpoint(&mut self, mode: &str) {
        let connection = &self.setup.connection;
        let copied = connection
            .busy_timeout(CHECKPOINT_PATIENCE)
            .and_then(|()| connection.pragma(None, "wal_checkpoint", mode, |_| Ok(())))
            .and_then(|()| connection.busy_timeout(LOCK_PATIENCE));
        if let Err(error) = copied {
            self.obey(batch::verdict(&error), "checkpoint");
        }
    }

    /// Under load nothing is ever idle, so the length of the write-ahead log decides. When readers
    /// stand in the way of the cut, the next try comes after as much growth again.
    fn cut_long_wal(&mut self) {
        let length = |wal: &PathBuf| wal.metadata().map_or(0, |metadata| metadata.len());
        if length(&self.setup.wal) > self.cut_wal_at {
            self.checkpoint("truncate");
            self.cut_wal_at = length(&self.setup.wal).saturating_add(self.setup.wal_bytes_max);
        }
    }

    /// Writes a mebibyte and takes it back, as the next append might.
    fn probe_when_due(&mut self) {
        let now = self.setup.clock.monotonic();
        if !self.full() || now.saturating_sub(self.since_probe) < PROBE_EVERY {
            return;
        }
        self.since_probe = now;
        let connection = &self.setup.connection;
        let probed = connection
            .execute(include_str!("sql/fill_space_probe.sql"), ())
            .and_then(|_| connection.execute(include_str!("sql/empty_space_probe.sql"), ()));
        match probed {
            Ok(_) => {
                tracing::info!("the event store has space again");
                self.setup.health.send_replace(Health::Writing);
            }
            Err(error) => match batch::verdict(&error) {
                Verdict::Fine | Verdict::Full => {}
                fatal @ Verdict::Fatal(_) => self.obey(fatal, "probe"),
            },
        }
    }

    fn obey(&mut self, verdict: Verdict, step: &'static str) {
        match verdict {
            Verdict::Fine => {}
            Verdict::Full => {
                tracing::error!(
                    step,
                    "the disk of the event store is full; appends are refused"
                );
                self.since_probe = self.setup.clock.monotonic();
                self.setup.health.send_replace(Health::Full);
            }
            Verdict::Fatal(why) => {
                tracing::error!(step, %why, "the event store failed; nothing is acknowledged any more");
                self.setup
                    .health
                    .send_replace(Health::Failed(format!("{step}: {why}").into()));
            }
        }
    }
}

/// A store whose thread panicked has failed.
struct TellOfPanic(watch::Sender<Health>);

impl Drop for TellOfPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0
                .send_replace(Health::Failed("the writer's thread panicked".into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_was_never_started_hears_it_and_who_was_started_does_not_know() {
        let (reply, answer) = oneshot::channel();
        drop(Waiting(Some(reply)));
        let told = answer.await.unwrap();
        assert!(matches!(
            told,
            Err(AppendError::Unavailable {
                outcome: Outcome::NotApplied,
                ..
            })
        ));
        let (reply, answer) = oneshot::channel();
        drop(Waiting(Some(reply)).started());
        assert!(answer.await.is_err());
    }
}
