//! Persons: how they sign in, what is kept of it, and how a session ends.

use std::time::Duration;

use api::admin::AdminCommand;
use api::admin::operators::OperatorCommand;
use api::app::context::Context;
use api::app::directory::{AuthError, CallerDirectory};
use api::app::error::AppError;
use api::app::sessions::{Credentials, REFUSED_AFTER};
use api::app::tickets;
use domain::access::operator::{Command, SESSION_IDLE_MAX};
use domain::access::password::Password;
use domain::access::role::Role;
use domain::access::totp::TotpSecret;
use domain::ids::{MerchantId, OperatorId, ProposalId};
use domain::payment::evidence::Mode;
use domain::ports::Clock;
use harness::delivery_world::{DeliveryWorld, shop};
use harness::node::{Answer, PASSWORD, TestNode};
use serde_json::{Value, json};

const SESSIONS: &str = "/v1/sessions";
const CURRENT: &str = "/v1/sessions/current";
const CONFIRM: &str = "/v1/sessions/confirm";
const REQUESTS: &str = "/v1/payment-requests";

fn ann() -> OperatorId {
    OperatorId::parse("ann").unwrap()
}

async fn sign_in(node: &TestNode, body: Value) -> Answer {
    node.call("POST", SESSIONS, None, None, Some(&body)).await
}

async fn with(node: &TestNode, token: &str, method: &str, path: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    node.call(method, path, Some(&bearer), None, None).await
}

async fn admin(node: &TestNode, command: OperatorCommand) -> Value {
    node.admin(AdminCommand::Operator(command)).await
}

/// Records of one person, in order.
async fn records(node: &TestNode, id: &str) -> Vec<Value> {
    let stream = format!("/v1/streams/operator-{id}");
    let page = node.get("auditor", &stream).await.expect(200).json();
    let events = page["events"].as_array().unwrap().iter();
    events.map(|event| event["record"].clone()).collect()
}

