//! A shop whose payers use the checkout page: a ledger, a provider that says what the test signs for
//! it, and every state that a payment can be in.

use std::net::TcpListener;
use std::time::Duration;

use api::admin::AdminCommand;
use api::app::context::Context;
use api::compose;
use api::config::Settings;
use api::sim_provider::{self, Handle, Script, SimOptions};
use domain::ids::{AccountSlug, KeyId, MerchantId, PaymentRequestId, ProviderCode, ProviderRef};
use domain::money::{Currency, Money};
use domain::payment::evidence::{EvidenceClass, Mode};
use domain::payment::fact::{Fact, FactKind, Observation, RefundAmount};
use domain::payment::{Command, PartialPolicy, RecordFacts, StartAttempt, Target};
use domain::sealed::Commitment;
use serde_json::{Value, json};

use crate::node::{Answer, TestNode};
use crate::plain_http;
use crate::quiet_provider::{API_KEY, QuietProvider, SECRET, message, seconds_now, signed};

/// What a request of this shop costs, in minor units.
pub const PRICE: i64 = 300_000;
/// Where the provider's pages are.
pub const PAY_ORIGIN: &str = "http://pay.example";
/// Every state that a payer can find a payment in, in the order of a payment's life.
pub const STATES: [&str; 13] = [
    "payable",
    "declined",
    "opening",
    "confirming",
    "processing",
    "partly_paid",
    "in_review",
    "paid",
    "partly_refunded",
    "refunded",
    "expired",
    "cancelled",
    "not_found",
];

/// The shop.
pub struct PayersShop {
    /// Its ledger.
    pub node: TestNode,
    browser: reqwest::Client,
    _provider: QuietProvider,
}

/// A payment request, and the path of its page.
#[derive(Debug, Clone)]
pub struct Payable {
    /// Its id.
    pub id: String,
    /// `/checkout/...`
    pub page: String,
}

impl Payable {
    /// Our reference at the provider of its first attempt.
    pub fn reference(&self) -> String {
        format!("{}-1", self.id)
    }
}

impl PayersShop {
    /// Opens it.
    pub async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    /// Opens it with other settings.
    pub async fn open_with(change: impl FnOnce(&mut Settings)) -> Self {
        let provider = QuietProvider::start();
        let url = provider.url();
        let node = TestNode::start_with(|settings| {
            for account in ["sim-main", "sim-second"] {
                let mut connection = settings.connections["sim-main"].clone();
                connection.url = Some(url.clone());
                connection.pay_origins = vec![PAY_ORIGIN.to_owned()];
                settings.connections.insert(account.to_owned(), connection);
            }
            let shop = &mut settings.merchants[0];
            shop.display_name = Some("Ararat Tea House".to_owned());
            shop.accounts[0].display_name = Some("Bank card".to_owned());
            let mut second = shop.accounts[0].clone();
            second.account = AccountSlug::parse("sim-second").unwrap();
            second.display_name = Some("Wallet".to_owned());
            shop.scenarios[1].accounts.push(second.account.clone());
            shop.scenarios[1].partial = PartialPolicy::Accumulate;
            shop.accounts.push(second);
            "Asia/Yerevan".clone_into(&mut settings.checkout.time_zone);
            change(settings);
        })
        .await;
        for (purpose, value) in [
            ("provider-inbound:sim-main", SECRET),
            ("provider-api:sim-main", API_KEY),
            ("provider-api:sim-second", API_KEY),
        ] {
            node.admin(AdminCommand::SecretSet {
                merchant: MerchantId::parse("shop").unwrap(),
                purpose: purpose.to_owned(),
                key_id: KeyId::parse("k-1").unwrap(),
                value: value.to_owned(),
                retire_others_in_s: None,
            })
            .await;
        }
        // A browser that is told where to go next tells the test instead of going.
        let browser = plain_http::client()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self {
            node,
            browser,
            _provider: provider,
        }
    }

