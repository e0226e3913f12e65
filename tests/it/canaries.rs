//! Secrets and people's data are sent wherever they may enter, and then looked for wherever they
//! must not be: in all that the program says at its most talkative, in every file of its data folder,
//! in the answers of the API and in the figures.

use std::collections::BTreeMap;
use std::time::Duration;

use harness::canaries::{Canary, files, leaks};
use harness::node::Answer;
use harness::process_ledger::{ProcessLedger, plain_http};
use harness::quiet_provider::{
    API_KEY, QuietProvider, SECRET, message, seconds_now, signed, signed_with,
};
use harness::receiver::{Receiver, Reply};
use serde_json::{Value, json};

const NAME: &str = "Անահիտ Կանարյան";
const PHONE: &str = "+37499123454321";
const EMAIL: &str = "anahit.canaryan@example.am";
const NOTICE: &str = "I paid yesterday from my sister's account";
const WORDS: &str = "Spoke with their bookkeeper about it";
const IDEMPOTENCY: &str = "key-of-canary-0123456789";
const FORGED: &str = "cf_test_canary01_forgedforgedforgedforged_00000000";
const PROVIDER_BEARER: &str = "Bearer provider-canary-5566778899";
const HOOK_TOKEN: &str = "hook-canary-token-31415926";
const HOOK_ANSWER: &str = "thank you, dear canary customer";
const AGENT: &str = "CanaryBrowser/17.4 (of one person)";
const PASSWORD: &str = "a canary sang of 1618033988";
/// A person's mistake at signing in is nearly their password.
const MISTYPED: &str = "a canary song of 1618033988";
const CARD: &str = "4111111111111111";
/// Is in events, views and answers by right: shows that the search finds what is there.
const ORDER: &str = "order-of-canary-2718281828";

/// The program, and everything that it answered.
struct Cage {
    ledger: ProcessLedger,
    http: reqwest::Client,
    tokens: BTreeMap<&'static str, String>,
    answers: Vec<(String, Vec<u8>)>,
    keys: u32,
}

impl Cage {
    async fn call(&mut self, who: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.keys += 1;
        let token = self.tokens.get(who).cloned();
        let mut request = self
            .http
            .request(
                method.parse().unwrap(),
                format!("{}{path}", self.ledger.base),
            )
            .header("user-agent", AGENT)
            .header("idempotency-key", format!("{IDEMPOTENCY}-{}", self.keys))
            .bearer_auth(token.unwrap_or_else(|| who.to_owned()));
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let answer = Answer::of(request.send().await.unwrap()).await;
        let head = format!("{:?}\n", answer.headers);
        let what = format!("{who} {method} {path}: {}", answer.status);
        self.answers
            .push((what, [head.as_bytes(), answer.text.as_bytes()].concat()));
        answer
    }

    async fn post(&mut self, who: &str, path: &str, body: &Value) -> Answer {
        self.call(who, "POST", path, Some(body)).await
    }