async fn types(node: &TestNode, id: &str) -> Vec<String> {
    let records = records(node, id).await;
    let types = records
        .iter()
        .map(|record| record["type"].as_str().unwrap());
    types.map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_acts_under_their_session_and_signs_out() {
    let node = TestNode::start().await;
    node.person("ann", Role::Operator).await;
    let answer = sign_in(&node, json!({ "operator": "ann", "password": PASSWORD })).await;
    let session = answer.expect(201).json();
    assert_eq!(session["role"], "operator");
    assert_eq!(session["merchant"], "shop");
    assert_eq!(session["idle_s_max"], 1800);
    let token = session["token"].as_str().unwrap();
    // The very next call is accepted.
    with(&node, token, "GET", REQUESTS).await.expect(200);
    with(&node, token, "GET", "/v1/events").await.expect(403);
    with(&node, token, "DELETE", CURRENT).await.expect(204);
    with(&node, token, "GET", REQUESTS).await.expect(401);
    let expected = [
        "OperatorCreated",
        "OperatorGranted",
        "OperatorPasswordSet",
        "OperatorSessionStarted",
        "AccessDenied",
        "OperatorSessionEnded",
    ];
    assert_eq!(types(&node, "ann").await, expected);
    let key_id = token.split('_').nth(2).unwrap();
    let records = records(&node, "ann").await;
    for record in &records[3..] {
        let actor = json!({ "kind": "operator", "id": "ann", "auth": key_id });
        assert_eq!(record["actor"], actor);
        assert_eq!(record["merchant"], "shop");
    }
    let kept = serde_json::to_string(&records).unwrap();
    let secret = token.split('_').nth(3).unwrap();
    for hidden in [PASSWORD, secret, "argon2"] {
        assert!(!kept.contains(hidden), "{hidden}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_the_answer_is_the_same() {
    let node = TestNode::start().await;
    for id in ["ann", "gone", "coded"] {
        node.person(id, Role::Operator).await;
    }
    let gone = OperatorId::parse("gone").unwrap();
    admin(&node, OperatorCommand::Disable { id: gone }).await;
    let coded = OperatorId::parse("coded").unwrap();
    let totp = OperatorCommand::Totp {
        id: coded,
        remove: false,
    };
    admin(&node, totp).await;
    let unready = OperatorCommand::Create {
        id: OperatorId::parse("unready").unwrap(),
        merchant: shop(),
        role: Role::Operator,
        mode: Mode::Test,
    };
    admin(&node, unready).await;
    let mut answers = vec![];
    for (id, password, totp) in [
        ("nobody", PASSWORD, None),
        ("ann", "correct horse batterz", None),
        ("ann", "", None),
        ("gone", PASSWORD, None),
        ("unready", PASSWORD, None),
        ("coded", PASSWORD, None),
        ("coded", PASSWORD, Some("000000x")),
    ] {
        let body = json!({ "operator": id, "password": password, "totp": totp });
        let asked = tokio::time::Instant::now();
        let answer = sign_in(&node, body).await.expect(401);
        assert!(asked.elapsed() >= REFUSED_AFTER, "{id} is told too soon");
        assert_eq!(answer.code(), "sign_in_refused");
        answers.push(answer.text);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    // A refused try leaves no event, and a client's token opens no session.
    assert_eq!(types(&node, "ann").await.len(), 3);
    with(&node, node.token("admin"), "DELETE", CURRENT)
        .await
        .expect(403);
    node.stop().await;
}

/// The secret that an app would have read.
async fn enrol(node: &TestNode) -> TotpSecret {
    let command = OperatorCommand::Totp {
        id: ann(),
        remove: false,
    };
    let text = admin(node, command).await["secret"].to_string();
    let bits = text.trim_matches('"').bytes().map(|b| match b {
        b'A'..=b'Z' => b - b'A',
        _ => b - b'2' + 26,
    });
    let (mut bytes, mut buffer, mut filled) = (vec![], 0_u32, 0);
    for five in bits {
        buffer = buffer << 5 | u32::from(five);
        filled += 5;
        if filled >= 8 {
            filled -= 8;
            bytes.push((buffer >> filled & 255) as u8);
        }
    }
    TotpSecret::from_slice(&bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_opens_one_session_even_after_a_restart() {
    let mut node = TestNode::start().await;
    node.person("ann", Role::Approver).await;
    let secret = enrol(&node).await;
    // The next step's code is accepted already; it leaves time for the whole test.
    let next = node.app().recorder.now().plus(Duration::from_secs(30));
    let code = secret.code_at(next);
    let body = json!({ "operator": "ann", "password": PASSWORD, "totp": code });
    let token = sign_in(&node, body.clone())
        .await
        .expect(201)
        .text_of("token");
    sign_in(&node, body.clone()).await.expect(401);
    let bearer = format!("Bearer {token}");
    let again =
        json!({ "password": PASSWORD, "totp": code, "proposal": "ov_aaaaaaaaaaaaaaaaaaaaaaaaaa" });
    node.call("POST", CONFIRM, Some(&bearer), None, Some(&again))
        .await
        .expect(401);
    node.restart().await;
    sign_in(&node, body.clone()).await.expect(401);
    // The session itself lives on.
    with(&node, &token, "GET", REQUESTS).await.expect(200);
    let remove = OperatorCommand::Totp {
        id: ann(),
        remove: true,
    };
    admin(&node, remove).await;
    node.sign_in("ann").await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_ends_every_session_and_the_old_hash_is_forgotten() {
    let node = TestNode::start().await;
    node.person("ann", Role::Operator).await;
    let (first, second) = (node.sign_in("ann").await, node.sign_in("ann").await);
    let password = OperatorCommand::Password {
        id: ann(),
        password: "another horse battery".to_owned(),
    };
    admin(&node, password).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    for token in [&first, &second] {
        with(&node, token, "GET", REQUESTS).await.expect(401);
    }
    let old = json!({ "operator": "ann", "password": PASSWORD });
    sign_in(&node, old).await.expect(401);
    let new = json!({ "operator": "ann", "password": "another horse battery" });
    let third = sign_in(&node, new).await.expect(201).text_of("token");
    let secrets = node.app().secrets.list(&shop()).await.unwrap();
    assert_eq!(secrets.len(), 1, "{secrets:?}");
    admin(&node, OperatorCommand::Disable { id: ann() }).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    with(&node, &third, "GET", REQUESTS).await.expect(401);
    assert!(node.app().secrets.list(&shop()).await.unwrap().is_empty());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_short_or_the_persons_id_is_not_taken() {
    let node = TestNode::start().await;
    node.person("ann", Role::Operator).await;
    for password in ["short", "annannannann"] {
        let context = Context::job("test");
        let refused = node
            .app()
            .set_password(&context, &ann(), password.to_owned())
            .await;
        assert!(matches!(refused, Err(AppError::Password(_))));
    }
    node.sign_in("ann").await;
    assert_eq!(node.app().secrets.list(&shop()).await.unwrap().len(), 1);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_are_slowed_down_by_person_and_by_address() {
    let start = |by_person, by_address| {
        TestNode::start_with(move |settings| {
            settings.limits.operator_sign_ins_per_min = by_person;
            settings.limits.address_sign_ins_per_min = by_address;
        })
    };
    let guess = |id: &str| json!({ "operator": id, "password": "a wrong password" });
    let node = start(3, 100).await;
    for _ in 0..3 {
        sign_in(&node, guess("ann")).await.expect(401);
    }
    let slowed = sign_in(&node, guess("ann")).await.expect(429);
    assert_eq!(slowed.code(), "rate_limited");
    assert_eq!(slowed.header("retry-after"), "20");
    // Another person's tries are their own.
    sign_in(&node, guess("bob")).await.expect(401);
    node.stop().await;
    let node = start(100, 3).await;
    for id in ["ann", "bob", "cid"] {
        sign_in(&node, guess(id)).await.expect(401);
    }
    sign_in(&node, guess("dan")).await.expect(429);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_comes_from_fresh_credentials_and_counts_for_one_proposal() {
    let node = TestNode::start().await;
    node.person("ann", Role::Approver).await;
    let token = node.sign_in("ann").await;
    let bearer = format!("Bearer {token}");
    let confirm = async |password: &str, proposal: &str| {
        let body = json!({ "password": password, "proposal": proposal });
        node.call("POST", CONFIRM, Some(&bearer), None, Some(&body))
            .await
    };
    confirm("a wrong password", "ov_aaaaaaaaaaaaaaaaaaaaaaaaaa")
        .await
        .expect(401);
    confirm(PASSWORD, "Ov 1").await.expect(422);
    let answer = confirm(PASSWORD, "ov_aaaaaaaaaaaaaaaaaaaaaaaaaa")
        .await
        .expect(200);
    let ticket = answer.text_of("ticket");
    let app = node.app();
    let directory =
        CallerDirectory::new(app.recorder.store().clone(), app.recorder.clock().clone());
    directory.catch_up().await.unwrap();
    let now = app.recorder.now();
    let caller = directory.authenticate(&token, now).unwrap();
    let client = directory.authenticate(node.token("admin"), now).unwrap();
    let check = |caller, proposal: &str| {
        let proposal = ProposalId::parse(proposal).unwrap();
        tickets::check(app.recorder.key(), caller, &proposal, &ticket, now).map(|_| ())
    };
    assert!(check(&caller, "ov_aaaaaaaaaaaaaaaaaaaaaaaaaa").is_ok());
    assert!(matches!(
        check(&caller, "ov_bbbbbbbbbbbbbbbbbbbbbbbbbb"),
        Err(AppError::Ticket(_))
    ));
    assert!(matches!(
        check(&client, "ov_aaaaaaaaaaaaaaaaaaaaaaaaaa"),
        Err(AppError::Forbidden { .. })
    ));
    let records = records(&node, "ann").await;
    let last = &records.last().unwrap();
    assert_eq!(last["type"], "OperatorConfirmed");
    assert_eq!(last["data"]["proposal"], "ov_aaaaaaaaaaaaaaaaaaaaaaaaaa");
    assert_eq!(last["data"]["expires_at"], answer.json()["expires_at"]);
    assert!(!last.to_string().contains(&ticket));
    node.stop().await;
}

/// In memory, with a clock that only moves when it is told to.
#[tokio::test]
async fn a_session_that_nobody_uses_for_thirty_minutes_is_over() {
    let world = DeliveryWorld::start().await;
    let (app, context) = (&world.app, Context::job("test"));
    let create = Command::Create {
        id: ann(),
        merchant: MerchantId::parse("shop").unwrap(),
        mode: Mode::Test,
    };
    app.command_operator(&ann(), &context, &create)
        .await
        .unwrap();
    app.set_password(&context, &ann(), PASSWORD.to_owned())
        .await
        .unwrap();
    let credentials = Credentials {
        password: Password::shown(PASSWORD.to_owned()),
        totp: None,
    };
    let signed_in = app.sign_in(&ann(), &credentials, "test", None).await;
    let token = signed_in.unwrap().token.reveal();
    let directory = CallerDirectory::new(app.recorder.store().clone(), world.clock.clone());
    let after = async |pause: Duration| {
        world.clock.advance(pause);
        directory.catch_up().await.unwrap();
        directory
            .authenticate(&token, world.clock.now())
            .map(|_| ())
    };
    assert_eq!(after(Duration::ZERO).await, Ok(()));
    // Each use begins the time anew.
    for _ in 0..3 {
        assert_eq!(after(SESSION_IDLE_MAX).await, Ok(()));
    }
    let Err(AuthError::Idle { operator, key_id }) =
        after(SESSION_IDLE_MAX + Duration::from_millis(1)).await
    else {
        panic!("the session is idle");
    };
    // It stays over, here and, once it is told, everywhere.
    assert!(after(Duration::ZERO).await.is_err());
    app.leave_idle(&operator, key_id).await;
    assert_eq!(after(Duration::ZERO).await, Err(AuthError::Refused));
    assert!(app.operator(&ann()).await.unwrap().sessions.is_empty());
}

/// However busy it is.
#[tokio::test]
async fn a_session_is_over_after_eight_hours() {
    let world = DeliveryWorld::start().await;
    let (app, context) = (&world.app, Context::job("test"));
    let create = Command::Create {
        id: ann(),
        merchant: shop(),
        mode: Mode::Test,
    };
    app.command_operator(&ann(), &context, &create)
        .await
        .unwrap();
    app.set_password(&context, &ann(), PASSWORD.to_owned())
        .await
        .unwrap();
    let credentials = Credentials {
        password: Password::shown(PASSWORD.to_owned()),
        totp: None,
    };
    let signed_in = app.sign_in(&ann(), &credentials, "test", None).await;
    let token = signed_in.unwrap().token.reveal();
    let directory = CallerDirectory::new(app.recorder.store().clone(), world.clock.clone());
    let quarter = Duration::from_secs(900);
    for n in 0..32 {
        directory.catch_up().await.unwrap();
        let now = world.clock.now();
        assert!(directory.authenticate(&token, now).is_ok(), "{n}");
        world.clock.advance(quarter);
    }
    directory.catch_up().await.unwrap();
    let late = directory.authenticate(&token, world.clock.now());
    assert_eq!(late.err(), Some(AuthError::Refused));
}
