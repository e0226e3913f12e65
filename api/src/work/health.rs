//! How the loops are doing, for `/health/ready`, the command line and the metrics.

use std::collections::BTreeMap;
use std::sync::Mutex;

use domain::time::Timestamp;
use serde::Serialize;

/// One part of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// True when it works.
    pub ok: bool,
    /// True when it works and a person must look at it all the same.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub alarm: bool,
    /// When it last said something.
    pub at: Timestamp,
    /// What is wrong, or how far it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// All parts by name.
#[derive(Debug, Default)]
pub struct Health {
    parts: Mutex<BTreeMap<String, Part>>,
}

impl Health {
    /// A part works.
    pub fn works(&self, name: &str, at: Timestamp, note: Option<String>) {
        let (ok, alarm) = (true, false);
        self.set(
            name,
            Part {
                ok,
                alarm,
                at,
                note,
            },
        );
    }

    /// A part works, and something in it waits for a person. The ledger stays ready: what is wrong with
    /// one thing must not turn the others away.
    pub fn alarms(&self, name: &str, at: Timestamp, note: impl Into<String>) {
        let (ok, alarm, note) = (true, true, Some(note.into()));
        self.set(
            name,
            Part {
                ok,
                alarm,
                at,
                note,
            },
        );
    }

    /// A part is about to start: until it has worked once, the ledger is not ready.
    pub fn starts(&self, name: &str, at: Timestamp) {
        self.fails(name, at, "it starts");
    }

    /// A part does not work right now.
    pub fn fails(&self, name: &str, at: Timestamp, note: impl Into<String>) {
        self.set(
            name,
            Part {
                ok: false,
                alarm: false,
                at,
                note: Some(note.into()),
            },
        );
    }

    fn set(&self, name: &str, part: Part) {
        metrics::gauge!("counterfoil_part_ok", "part" => name.to_owned())
            .set(f64::from(u8::from(part.ok)));
        metrics::gauge!("counterfoil_part_alarm", "part" => name.to_owned())
            .set(f64::from(u8::from(part.alarm)));
        if let Ok(mut parts) = self.parts.lock() {
            parts.insert(name.to_owned(), part);
        }
    }

    /// Every part.
    pub fn parts(&self) -> BTreeMap<String, Part> {
        self.parts
            .lock()
            .map(|parts| parts.clone())
            .unwrap_or_default()
    }

    /// True when every part works.
    pub fn ready(&self) -> bool {
        let parts = self.parts();
        !parts.is_empty() && parts.values().all(|part| part.ok)
    }
}
