use serde_json::{Value, json};

use super::*;
use crate::codec::encode;
use crate::ids::ProposalId;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn key(text: &str) -> KeyId {
    KeyId::parse(text).unwrap()
}

fn create() -> Command {
    Command::Create {
        id: OperatorId::parse("ann").unwrap(),
        merchant: MerchantId::parse("shop").unwrap(),
        mode: Mode::Test,
    }
}

fn shown(password: &str, totp: Option<(&str, u64)>) -> Shown {
    Shown {
        password: key(password),
        totp: totp.map(|(secret, step)| (key(secret), step)),
    }
}

fn start(session: &str, shown: Shown) -> Command {
    Command::StartSession {
        key_id: session.into(),
        digest: Digest32([1; 32]),
        shown,
    }
}

fn confirm(session: &str, shown: Shown) -> Command {
    Command::Confirm {
        session: session.into(),
        proposal: ProposalId::parse("ov_aaaaaaaaaaaaaaaaaaaaaaaaaa").unwrap(),
        expires_at: at(60),
        shown,
    }
}

fn end(session: &str) -> Command {
    Command::EndSession {
        key_id: session.into(),
    }
}

fn idle(session: &str) -> Command {
    Command::LeaveIdle {
        key_id: session.into(),
    }
}

fn deny() -> Command {
    Command::Deny {
        route: "GET /v1/events".into(),
        scope: "audit:read".into(),
        count: 0,
    }
}

fn given(commands: &[Command]) -> Option<Operator> {
    commands.iter().fold(None, |operator, command| {
        let events = decide(operator.as_ref(), command, at(0)).unwrap();
        events.iter().fold(operator, evolve)
    })
}

/// Wire names of what follows, at the start of time.
fn when(given_: &[Command], command: &Command) -> Result<Vec<String>, Refusal> {
    when_at(given_, command, 0)
}

fn when_at(given_: &[Command], command: &Command, now: i64) -> Result<Vec<String>, Refusal> {
    let events = decide(given(given_).as_ref(), command, at(now))?;
    Ok(events
        .iter()
        .map(|event| encode(event).event_type)
        .collect())
}

fn one(name: &str) -> Result<Vec<String>, Refusal> {
    Ok(vec![name.to_owned()])
}

/// Somebody who can sign in without a code.
fn with_password() -> Vec<Command> {
    vec![
        create(),
        Command::Grant(Role::Approver),
        Command::SetPassword(key("pw-1")),
    ]
}

fn then(mut commands: Vec<Command>, more: &[Command]) -> Vec<Command> {
    commands.extend_from_slice(more);
    commands
}

#[test]
fn each_command_leaves_its_event_once_and_a_repeat_leaves_none() {
    let steps = then(with_password(), &[Command::EnrolTotp(key("totp-1"))]);
    let names = [
        "OperatorCreated",
        "OperatorGranted",
        "OperatorPasswordSet",
        "OperatorTotpEnrolled",
    ];
    for (n, name) in names.into_iter().enumerate() {
        assert_eq!(when(&steps[..n], &steps[n]), one(name));
        assert_eq!(when(&steps, &steps[n]), Ok(vec![]), "{name}");
    }
    assert_eq!(
        when(&steps, &Command::RemoveTotp),
        one("OperatorTotpRemoved")
    );
    assert_eq!(when(&steps[..3], &Command::RemoveTotp), Ok(vec![]));
    assert_eq!(when(&steps, &Command::Disable), one("OperatorDisabled"));
    // A count is no repeat: each one tells of another hour.
    assert_eq!(when(&[create(), deny()], &deny()), one("AccessDenied"));
}

