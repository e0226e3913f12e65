//! What everybody is shown of a request, and the first difference to what a world says.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::test::TestRequest;
use domain::ids::PaymentRequestId;
use domain::payment::{Event, evolve};
use domain::ports::EventStore;
use domain::stream::{StreamId, Version};
use serde_json::Value;

use super::books::World;
use super::ledger::Ledger;
use super::run::Failure;

/// The only members of a request that a bot is shown.
const FOR_BOTS: [&str; 8] = [
    "checkout_url",
    "id",
    "order_id",
    "status",
    "amount",
    "expires_at",
    "pay_url",
    "version",
];
/// The only words that a bot is shown.
const BOT_WORDS: [&str; 6] = [
    "pending",
    "in_review",
    "paid",
    "expired",
    "cancelled",
    "refunded",
];

/// A request as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    pub(super) label: String,
    bot_label: String,
    in_review: bool,
    cancel_pending: bool,
    refund_pending: bool,
    /// How far each attempt is.
    attempts: Vec<String>,
    /// Applied, unapplied, gone back and moved, by the name of the money.
    captures: BTreeMap<String, Parts>,
    /// Open cases by kind, and what they are about.
    pub(super) cases: BTreeSet<(String, String)>,
}

/// Applied, unapplied, gone back and moved.
type Parts = (i64, i64, i64, i64);

/// Open cases of money of no request: kind, which money, and how much.
pub type InSuspense = BTreeSet<(String, String, String)>;

/// What was heard about a request: the message, with the amount of a reversal, and how often.
pub type Heard = BTreeMap<(String, i64), u32>;

/// Ids that are drawn anew in each ledger, and the plan's names for them.
pub type Names = BTreeMap<String, String>;

fn fails<T>(promise: &'static str, detail: String) -> Result<T, Failure> {
    Err(Failure {
        promise,
        step: 0,
        detail,
    })
}

async fn get(ledger: &Ledger, who: &str, path: &str) -> (u16, Value) {
    let request = TestRequest::get().uri(path);
    ledger
        .call(Some(who), request)
        .await
        .expect("nobody crashes while it is looked at")
}

/// Looks at a request with everybody's eyes.
pub async fn show(
    ledger: &Ledger,
    names: &Names,
    id: &str,
    creator: &str,
) -> Result<Shown, Failure> {
    let path = format!("/v1/payment-requests/{id}");
    let (_, full) = get(ledger, "backend", &path).await;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (label, bot_label) = (text(&full["status"]), text(&full["bot_status"]));
    let in_review = full["in_review"] == true;

    for bot in ["bot", "bot-2"] {
        let (status, seen) = get(ledger, bot, &path).await;
        let (_, list) = get(ledger, bot, "/v1/payment-requests?limit=100").await;
        let mut listed = list["payment_requests"].as_array().into_iter().flatten();
        let row = listed.find(|row| row["id"] == id);
        if bot != creator {
            if status != 404 || row.is_some() {
                return fails(
                    "a bot sees its own requests only",
                    format!("{bot}: {seen} {row:?}"),
                );
            }
            continue;
        }
        for seen in [Some(&seen), row].into_iter().flatten() {
            let members = seen.as_object().into_iter().flatten();
            let mut more = members.filter(|(name, _)| !FOR_BOTS.contains(&name.as_str()));
            if let Some(more) = more.next() {
                return fails("a bot sees no more than bots may", format!("{more:?}"));
            }
            if !BOT_WORDS.contains(&text(&seen["status"]).as_str()) || seen["status"] != *bot_label
            {
                return fails("a bot sees the bot's word", format!("{seen} for {full}"));
            }
        }
    }

    let (_, list) = get(ledger, "backend", "/v1/payment-requests?limit=100").await;
    let mut rows = list["payment_requests"].as_array().into_iter().flatten();
    let row = rows
        .find(|row| row["id"] == id)
        .cloned()
        .unwrap_or_default();
    for member in [
        "status",
        "bot_status",
        "in_review",
        "applied",
        "unapplied",
        "returned",
        "cancel_pending",
        "refund_pending",
    ] {
        if row[member] != full[member] {
            return fails(
                "the view shows what the log says",
                format!("{member}: {row} for {full}"),
            );
        }
    }

    // That a registration is in doubt is written down sooner or later.
    let state = |state: &Value| text(state).replace("uncertain", "started");
    let attempts = full["attempts"].as_array().into_iter().flatten();
    let (_, cases) = get(ledger, "operator", "/v1/exceptions?state=open&limit=100").await;
    let of_request = cases["exceptions"].as_array().into_iter().flatten();
    let of_request = of_request.filter(|case| case["payment_request_id"] == id);
    let about = |case: &Value| plain(names, id, &text(&case["about"]));
    let cases = of_request.map(|case| (text(&case["kind"]), about(case)));
    Ok(Shown {
        label,
        bot_label,
        in_review,
        cancel_pending: full["cancel_pending"] == true,
        refund_pending: full["refund_pending"] == true,
        attempts: attempts.map(|attempt| state(&attempt["state"])).collect(),
        captures: captures(ledger, id).await?,
        cases: cases.collect(),
    })
}

/// The plan's words for what a case is about.
pub fn plain(names: &Names, id: &str, about: &str) -> String {
    let bare = about.replace("sim/", "").replace(id, "");
    names
        .iter()
        .fold(bare, |text, (theirs, ours)| text.replace(theirs, ours))
}