    /// Opens it with the simulated bank behind the account `sim-main`, which has pages of its own.
    pub async fn open_with_bank(script: Script) -> (Self, Handle) {
        let (ledger, bank) = (free_port(), free_port());
        let options = SimOptions {
            listen: ([127, 0, 0, 1], bank).into(),
            public_url: None,
            notify_url: format!("http://127.0.0.1:{ledger}/v1/callbacks/sim/sim-main"),
            payee: "acc-shop".to_owned(),
            mode: Mode::Test,
            api_key: API_KEY.to_owned(),
            script,
        };
        let shop = Self::open_with(|settings| {
            settings.server.listen = ([127, 0, 0, 1], ledger).into();
            settings.server.public_url = format!("http://127.0.0.1:{ledger}");
            let connection = settings.connections.get_mut("sim-main").unwrap();
            connection.url = Some(format!("http://127.0.0.1:{bank}"));
            connection.pay_origins = vec![];
        })
        .await;
        let hands = compose::sim_hands(SECRET).unwrap().unwrap();
        (shop, sim_provider::run(options, hands).unwrap())
    }

    /// Two packets of tea. `telegram` is paid at one account, `web` at one of two.
    pub async fn new_request(&self, order: &str, scenario: &str, life_s: u32) -> Payable {
        let body = json!({
            "items": [{ "item": "tea", "quantity": 2 }], "order_id": order, "scenario": scenario,
            "customer_ref": "cust-canary", "expires_in_s": life_s,
        });
        let created = self
            .node
            .post("backend", "/v1/payment-requests", order, &body)
            .await;
        let created = created.expect(201);
        let url = created.text_of("checkout_url");
        let (_, link) = url.split_once("/checkout/").unwrap();
        Payable {
            id: created.text_of("id"),
            page: format!("/checkout/{link}"),
        }
    }

    /// Loads a page.
    pub async fn look(&self, path: &str) -> Answer {
        self.look_with(path, &[]).await
    }

    /// Loads a page with further headers.
    pub async fn look_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = self.browser.get(self.node.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::of(request.send().await.unwrap()).await
    }

