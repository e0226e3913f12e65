use serde_json::json;

use super::*;
use crate::codec::encode;

fn now() -> Timestamp {
    Timestamp::from_seconds(1000)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn create() -> Command {
    Command::Create {
        id: ClientId::parse("bot").unwrap(),
        merchant: MerchantId::parse("shop").unwrap(),
        mode: Mode::Test,
    }
}

fn grant(role: Role, scenarios: &[&str]) -> Command {
    let scenarios = scenarios
        .iter()
        .map(|text| ScenarioId::parse(*text).unwrap())
        .collect();
    Command::Grant {
        role,
        scenarios,
        subscriber: None,
    }
}

fn bind(role: Role, subscriber: &str) -> Command {
    Command::Grant {
        role,
        scenarios: BTreeSet::new(),
        subscriber: Some(SubscriberId::parse(subscriber).unwrap()),
    }
}

fn token(key_id: &str, seconds: i64) -> Command {
    Command::IssueToken {
        key_id: key_id.into(),
        digest: Digest32([1; 32]),
        expires_at: at(seconds),
    }
}

fn revoke_token(key_id: &str) -> Command {
    Command::RevokeToken {
        key_id: key_id.into(),
    }
}

fn deny(count: u32) -> Command {
    Command::Deny {
        route: "POST /v1/quotes".into(),
        scope: "quotes:write".into(),
        count,
    }
}

fn given(commands: &[Command]) -> Option<Client> {
    commands.iter().fold(None, |client, command| {
        let events = decide(client.as_ref(), command, now()).unwrap();
        events.iter().fold(client, evolve)
    })
}

/// Wire names of what follows.
fn when(given_: &[Command], command: &Command) -> Result<Vec<String>, Refusal> {
    when_at(given_, command, now())
}

fn when_at(given_: &[Command], command: &Command, now: Timestamp) -> Result<Vec<String>, Refusal> {
    let events = decide(given(given_).as_ref(), command, now)?;
    Ok(events
        .iter()
        .map(|event| encode(event).event_type)
        .collect())
}

fn one(name: &str) -> Result<Vec<String>, Refusal> {
    Ok(vec![name.to_owned()])
}

#[test]
fn each_command_leaves_its_event_once_and_a_repeat_leaves_none() {
    let made = [create(), grant(Role::Bot, &["telegram"]), token("a", 2000)];
    assert_eq!(when(&[], &create()), one("ClientCreated"));
    assert_eq!(when(&made[..1], &made[1]), one("ClientGranted"));
    assert_eq!(when(&made[..2], &made[2]), one("ClientTokenIssued"));
    assert_eq!(when(&made, &revoke_token("a")), one("ClientTokenRevoked"));
    assert_eq!(when(&made, &Command::Revoke), one("ClientRevoked"));
    for repeat in &made {
        assert_eq!(when(&made, repeat), Ok(vec![]), "{repeat:?}");
    }
    let gone = [&made[..], &[Command::Revoke]].concat();
    assert_eq!(when(&gone, &Command::Revoke), Ok(vec![]));
    // A count is no repeat: each one tells of another hour.
    assert_eq!(when(&[create(), deny(0)], &deny(0)), one("AccessDenied"));
}

#[test]
fn nothing_but_creation_befalls_a_client_that_is_not_there() {
    for command in [
        grant(Role::Bot, &[]),
        token("a", 2000),
        revoke_token("a"),
        Command::Revoke,
        deny(0),
    ] {
        assert_eq!(when(&[], &command), Err(Refusal::Unknown), "{command:?}");
    }
}

#[test]
fn a_token_never_approves() {
    for role in Role::ALL {
        let refused = when(&[create()], &grant(role, &[])).err();
        let expected = match role {
            Role::Approver | Role::Supervisor => Some(Refusal::NeverApproves(role)),
            Role::Receiver => Some(Refusal::NeedsSubscriber),
            Role::Bot
            | Role::Backend
            | Role::Operator
            | Role::Finance
            | Role::Auditor
            | Role::Admin => None,
        };
        assert_eq!(refused, expected, "{role:?}");
    }
}

#[test]
fn a_receiver_is_bound_to_one_subscriber_and_nobody_else_to_any() {
    let bound = [create(), bind(Role::Receiver, "erp")];
    assert_eq!(when(&bound[..1], &bound[1]), one("ClientGranted"));
    assert_eq!(when(&bound, &bound[1]), Ok(vec![]));
    assert_eq!(
        when(&bound, &bind(Role::Receiver, "crm")),
        one("ClientGranted")
    );
    let refused = when(&bound, &bind(Role::Bot, "erp"));
    assert_eq!(refused, Err(Refusal::PullsNothing(Role::Bot)));
    let of = |commands: &[Command]| given(commands).unwrap().subscriber;
    assert_eq!(of(&bound), Some(SubscriberId::parse("erp").unwrap()));
    let other = [&bound[..], &[grant(Role::Bot, &[])]].concat();
    assert_eq!(of(&other), None);
}

#[test]
fn a_name_belongs_to_one_merchant_and_one_mode() {
    let id = || ClientId::parse("bot").unwrap();
    let merchant = |text: &str| MerchantId::parse(text).unwrap();
    let other = Command::Create {
        id: id(),
        merchant: merchant("other"),
        mode: Mode::Test,
    };
    let live = Command::Create {
        id: id(),
        merchant: merchant("shop"),
        mode: Mode::Live,
    };
    for command in [other, live] {
        assert_eq!(
            when(&[create()], &command),
            Err(Refusal::Exists),
            "{command:?}"
        );
    }
}

#[test]
fn a_client_has_two_live_tokens_at_most() {
    let two = [create(), token("a", 2000), token("b", 2000)];
    assert_eq!(when(&two, &token("c", 2000)), Err(Refusal::TooManyTokens));
    let revoked = [&two[..], &[revoke_token("a")]].concat();
    assert_eq!(when(&revoked, &token("c", 2000)), one("ClientTokenIssued"));
    // An expired one takes no place.
    assert_eq!(
        when_at(&two, &token("c", 3000), at(1999)),
        Err(Refusal::TooManyTokens)
    );
    assert_eq!(
        when_at(&two, &token("c", 3000), at(2000)),
        one("ClientTokenIssued")
    );
}

#[test]
fn a_token_is_issued_for_the_future_and_never_replaced() {
    for past in [0, 999, 1000] {
        assert_eq!(
            when(&[create()], &token("a", past)),
            Err(Refusal::ExpiryInThePast)
        );
    }
    let made = [create(), token("a", 2000)];
    assert_eq!(when(&made, &token("a", 3000)), Err(Refusal::KeyIdTaken));
    let digest = Digest32([2; 32]);
    let other = Command::IssueToken {
        key_id: "a".into(),
        digest,
        expires_at: at(2000),
    };
    assert_eq!(when(&made, &other), Err(Refusal::KeyIdTaken));
    assert_eq!(when(&made, &revoke_token("x")), Err(Refusal::UnknownToken));
}

#[test]
fn a_grant_replaces_the_one_before_and_holds_the_scopes_themselves() {
    let wider = given(&[create(), grant(Role::Backend, &["web", "telegram"])]).unwrap();
    assert!(wider.scopes.contains(&Scope::AmountSet));
    let narrow = given(&[
        create(),
        grant(Role::Backend, &["web", "telegram"]),
        grant(Role::Bot, &["web"]),
    ])
    .unwrap();
    assert_eq!(
        (narrow.role, narrow.scopes),
        (Some(Role::Bot), Role::Bot.scopes())
    );
    assert_eq!(narrow.scenarios.len(), 1);
    // A later release may give a role more; who was granted it before keeps what was granted.
    let older = Event::Granted {
        role: Role::Bot,
        scopes: BTreeSet::from([Scope::RequestsRead]),
        scenarios: BTreeSet::new(),
        subscriber: None,
    };
    let folded = evolve(given(&[create()]), &older).unwrap();
    assert_eq!(folded.scopes, BTreeSet::from([Scope::RequestsRead]));
}

#[test]
fn a_new_client_may_do_nothing() {
    let client = given(&[create()]).unwrap();
    assert_eq!(
        (client.role, client.scopes.len(), client.scenarios.len()),
        (None, 0, 0)
    );
}

#[test]
fn a_revoked_client_is_gone_for_good() {
    let gone = [create(), token("a", 2000), Command::Revoke];
    assert!(given(&gone).unwrap().tokens.is_empty());
    for command in [token("b", 2000), grant(Role::Admin, &[]), revoke_token("a")] {
        assert_eq!(when(&gone, &command), Err(Refusal::Revoked), "{command:?}");
    }
    assert_eq!(when(&gone, &create()), Err(Refusal::Exists));
}

#[test]
fn what_it_was_denied_changes_nothing_else() {
    let before = given(&[create(), token("a", 2000)]);
    let events = decide(before.as_ref(), &deny(7), now()).unwrap();
    assert_eq!(events.iter().fold(before.clone(), evolve), before);
}

/// History is read for ever, so these texts never change.
#[test]
fn the_wire_form_of_every_event_is_fixed() {
    let digest = "01".repeat(32);
    let table = [
        (
            Event::Created {
                id: ClientId::parse("bot").unwrap(),
                merchant: MerchantId::parse("shop").unwrap(),
                mode: Mode::Live,
            },
            json!({"type": "ClientCreated", "data": {"id": "bot", "merchant": "shop", "mode": "live"}}),
        ),
        (
            Event::Granted {
                role: Role::Bot,
                scopes: BTreeSet::from([Scope::RequestsRead]),
                scenarios: BTreeSet::from([ScenarioId::parse("web").unwrap()]),
                subscriber: None,
            },
            json!({"type": "ClientGranted", "data": {
                "role": "bot", "scopes": ["requests:read"], "scenarios": ["web"]
            }}),
        ),
        (
            Event::TokenIssued {
                key_id: "k".into(),
                digest: Digest32([1; 32]),
                expires_at: at(0),
            },
            json!({"type": "ClientTokenIssued", "data": {
                "key_id": "k", "digest": digest, "expires_at": "1970-01-01T00:00:00.000Z"
            }}),
        ),
        (
            Event::TokenRevoked { key_id: "k".into() },
            json!({"type": "ClientTokenRevoked", "data": {"key_id": "k"}}),
        ),
        (
            Event::Revoked {},
            json!({"type": "ClientRevoked", "data": {}}),
        ),
        (
            Event::AccessDenied {
                route: "r".into(),
                scope: "quotes:write".into(),
                count: 3,
            },
            json!({"type": "AccessDenied", "data": {"route": "r", "scope": "quotes:write", "count": 3}}),
        ),
    ];
    for (event, wire) in &table {
        assert_eq!(serde_json::to_value(event).unwrap(), *wire);
        assert_eq!(
            serde_json::from_value::<Event>(wire.clone()).unwrap(),
            *event
        );
    }
    let named: Vec<_> = table
        .iter()
        .map(|(event, _)| encode(event).event_type)
        .collect();
    let listed: Vec<_> = Event::TYPES
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    assert_eq!(named, listed);
}
