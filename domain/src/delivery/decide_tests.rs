use super::*;
use crate::delivery::id::delivery_id;
use crate::delivery::schedule::REFUSED_TRIES;
use crate::ids::{ClientId, EventId, SubscriberId};

fn pair() -> Pair {
    Pair {
        subscriber: SubscriberId::parse("crm").unwrap(),
        event_id: EventId::from_parts(1, [1; 10]),
    }
}

fn answer(result: Result<u16, Failure>) -> Command {
    let answer = Answer {
        result,
        retry_after: None,
        latency: Duration::from_millis(12),
        sent_at: Timestamp::from_seconds(100),
        body_sha256: Digest32([1; 32]),
        key_ids: vec![],
        endpoint_url_sha256: Digest32([2; 32]),
        answer_commitment: None,
        receiver_ref: None,
    };
    Command::Record {
        answer,
        refused_tries: REFUSED_TRIES,
    }
}

fn redrive() -> Command {
    Command::Redrive { batch: None }
}

fn abandon() -> Command {
    Command::Abandon { batch: None }
}

fn step(delivery: Delivery, command: &Command) -> (Delivery, Event) {
    let pair = pair();
    let id = delivery_id(&pair.subscriber, pair.event_id);
    let events = decide(&id, &pair, &delivery, command, Timestamp::from_seconds(100)).unwrap();
    let event = events.into_iter().next().unwrap();
    (evolve(Some(delivery), &event).unwrap(), event)
}

fn tries_until_dead(result: Result<u16, Failure>) -> (u32, DeadReason) {
    let mut delivery = Delivery::default();
    for tries in 1..100 {
        let (next, event) = step(delivery, &answer(result));
        if let Event::DeadLettered { reason, .. } = event {
            assert_eq!(next.state, State::DeadLettered);
            return (tries, reason);
        }
        delivery = next;
    }
    panic!("never given up");
}

#[test]
fn every_answer_has_its_end() {
    use FailureClass as F;
    assert!(matches!(
        step(Delivery::default(), &answer(Ok(204))).1,
        Event::Succeeded { attempt_no: 1, .. }
    ));
    assert_eq!(tries_until_dead(Ok(410)), (1, DeadReason::Gone));
    assert_eq!(
        tries_until_dead(Err(Failure::Http(OutError::Blocked))),
        (1, DeadReason::Blocked)
    );
    for refused in [400, 401, 404, 422] {
        assert_eq!(tries_until_dead(Ok(refused)), (4, DeadReason::Rejected));
    }
    for (result, class) in [
        (Ok(500), F::ServerError),
        (Ok(302), F::Redirect),
        (Ok(429), F::Throttled),
        (Err(Failure::Http(OutError::Timeout)), F::Timeout),
        (Err(Failure::Http(OutError::Dns)), F::Dns),
        (Err(Failure::Http(OutError::Connect)), F::Connect),
        (Err(Failure::NoKey), F::NoKey),
    ] {
        let event = step(Delivery::default(), &answer(result)).1;
        assert!(
            matches!(event, Event::AttemptFailed { class: found, .. } if found == class),
            "{class:?}"
        );
        assert_eq!(
            tries_until_dead(result),
            (13, DeadReason::ScheduleExhausted)
        );
    }
}

#[test]
fn every_failed_try_says_what_was_sent_and_how_long_it_took() {
    let sent = |event: &Event| match event {
        Event::AttemptFailed { tried, .. } | Event::DeadLettered { tried, .. } => tried.clone(),
        Event::Succeeded { .. }
        | Event::Quarantined { .. }
        | Event::Redriven { .. }
        | Event::Abandoned { .. }
        | Event::AcknowledgedByPull { .. } => None,
    };
    let (_, failed) = step(Delivery::default(), &answer(Ok(503)));
    let tried = sent(&failed).unwrap();
    assert_eq!(
        (tried.latency_ms, tried.sent_at),
        (12, Timestamp::from_seconds(100))
    );
    assert_eq!(
        (tried.body_sha256, tried.endpoint_url_sha256),
        (Digest32([1; 32]), Digest32([2; 32]))
    );
    let (_, gone) = step(Delivery::default(), &answer(Ok(410)));
    assert!(matches!(
        gone,
        Event::DeadLettered {
            class: Some(FailureClass::Refused),
            ..
        }
    ));
    assert_eq!(sent(&gone), Some(tried));
    let (_, old) = step(Delivery::default(), &Command::GiveUp);
    assert_eq!(sent(&old), None, "no try ended it");
}