    /// Sends the page's form.
    pub async fn send_form(&self, page: &str, form: &[(&str, &str)]) -> Answer {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let request = self
            .browser
            .post(self.node.url(&format!("{page}/pay?lang=en")))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form);
        Answer::of(request.send().await.unwrap()).await
    }

    /// Loads the page and presses its button.
    pub async fn press_pay(&self, page: &str) -> Answer {
        let token = form_token(&self.look(page).await.expect(200).text);
        self.send_form(page, &[("token", &token)]).await
    }

    /// Sends what the provider says about the first attempt, and waits for the label.
    pub async fn tell(&self, payable: &Payable, body: &Value, label: &str) {
        let id = format!("msg_{}_{label}_{}", payable.id, body["status"]);
        let notification = signed(&id.replace('"', ""), seconds_now(), body);
        let url = self.node.url("/v1/callbacks/sim/sim-main");
        let sent = notification
            .request(self.node.http(), &url)
            .send()
            .await
            .unwrap();
        assert_eq!(sent.status(), 200);
        self.until(payable, label).await;
    }

    /// Waits for the label.
    pub async fn until(&self, payable: &Payable, label: &str) {
        let path = format!("/v1/payment-requests/{}", payable.id);
        for _ in 0..500 {
            let shown = self.node.get("backend", &path).await.expect(200);
            if shown.text_of("status") == label {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("never {label}");
    }

    /// The provider gave money back, as a look-up of its first attempt tells.
    async fn refund(&self, payable: &Payable, minor: i64) {
        let app = self.node.app();
        let account = AccountSlug::parse("sim-main").unwrap();
        let (_, config, _) = app.account(&account).unwrap();
        let money = Money::new(minor, Currency::from_code("AMD").unwrap()).unwrap();
        let reference = |text: String| Some(ProviderRef::parse(text).unwrap());
        let mut fact = Fact::bare(FactKind::Refunded {
            amount: RefundAmount::Delta(money),
            reversal: reference("reversal-1".to_owned()),
        });
        fact.transaction = reference(format!("qt_{}", payable.reference()));
        let observation = Observation {
            provider: config.provider.clone(),
            account,
            class: EvidenceClass::LookedUp,
            facts: vec![fact],
            commitment: Commitment::to(&[0; 32], b"refunded"),
            received_at: app.recorder.now(),
        };
        let command = Command::RecordFacts(Box::new(RecordFacts {
            observation,
            target: Target::Attempt(1),
            rules: config.rules(),
            order_is_ours: false,
        }));
        let id = PaymentRequestId::parse(&*payable.id).unwrap();
        app.execute(&id, &Context::job("test"), &command)
            .await
            .unwrap();
    }

    async fn until_attempt(&self, payable: &Payable, state: &str) {
        let path = format!("/v1/payment-requests/{}", payable.id);
        for _ in 0..500 {
            let shown = self.node.get("backend", &path).await.expect(200).json();
            if shown["attempts"][0]["state"] == state {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the attempt is never {state}");
    }

    /// The path of a page that shows this state of [`STATES`].
    pub async fn in_state(&self, state: &str) -> String {
        let order = format!("order-{}", state.replace('_', "-"));
        if state == "not_found" {
            return format!("/checkout/{}.{}", "a".repeat(26), "b".repeat(26));
        }
        let (scenario, life_s) = match state {
            "payable" | "partly_paid" => ("web", 3600),
            "expired" => ("telegram", 1),
            _ => ("telegram", 3600),
        };
        let new = self.new_request(&order, scenario, life_s).await;
        if !["payable", "opening", "expired", "cancelled"].contains(&state) {
            assert_eq!(self.press_pay(&new.page).await.status, 303);
        }
        let reference = new.reference();
        let said = |status: &str, minor: i64| message(status, &reference, "acc-shop", minor);
        let captured = said("captured", PRICE);
        match state {
            "payable" => {}
            "confirming" => return format!("{}?returned=1", new.page),
            "declined" => {
                let declined = said("declined", PRICE);
                self.tell(&new, &declined, "pending").await;
                self.until_attempt(&new, "failed").await;
            }
            "opening" => {
                let start = Command::StartAttempt(StartAttempt {
                    provider: ProviderCode::parse("sim").unwrap(),
                    account: AccountSlug::parse("sim-main").unwrap(),
                    session_s_max: 600,
                });
                let id = PaymentRequestId::parse(&*new.id).unwrap();
                let written = self
                    .node
                    .app()
                    .execute(&id, &Context::job("test"), &start)
                    .await;
                written.unwrap();
            }
            "processing" => {
                self.tell(&new, &said("processing", PRICE), "processing")
                    .await
            }
            "partly_paid" => {
                self.tell(&new, &said("captured", 100_000), "partially_paid")
                    .await
            }
            "in_review" => {
                let notice = json!({ "kind": "message", "text": "I paid" });
                let path = format!("/v1/payment-requests/{}/notices", new.id);
                self.node
                    .post("backend", &path, "notice", &notice)
                    .await
                    .expect(202);
            }
            "paid" => self.tell(&new, &captured, "paid").await,
            "partly_refunded" => {
                self.tell(&new, &captured, "paid").await;
                self.refund(&new, 100_000).await;
            }
            "refunded" => {
                self.tell(&new, &captured, "paid").await;
                self.refund(&new, PRICE).await;
            }
            "expired" => self.until(&new, "expired").await,
            "cancelled" => {
                let path = format!("/v1/payment-requests/{}/cancel", new.id);
                self.node
                    .post("backend", &path, "cancel", &json!({}))
                    .await
                    .expect(200);
            }
            other => panic!("{other} is no state"),
        }
        new.page
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// The token of a page's form.
pub fn form_token(page: &str) -> String {
    let after = page.split("name=\"token\" value=\"").nth(1);
    let after = after.unwrap_or_else(|| panic!("no form in {page}"));
    after.split('"').next().unwrap().to_owned()
}