    /// Until the one list of deliveries has this many in this state.
    async fn deliveries(&mut self, state: &str, wanted: usize) -> Vec<Value> {
        for _ in 0..1000 {
            let path = format!("/v1/deliveries?state={state}");
            let shown = self
                .call("operator", "GET", &path, None)
                .await
                .expect(200)
                .json();
            let rows = shown["deliveries"].as_array().unwrap().clone();
            if rows.len() == wanted {
                return rows;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{wanted} {state} deliveries never came");
    }
}

fn canaries(tokens: &BTreeMap<&'static str, String>, signing: &str) -> Vec<Canary> {
    let mut canaries = vec![
        Canary::new("name", NAME),
        Canary::new("phone", PHONE),
        Canary::new("e-mail", EMAIL),
        Canary::new("notice", NOTICE),
        Canary::new("reason", WORDS),
        Canary::new("idempotency key", IDEMPOTENCY),
        Canary::new("unknown token", FORGED),
        Canary::new("provider's bearer", PROVIDER_BEARER),
        Canary::new("user agent", AGENT),
        Canary::new("card number", CARD),
        Canary::new("password", PASSWORD),
        Canary::new("mistyped password", MISTYPED),
        Canary::new("inbound secret", SECRET),
        Canary::new("provider's API key", API_KEY),
        Canary::new("signing secret", signing),
    ];
    for token in tokens.values() {
        canaries.push(Canary::new("token", token));
        let secret = token.split('_').nth(3).unwrap();
        canaries.push(Canary::new("token's secret", secret));
    }
    canaries
}

/// A person signs in, the second time without a mistake, and is one of the callers from then on.
async fn signs_in(cage: &mut Cage, id: &str, name: &'static str) {
    let mut body = json!({ "operator": id, "password": MISTYPED });
    cage.post(FORGED, "/v1/sessions", &body).await.expect(401);
    body["password"] = json!(PASSWORD);
    let session = cage.post(FORGED, "/v1/sessions", &body).await.expect(201);
    // The one answer that shows the token, by design.
    cage.answers.pop();
    cage.tokens.insert(name, session.text_of("token"));
}

/// Who decides looks at what was attached, over HTTP and at the terminal, and says why.
async fn looks(cage: &mut Cage, request: &str, words: &str) {
    let list = format!("{request}/evidence");
    let kept = cage.call("approver", "GET", &list, None).await.expect(200);
    let commitment = kept.json()["evidence"][0]["commitment"].clone();
    let commitment = commitment.as_str().unwrap().to_owned();
    let path = format!("{list}/{commitment}/open");
    let mut why = json!({ "reason": "to_decide", "text": format!("{words} {CARD}") });
    cage.post("approver", &path, &why).await.expect(422);
    why["text"] = json!(words);
    for who in ["bot", "backend", "operator", "auditor", "admin"] {
        cage.post(who, &path, &why).await.expect(403);
    }
    let opened = cage.post("approver", &path, &why).await.expect(200);
    assert!(opened.text.contains(NOTICE) && opened.text.contains(EMAIL));
    // The one answer that shows what was attached, by design.
    cage.answers.pop();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("attached.txt");
    let (id, to) = (request.rsplit('/').next().unwrap(), file.to_str().unwrap());
    let command = [
        "evidence",
        "open",
        id,
        &commitment,
        "--merchant",
        "shop",
        "--reason",
        "to_decide",
        "--text",
        words,
        "--out",
        to,
        "--operator",
        "op-8",
    ];
    let said = cage.ledger.program.run(&command);
    assert!(!said.contains(NOTICE) && !said.contains(EMAIL), "{said}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), opened.text);
}

/// One person proposes, another decides. Gives the ticket.
async fn persons(cage: &mut Cage) -> String {
    signs_in(cage, "op-7", "person").await;
    signs_in(cage, "op-8", "approver").await;
    let amount = json!({ "minor": "150000", "currency": "AMD" });
    let order = json!({ "order_id": "order-of-persons", "scenario": "web", "amount": amount });
    let created = cage.post("backend", "/v1/payment-requests", &order).await;
    let request = format!("/v1/payment-requests/{}", created.expect(201).text_of("id"));
    let words = format!("{WORDS}: {NAME}, {PHONE}");
    let mut body = json!({
        "reason": "bank_confirmed_it", "text": format!("{words} {CARD}"),
        "evidence": [{ "text": format!("{NOTICE} {EMAIL}") }],
    });
    let path = format!("{request}/overrides");
    cage.post("person", &path, &body).await.expect(422);
    body["text"] = json!(words);
    let made = cage.post("person", &path, &body).await.expect(201);
    // Who decides is shown the words, by design.
    cage.answers.pop();
    let proposal = made.text_of("id");
    let path = format!("{request}/overrides/{proposal}");
    cage.call("backend", "GET", &path, None).await.expect(200);
    looks(cage, &request, &words).await;
    let confirm = json!({ "proposal": proposal, "password": PASSWORD });
    let shown = cage
        .post("approver", "/v1/sessions/confirm", &confirm)
        .await;
    // The one answer that shows the ticket, by design.
    cage.answers.pop();
    let ticket = shown.expect(200).text_of("ticket");
    let verdict = json!({ "ticket": ticket, "reason": "checked_with_bank", "text": words });
    let path = format!("{path}/approve");
    cage.post("approver", &path, &verdict).await.expect(200);
    ticket
}

/// Some of the money goes back, and somebody says why.
async fn gives_back(cage: &mut Cage, request: &str) {
    // What the provider said is looked at after it was taken.
    while cage
        .call("backend", "GET", request, None)
        .await
        .expect(200)
        .json()["status"]
        != "paid"
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let words = format!("{WORDS}: {NAME}, {PHONE}");
    let mut refund = json!({
        "amount": { "minor": "100", "currency": "AMD" }, "reason": "returned_goods",
        "text": format!("{words} {CARD}"),
    });
    let refunds = format!("{request}/refunds");
    cage.post("backend", &refunds, &refund).await.expect(422);
    refund["text"] = json!(words);
    cage.post("backend", &refunds, &refund).await.expect(202);
}

/// A person looks at what the customer said, and says why they decide so.
async fn decide(cage: &mut Cage, ours: &str) {
    let request = ours.rsplit_once('-').unwrap().0;
    let case = format!("/v1/exceptions/payment_request-{request}~1");
    let why = json!({ "to": null, "reason": "told_by_phone", "text": format!("{WORDS}: {NAME}") });
    let assign = format!("{case}/assign");
    cage.post("operator", &assign, &why).await.expect(200);
    let mut why = json!({ "resolution": "dismiss", "reason": "told_by_phone" });
    for (text, status) in [
        (format!("{WORDS}: {CARD}"), 422),
        (format!("{WORDS}: {NAME}, {PHONE}"), 200),
    ] {
        why["text"] = json!(text);
        let resolve = format!("{case}/resolve");
        cage.post("operator", &resolve, &why).await.expect(status);
    }
    let shown = cage.call("operator", "GET", &case, None).await.expect(200);
    assert!(shown.text.contains(WORDS));
    // The one answer that shows the words, by design.
    cage.answers.pop();
    for who in ["bot", "backend", "auditor", "admin"] {
        cage.call(who, "GET", &case, None).await.expect(403);
    }
}

/// Every way in, good and bad. Gives the subscriber's signing secret, the payer's link, and where the
/// paid request is.
async fn busy(cage: &mut Cage, crm: &Receiver) -> (String, String, String) {
    let hook = format!("{}?token={HOOK_TOKEN}", crm.url());
    let added = cage
        .post(
            "admin",
            "/v1/subscribers",
            &json!({ "id": "crm", "url": hook }),
        )
        .await;
    let signing = added.expect(201).text_of("signing_secret");
    // The one answer that shows the secret, by design.
    cage.answers.pop();

    let amount = json!({ "minor": "150000", "currency": "AMD" });
    let order = json!({ "order_id": ORDER, "scenario": "web", "amount": amount });
    let created = cage.post("backend", "/v1/payment-requests", &order).await;
    let created = created.expect(201);
    let request = format!("/v1/payment-requests/{}", created.text_of("id"));
    let url = created.text_of("checkout_url");
    let link = url.rsplit('/').next().unwrap().to_owned();
    cage.call("payer", "GET", &format!("/checkout/{link}"), None)
        .await
        .expect(200);
    for (field, value) in [
        ("order_id", EMAIL),
        ("customer_ref", PHONE),
        ("correlation_id", NAME),
        (NAME, "x"),
        ("order_id", CARD),
        (CARD, "x"),
    ] {
        let mut bad = order.clone();
        bad[field] = json!(value);
        cage.post("backend", "/v1/payment-requests", &bad)
            .await
            .expect(422);
    }
    for (text, status) in [
        (format!("{NOTICE}: {NAME}, {PHONE}"), 202),
        (format!("{NOTICE} {CARD}"), 422),
    ] {
        cage.post(
            "backend",
            &format!("{request}/notices"),
            &json!({ "kind": "message", "text": text }),
        )
        .await
        .expect(status);
    }
    for query in [
        format!("order_id={EMAIL}"),
        format!("status={NOTICE}"),
        format!("cursor={IDEMPOTENCY}"),
    ] {
        cage.call(
            "backend",
            "GET",
            &format!("/v1/payment-requests?{query}"),
            None,
        )
        .await;
    }
    cage.call("backend", "GET", &format!("/nowhere/{EMAIL}"), None)
        .await
        .expect(404);
    cage.call(FORGED, "GET", "/v1/events", None)
        .await
        .expect(401);
    cage.post("bot", "/v1/quotes", &order).await.expect(403);

    let started = cage
        .post("backend", &format!("{request}/attempts"), &json!({}))
        .await;
    let shown = started.expect(201).json();
    let ours = shown["attempts"][0]["our_reference"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut invoice = json!({
        "id": "7", "currency": "AMD", "total_amount": 150_000, "invoice_payload": created.text_of("id"),
        "telegram_payment_charge_id": "t-1", "provider_payment_charge_id": "p-1",
        "from": { "first_name": NAME, "username": CARD, "language_code": EMAIL },
        "order_info": { "name": NAME, "phone_number": PHONE, "email": EMAIL },
    });
    for (path, status) in [("pre-checkout-queries", 200), ("successful-payments", 202)] {
        let path = format!("/v1/telegram/{path}");
        cage.post("backend", &path, &invoice).await.expect(status);
    }
    invoice["invoice_payload"] = json!(PHONE);
    let path = "/v1/telegram/pre-checkout-queries";
    cage.post("backend", path, &invoice).await.expect(200);

    let mut body = message("captured", &ours, "acc-1", 150_000);
    body["payer"] = json!({ "name": NAME, "phone": PHONE, "email": EMAIL, "said": NOTICE });
    let url = format!(
        "{}/v1/callbacks/sim/sim-main?email={EMAIL}",
        cage.ledger.base
    );
    let other = "whsec_YW5vdGhlciBzZWNyZXQgb2YgYW5vdGhlciBzaG9wIQ==";
    let mut with_card = body.clone();
    with_card["payer"]["card"] = json!(CARD);
    let unreadable = json!([NAME, PHONE]);
    for notification in [
        signed_with(other, "msg_forged", seconds_now(), &body),
        signed("msg_unreadable", seconds_now(), &unreadable),
        signed("msg_card", seconds_now(), &with_card),
        signed("msg_good", seconds_now(), &body),
    ] {
        let request = notification
            .request(&cage.http, &url)
            .header("authorization", PROVIDER_BEARER);
        let answer = Answer::of(request.send().await.unwrap()).await;
        cage.answers
            .push(("callback".to_owned(), answer.text.into_bytes()));
    }
    decide(cage, &ours).await;
    let row = cage.deliveries("dead_lettered", 1).await.remove(0);
    let path = format!("/v1/deliveries/{}/abandon", row["id"].as_str().unwrap());
    let why = json!({ "reason": "told_by_phone", "text": format!("{WORDS}: {NAME}, {PHONE}") });
    cage.post("operator", &path, &why).await.expect(200);
    cage.deliveries("abandoned", 1).await;
    let mut many = json!({ "subscriber": row["subscriber"], "reason": "told_by_phone" });
    many["text"] = json!(format!("{WORDS}: {NAME}, {CARD}"));
    let path = "/v1/deliveries/redrive";
    cage.post("operator", path, &many).await.expect(422);
    many["text"] = json!(format!("{WORDS}: {NAME}, {PHONE}"));
    cage.post("operator", path, &many).await.expect(202);
    (signing, link, request)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_secret_or_personal_is_nowhere_but_under_its_seal() {
    let provider = QuietProvider::start();
    let ledger = ProcessLedger::set_up_saying(&provider, "trace");
    let mut tokens = BTreeMap::from([("backend", ledger.token.clone())]);
    for role in ["bot", "operator", "auditor", "admin"] {
        tokens.insert(role, ledger.create_client(role));
    }
    ledger.create_person("op-7", "operator", PASSWORD);
    ledger.create_person("op-8", "approver", PASSWORD);
    let http = plain_http();
    let mut serving = ledger.start();
    ledger.is_up(&mut serving, &http).await;
    let mut cage = Cage {
        ledger,
        http,
        tokens,
        answers: vec![],
        keys: 0,
    };
    let crm = Receiver::answering(
        [],
        Reply::Body(410, format!("{{\"said\": \"{HOOK_ANSWER}\"}}")),
    )
    .await;
    let (signing, link, request) = busy(&mut cage, &crm).await;
    let ticket = persons(&mut cage).await;
    gives_back(&mut cage, &request).await;
    assert!(!crm.seen()[0].header("webhook-signature").is_empty());

    // Everything that anybody may read.
    let events = cage
        .call("auditor", "GET", "/v1/events?limit=500", None)
        .await
        .expect(200)
        .json();
    let mut paths: Vec<String> = [
        "/v1/payment-requests",
        "/v1/exceptions",
        "/v1/events?limit=500",
        "/v1/subscribers",
        "/v1/subscribers/crm",
        "/v1/deliveries",
        "/v1/projections",
        "/health/live",
        "/health/ready",
        "/metrics",
        "/openapi.json",
    ]
    .map(str::to_owned)
    .to_vec();
    for event in events["events"].as_array().unwrap() {
        let stream = event["record"]["stream"].as_str().unwrap();
        paths.push(format!("/v1/streams/{stream}"));
        if let Some(id) = stream.strip_prefix("payment_request-") {
            paths.push(format!("/v1/payment-requests/{id}"));
            paths.push(format!("/v1/payment-requests/{id}/trail"));
        }
    }
    paths.sort();
    paths.dedup();
    assert!(paths.len() > 15, "{paths:?}");
    for who in [
        "bot", "backend", "operator", "auditor", "admin", "person", "approver",
    ] {
        for path in &paths {
            cage.call(who, "GET", path, None).await;
        }
    }

    let mut canaries = canaries(&cage.tokens, &signing);
    canaries.push(Canary::new("ticket", &ticket));
    let order = [Canary::new("order", ORDER)];
    let answer = [Canary::new("hook's answer", HOOK_ANSWER)];
    let data = cage.ledger.data();
    let written = |when: &str| -> Vec<(String, Vec<u8>)> {
        let mut written: Vec<_> = files(&data)
            .into_iter()
            .map(|(path, bytes)| (format!("{when}: {path}"), bytes))
            .collect();
        written.push((
            format!("{when}: log"),
            std::fs::read(cage.ledger.log_file()).unwrap(),
        ));
        written
    };
    let mut things = written("running");
    assert!(serving.terminate(), "{}", cage.ledger.said());
    things.extend(written("ended"));
    things.extend(
        crm.seen()
            .into_iter()
            .map(|told| ("delivery".to_owned(), told.body)),
    );
    things.extend(cage.answers.clone());
    let all = || {
        things
            .iter()
            .map(|(what, bytes)| (what.as_str(), bytes.as_slice()))
    };

    // The search finds what is there: the order by right, and the receiver's answer where it is kept.
    let known = leaks(all(), &order);
    for place in ["events.db", "views.db", "delivery", "auditor GET"] {
        assert!(
            known.iter().any(|leak| leak.contains(place)),
            "{place}: {known:#?}"
        );
    }
    let kept = leaks(all(), &answer);
    assert!(kept.iter().any(|leak| leak.contains("ops.db")), "{kept:#?}");
    let elsewhere: Vec<_> = kept
        .iter()
        .filter(|leak| !leak.contains("ops.db"))
        .collect();
    assert!(elsewhere.is_empty(), "{elsewhere:#?}");
    let log = std::fs::read_to_string(cage.ledger.log_file()).unwrap();
    assert!(
        log.contains("TRACE") && log.lines().count() > 500,
        "it is talkative"
    );

    // Who may see a request is shown its link; it is kept nowhere and told to nobody else.
    let mac = [Canary::new("payer's link", link.split_once('.').unwrap().1)];
    let kept: Vec<_> = all()
        .filter(|(what, _)| {
            what.starts_with("running") || what.starts_with("ended") || *what == "delivery"
        })
        .collect();
    assert_eq!(leaks(kept, &mac), Vec::<String>::new());
    assert!(!leaks(all(), &mac).is_empty());
    let hook = [Canary::new("hook's token", HOOK_TOKEN)];
    let said: Vec<_> = all()
        .filter(|(what, _)| what.ends_with("log") || what.contains("/metrics"))
        .collect();
    assert_eq!(leaks(said, &hook), Vec::<String>::new());
    assert_eq!(leaks(all(), &canaries), Vec::<String>::new());
}

#[test]
fn the_search_finds_a_value_in_every_encoding() {
    let canary = [Canary::new("name", NAME)];
    let mut utf16 = vec![];
    for unit in NAME.encode_utf16() {
        utf16.extend(unit.to_le_bytes());
    }
    let escaped = "\\u0531\\u0576\\u0561\\u0570\\u056b\\u057f \\u053f\\u0561\\u0576\\u0561\\u0580\\u0575\\u0561\\u0576";
    let percent =
        "%D4%B1%D5%B6%D5%A1%D5%B0%D5%AB%D5%BF%20%D4%BF%D5%A1%D5%B6%D5%A1%D6%80%D5%B5%D5%A1%D5%B6";
    let hex: String = NAME.bytes().map(|byte| format!("{byte:02x}")).collect();
    // `base64 <<< "a name: Անահիտ Կանարյան, b"` and two more places of the same.
    let base64 = [
        "1LHVttWh1bDVq9W/INS/1aHVttWh1oDVtdWh1bY=",
        "eNSx1bbVodWw1avVvyDUv9Wh1bbVodaA1bXVodW2",
        "eHjUsdW21aHVsNWr1b8g1L/VodW21aHWgNW11aHVtg==",
    ];
    let mut hidden: Vec<(&str, Vec<u8>)> = vec![
        ("plain", format!("hello {NAME}!").into_bytes()),
        ("UTF-16", utf16),
        ("JSON", escaped.as_bytes().to_vec()),
        ("percent", percent.as_bytes().to_vec()),
        ("hex", hex.clone().into_bytes()),
        ("HEX", hex.to_uppercase().into_bytes()),
    ];
    hidden.extend(base64.map(|text| ("base64", text.as_bytes().to_vec())));
    hidden.extend(base64.map(|text| ("base64", text.replace('/', "_").into_bytes())));
    for (encoding, bytes) in hidden {
        let found = leaks([("here", bytes.as_slice())], &canary);
        assert!(
            found.len() == 1 && found[0].contains(encoding),
            "{encoding}: {found:?}"
        );
        assert!(
            leaks([("here", &bytes[..bytes.len() / 2])], &canary).is_empty(),
            "{encoding}"
        );
    }
}
