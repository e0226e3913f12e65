use super::*;
use crate::outbound::EventName;
use crate::subscriber::{BatchOrder, FailedFilter, Wish, evolve};

fn key(text: &str) -> KeyId {
    KeyId::parse(text).unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn registration() -> Registration {
    Registration {
        id: SubscriberId::parse("crm").unwrap(),
        merchant: MerchantId::parse("shop").unwrap(),
        url: Some("https://crm.example/hook".into()),
        wants: Wants::default(),
        policy: DeliveryPolicy::default(),
        headers: StaticHeaders::default(),
        key_id: key("k1"),
        history: None,
    }
}

fn register() -> Command {
    Command::Register(registration())
}

fn add(name: &str) -> Command {
    add_at(name, 0)
}

fn add_at(name: &str, seconds: i64) -> Command {
    let (key_id, scheme) = (key(name), KeyScheme::V1 {});
    let at = at(seconds);
    Command::AddKey { key_id, scheme, at }
}

fn retire(name: &str) -> Command {
    Command::RetireKey {
        key_id: key(name),
        valid_until: at(9),
    }
}

fn given(commands: &[Command]) -> Option<Subscriber> {
    commands.iter().fold(None, |state, command| {
        let events = decide(state.as_ref(), command).unwrap();
        events.iter().fold(state, evolve)
    })
}

fn events(given: &Option<Subscriber>, command: &Command) -> usize {
    decide(given.as_ref(), command).unwrap().len()
}

#[test]
fn a_pause_is_one_event_and_resuming_ends_it() {
    let paused = given(&[register(), Command::Pause(PausedWhy::Gone)]);
    assert_eq!(events(&paused, &Command::Pause(PausedWhy::Operator)), 0);
    assert_eq!(events(&paused, &Command::Resume), 1);
    assert_eq!(events(&given(&[register()]), &Command::Resume), 0);
}

#[test]
fn every_change_is_one_event_and_its_repeat_none() {
    let wants = Wants {
        events: [Wish::Named(EventName::PaymentVerified)].into(),
        scenarios: None,
    };
    let policy = DeliveryPolicy {
        strict_fifo: true,
        ..DeliveryPolicy::default()
    };
    let headers = [("x-tenant".to_owned(), "1".to_owned())].into();
    for change in [
        Command::ChangeEndpoint {
            url: Some("https://other.example".into()),
        },
        Command::ChangeEndpoint { url: None },
        Command::ChangeSubscription { wants },
        Command::ChangePolicy { policy },
        Command::ChangeHeaders {
            headers: StaticHeaders::new(headers).unwrap(),
        },
        Command::OpenCircuit { since: at(1) },
        add("k2"),
    ] {
        assert_eq!(events(&given(&[register()]), &change), 1, "{change:?}");
        let after = given(&[register(), change.clone()]);
        assert_eq!(events(&after, &change), 0, "{change:?}");
    }
}

#[test]
fn a_registration_carries_all_of_its_settings_at_once() {
    let policy = DeliveryPolicy {
        per_second: 100,
        ..DeliveryPolicy::default()
    };
    let headers = StaticHeaders::new([("x-a".to_owned(), "1".to_owned())].into()).unwrap();
    let history = Some(Backfill {
        from: at(1),
        to: at(2),
        subjects: BTreeSet::new(),
    });
    let whole = Command::Register(Registration {
        policy,
        headers: headers.clone(),
        history,
        ..registration()
    });
    assert_eq!(events(&None, &whole), 5);
    let known = given(&[whole]).unwrap();
    assert_eq!((known.policy, known.headers), (policy, headers));
}

#[test]
fn a_key_is_exchanged_and_signs_on_for_a_while() {
    let exchanged = given(&[register(), add("k2"), retire("k1")]);
    assert_eq!(events(&exchanged, &add("k2")), 0);
    assert_eq!(events(&exchanged, &retire("k1")), 0);
    let keys = exchanged.unwrap().keys;
    assert_eq!(keys[&key("k1")].valid_until, Some(at(9)));
    assert_eq!(keys[&key("k2")].valid_until, None);
}

#[test]
fn there_are_three_keys_of_a_scheme_at_most_and_always_one_that_every_library_can_check() {
    let three = given(&[register(), add("k2"), add("k3")]);
    assert_eq!(
        decide(three.as_ref(), &add("k4")),
        Err(Refusal::TooManyKeys)
    );
    let public = Command::AddKey {
        key_id: key("e1"),
        scheme: KeyScheme::V1a {
            public_key: "whpk_x".into(),
        },
        at: at(0),
    };
    let two = given(&[register(), add("k2"), add("k3"), retire("k1")]);
    assert_eq!(
        decide(two.as_ref(), &add_at("k4", 8)),
        Err(Refusal::TooManyKeys)
    );
    assert_eq!(events(&two, &add_at("k4", 9)), 1);
    assert_eq!(events(&three, &public), 1);
    let one = given(&[register(), public]);
    assert_eq!(decide(one.as_ref(), &retire("k1")), Err(Refusal::LastKey));
    assert_eq!(events(&one, &retire("e1")), 1);
}

#[test]
fn history_is_asked_for_as_often_as_somebody_wants_it() {
    let history = |from, to| {
        Command::Backfill(Backfill {
            from: at(from),
            to: at(to),
            subjects: BTreeSet::new(),
        })
    };
    let known = given(&[register(), history(1, 2)]);
    assert_eq!(events(&known, &history(1, 2)), 1);
    assert_eq!(
        decide(known.as_ref(), &history(2, 2)),
        Err(Refusal::EmptySpan)
    );
}

#[test]
fn a_removed_subscriber_is_gone_for_good() {
    let gone = given(&[register(), Command::Remove]);
    assert_eq!(decide(gone.as_ref(), &Command::Test), Err(Refusal::Removed));
    assert_eq!(events(&gone, &Command::Remove), 0);
    assert_eq!(decide(gone.as_ref(), &register()), Err(Refusal::Exists));
    assert_eq!(decide(None, &Command::Test), Err(Refusal::Unknown));
}

#[test]
fn one_without_an_address_is_made_and_gets_one_later() {
    let fetching = || {
        Command::Register(Registration {
            url: None,
            ..registration()
        })
    };
    assert_eq!(events(&None, &fetching()), 2);
    assert_eq!(given(&[fetching()]).unwrap().url, None);
    let url = || Some("https://crm.example/hook".to_owned());
    let moved = given(&[fetching(), Command::ChangeEndpoint { url: url() }]);
    assert_eq!(moved.unwrap().url, url());
}

#[test]
fn a_pause_by_a_person_holds_for_those_who_fetch_as_well() {
    let may = |why| {
        let known = given(&[register(), Command::Pause(why)]).unwrap();
        known.may_pull()
    };
    assert_eq!(may(PausedWhy::Operator), Err(Refusal::Paused));
    assert_eq!(may(PausedWhy::Gone), Ok(()));
    let resumed = given(&[
        register(),
        Command::Pause(PausedWhy::Operator),
        Command::Resume,
    ]);
    assert_eq!(resumed.unwrap().may_pull(), Ok(()));
}

/// History is read for ever, so these texts never change.
#[test]
fn an_address_that_is_not_there_is_left_out() {
    let fetches = Event::EndpointChanged { url: None };
    let wire = serde_json::json!({ "type": "EndpointChanged", "data": {} });
    assert_eq!(serde_json::to_value(&fetches).unwrap(), wire);
    assert_eq!(serde_json::from_value::<Event>(wire).unwrap(), fetches);
    let events = decide(
        None,
        &Command::Register(Registration {
            url: None,
            ..registration()
        }),
    )
    .unwrap();
    let wire = serde_json::to_value(&events[0]).unwrap();
    assert_eq!(wire["data"].get("url"), None);
    assert_eq!(serde_json::from_value::<Event>(wire).unwrap(), events[0]);
}

fn batch(letter: char, which: FailedFilter) -> DeliveryBatch {
    DeliveryBatch {
        id: BatchId::parse(format!("bat_{}", letter.to_string().repeat(26))).unwrap(),
        order: BatchOrder::Redrive,
        which,
        per_second: 10,
    }
}

fn start(letter: char) -> Command {
    Command::StartBatch(batch(letter, FailedFilter::default()))
}

fn cancel(letter: char) -> Command {
    let batch = batch(letter, FailedFilter::default()).id;
    Command::CancelBatch { batch }
}

fn finish(letter: char) -> Command {
    Command::FinishBatch {
        batch: batch(letter, FailedFilter::default()).id,
        done: 3,
        skipped: 1,
    }
}

#[test]
fn a_batch_is_started_once_and_ends_once() {
    let running = given(&[register(), start('a'), start('b')]);
    assert_eq!(running.as_ref().unwrap().batches.len(), 2);
    assert_eq!(events(&running, &start('a')), 0);
    assert_eq!(events(&running, &finish('a')), 1);
    assert_eq!(events(&running, &cancel('a')), 1);
    for end in [finish('a'), cancel('a')] {
        let over = given(&[register(), start('a'), start('b'), end]);
        assert_eq!(over.as_ref().unwrap().batches.len(), 1);
        assert_eq!(events(&over, &finish('a')), 0);
        let again = decide(over.as_ref(), &cancel('a'));
        assert_eq!(again, Err(Refusal::BatchOver));
        assert_eq!(events(&over, &cancel('b')), 1);
    }
}

#[test]
fn a_batch_of_no_time_is_refused_and_a_removal_ends_those_that_run() {
    let which = FailedFilter {
        since: Some(at(5)),
        until: Some(at(5)),
        ..FailedFilter::default()
    };
    let known = given(&[register()]);
    let empty = decide(known.as_ref(), &Command::StartBatch(batch('a', which)));
    assert_eq!(empty, Err(Refusal::EmptyWindow));

    let running = given(&[register(), start('a'), start('b')]);
    let removal = decide(running.as_ref(), &Command::Remove).unwrap();
    assert!(matches!(
        removal.as_slice(),
        [
            Event::BatchCancelled { .. },
            Event::BatchCancelled { .. },
            Event::Removed {}
        ]
    ));
    let gone = given(&[register(), start('a'), Command::Remove]);
    assert!(gone.as_ref().unwrap().batches.is_empty());
    for late in [start('c'), finish('a'), cancel('a')] {
        assert_eq!(decide(gone.as_ref(), &late), Err(Refusal::Removed));
    }
}

/// History is read for ever, so this text never changes.
#[test]
fn the_wire_form_of_a_batch_is_fixed() {
    let which = FailedFilter {
        classes: [crate::delivery::event::FailureClass::Timeout].into(),
        ..FailedFilter::default()
    };
    let id = batch('a', FailedFilter::default()).id;
    for (which, wire) in [
        (
            FailedFilter::default(),
            serde_json::json!({ "batch": { "id": id, "order": "redrive", "per_second": 10 } }),
        ),
        (
            which,
            serde_json::json!({ "batch": {
                "id": id, "order": "redrive", "which": { "classes": ["timeout"] }, "per_second": 10
            } }),
        ),
    ] {
        let event = Event::BatchRequested {
            batch: batch('a', which),
        };
        let told = serde_json::json!({ "type": "DeliveryBatchRequested", "data": wire });
        assert_eq!(serde_json::to_value(&event).unwrap(), told);
        assert_eq!(serde_json::from_value::<Event>(told).unwrap(), event);
    }
}
