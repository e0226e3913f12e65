//! How far a process that follows the log has come, kept from one run to the next. It may be behind
//! and may be lost: such a process is safe from zero.

use domain::ports::Position;

use crate::app::App;

/// The durable checkpoint of one process.
pub(super) struct Checkpoint {
    note: &'static str,
    saved: Option<Position>,
}

impl Checkpoint {
    /// That of the process with this note, and where it goes on. One of another store is worth
    /// nothing, and one that cannot be read is none.
    pub(super) async fn load(app: &App, note: &'static str) -> (Self, Option<Position>) {
        let at = Self::read(app, note).await;
        (Self { note, saved: at }, at)
    }

    async fn read(app: &App, note: &str) -> Option<Position> {
        let text = app.ops.note(note).await.ok().flatten()?;
        let position = Position::parse(std::str::from_utf8(&text).ok()?)?;
        let identity = app.recorder.store().identity();
        position
            .same_log(Position::new(identity.tag(), identity.epoch, 0, 0))
            .then_some(position)
    }

    /// Keeps `safe`, before which nothing is left to do. What cannot be kept is kept the next time.
    pub(super) async fn save(&mut self, app: &App, safe: Option<Position>) {
        let Some(position) = safe.filter(|_| safe != self.saved) else {
            return;
        };
        let text = position.to_string();
        if app.ops.put_note(self.note, text.as_bytes()).await.is_ok() {
            self.saved = safe;
        }
    }
}
