//! The bank over real HTTP on loopback, called through the ledger's own adapter; its messages are
//! caught on their way out and read by the ledger's own adapter, and time is moved by hand.

use std::collections::{BTreeMap, BTreeSet};

use adapters::http_out::{
    AddressGuard, CallableUrls, CheckedHttp, Cidr, HttpOutOptions, ScriptedHttp,
};
use adapters::memory::{ManualClock, SeededEntropy};
use adapters::providers::signature::standard_webhooks;
use adapters::providers::sim::{SimApi, SimInbound};
use async_trait::async_trait;
use domain::ids::{AccountSlug, KeyId, MerchantId, ProviderRef};
use domain::money::{Currency, Money};
use domain::payment::fact::FactKind;
use domain::ports::{
    Clock, HttpOut, InboundMethod, InboundProvider, InboundRequest, KeyringError, LookUp,
    LookUpOutcome, OutAnswer, OutError, OutRequest, ProviderApi, RegisterOutcome, Registration,
    Rejected, Secret, SecretPurpose, Secrets,
};
use domain::time::Timestamp;

use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const API_KEY: &str = "sim-key-of-the-test";
const START_S: i64 = 1_790_000_000;

fn secret(value: &str) -> Secret {
    Secret {
        key_id: KeyId::parse("k1").unwrap(),
        value: value.as_bytes().to_vec(),
        valid_from: Timestamp::from_seconds(0),
        valid_until: None,
    }
}

/// The one API key.
struct OneSecret;

#[async_trait]
impl Secrets for OneSecret {
    async fn active(
        &self,
        _: &MerchantId,
        _: &SecretPurpose,
        _: Timestamp,
    ) -> Result<Vec<Secret>, KeyringError> {
        Ok(vec![secret(API_KEY)])
    }

    async fn set(&self, _: &MerchantId, _: &SecretPurpose, _: Secret) -> Result<(), KeyringError> {
        Err(KeyringError::UnknownKey)
    }

    async fn remove(
        &self,
        _: &MerchantId,
        _: &SecretPurpose,
        _: &KeyId,
    ) -> Result<(), KeyringError> {
        Ok(())
    }

    async fn list(
        &self,
        _: &MerchantId,
    ) -> Result<Vec<(SecretPurpose, KeyId, Timestamp, Option<Timestamp>)>, KeyringError> {
        Ok(vec![])
    }
}

/// A bank, its merchant's adapter, and the messages that it sent.
struct World {
    clock: Arc<ManualClock>,
    told: Arc<ScriptedHttp>,
    out: Arc<dyn HttpOut>,
    api: SimApi,
    bank: Handle,
}

/// A kind of fact, and its amount in minor units.
type Stated = (&'static str, Option<i64>);

/// A message as the ledger reads it: the status, and what the signature check says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    status: String,
    id: String,
    seconds: i64,
    body: Vec<u8>,
    checked: Result<(), Rejected>,
}

impl World {
    /// The ledger takes every message.
    fn new(script: &str) -> Self {
        Self::answering(script, |_| Ok(ScriptedHttp::json(200, "{}")))
    }