#[test]
fn a_redrive_starts_the_whole_schedule_again_and_abandoning_ends_it() {
    let (dead, _) = step(Delivery::default(), &answer(Ok(410)));
    let (again, _) = step(dead.clone(), &redrive());
    assert_eq!(
        (again.state, again.generation, again.attempts),
        (State::Open, 2, 0)
    );
    let (gone, _) = step(dead, &abandon());
    let (id, pair) = (delivery_id(&pair().subscriber, pair().event_id), pair());
    let refused = |delivery: &Delivery, command| {
        decide(&id, &pair, delivery, &command, Timestamp::from_seconds(0))
    };
    assert_eq!(refused(&gone, redrive()), Err(Refusal::Abandoned));
    assert_eq!(refused(&gone, abandon()), Ok(vec![]));
    assert_eq!(refused(&Delivery::default(), redrive()), Err(Refusal::Open));
    let (arrived, _) = step(Delivery::default(), &answer(Ok(200)));
    assert_eq!(refused(&arrived, abandon()), Err(Refusal::Delivered));
    assert_eq!(refused(&arrived, answer(Ok(500))), Ok(vec![]));
}

#[test]
fn our_own_fault_stops_the_tries_until_somebody_redrives() {
    let fault = Command::Quarantine(OurFault::CrashLoop);
    let (held, event) = step(
        Delivery {
            attempts: 2,
            ..Delivery::default()
        },
        &fault,
    );
    assert!(matches!(
        event,
        Event::Quarantined {
            attempts: 2,
            generation: 1,
            ..
        }
    ));
    assert_eq!(held.state, State::Quarantined);
    let (id, pair) = (delivery_id(&pair().subscriber, pair().event_id), pair());
    let at = Timestamp::from_seconds(0);
    for late in [answer(Ok(200)), fault, Command::GiveUp] {
        assert_eq!(decide(&id, &pair, &held, &late, at), Ok(vec![]));
    }
    let (again, _) = step(held.clone(), &redrive());
    assert_eq!(
        (again.state, again.generation, again.attempts),
        (State::Open, 2, 0)
    );
    assert_eq!(step(held, &abandon()).0.state, State::Abandoned);
}

#[test]
fn what_waited_too_long_is_on_the_failed_list_and_no_try_is_counted() {
    let (dead, event) = step(
        Delivery {
            attempts: 3,
            ..Delivery::default()
        },
        &Command::GiveUp,
    );
    assert!(matches!(
        event,
        Event::DeadLettered {
            reason: DeadReason::MaxAge,
            attempts: 3,
            ..
        }
    ));
    assert_eq!(step(dead, &redrive()).0.generation, 2);
}

#[test]
fn a_subscriber_says_how_often_it_may_refuse() {
    let Command::Record { answer, .. } = answer(Ok(422)) else {
        unreachable!()
    };
    let patient = |refused_tries| Command::Record {
        answer: answer.clone(),
        refused_tries,
    };
    let first = step(Delivery::default(), &patient(1)).1;
    assert!(matches!(first, Event::DeadLettered { attempts: 1, .. }));
    let mut delivery = Delivery::default();
    for _ in 0..12 {
        delivery = step(delivery, &patient(13)).0;
        assert_eq!(delivery.state, State::Open);
    }
    assert_eq!(step(delivery, &patient(13)).0.state, State::DeadLettered);
}

fn fetched() -> Command {
    let pair = pair();
    let delivery = delivery_id(&pair.subscriber, pair.event_id);
    Command::Acknowledge {
        cursor: PullCursor {
            ordinal: 1,
            delivery,
        },
        consumer: Consumer::Client(ClientId::parse("erp-box").unwrap()),
    }
}

