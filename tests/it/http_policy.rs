//! Who may call what: every route of the table, by every role, with every kind of token, on objects
//! of their own, of a colleague and of another merchant. What is expected stands here once more, by
//! hand, so that a slip in the table of routes or in a role is a red cell.

mod table;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use api::admin::AdminCommand;
use api::app::context::Context;
use api::app::recorder::{Decision, Draft};
use api::http::ops::Op;
use domain::access::operator;
use domain::access::token::Token;
use domain::ids::{ClientId, OperatorId, PaymentRequestId, ProposalId};
use domain::payment::event::{Grounds, Proposed};
use domain::payment::evidence::Mode;
use domain::payment::{Command, Propose};
use domain::stream::{StreamId, Version};
use harness::node::{Answer, PASSWORD, TestNode};
use serde_json::{Value, json};

use self::table::*;

/// With which token, on whose object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Own,
    Colleagues,
    OtherMerchants,
    NoToken,
    Mistyped,
    Revoked,
    Expired,
}

const CASES: [Case; 7] = [
    Case::Own,
    Case::Colleagues,
    Case::OtherMerchants,
    Case::NoToken,
    Case::Mistyped,
    Case::Revoked,
    Case::Expired,
];

/// A token of each kind for one role.
struct Tokens {
    revoked: String,
    expired: String,
}

/// A name that no other call of this process has.
fn fresh(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{what}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn amd(minor: &str) -> Value {
    json!({ "minor": minor, "currency": "AMD" })
}

fn tea() -> Value {
    let items = json!([{ "item": "tea", "quantity": 1 }]);
    json!({ "items": items, "order_id": fresh("order"), "scenario": "telegram" })
}

/// A new request of this client, priced by the catalogue, which both bots and backends may use.
async fn new_request(node: &TestNode, owner: &str) -> String {
    let created = node.post(owner, REQUESTS, &fresh("key"), &tea()).await;
    created.expect(201).text_of("id")
}

/// A new request of this client, and a person's proposal for it.
async fn new_proposal(node: &TestNode, owner: &str) -> (String, String) {
    let (id, proposal) = (
        new_request(node, owner).await,
        "ov_aaaaaaaaaaaaaaaaaaaaaaaaaa",
    );
    let propose = Propose {
        proposal: ProposalId::parse(proposal).unwrap(),
        decision: Proposed::Pay,
        by: OperatorId::parse("op-1").unwrap(),
        grounds: Grounds::None,
    };
    let request = PaymentRequestId::parse(&*id).unwrap();
    let context = Context::job("test");
    let propose = Command::Propose(propose);
    let made = node.app().execute(&request, &context, &propose).await;
    made.unwrap();
    (id, proposal.to_owned())
}

/// The first piece that is kept sealed about a request.
async fn first_evidence(node: &TestNode, id: &str) -> String {
    let stream = StreamId::parse(format!("payment_request-{id}")).unwrap();
    let store = node.app().recorder.store();
    let records = store.read_stream(&stream, Version::FIRST, 100).await;
    let records = records.unwrap();
    let mut pieces = records
        .iter()
        .flat_map(|recorded| recorded.envelope().unwrap().evidence);
    pieces.next().unwrap().commitment.0.to_string()
}

/// The merchant's subscriber.
fn subscriber(backend: &str) -> &'static str {
    if backend.starts_with("other-") {
        "other-erp"
    } else {
        "erp"
    }
}