    fn answering(
        script: &str,
        answer: impl FnMut(&OutRequest) -> Result<OutAnswer, OutError> + Send + 'static,
    ) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(START_S)));
        let told = Arc::new(ScriptedHttp::answering(answer));
        let key = standard_webhooks::key(SECRET.as_bytes()).unwrap();
        let hands = Hands {
            http: Arc::clone(&told) as Arc<dyn HttpOut>,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            entropy: Arc::new(SeededEntropy::new(7, "bank")),
            sign: Arc::new(move |id, seconds, body| {
                standard_webhooks::sign(&key, id, seconds, body)
            }),
        };
        let options = SimOptions {
            listen: "127.0.0.1:0".parse().unwrap(),
            public_url: None,
            notify_url: "http://ledger.example/v1/callbacks/sim/sim-main".into(),
            payee: "shop-1".into(),
            mode: Mode::Test,
            api_key: API_KEY.into(),
            script: script.parse().unwrap(),
        };
        let bank = run(options, hands).unwrap();
        let guard = AddressGuard::allowing(vec![Cidr::parse("127.0.0.1").unwrap()]);
        let urls = CallableUrls {
            guard,
            allow_http: true,
        };
        let out = CheckedHttp::new(HttpOutOptions {
            urls,
            ..HttpOutOptions::default()
        })
        .unwrap();
        let out: Arc<dyn HttpOut> = Arc::new(out);
        let api = SimApi::new(
            &bank.url(),
            MerchantId::parse("shop").unwrap(),
            AccountSlug::parse("sim-main").unwrap(),
            Arc::clone(&out),
            Arc::new(OneSecret),
            Arc::clone(&clock) as Arc<dyn Clock>,
        );
        Self {
            clock,
            told,
            out,
            api,
            bank,
        }
    }

    async fn register(&self, reference: &str) -> RegisterOutcome {
        let registration = Registration {
            our_reference: ProviderRef::parse(reference).unwrap(),
            amount: Money::new(150_000, Currency::from_code("AMD").unwrap()).unwrap(),
            description: "Order 1001".into(),
            session_s: 60,
            return_url: "http://127.0.0.1:1/back".into(),
        };
        self.api.register(&registration).await
    }

    async fn look_up(&self, reference: &str) -> LookUpOutcome {
        let our_reference = ProviderRef::parse(reference).unwrap();
        self.api
            .look_up(&LookUp {
                our_reference,
                provider_order_ref: None,
            })
            .await
    }

    /// What a look-up states: kinds and amounts in minor units.
    async fn truth(&self, reference: &str) -> Vec<Stated> {
        match self.look_up(reference).await {
            LookUpOutcome::Answered { facts, .. } => facts
                .iter()
                .map(|fact| (fact.kind.as_str(), fact.amount.map(Money::minor)))
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    /// Moves time until `count` messages were sent, and a while further to see that no more come.
    async fn messages(&self, count: usize) -> Vec<Told> {
        let mut patience = 0;
        while self.told.seen().len() < count && patience < 2000 {
            self.pass(Duration::from_millis(250)).await;
            patience += 1;
        }
        for _ in 0..400 {
            self.pass(Duration::from_millis(250)).await;
        }
        let told: Vec<Told> = self.told.seen().iter().map(read).collect();
        assert_eq!(told.len(), count, "{told:?}");
        told
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    /// A call as anybody may make it.
    async fn call(
        &self,
        method: &'static str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> OutAnswer {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let request = OutRequest {
            method,
            url: format!("{}{path}", self.bank.url()),
            headers,
            body: body.as_bytes().to_vec(),
            deadline: Duration::from_secs(5),
            answer_bytes_max: 64 * 1024,
        };
        self.out.send(request).await.unwrap()
    }

    async fn keyed(&self, method: &'static str, path: &str, body: &str) -> (u16, String) {
        let bearer = format!("Bearer {API_KEY}");
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
        ];
        let answer = self.call(method, path, &headers, body).await;
        (answer.status, String::from_utf8(answer.body).unwrap())
    }
}

/// Reads a message with the ledger's own adapter, at the time at which it was sent.
fn read(request: &OutRequest) -> Told {
    let header = |name: &str| {
        request
            .headers
            .iter()
            .find(|(known, _)| known == name)
            .unwrap()
            .1
            .clone()
    };
    let seconds: i64 = header("webhook-timestamp").parse().unwrap();
    let inbound = InboundRequest {
        method: InboundMethod::Post,
        headers: request
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), value.clone().into_bytes()))
            .collect(),
        body: request.body.clone(),
        ..InboundRequest::default()
    };
    let checked = SimInbound.authenticate(
        &inbound,
        &[secret(SECRET)],
        Timestamp::from_seconds(seconds),
    );
    let fact = SimInbound.facts(&inbound).unwrap().remove(0);
    Told {
        status: fact.provider_status.unwrap(),
        id: header("webhook-id"),
        seconds,
        body: request.body.clone(),
        checked: checked.map(|_| ()),
    }
}