#[test]
fn nothing_but_creation_befalls_somebody_who_is_not_there() {
    for command in [
        Command::Grant(Role::Operator),
        Command::SetPassword(key("pw-1")),
        Command::EnrolTotp(key("totp-1")),
        Command::RemoveTotp,
        Command::Disable,
        end("s"),
        idle("s"),
        deny(),
    ] {
        assert_eq!(when(&[], &command), Err(Refusal::Unknown), "{command:?}");
    }
    // Whoever signs in is not told that nobody has this name.
    for command in [
        start("s", shown("pw-1", None)),
        confirm("s", shown("pw-1", None)),
    ] {
        assert_eq!(when(&[], &command), Err(Refusal::Credentials));
    }
}

#[test]
fn a_disabled_person_stays_disabled() {
    let session = start("s", shown("pw-1", None));
    let gone = then(with_password(), &[session.clone(), Command::Disable]);
    assert_eq!(when(&gone, &Command::Disable), Ok(vec![]));
    assert!(given(&gone).unwrap().sessions.is_empty());
    for command in [
        create(),
        Command::Grant(Role::Admin),
        Command::SetPassword(key("pw-2")),
        Command::EnrolTotp(key("totp-1")),
        Command::RemoveTotp,
    ] {
        assert_eq!(when(&gone, &command), Err(Refusal::Disabled), "{command:?}");
    }
    let again = start("t", shown("pw-1", None));
    assert_eq!(when(&gone, &again), Err(Refusal::Credentials));
}

#[test]
fn a_name_belongs_to_one_merchant_and_one_mode() {
    for (merchant, mode) in [("other", Mode::Test), ("shop", Mode::Live)] {
        let other = Command::Create {
            id: OperatorId::parse("ann").unwrap(),
            merchant: MerchantId::parse(merchant).unwrap(),
            mode,
        };
        assert_eq!(when(&[create()], &other), Err(Refusal::Exists));
    }
}

#[test]
fn machines_roles_are_not_for_persons() {
    for role in Role::ALL {
        let refused = when(&[create()], &Command::Grant(role)).err();
        let expected = matches!(role, Role::Bot | Role::Backend | Role::Receiver);
        let expected = expected.then_some(Refusal::NotForPersons(role));
        assert_eq!(refused, expected, "{role:?}");
    }
}

#[test]
fn only_the_credentials_that_count_open_a_session() {
    let password = with_password();
    let totp = then(with_password(), &[Command::EnrolTotp(key("totp-1"))]);
    let changed = then(with_password(), &[Command::SetPassword(key("pw-2"))]);
    let code = |secret, step| Some((secret, step));
    for (given_, shown_, opens) in [
        (&password, shown("pw-1", None), true),
        (&password, shown("pw-2", None), false),
        (&changed, shown("pw-1", None), false),
        // Whoever was asked for a code must show one, and nobody else.
        (&password, shown("pw-1", code("totp-1", 5)), false),
        (&totp, shown("pw-1", None), false),
        (&totp, shown("pw-1", code("totp-2", 5)), false),
        (&totp, shown("pw-1", code("totp-1", 5)), true),
    ] {
        let answer = when(given_, &start("s", shown_.clone()));
        let expected = if opens {
            one("OperatorSessionStarted")
        } else {
            Err(Refusal::Credentials)
        };
        assert_eq!(answer, expected, "{shown_:?}");
    }
    assert_eq!(
        when(&[create()], &Command::EnrolTotp(key("totp-1"))),
        Err(Refusal::NoPassword)
    );
}

#[test]
fn a_code_is_used_once_whatever_it_was_used_for() {
    let with = |step| shown("pw-1", Some(("totp-1", step)));
    let signed_in = then(
        with_password(),
        &[Command::EnrolTotp(key("totp-1")), start("s", with(5))],
    );
    for (step, ok) in [(4, false), (5, false), (6, true)] {
        assert_eq!(when(&signed_in, &start("t", with(step))).is_ok(), ok);
        assert_eq!(when(&signed_in, &confirm("s", with(step))).is_ok(), ok);
    }
    let confirmed = then(signed_in, &[confirm("s", with(6))]);
    assert_eq!(
        when(&confirmed, &start("t", with(6))),
        Err(Refusal::Credentials)
    );
    // Another secret begins anew.
    let enrolled = then(confirmed, &[Command::EnrolTotp(key("totp-2"))]);
    let new = shown("pw-1", Some(("totp-2", 1)));
    assert_eq!(
        when(&enrolled, &start("t", new)),
        one("OperatorSessionStarted")
    );
}

