use std::time::Duration;

use domain::ids::{AccountSlug, ProviderCode};
use domain::payment::{Command, Event, StartAttempt, Terms, decide, evolve};

use super::*;
use crate::config::settings::Language;

const LIFE_S: u64 = 3600;

fn start() -> Timestamp {
    Timestamp::from_seconds(1_000_000)
}

fn later(seconds: u64) -> Timestamp {
    start().plus(Duration::from_secs(seconds))
}

fn request() -> Request {
    let terms: Terms = serde_json::from_value(serde_json::json!({
        "id": format!("pr_{}", "a".repeat(26)), "merchant": "shop", "client": "bot", "order_id": "1",
        "scenario": "web", "amount": { "minor": "150000", "currency": "AMD" },
        "priced_by": { "by": "amount" }, "mode": "test", "expires_at": later(LIFE_S),
        "rules": { "partial": "reject_to_review", "tolerance_minor": "0", "accounts": ["sim-main"] },
    }))
    .unwrap();
    evolve(None, &Event::Created(Box::new(terms))).unwrap()
}

fn after(request: Request, command: Command) -> Request {
    let events = decide(Some(&request), &command, later(1)).unwrap();
    events.iter().fold(Some(request), evolve).unwrap()
}

fn started() -> Request {
    let start = StartAttempt {
        provider: ProviderCode::parse("sim").unwrap(),
        account: AccountSlug::parse("sim-main").unwrap(),
        session_s_max: 600,
    };
    after(request(), Command::StartAttempt(start))
}

fn registered() -> Request {
    let confirm = Command::ConfirmAttempt {
        attempt_no: 1,
        provider_order_ref: None,
        pay_url: None,
        session_expires_at: None,
    };
    after(started(), confirm)
}

#[test]
fn what_may_have_been_paid_offers_no_second_payment() {
    let doubt = Command::DoubtAttempt {
        attempt_no: 1,
        why: "timeout".to_owned(),
    };
    let doubtful = after(started(), doubt);
    for (request, seconds, returned, wanted) in [
        (request(), 1, false, Standing::Payable),
        (request(), 1, true, Standing::Payable),
        (request(), LIFE_S, false, Standing::Expired),
        (started(), 1, false, Standing::Opening),
        (doubtful.clone(), 1, false, Standing::Confirming),
        (doubtful, LIFE_S, false, Standing::Confirming),
        (registered(), 1, false, Standing::Payable),
        (registered(), 1, true, Standing::Confirming),
        (registered(), LIFE_S, false, Standing::Confirming),
    ] {
        let found = Standing::of(&request, later(seconds), returned);
        assert_eq!(found, wanted, "{seconds} {returned} {request:?}");
    }
}

#[test]
fn a_failed_attempt_is_told_while_it_can_be_paid_again() {
    let texts = Language::En.texts();
    let reject = Command::RejectAttempt {
        attempt_no: 1,
        provider_status: None,
    };
    let unreachable = after(started(), reject);
    let told = |standing| note(&unreachable, standing, texts);
    assert_eq!(told(Standing::Payable), Some(texts.note_unreachable));
    assert_eq!(told(Standing::Expired), None);
    for (why, wanted) in [
        (AttemptEnd::Declined, texts.note_declined),
        (AttemptEnd::SessionExpired, texts.note_timed_out),
    ] {
        let failed = Event::AttemptFailed {
            attempt_no: 1,
            why,
            provider_status: None,
        };
        let failed = evolve(Some(registered()), &failed).unwrap();
        assert_eq!(note(&failed, Standing::Payable, texts), Some(wanted));
    }
    assert_eq!(note(&registered(), Standing::Payable, texts), None);
}

#[test]
fn a_page_loads_itself_again_only_while_there_is_nothing_to_press() {
    for standing in [
        Standing::Payable,
        Standing::Opening,
        Standing::Confirming,
        Standing::Processing,
        Standing::InReview,
        Standing::Paid,
        Standing::PartlyRefunded,
        Standing::Refunded,
        Standing::Expired,
        Standing::Cancelled,
    ] {
        assert!(!standing.waits() || standing.look_again_s().is_some());
    }
    assert!(!Standing::Payable.waits());
}