/// A delivery that is due: the news of a cancelled request.
async fn new_delivery(node: &TestNode, owner: &str, backend: &str) -> String {
    let id = new_request(node, owner).await;
    let cancel = CANCEL.replace("{id}", &id);
    node.post(backend, &cancel, &fresh("key"), &json!({}))
        .await
        .expect(200);
    let operator = if backend.starts_with("other-") {
        "other-operator"
    } else {
        "operator"
    };
    let list = format!(
        "{DELIVERIES}?payment_request_id={id}&subscriber={}",
        subscriber(backend)
    );
    let until = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        let found = node.get(operator, &list).await.expect(200).json();
        if let Some(delivery) = found["deliveries"][0]["id"].as_str() {
            return delivery.to_owned();
        }
        assert!(
            tokio::time::Instant::now() < until,
            "a delivery within ten seconds: {found}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A batch of nothing, which is over.
async fn new_batch(node: &TestNode, backend: &str) -> String {
    let operator = if backend.starts_with("other-") {
        "other-operator"
    } else {
        "operator"
    };
    let body = json!({ "subscriber": subscriber(backend), "reason": "checked" });
    let made = node
        .post(operator, REDRIVE_MANY, &fresh("key"), &body)
        .await;
    let id = made.expect(202).text_of("id");
    let path = BATCH.replace("{id}", &id);
    let until = tokio::time::Instant::now() + Duration::from_secs(10);
    while node.get(operator, &path).await.expect(200).text_of("state") != "finished" {
        assert!(
            tokio::time::Instant::now() < until,
            "over within ten seconds"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    id
}

/// A concrete path for a template, on an object of `owner`, ready for the call.
async fn path(node: &TestNode, (method, template): Route, owner: &str, backend: &str) -> String {
    match template {
        SCHEMA => "/schemas/payment.verified.v1.json".to_owned(),
        SUBSCRIBER if method == "DELETE" => {
            // What is gone is gone: one of its own for each call.
            let id = fresh("gone");
            let admin = if backend.starts_with("other-") {
                "other-admin"
            } else {
                "admin"
            };
            let new = json!({ "id": id, "url": "https://hooks.example.org/x" });
            node.post(admin, SUBSCRIBERS, &fresh("key"), &new)
                .await
                .expect(201);
            template.replace("{id}", &id)
        }
        CALLBACK => "/v1/callbacks/sim/sim-main".to_owned(),
        QUOTE => {
            let quote = json!({ "order_id": fresh("order"), "scenario": "telegram", "amount": amd("150000") });
            let quote = node.post(backend, QUOTES, &fresh("key"), &quote).await;
            template.replace("{quote_id}", &quote.expect(201).text_of("id"))
        }
        EVENT_STREAM => {
            let stream = format!("payment_request-{}", new_request(node, owner).await);
            template.replace("{stream}", &stream)
        }
        PROPOSAL | APPROVE | REJECT => {
            let (id, proposal) = new_proposal(node, owner).await;
            let path = template.replace("{id}", &id);
            path.replace("{proposal_id}", &proposal)
        }
        REQUEST | STREAM | ATTEMPTS | PRECHECK | CANCEL | NOTICES | REFUNDS | TRAIL | OVERRIDES
        | REVOCATIONS | OF_REQUEST | EVIDENCE => {
            let id = new_request(node, owner).await;
            if template == PRECHECK {
                let attempts = ATTEMPTS.replace("{id}", &id);
                node.post(owner, &attempts, &fresh("key"), &json!({}))
                    .await
                    .expect(201);
            }
            template.replace("{id}", &id)
        }
        OPEN => {
            let id = new_request(node, owner).await;
            let notice = json!({ "kind": "message", "text": "I paid" });
            let notices = NOTICES.replace("{id}", &id);
            node.post(owner, &notices, &fresh("key"), &notice)
                .await
                .expect(202);
            let path = template.replace("{id}", &id);
            path.replace("{commitment}", &first_evidence(node, &id).await)
        }
        EXCEPTION | ASSIGN | RESOLVE => {
            // Nobody can be asked about what a customer says, so a person must look.
            let id = new_request(node, owner).await;
            let notice = json!({ "kind": "message", "text": "I paid" });
            let notices = NOTICES.replace("{id}", &id);
            node.post(owner, &notices, &fresh("key"), &notice)
                .await
                .expect(202);
            template.replace("{id}", &format!("payment_request-{id}~1"))
        }
        CHECKOUT | CHECKOUT_PAY => {
            let created = node.post(owner, REQUESTS, &fresh("key"), &tea()).await;
            let url = created.expect(201).text_of("checkout_url");
            template.replace("{link}", url.rsplit('/').next().unwrap())
        }
        SUBSCRIBER | TEST | PAUSE | RESUME | KEYS | BACKFILLS => {
            template.replace("{id}", subscriber(backend))
        }
        // A colleague's queue is another subscriber's.
        PULL | ACK if owner == "backend-2" => template.replace("{id}", "crm"),
        PULL | ACK => template.replace("{id}", subscriber(backend)),
        BATCH | CANCEL_BATCH => template.replace("{id}", &new_batch(node, backend).await),
        DELIVERY | DELIVERY_REQUEST | REDRIVE | ABANDON => {
            template.replace("{id}", &new_delivery(node, owner, backend).await)
        }
        plain => {
            assert!(
                !plain.contains('{'),
                "{method} {plain} has no example path in this test"
            );
            plain.to_owned()
        }
    }
}

/// A body that succeeds.
fn body(route: Route) -> Option<Value> {
    match route {
        ("GET" | "DELETE", _) => None,
        // Nobody: a bearer token is nothing to it.
        (_, SESSIONS) => Some(json!({ "operator": "nobody", "password": PASSWORD })),
        (_, CONFIRM) => {
            Some(json!({ "password": PASSWORD, "proposal": "ov_aaaaaaaaaaaaaaaaaaaaaaaaaa" }))
        }
        (_, QUOTES) => Some(
            json!({ "order_id": fresh("order"), "scenario": "telegram", "amount": amd("150000") }),
        ),
        (_, REQUESTS) => Some(tea()),
        (_, PRECHECK) => Some(json!({ "amount": amd("150000") })),
        (_, NOTICES) => Some(json!({ "kind": "message", "text": "I paid" })),
        (_, REFUNDS) => Some(json!({ "amount": amd("100"), "reason": "returned_goods" })),
        (_, PRE_CHECKOUT | TELEGRAM_PAYMENT) => Some(json!({
            "id": "1", "currency": "AMD", "total_amount": 150_000,
            "invoice_payload": "pr_aaaaaaaaaaaaaaaaaaaaaaaaaa",
            "telegram_payment_charge_id": "t-1", "provider_payment_charge_id": "p-1",
        })),
        (_, SUBSCRIBERS) => {
            Some(json!({ "id": fresh("erp"), "url": "https://hooks.example.org/x" }))
        }
        (_, SUBSCRIBER) => Some(json!({ "policy": { "per_second": 40 } })),
        (_, KEYS) => Some(json!({ "overlap_s": 0 })),
        (_, BACKFILLS) => Some(json!({ "from": "2020-01-01T00:00:00Z", "reason": "checked" })),
        (_, ASSIGN) => Some(json!({ "to": null })),
        (_, RESOLVE) => {
            Some(json!({ "resolution": "dismiss", "reason": "checked", "text": "nothing came" }))
        }
        (_, OVERRIDES | REVOCATIONS) => {
            Some(json!({ "reason": "seen", "text": "seen", "evidence": "none" }))
        }
        (_, OPEN) => Some(json!({ "reason": "seen" })),
        (_, APPROVE | REJECT) => Some(json!({ "reason": "seen", "ticket": "cft_of_nobody" })),
        (_, ACK) => Some(json!({ "cursor": format!("1-dlv_{}", "a".repeat(32)) })),
        (_, REDRIVE_MANY | ABANDON_MANY) => {
            Some(json!({ "subscriber": "erp", "reason": "receiver_fixed" }))
        }
        (_, REDRIVE | ABANDON | CANCEL_BATCH) => Some(json!({ "reason": "receiver_fixed" })),
        (_, ATTEMPTS | CANCEL | CALLBACK | CHECKOUT_PAY | TEST | PAUSE | RESUME) => Some(json!({})),
        (method, path) => panic!("{method} {path} has no example body in this test"),
    }
}

fn names_an_object(template: &str) -> bool {
    template.contains('{') && template != CALLBACK
}

/// The status that this cell must have.
fn expected(op: Op, may: bool, role: &str, case: Case) -> u16 {
    let spec = op.spec();
    let route = (spec.method, spec.path);
    if PUBLIC.contains(&route) {
        return 200;
    }
    // A bearer token is nothing to a payer's page; its form is no JSON.
    if spec.path == CHECKOUT {
        return 200;
    }
    if spec.path == CHECKOUT_PAY {
        return 415;
    }
    if spec.path == CALLBACK {
        // A bearer token is nothing to it: the notification has no signature, and this account is
        // not notified by query strings.
        return if spec.method == "GET" { 405 } else { 401 };
    }
    if spec.path == SESSIONS {
        // Nor to this: nobody's password was shown.
        return 401;
    }
    match case {
        Case::NoToken | Case::Mistyped | Case::Revoked | Case::Expired => 401,
        Case::Own | Case::Colleagues | Case::OtherMerchants if !may => 403,
        Case::OtherMerchants if names_an_object(spec.path) => 404,
        Case::Colleagues if matches!(role, "bot" | "receiver") && names_an_object(spec.path) => 404,
        Case::Own | Case::Colleagues | Case::OtherMerchants => match route {
            // Of people's decisions a bot sees none.
            ("GET", PROPOSAL) if role == "bot" => 404,
            ("POST", QUOTES | REQUESTS | ATTEMPTS | SUBSCRIBERS | KEYS | OVERRIDES) => 201,
            // Admitted, and told that what is not paid is not revoked.
            ("POST", REVOCATIONS) => 409,
            // Admitted, and told that this ticket is nobody's.
            ("POST", APPROVE | REJECT) => 403,
            ("POST", NOTICES | TEST | BACKFILLS | REDRIVE_MANY | ABANDON_MANY) => 202,
            // Admitted, and of an invoice that is nobody's.
            ("POST", TELEGRAM_PAYMENT) => 404,
            // Admitted, and told that what is due needs no second start, that nothing was paid, and
            // that the batch is over.
            ("POST", REDRIVE | REFUNDS | CANCEL_BATCH) => 409,
            // Admitted, and told that this place is in no queue.
            ("POST", ACK) => 409,
            ("DELETE", CURRENT) => 204,
            _ => 200,
        },
    }
}

/// Sends the call and reads the answer; of a status stream only the head, for it does not end.
async fn send(
    node: &TestNode,
    route: Route,
    path: &str,
    token: Option<&str>,
    body: Option<Value>,
) -> Answer {
    if route.1 != STREAM {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let key = (route.0 != "GET" && route.1 != CURRENT).then(|| fresh("key"));
        return node
            .call(
                route.0,
                path,
                bearer.as_deref(),
                key.as_deref(),
                body.as_ref(),
            )
            .await;
    }
    let mut request = node.http().get(node.url(path));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let response = request.send().await.unwrap();
    if response.status() != 200 {
        return Answer::of(response).await;
    }
    Answer {
        status: 200,
        headers: response.headers().clone(),
        text: String::new(),
    }
}

/// The last letter but the checksum, changed.
fn mistyped(token: &str) -> String {
    let place = token.len() - 10;
    let with = if &token[place..=place] == "a" {
        "b"
    } else {
        "a"
    };
    format!("{}{with}{}", &token[..place], &token[place + 1..])
}

/// A session that was ended, and one whose time is over.
async fn sessions(node: &TestNode, person: &str) -> Tokens {
    let revoked = node.sign_in(person).await;
    let bearer = format!("Bearer {revoked}");
    node.call("DELETE", CURRENT, Some(&bearer), None, None)
        .await
        .expect(204);
    let (app, id) = (node.app(), OperatorId::parse(person).unwrap());
    let token = Token::issue_session(Mode::Test, [7; 6], [7; 32]);
    let started = operator::Event::SessionStarted {
        key_id: token.key_id().to_owned(),
        digest: token.digest(),
        expires_at: app.recorder.now(),
        totp_step: None,
    };
    let stream = StreamId::operator(&id);
    let folded = app.recorder.fold(&stream, None, operator::evolve).await;
    let decision = Decision {
        stream: &stream,
        expect: folded.unwrap().expect(),
        merchant: None,
        command: "test",
        context: &Context::job("test"),
        drafts: vec![Draft::of(&started)],
        claims: vec![],
    };
    app.recorder.append(decision).await.unwrap();
    Tokens {
        revoked,
        expired: token.reveal(),
    }
}

async fn tokens(node: &TestNode, client: &str) -> Tokens {
    let revoked = node.token_for(client, Duration::from_secs(600)).await;
    let key_id = revoked.split('_').nth(2).unwrap().to_owned();
    let id = ClientId::parse(client).unwrap();
    node.admin(AdminCommand::ClientRevoke {
        id,
        key_id: Some(key_id),
    })
    .await;
    let expired = node.token_for(client, Duration::from_millis(800)).await;
    Tokens { revoked, expired }
}

/// The problem that a refusal must be.
fn code_of(status: u16, (_, path): Route, may: bool) -> &'static str {
    match status {
        403 if may && matches!(path, APPROVE | REJECT) => "ticket_refused",
        401 => "unauthenticated",
        403 => "forbidden",
        404 => "not_found",
        409 if path == ACK => "other_log",
        409 => "state_conflict",
        _ => "",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_may_do_what_its_row_says_and_nothing_else() {
    let mut node = TestNode::start_with(|settings| settings.delivery.enabled = false).await;
    for (admin, backend) in [("admin", "backend"), ("other-admin", "other-backend")] {
        let erp = json!({ "id": subscriber(backend), "url": "https://hooks.example.org/x" });
        node.post(admin, SUBSCRIBERS, &fresh("key"), &erp)
            .await
            .expect(201);
    }
    let crm = json!({ "id": "crm", "delivery": "pull" });
    node.post("admin", SUBSCRIBERS, &fresh("key"), &crm)
        .await
        .expect(201);
    node.hire_receiver("receiver", "erp").await;
    let known: BTreeSet<Route> = MAY
        .iter()
        .flat_map(|(_, routes)| routes.iter().copied())
        .chain(PROPOSER)
        .chain(PUBLIC)
        .chain([
            ("POST", CALLBACK),
            ("GET", CALLBACK),
            ("POST", SESSIONS),
            ("GET", CHECKOUT),
            ("POST", CHECKOUT_PAY),
        ])
        .collect();
    let routes: BTreeSet<Route> = Op::ALL
        .iter()
        .map(|op| (op.spec().method, op.spec().path))
        .collect();
    assert_eq!(
        routes, known,
        "a route without a row, or a row without a route"
    );

    for (person, role) in PERSONS {
        node.person(person, role).await;
    }
    let (mut cells, mut wrong) = (0, vec![]);
    let rows = rows();
    for (role, may) in &rows {
        let role = *role;
        let person = PERSONS.iter().any(|(name, _)| *name == role);
        let Tokens { revoked, expired } = if person {
            sessions(&node, role).await
        } else {
            tokens(&node, role).await
        };
        let mut live = if person {
            node.sign_in(role).await
        } else {
            node.token(role).to_owned()
        };
        // A token ends at its time, a revocation counts within a second.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (own, colleague) = if role == "bot" {
            ("bot", "bot-2")
        } else {
            ("backend", "backend-2")
        };
        for op in Op::ALL {
            let spec = op.spec();
            let route = (spec.method, spec.path);
            for case in CASES {
                let path = match case {
                    Case::OtherMerchants => {
                        path(&node, route, "other-backend", "other-backend").await
                    }
                    Case::Colleagues => path(&node, route, colleague, "backend-2").await,
                    Case::Own | Case::NoToken | Case::Mistyped | Case::Revoked | Case::Expired => {
                        path(&node, route, own, "backend").await
                    }
                };
                let good = live.as_str();
                let bad = mistyped(good);
                let token = match case {
                    Case::Own | Case::Colleagues | Case::OtherMerchants => Some(good),
                    Case::NoToken => None,
                    Case::Mistyped => Some(bad.as_str()),
                    Case::Revoked => Some(revoked.as_str()),
                    Case::Expired => Some(expired.as_str()),
                };
                let answer = send(&node, route, &path, token, body(route)).await;
                let may = may.contains(&route);
                let status = expected(*op, may, role, case);
                cells += 1;
                let by_client = !matches!(spec.path, CALLBACK | SESSIONS | CHECKOUT_PAY);
                let refused = status >= 400 && by_client;
                if answer.status != status
                    || (refused && answer.code() != code_of(status, route, may))
                {
                    let found = format!(
                        "{} {} by {role}, {case:?}: {}",
                        spec.method, path, answer.status
                    );
                    wrong.push(format!("{found} instead of {status}: {}", answer.text));
                }
                if status == 204 {
                    live = node.sign_in(role).await;
                }
            }
        }
    }
    println!(
        "{cells} cells: {} routes, {} roles, {} cases",
        Op::ALL.len(),
        rows.len(),
        CASES.len()
    );
    assert_eq!(cells, Op::ALL.len() * rows.len() * CASES.len());
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_hold_nothing_of_others() {
    let node = TestNode::start().await;
    let mut ids = vec![];
    for owner in ["bot", "bot-2", "backend", "other-bot"] {
        let created = node
            .post(owner, REQUESTS, &fresh("key"), &tea())
            .await
            .expect(201);
        ids.push((
            owner,
            created.text_of("id"),
            created.header("position").to_owned(),
        ));
    }
    let last = ids.last().unwrap().2.clone();
    for (reader, visible) in [
        ("bot", &["bot"][..]),
        ("bot-2", &["bot-2"]),
        ("backend", &["bot", "bot-2", "backend"]),
        ("operator", &["bot", "bot-2", "backend"]),
        ("auditor", &["bot", "bot-2", "backend"]),
        ("admin", &["bot", "bot-2", "backend"]),
        ("other-backend", &["other-bot"]),
        ("other-auditor", &["other-bot"]),
    ] {
        let list = node
            .get(reader, &format!("{REQUESTS}?wait_for={last}"))
            .await
            .expect(200);
        for (owner, id, _) in &ids {
            assert_eq!(
                list.text.contains(id.as_str()),
                visible.contains(owner),
                "{reader} and {owner}'s"
            );
        }
    }
    for (reader, foreign) in [
        ("auditor", "other"),
        ("admin", "other"),
        ("other-auditor", "shop"),
        ("other-admin", "shop"),
    ] {
        let page = node
            .get(reader, "/v1/events?limit=500")
            .await
            .expect(200)
            .json();
        let events = page["events"].as_array().unwrap();
        assert!(!events.is_empty());
        for event in events {
            assert_ne!(event["record"]["merchant"], foreign, "{reader}: {event}");
            assert!(event["record"]["merchant"].is_string(), "{reader}: {event}");
        }
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_refused_call_of_a_route_leaves_an_event_and_the_second_none() {
    let node = TestNode::start().await;
    let bot = "/v1/streams/client-bot";
    let denied = async || {
        let page = node.get("auditor", bot).await.expect(200).json();
        let events = page["events"].as_array().unwrap().clone();
        events
            .into_iter()
            .filter(|event| event["record"]["type"] == "AccessDenied")
            .collect::<Vec<_>>()
    };
    assert!(denied().await.is_empty());
    for _ in 0..3 {
        node.get("bot", "/v1/events").await.expect(403);
    }
    let once = denied().await;
    assert_eq!(once.len(), 1);
    let record = &once[0]["record"];
    assert_eq!(record["data"]["route"], "GET /v1/events");
    assert_eq!(record["data"]["scope"], "audit:read");
    assert_eq!(record["merchant"], "shop");
    // Another route is news; a call without a valid token is none.
    node.get("bot", EXCEPTIONS).await.expect(403);
    let bad = format!("Bearer {}", mistyped(node.token("bot")));
    node.call("GET", PROJECTIONS, Some(&bad), None, None)
        .await
        .expect(401);
    node.call("GET", PROJECTIONS, None, None, None)
        .await
        .expect(401);
    assert_eq!(denied().await.len(), 2);
    node.stop().await;
}