#[test]
fn a_session_ends_by_hand_by_a_new_password_and_by_time() {
    let live = then(with_password(), &[start("s", shown("pw-1", None))]);
    assert_eq!(when(&live, &end("s")), one("OperatorSessionEnded"));
    assert_eq!(when(&live, &end("t")), Err(Refusal::UnknownSession));
    assert_eq!(when(&live, &idle("s")), one("OperatorSessionExpired"));
    assert_eq!(when(&live, &idle("t")), Ok(vec![]));
    let changed = then(live.clone(), &[Command::SetPassword(key("pw-2"))]);
    assert!(given(&changed).unwrap().sessions.is_empty());
    // Who signs in tidies up what was over.
    let next = start("t", shown("pw-1", None));
    let life = i64::try_from(SESSION_LIFE.as_secs()).unwrap();
    assert_eq!(
        when_at(&live, &next, life - 1),
        one("OperatorSessionStarted")
    );
    assert_eq!(
        when_at(&live, &next, life).unwrap(),
        ["OperatorSessionExpired", "OperatorSessionStarted"]
    );
}

#[test]
fn the_next_session_displaces_the_oldest() {
    let mut operator = given(&with_password());
    for n in 0..=SESSIONS_MAX {
        let command = start(&format!("s{n}"), shown("pw-1", None));
        let now = at(i64::try_from(n).unwrap());
        let events = decide(operator.as_ref(), &command, now).unwrap();
        assert_eq!(events.len() > 1, n == SESSIONS_MAX);
        operator = events.iter().fold(operator, evolve);
    }
    let sessions = operator.unwrap().sessions;
    assert_eq!(sessions.len(), SESSIONS_MAX);
    assert!(!sessions.contains_key("s0"));
}

#[test]
fn a_confirmation_needs_a_live_session_and_the_password_again() {
    let live = then(with_password(), &[start("s", shown("pw-1", None))]);
    let good = shown("pw-1", None);
    assert_eq!(
        when(&live, &confirm("s", good.clone())),
        one("OperatorConfirmed")
    );
    assert_eq!(
        when(&live, &confirm("s", shown("pw-2", None))),
        Err(Refusal::Credentials)
    );
    // Five minutes at most, whatever is asked for.
    let mut longer = confirm("s", good.clone());
    if let Command::Confirm { expires_at, .. } = &mut longer {
        *expires_at = at(9999);
    }
    let confirmed = decide(given(&live).as_ref(), &longer, at(0)).unwrap();
    assert!(
        matches!(&confirmed[..], [Event::Confirmed { expires_at, .. }] if *expires_at == at(300))
    );
    let life = i64::try_from(SESSION_LIFE.as_secs()).unwrap();
    for (session, now) in [("t", 0), ("s", life)] {
        let answer = when_at(&live, &confirm(session, good.clone()), now);
        assert_eq!(answer, Err(Refusal::UnknownSession));
    }
}

#[test]
fn a_fold_starts_with_the_creation_and_never_fails() {
    for event in wire_forms().into_iter().map(|(event, _)| event).skip(1) {
        assert_eq!(evolve(None, &event), None, "{event:?}");
    }
    let events = wire_forms().into_iter().map(|(event, _)| event);
    assert!(
        events
            .fold(None, |known, event| evolve(known, &event))
            .is_some()
    );
}

