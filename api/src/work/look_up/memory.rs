//! What was asked when. Kept as notes, which may be lost: a lost one costs one early question.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::time::Timestamp;
use projections::ports::OpsStore;

/// So many are held in memory; then it starts over from the notes.
const HELD_MAX: usize = 100_000;

/// Times by key.
pub(super) struct Memory {
    notes: Arc<dyn OpsStore>,
    held: Mutex<HashMap<String, Option<Timestamp>>>,
}

impl Memory {
    pub(super) fn new(notes: Arc<dyn OpsStore>) -> Self {
        Self {
            notes,
            held: Mutex::default(),
        }
    }

    /// The time that stands under this key.
    pub(super) async fn of(&self, key: &str) -> Option<Timestamp> {
        let held = {
            let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            held.get(key).copied()
        };
        if let Some(known) = held {
            return known;
        }
        let noted = self.noted(key).await;
        self.hold(key, noted);
        noted
    }

    /// Writes a time down.
    pub(super) async fn put(&self, key: &str, at: Timestamp) {
        self.hold(key, Some(at));
        let text = at.millis().to_string();
        let _ = self.notes.put_note(key, text.as_bytes()).await;
    }

    /// Keeps a time in mind until the process ends.
    pub(super) fn keep_in_mind(&self, key: &str, at: Timestamp) {
        self.hold(key, Some(at));
    }

    async fn noted(&self, key: &str) -> Option<Timestamp> {
        let note = self.notes.note(key).await.ok().flatten()?;
        let millis = String::from_utf8(note).ok()?.parse().ok()?;
        Some(Timestamp::from_millis(millis))
    }

    fn hold(&self, key: &str, at: Option<Timestamp>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= HELD_MAX {
            held.clear();
        }
        held.insert(key.to_owned(), at);
    }
}