#[test]
fn what_a_receiver_fetched_has_arrived_however_far_its_tries_were() {
    let open = Delivery::default();
    let (failing, _) = step(open.clone(), &answer(Ok(500)));
    let (dead, _) = step(open.clone(), &answer(Ok(410)));
    let (ours, _) = step(open.clone(), &Command::Quarantine(OurFault::CrashLoop));
    for before in [open, failing, dead, ours] {
        let (after, event) = step(before.clone(), &fetched());
        assert!(matches!(event, Event::AcknowledgedByPull { .. }));
        let expected = Delivery {
            state: State::Acknowledged,
            next_try_at: None,
            ..before
        };
        assert_eq!(after, expected);
    }
}

#[test]
fn what_has_ended_stays_as_it_is_when_it_is_acknowledged_and_what_was_acknowledged_stays_so() {
    let (id, pair) = (delivery_id(&pair().subscriber, pair().event_id), pair());
    let at = Timestamp::from_seconds(0);
    let decided = |delivery: &Delivery, command| decide(&id, &pair, delivery, &command, at);
    let (arrived, _) = step(Delivery::default(), &answer(Ok(200)));
    let (gone, _) = step(Delivery::default(), &abandon());
    let (acknowledged, _) = step(Delivery::default(), &fetched());
    for ended in [&arrived, &gone, &acknowledged] {
        assert_eq!(decided(ended, fetched()), Ok(vec![]));
    }
    // A try that was under way comes too late.
    let late = [
        answer(Ok(200)),
        answer(Ok(500)),
        Command::Quarantine(OurFault::CrashLoop),
        Command::GiveUp,
    ];
    for late in late {
        assert_eq!(decided(&acknowledged, late), Ok(vec![]));
    }
    for refused in [redrive(), abandon()] {
        assert_eq!(decided(&acknowledged, refused), Err(Refusal::Delivered));
    }
}

/// History is read for ever, so this text never changes.
#[test]
fn the_wire_form_of_an_acknowledgement_is_fixed() {
    let (_, event) = step(Delivery::default(), &fetched());
    let wire = serde_json::json!({ "type": "DeliveryAcknowledgedByPull", "data": {
        "of": { "subscriber": "crm", "event_id": pair().event_id },
        "cursor": format!("1-{}", delivery_id(&pair().subscriber, pair().event_id)),
        "consumer": { "kind": "client", "id": "erp-box" },
    } });
    assert_eq!(serde_json::to_value(&event).unwrap(), wire);
    assert_eq!(serde_json::from_value::<Event>(wire).unwrap(), event);
}

#[test]
fn no_batch_decides_a_delivery_twice_whatever_became_of_it_since() {
    let (id, pair) = (delivery_id(&pair().subscriber, pair().event_id), pair());
    let at = Timestamp::from_seconds(0);
    let decided =
        |delivery: &Delivery, command: &Command| decide(&id, &pair, delivery, command, at);
    let batch = |letter: char| {
        let id = format!("bat_{}", letter.to_string().repeat(26));
        Some(BatchId::parse(id).unwrap())
    };
    let (first, second) = (
        Command::Redrive { batch: batch('a') },
        Command::Redrive { batch: batch('b') },
    );
    let (dead, _) = step(Delivery::default(), &answer(Ok(410)));
    let (again, event) = step(dead, &first);
    assert!(matches!(
        event,
        Event::Redriven {
            batch: Some(_),
            generation: 2,
            ..
        }
    ));
    assert_eq!(decided(&again, &first), Ok(vec![]));
    assert_eq!(
        decided(&again, &second),
        Err(Refusal::Open),
        "it is under way"
    );
    let (dead_again, _) = step(again, &answer(Ok(410)));
    assert_eq!(decided(&dead_again, &first), Ok(vec![]));
    assert_eq!(decided(&dead_again, &second).unwrap().len(), 1);
    let given_up = Command::Abandon { batch: batch('c') };
    assert_eq!(decided(&Delivery::default(), &given_up), Err(Refusal::Open));
    let (gone, event) = step(dead_again, &given_up);
    assert!(matches!(event, Event::Abandoned { batch: Some(_), .. }));
    assert_eq!(decided(&gone, &given_up), Ok(vec![]));
    assert_eq!(decided(&gone, &second), Err(Refusal::Abandoned));
}