/// History is read for ever, so these texts never change.
fn wire_forms() -> Vec<(Event, Value)> {
    let digest = Digest32([0xab; 32]);
    let (session, expires_at) = ("2bucDz8e".to_owned(), at(60));
    let time = "1970-01-01T00:01:00.000Z";
    let form = |name: &str, data: Value| json!({ "type": name, "data": data });
    vec![
        (
            Event::Created {
                id: OperatorId::parse("ann").unwrap(),
                merchant: MerchantId::parse("shop").unwrap(),
                mode: Mode::Test,
            },
            form(
                "OperatorCreated",
                json!({ "id": "ann", "merchant": "shop", "mode": "test" }),
            ),
        ),
        (
            Event::Granted {
                role: Role::Approver,
                scopes: [Scope::OverridesApprove].into(),
            },
            form(
                "OperatorGranted",
                json!({ "role": "approver", "scopes": ["overrides:approve"] }),
            ),
        ),
        (
            Event::PasswordSet {
                key_id: key("pw-1"),
            },
            form("OperatorPasswordSet", json!({ "key_id": "pw-1" })),
        ),
        (
            Event::TotpEnrolled {
                key_id: key("totp-1"),
            },
            form("OperatorTotpEnrolled", json!({ "key_id": "totp-1" })),
        ),
        (
            Event::TotpRemoved {},
            form("OperatorTotpRemoved", json!({})),
        ),
        (
            Event::SessionStarted {
                key_id: session.clone(),
                digest,
                expires_at,
                totp_step: None,
            },
            form(
                "OperatorSessionStarted",
                json!({ "key_id": session, "digest": "ab".repeat(32), "expires_at": time }),
            ),
        ),
        (
            Event::SessionStarted {
                key_id: session.clone(),
                digest,
                expires_at,
                totp_step: Some(7),
            },
            form(
                "OperatorSessionStarted",
                json!({ "key_id": session, "digest": "ab".repeat(32), "expires_at": time, "totp_step": 7 }),
            ),
        ),
        (
            Event::Confirmed {
                session: session.clone(),
                proposal: ProposalId::parse("ov_aaaaaaaaaaaaaaaaaaaaaaaaaa").unwrap(),
                expires_at,
                totp_step: Some(8),
            },
            form(
                "OperatorConfirmed",
                json!({ "session": session, "proposal": "ov_aaaaaaaaaaaaaaaaaaaaaaaaaa", "expires_at": time, "totp_step": 8 }),
            ),
        ),
        (
            Event::SessionEnded {
                key_id: session.clone(),
                why: SessionEnd::Ended,
            },
            form(
                "OperatorSessionEnded",
                json!({ "key_id": session, "why": "ended" }),
            ),
        ),
        (
            Event::SessionEnded {
                key_id: session.clone(),
                why: SessionEnd::Displaced,
            },
            form(
                "OperatorSessionEnded",
                json!({ "key_id": session, "why": "displaced" }),
            ),
        ),
        (
            Event::SessionExpired {
                key_id: session.clone(),
                why: SessionExpiry::Idle,
            },
            form(
                "OperatorSessionExpired",
                json!({ "key_id": session, "why": "idle" }),
            ),
        ),
        (
            Event::SessionExpired {
                key_id: session.clone(),
                why: SessionExpiry::Age,
            },
            form(
                "OperatorSessionExpired",
                json!({ "key_id": session, "why": "age" }),
            ),
        ),
        (
            Event::AccessDenied {
                route: "GET /v1/events".into(),
                scope: "audit:read".into(),
                count: 2,
            },
            form(
                "AccessDenied",
                json!({ "route": "GET /v1/events", "scope": "audit:read", "count": 2 }),
            ),
        ),
        (Event::Disabled {}, form("OperatorDisabled", json!({}))),
    ]
}

#[test]
fn the_wire_form_of_every_event_is_fixed() {
    for (event, wire) in wire_forms() {
        assert_eq!(serde_json::to_value(&event).unwrap(), wire);
        assert_eq!(serde_json::from_value::<Event>(wire).unwrap(), event);
        encode(&event);
    }
}