fn field(told: &Told, name: &str) -> String {
    let body: serde_json::Value = serde_json::from_slice(&told.body).unwrap();
    body[name].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_payment_on_the_page_is_told_once_with_all_terms_and_the_look_up_agrees() {
    let world = World::new("");
    let RegisterOutcome::Registered {
        provider_order_ref,
        pay_url,
        session_expires_at,
    } = world.register("pr_x-1").await
    else {
        panic!("not registered")
    };
    let order = provider_order_ref.unwrap();
    assert_eq!(
        pay_url.as_deref(),
        Some(format!("{}/pay/{order}", world.bank.url()).as_str())
    );
    assert_eq!(
        session_expires_at,
        Some(Timestamp::from_seconds(START_S + 60))
    );
    assert_eq!(world.truth("pr_x-1").await, [("registered", None)]);

    let path = format!("/pay/{order}");
    let page = world.call("GET", &path, &[], "").await;
    assert_eq!(page.status, 200);
    assert!(
        String::from_utf8(page.body)
            .unwrap()
            .contains("1500.00 AMD")
    );
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let paid = world.call("POST", &path, &form, "choice=pay").await;
    assert_eq!(
        (paid.status, paid.header("location")),
        (303, Some(path.as_str()))
    );
    assert_eq!(
        world.call("POST", &path, &form, "choice=pay").await.status,
        409
    );

    let told = world.messages(1).await.remove(0);
    assert_eq!((told.status.as_str(), told.checked), ("captured", Ok(())));
    for (name, value) in [
        ("our_reference", "pr_x-1"),
        ("order", order.as_str()),
        ("amount", "150000"),
        ("currency", "AMD"),
        ("payee", "shop-1"),
        ("mode", "test"),
    ] {
        assert_eq!(field(&told, name), value, "{name}");
    }
    assert_eq!(world.truth("pr_x-1").await, [("captured", Some(150_000))]);
    assert_eq!(
        world.truth(order.as_str()).await,
        [("captured", Some(150_000))]
    );
    world.bank.stop().await;
}

#[tokio::test]
async fn each_script_tells_what_it_says_and_the_look_up_tells_the_truth() {
    let paid: &[Stated] = &[("captured", Some(150_000))];
    let cases: &[(&str, &[&str], &[Stated])] = &[
        ("pay", &["captured"], paid),
        ("pay after 2s; notify after 2s", &["captured"], paid),
        ("pay; notify again x3", &["captured"; 4], paid),
        ("pay; reorder", &["captured", "processing"], paid),
        (
            "pay; notify status=processing; notify; reorder",
            &["captured", "processing", "processing"],
            paid,
        ),
        ("pay; lose", &[], paid),
        ("pay; notify amount=100.00", &["captured"], paid),
        (
            "pay; notify currency=USD; notify account=other",
            &["captured"; 2],
            paid,
        ),
        (
            "decline",
            &["declined", "session_expired"],
            &[("session_expired", None)],
        ),
        ("decline; pay after 2s", &["declined", "captured"], paid),
        ("leave", &["session_expired"], &[("session_expired", None)]),
        ("lose; leave", &[], &[("session_expired", None)]),
        (
            "leave; notify status=captured",
            &["captured", "session_expired"],
            &[("session_expired", None)],
        ),
        ("pay late", &["session_expired", "captured"], paid),
        ("pay; late", &["captured"], paid),
        ("pay; notify late", &["captured"], paid),
        (
            "pay; pay",
            &["captured"; 2],
            &[("captured", Some(150_000)), ("captured", Some(150_000))],
        ),
        (
            "pay amount=100.00",
            &["captured"],
            &[("captured", Some(10_000))],
        ),
        ("pay; notify status=on_the_moon", &["on_the_moon"], paid),
        (
            "pay; lookup status=declined",
            &["captured"],
            &[("declined", Some(150_000))],
        ),
    ];
    for (script, told, truth) in cases {
        let world = World::new(script);
        assert!(
            matches!(
                world.register("pr_x-1").await,
                RegisterOutcome::Registered { .. }
            ),
            "{script}"
        );
        let messages = world.messages(told.len()).await;
        let statuses: Vec<&str> = messages.iter().map(|told| told.status.as_str()).collect();
        assert_eq!(&statuses, told, "{script}");
        assert!(messages.iter().all(|told| told.checked.is_ok()), "{script}");
        assert_eq!(&world.truth("pr_x-1").await, truth, "{script}");
        world.bank.stop().await;
    }
}

#[tokio::test]
async fn a_repeat_is_the_same_message_and_a_second_payment_is_another() {
    let world = World::new("pay; notify again x2; pay");
    world.register("pr_x-1").await;
    let told = world.messages(4).await;
    assert!(
        told[1].id == told[0].id && told[1].body == told[0].body && told[2].body == told[0].body
    );
    assert_ne!(told[3].id, told[0].id);
    assert_ne!(
        field(&told[3], "transaction"),
        field(&told[0], "transaction")
    );
    world.bank.stop().await;
}

#[tokio::test]
async fn late_money_and_late_messages_are_two_things() {
    for (script, told_at, paid_on_time) in [
        ("pay late", 61, false),
        ("pay; late", 61, true),
        ("pay; notify late", 61, true),
    ] {
        let world = World::new(script);
        world.register("pr_x-1").await;
        let messages = world.messages(if paid_on_time { 1 } else { 2 }).await;
        let captured = messages.last().unwrap();
        assert!(
            captured.seconds >= START_S + told_at,
            "{script}: {captured:?}"
        );
        let at = Timestamp::parse(&field(captured, "occurred_at")).unwrap();
        assert_eq!(
            at < Timestamp::from_seconds(START_S + 60),
            paid_on_time,
            "{script}: {at}"
        );
        world.bank.stop().await;
    }
}

#[tokio::test]
async fn a_forged_message_and_an_old_one_are_refused_and_sent_once() {
    let world = World::answering("pay; notify forged; notify old", |_| {
        Ok(ScriptedHttp::json(401, "{}"))
    });
    world.register("pr_x-1").await;
    let told = world.messages(2).await;
    assert_eq!(told[0].checked, Err(Rejected::BadSignature));
    assert_eq!(
        told[1].checked,
        Ok(()),
        "its signature is right for its own time"
    );
    assert!(told[1].seconds <= told[0].seconds - 300, "{told:?}");
    world.bank.stop().await;
}

#[tokio::test]
async fn what_the_ledger_does_not_take_is_sent_again_with_its_id_and_a_new_time() {
    let mut tries = 0;
    let world = World::answering("pay", move |_| {
        tries += 1;
        match tries {
            1 => Err(OutError::Connect),
            2 => Ok(ScriptedHttp::json(503, "{}")),
            _ => Ok(ScriptedHttp::json(200, "{}")),
        }
    });
    let mut watched = world.bank.watch();
    world.register("pr_x-1").await;
    let told = world.messages(3).await;
    assert!(
        told.iter()
            .all(|message| message.id == told[0].id && message.body == told[0].body)
    );
    assert!(
        told[0].seconds < told[1].seconds && told[1].seconds < told[2].seconds,
        "{told:?}"
    );
    assert!(told.iter().all(|message| message.checked.is_ok()));
    let mut answers = vec![];
    while let Ok(happening) = watched.try_recv() {
        if let What::Told { answer, .. } = happening.what {
            answers.push(answer);
        }
    }
    assert_eq!(answers, ["connect", "503", "200"]);
    world.bank.stop().await;
}

#[tokio::test]
async fn a_lie_changes_the_message_and_never_the_look_up() {
    let world = World::new(
        "pay; notify amount=100.00; notify currency=USD; notify account=other; notify reference=pr_y-1",
    );
    world.register("pr_x-1").await;
    let told = world.messages(4).await;
    assert_eq!(
        (field(&told[0], "amount"), field(&told[1], "currency")),
        ("10000".into(), "USD".into())
    );
    assert_eq!(
        (field(&told[2], "payee"), field(&told[3], "our_reference")),
        ("other".into(), "pr_y-1".into())
    );
    let ids: BTreeSet<&str> = told.iter().map(|told| told.id.as_str()).collect();
    assert_eq!(ids.len(), 4);
    let LookUpOutcome::Answered { facts, .. } = world.look_up("pr_x-1").await else {
        panic!("no answer")
    };
    assert_eq!(
        (&facts[0].kind, facts[0].payee.as_deref()),
        (&FactKind::Captured, Some("shop-1"))
    );
    assert_eq!(
        facts[0].amount.map(|amount| amount.to_string()).as_deref(),
        Some("1500.00 AMD")
    );
    world.bank.stop().await;
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_a_look_up_finds_the_order() {
    let world = World::new("register lost");
    assert_eq!(
        world.register("pr_x-1").await,
        RegisterOutcome::Unknown {
            why: "http_504".into(),
            retry_after: None,
        }
    );
    assert_eq!(world.truth("pr_x-1").await, [("registered", None)]);
    world.bank.set_script("register down".parse().unwrap());
    assert_eq!(
        world.register("pr_x-2").await,
        RegisterOutcome::Unknown {
            why: "http_503".into(),
            retry_after: Some(Duration::from_secs(1)),
        }
    );
    assert_eq!(world.look_up("pr_x-2").await, LookUpOutcome::NotFound);
    world.bank.stop().await;
}

#[tokio::test]
async fn a_look_up_that_is_down_says_nothing_about_the_payment() {
    let world = World::new("");
    world.register("pr_x-1").await;
    world
        .bank
        .set_order_script("pr_x-1", "pay; lookup down".parse().unwrap())
        .unwrap();
    let unknown = LookUpOutcome::Unknown {
        why: "http_503".into(),
        retry_after: Some(Duration::from_secs(1)),
    };
    assert_eq!(world.look_up("pr_x-1").await, unknown);
    world.bank.stop().await;
}

#[tokio::test]
async fn a_slow_answer_comes_when_its_time_has_passed() {
    let world = World::new("pay; lookup slow 10s");
    world.register("pr_x-1").await;
    let mut asked = Box::pin(world.truth("pr_x-1"));
    let early = tokio::time::timeout(Duration::from_millis(200), &mut asked).await;
    assert!(early.is_err());
    world.clock.advance(Duration::from_secs(10));
    assert_eq!(asked.await, [("captured", Some(150_000))]);
    world.bank.stop().await;
}

#[tokio::test]
async fn a_cancelled_order_cannot_be_paid_but_a_script_may_pay_it_late() {
    let world = World::new("");
    world.register("pr_x-1").await;
    let look_up = LookUp {
        our_reference: ProviderRef::parse("pr_x-1").unwrap(),
        provider_order_ref: None,
    };
    world.api.cancel(&look_up).await;
    assert_eq!(world.truth("pr_x-1").await, [("session_expired", None)]);
    assert_eq!(
        world.bank.choose("pr_x-1", Choice::Pay),
        Err(BankRefusal::Closed)
    );
    world
        .bank
        .set_order_script("pr_x-1", "pay late".parse().unwrap())
        .unwrap();
    let told = world.messages(1).await;
    assert_eq!(told[0].status, "captured");
    assert_eq!(
        world.keyed("POST", "/orders/pr_x-1/cancel", "").await.0,
        409
    );
    world.bank.stop().await;
}

#[tokio::test]
async fn a_new_script_of_an_order_replaces_the_steps_that_wait() {
    let world = World::new("pay after 30s");
    world.register("pr_x-1").await;
    assert_eq!(
        world.keyed("PUT", "/orders/pr_x-1/script", "decline").await,
        (200, "decline".into())
    );
    let told = world.messages(2).await;
    assert_eq!(
        (told[0].status.as_str(), told[1].status.as_str()),
        ("declined", "session_expired")
    );
    world.bank.stop().await;
}

#[tokio::test]
async fn the_same_reference_is_the_same_order_and_other_terms_are_refused() {
    let world = World::new("");
    let first = world.register("pr_x-1").await;
    assert_eq!(world.register("pr_x-1").await, first);
    let other = r#"{"our_reference":"pr_x-1","amount":"1","currency":"AMD","session_s":60}"#;
    assert_eq!(world.keyed("POST", "/orders", other).await.0, 409);
    assert_eq!(world.bank.orders().len(), 1);
    world.bank.stop().await;
}

#[tokio::test]
async fn bad_calls_have_their_own_words_and_change_nothing() {
    let world = World::new("");
    for (method, path) in [
        ("POST", "/orders"),
        ("GET", "/orders"),
        ("GET", "/orders/x"),
        ("POST", "/orders/x/cancel"),
        ("PUT", "/orders/x/script"),
        ("GET", "/script"),
        ("PUT", "/script"),
    ] {
        for bearer in ["", "Bearer ", "Bearer wrong", API_KEY] {
            let headers = [
                ("authorization", bearer),
                ("content-type", "application/json"),
            ];
            let body = if path == "/orders" && method == "POST" {
                r#"{"our_reference":"pr_x-1","amount":"1","currency":"AMD","session_s":60}"#
            } else {
                ""
            };
            assert_eq!(
                world.call(method, path, &headers, body).await.status,
                401,
                "{method} {path} {bearer}"
            );
        }
    }
    let order = |change: (&str, &str)| {
        let mut fields: BTreeMap<&str, &str> = [
            ("our_reference", "\"pr_x-1\""),
            ("amount", "\"1500\""),
            ("currency", "\"JPY\""),
            ("session_s", "60"),
        ]
        .into();
        fields.insert(change.0, change.1);
        let fields: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        format!("{{{}}}", fields.join(","))
    };
    let long = format!("\"{}\"", "x".repeat(501));
    for (change, status, told) in [
        (("amount", "0"), 422, "bad_amount"),
        (("amount", "\"-5\""), 422, "bad_amount"),
        (("amount", "1.5"), 400, "bad_json"),
        (("currency", "\"XXX\""), 400, "bad_json"),
        (("our_reference", "\"\""), 400, "bad_json"),
        (("session_s", "0"), 422, "bad_session"),
        (("session_s", "86401"), 422, "bad_session"),
        (("surprise", "1"), 400, "bad_json"),
        (("description", long.as_str()), 422, "bad_description"),
        (("script", "\"pai\""), 422, "is \\\"pay\\\" meant?"),
        (("script", "\"notify amount=0.5\""), 422, "bad_script"),
    ] {
        let (got, body) = world.keyed("POST", "/orders", &order(change)).await;
        assert_eq!(got, status, "{change:?}: {body}");
        assert!(body.contains(told), "{change:?}: {body}");
    }
    assert_eq!(
        world.keyed("POST", "/orders", &"x".repeat(20_000)).await.0,
        400
    );
    assert!(world.bank.orders().is_empty());
    assert_eq!(world.keyed("GET", "/orders/pr_x-9", "").await.0, 404);
    assert_eq!(
        world.keyed("POST", "/orders/pr_x-9/cancel", "").await.0,
        404
    );
    assert_eq!(
        world.keyed("PUT", "/orders/pr_x-9/script", "pay").await.0,
        404
    );
    assert_eq!(world.keyed("PUT", "/script", "looze").await.0, 422);
    assert_eq!(
        world.keyed("PUT", "/script", " pay ;late ").await,
        (200, "pay; late".into())
    );
    assert_eq!(
        world.keyed("GET", "/script", "").await,
        (200, "pay; late".into())
    );
    world.bank.stop().await;
}

#[tokio::test]
async fn the_page_opens_by_the_banks_id_only_and_runs_nothing() {
    let world = World::new("");
    world.register("pr_x-1").await;
    assert_eq!(world.call("GET", "/pay/pr_x-1", &[], "").await.status, 404);
    let id = world.bank.order("pr_x-1").unwrap().id;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let choose = async |choice: &str| {
        world
            .call("POST", &format!("/pay/{id}"), &form, choice)
            .await
            .status
    };
    assert_eq!(choose("choice=steal").await, 400);
    assert_eq!(choose("").await, 400);
    assert_eq!(choose("choice=leave").await, 200);
    assert_eq!(choose("choice=decline").await, 303);
    assert_eq!(world.truth("pr_x-1").await, [("declined", None)]);
    assert_eq!(choose("choice=pay").await, 303);
    assert_eq!(choose("choice=decline").await, 409);
    world.bank.stop().await;
}

#[tokio::test]
async fn it_does_not_start_without_a_key_or_on_a_taken_address() {
    let world = World::new("");
    let hands = || Hands {
        http: Arc::clone(&world.out),
        clock: Arc::clone(&world.clock) as Arc<dyn Clock>,
        entropy: Arc::new(SeededEntropy::new(1, "other")),
        sign: Arc::new(|_, _, _| String::new()),
    };
    let options = |listen, api_key: &str| SimOptions {
        listen,
        public_url: None,
        notify_url: String::new(),
        payee: "shop".into(),
        mode: Mode::Test,
        api_key: api_key.into(),
        script: Script::default(),
    };
    let free = "127.0.0.1:0".parse().unwrap();
    assert!(matches!(
        run(options(free, ""), hands()),
        Err(SimError::NoKey)
    ));
    assert!(matches!(
        run(options(world.bank.address(), "k"), hands()),
        Err(SimError::Listen { .. })
    ));
    assert!(!format!("{:?}", options(free, "s3cret")).contains("s3cret"));
    world.bank.stop().await;
}

#[path = "refunds_tests.rs"]
mod refunds;