/// What the subscriber heard about a request.
pub fn heard(ledger: &Ledger, id: &str) -> Heard {
    let mut heard = Heard::new();
    let received = ledger.outside.received.lock().unwrap();
    for (_, _, what, minor) in received.iter().filter(|message| message.1 == id) {
        let what = what
            .rsplit_once("counterfoil.")
            .map_or(&**what, |(_, name)| name);
        let what = what.trim_end_matches(".v1").to_owned();
        *heard.entry((what, *minor)).or_default() += 1;
    }
    heard
}

/// What each merchant is shown of money of no request.
pub async fn suspense(ledger: &Ledger, names: &Names) -> Result<InSuspense, Failure> {
    let mut found = InSuspense::new();
    for who in ["operator", "stall"] {
        let (_, cases) = get(ledger, who, "/v1/exceptions?state=open&limit=200").await;
        for row in cases["exceptions"].as_array().into_iter().flatten() {
            if !row["payment_request_id"].is_null() {
                if who == "stall" {
                    let promise = "a merchant is told nothing of another's (row G6)";
                    return fails(promise, row.to_string());
                }
                continue;
            }
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let about = plain(names, "", &text(&row["about"]));
            found.insert((text(&row["kind"]), about, text(&row["money"]["minor"])));
        }
    }
    Ok(found)
}

/// What a world says otherwise of money of no request.
pub fn suspense_differs(world: &World, shown: &InSuspense) -> Option<String> {
    let open = world.suspense.iter().filter(|(_, it)| it.found.is_none());
    let open =
        open.map(|(money, it)| (it.kind.to_owned(), money.to_string(), it.minor.to_string()));
    let expected: InSuspense = open.collect();
    (expected != *shown).then(|| format!("of no request: expected {expected:?}, shown {shown:?}"))
}

/// Version of the last event of a request.
pub async fn version(ledger: &Ledger, id: &str) -> Option<Version> {
    let stream = StreamId::payment_request(&PaymentRequestId::parse(id).unwrap());
    let last = ledger.outside.store.read_last(&stream).await.unwrap();
    last.map(|recorded| recorded.record.version)
}

/// Every unit of captured money is in one place, and nothing else is.
async fn captures(ledger: &Ledger, id: &str) -> Result<BTreeMap<String, Parts>, Failure> {
    let stream = StreamId::payment_request(&PaymentRequestId::parse(id).unwrap());
    let log = &ledger.outside.store;
    let read = log.read_stream(&stream, Version::FIRST, 1_000).await;
    let mut request = None;
    for recorded in read.unwrap() {
        let envelope = recorded.envelope().unwrap();
        let event: Event = domain::codec::decode(&envelope).unwrap();
        request = evolve(request, &event);
    }
    let mut found = BTreeMap::new();
    for (key, capture) in request.iter().flat_map(|request| request.captures()) {
        let parts = (capture.applied, capture.unapplied, capture.returned());
        let left = (capture.moved, capture.kept);
        let places = [parts.0, parts.1, parts.2, left.0, left.1];
        if places.iter().any(|part| *part < 0)
            || capture.amount.minor() != places.iter().sum::<i64>()
        {
            return fails("money is in one place", format!("{key}: {capture:?}"));
        }
        let name = format!("{}/{}", key.account, key.transaction);
        found.insert(name, (parts.0, parts.1, parts.2, capture.moved));
    }
    Ok(found)
}

/// What a world says otherwise.
///
/// After a crash a message to a subscriber may take its time; it never comes twice.
pub fn first_difference(
    world: &World,
    shown: &[Shown],
    heard: &[Heard],
    (late, troubled): (bool, bool),
) -> Option<String> {
    for (r, request) in world.requests.iter().enumerate() {
        let captures = request.captures.iter().map(|(money, capture)| {
            let back = capture.back.0 + capture.back.1;
            let parts = (capture.applied, capture.unapplied, back, capture.moved);
            (money.to_string(), parts)
        });
        let open = request.cases.iter().filter(|(_, open)| **open);
        let expected = Shown {
            label: request.label().to_owned(),
            bot_label: request.bot_label().to_owned(),
            in_review: request.in_review(),
            // After a crash it may have been written down, and never asked for.
            cancel_pending: request.cancel_pending() || (troubled && shown[r].cancel_pending),
            refund_pending: request.refund_pending(),
            attempts: request
                .attempts
                .iter()
                .map(|a| a.stage.shown().to_owned())
                .collect(),
            captures: captures.collect(),
            cases: open
                .map(|((kind, about, _), _)| ((*kind).to_owned(), about.clone()))
                .collect(),
        };
        if expected != shown[r] {
            let shown = &shown[r];
            return Some(format!(
                "request {r}: expected {expected:?}, shown {shown:?}"
            ));
        }
        let told = request.told.iter();
        let told: Heard = told
            .map(|((what, minor), times)| (((*what).to_owned(), *minor), *times))
            .collect();
        let some = |(what, times): (&(String, i64), &u32)| told.get(what) >= Some(times);
        if told != heard[r] && !(late && heard[r].iter().all(some)) {
            let heard = &heard[r];
            return Some(format!("request {r}: told {told:?}, heard {heard:?}"));
        }
    }
    None
}
