//! The whole log of a ledger, parsed, to count what really happened.

use std::collections::BTreeMap;

use domain::ports::{EventStore, Filter};
use domain::record::Envelope;
use serde_json::Value;

/// Every event, in order, each with the number of its place.
#[derive(Debug)]
pub struct WholeLog {
    /// Number of the place and envelope.
    pub events: Vec<(u64, Envelope)>,
}

impl WholeLog {
    /// Reads it from the first event to the last, and checks that every record is canonical.
    pub async fn read(store: &dyn EventStore) -> Self {
        let (mut at, mut events) = (None, vec![]);
        loop {
            let page = store.read_all(at, &Filter::all(), 5000).await.unwrap();
            for recorded in &page.events {
                events.push((
                    recorded.position.parts().0,
                    recorded.verified_envelope().unwrap(),
                ));
            }
            if page.next == at || page.next == page.head {
                return Self { events };
            }
            at = page.next;
        }
    }

    /// Events of one type.
    pub fn of_type<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Envelope> {
        self.events
            .iter()
            .map(|(_, envelope)| envelope)
            .filter(move |envelope| envelope.event_type == name)
    }

    /// How many events of one type each stream has.
    pub fn per_stream(&self, name: &str) -> BTreeMap<String, usize> {
        let mut count = BTreeMap::new();
        for envelope in self.of_type(name) {
            *count
                .entry(envelope.stream.as_str().to_owned())
                .or_default() += 1;
        }
        count
    }

    /// Received notifications about one attempt, by the status that the provider gave.
    pub fn received(&self, our_reference: &str) -> Vec<(&Envelope, String)> {
        let about = |envelope: &&Envelope| fact(envelope)["our_reference"] == our_reference;
        let word = |envelope: &Envelope| {
            fact(envelope)["provider_status"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        self.of_type("NotificationReceived")
            .filter(about)
            .map(|envelope| (envelope, word(envelope)))
            .collect()
    }
}

fn fact(envelope: &Envelope) -> &Value {
    &envelope.data["observation"]["facts"][0]
}
