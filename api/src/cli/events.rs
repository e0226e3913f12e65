//! `events replay`: the exact records, one per line, in the order of the log. Reads only; a server
//! may run meanwhile.

use domain::ports::{EventStore, Filter, Position};
use domain::record::Recorded;
use domain::stream::{StreamId, Version};
use domain::time::Timestamp;

use super::args::{Events, Global};
use super::out::{Failure, Out};
use super::serve::{of_start, settings};
use crate::compose;

const PAGE: usize = 1000;

struct Wanted {
    until: Option<Timestamp>,
    until_version: Option<Version>,
    event_type: Option<String>,
}

pub(super) async fn run(global: &Global, out: &Out, command: Events) -> Result<(), Failure> {
    let Events::Replay {
        stream,
        until_version,
        until,
        after,
        event_type,
    } = command;
    let settings = settings(global, out)?.settings;
    let bad = |what: &str| Failure::usage(what.to_owned());
    let stream = stream
        .map(StreamId::parse)
        .transpose()
        .map_err(|e| bad(&e.to_string()))?;
    let until = until
        .map(|text| Timestamp::parse(&text))
        .transpose()
        .map_err(|_| bad("--until is an RFC 3339 time"))?;
    let after = after
        .map(|text| {
            Position::parse(&text).ok_or_else(|| {
                bad("--after is a position, as answers carry it in their header Position")
            })
        })
        .transpose()?;
    let wanted = Wanted {
        until,
        until_version: until_version.map(Version),
        event_type,
    };
    let store = compose::open_log(&settings).map_err(|error| of_start(&error))?;
    let printed = match stream {
        Some(stream) => of_stream(&*store, out, &stream, &wanted).await?,
        None => of_log(&*store, out, after, &wanted).await?,
    };
    if printed == 0 {
        out.talk("there is no such event");
    }
    Ok(())
}

async fn of_stream(
    store: &dyn EventStore,
    out: &Out,
    stream: &StreamId,
    wanted: &Wanted,
) -> Result<u64, Failure> {
    let (mut from, mut printed) = (Version::FIRST, 0);
    loop {
        let page = store
            .read_stream(stream, from, PAGE)
            .await
            .map_err(|e| Failure::unavailable(e.to_string()))?;
        let full = page.len() == PAGE;
        for recorded in &page {
            from = recorded.record.version.next();
            if wanted
                .until_version
                .is_some_and(|until| recorded.record.version > until)
            {
                return Ok(printed);
            }
            printed += print(out, recorded, wanted)?;
        }
        if !full {
            return Ok(printed);
        }
    }
}

async fn of_log(
    store: &dyn EventStore,
    out: &Out,
    mut after: Option<Position>,
    wanted: &Wanted,
) -> Result<u64, Failure> {
    let mut printed = 0;
    loop {
        let page = store.read_all(after, &Filter::all(), PAGE).await;
        let page = page.map_err(|error| Failure::unavailable(error.to_string()))?;
        for recorded in &page.events {
            printed += print(out, recorded, wanted)?;
        }
        if page.next == page.head || page.next == after {
            return Ok(printed);
        }
        after = page.next;
    }
}

/// Prints what is wanted; gives how many events that were.
fn print(out: &Out, recorded: &Recorded, wanted: &Wanted) -> Result<u64, Failure> {
    let other = |wanted: &String| **wanted != *recorded.record.event_type;
    if wanted.event_type.as_ref().is_some_and(other) {
        return Ok(0);
    }
    if let Some(until) = wanted.until {
        let envelope = recorded
            .envelope()
            .map_err(|error| Failure::failed(error.to_string()))?;
        if envelope.recorded_at > until {
            return Ok(0);
        }
    }
    out.line(&String::from_utf8_lossy(&recorded.record.bytes));
    Ok(1)
}
