//! What a bot sees of a payment, whatever happened to it: six words and the terms. No provider, no
//! event, no request of anybody else, no person.

use std::collections::BTreeSet;
use std::time::Duration;

use api::app::caller::Caller;
use api::app::notices::NewNotice;
use api::http::ops::{Access, Op};
use api::http::present::shown;
use domain::access::role::Role;
use domain::ids::PaymentRequestId;
use domain::money::{Currency, Money};
use domain::payment::event::NoticeKind;
use domain::payment::fact::{Fact, FactKind, RefundAmount};
use domain::payment::{BotLabel, Label, Request};
use domain::stream::Version;
use harness::money_world::{LIFE, MoneyWorld, PRICE, captured, reference, says};
use harness::node::{Answer, PASSWORD};
use harness::people::Person;
use harness::shop::Shop;
use harness::world::Dice;
use serde_json::{Value, json};

/// Everything that a bot is shown of a request.
const SHOWN: [&str; 8] = [
    "id",
    "order_id",
    "status",
    "amount",
    "expires_at",
    "checkout_url",
    "pay_url",
    "version",
];
/// The only words.
const WORDS: [&str; 6] = [
    "pending",
    "in_review",
    "paid",
    "expired",
    "cancelled",
    "refunded",
];
const HISTORIES: u64 = 300;
const STEPS: u64 = 12;

fn amd(minor: i64) -> Money {
    Money::new(minor, Currency::from_code("AMD").unwrap()).unwrap()
}

fn usd(minor: i64) -> Money {
    Money::new(minor, Currency::from_code("USD").unwrap()).unwrap()
}

/// Something that a provider may say of an attempt.
fn fact(dice: &Dice) -> Fact {
    let transaction = format!("secret-tx-{}", dice.below(3));
    let money = [PRICE, PRICE, PRICE, 1, PRICE - 1, PRICE * 2];
    let minor = money[usize::try_from(dice.below(6)).unwrap()];
    let reversal = Some(reference(&format!("secret-back-{}", dice.below(3))));
    let dispute = reference("secret-dispute");
    let about = |kind| Fact {
        transaction: Some(reference(&transaction)),
        ..Fact::bare(kind)
    };
    match dice.below(16) {
        0..=3 => Fact {
            amount: Some(amd(minor)),
            ..captured(&transaction)
        },
        4 => Fact {
            amount: Some(usd(minor)),
            ..captured(&transaction)
        },
        5 => Fact {
            amount: None,
            ..captured(&transaction)
        },
        6 => Fact {
            provider_order_ref: Some(reference("secret-order")),
            ..captured(&transaction)
        },
        7 => Fact::bare(FactKind::Processing),
        8 => Fact::bare(FactKind::Authorised),
        9 => Fact::bare(FactKind::Declined),
        10 => Fact::bare(FactKind::SessionExpired),
        11 => about(FactKind::Refunded {
            amount: RefundAmount::Delta(amd(minor)),
            reversal,
        }),
        12 => about(FactKind::Voided { reversal }),
        13 => about(FactKind::DisputeOpened {
            dispute,
            amount: None,
            reason: Some("secret-reason".to_owned()),
            due_by: None,
        }),
        14 => about(FactKind::DisputeLost { dispute }),
        _ => about(FactKind::DisputeWon { dispute }),
    }
}

/// Money that came and went by a dispute, told at once.
fn lost_to_the_payers_bank() -> Vec<Fact> {
    let dispute = reference("secret-lost");
    let about = |kind| Fact {
        transaction: Some(reference("secret-tx-0")),
        ..Fact::bare(kind)
    };
    vec![
        captured("secret-tx-0"),
        about(FactKind::DisputeOpened {
            dispute: dispute.clone(),
            amount: Some(amd(PRICE)),
            reason: None,
            due_by: None,
        }),
        about(FactKind::DisputeLost { dispute }),
    ]
}

/// Money of which a part went back, told at once.
fn partly_given_back() -> Vec<Fact> {
    let back = Fact {
        transaction: Some(reference("secret-tx-0")),
        ..Fact::bare(FactKind::Refunded {
            amount: RefundAmount::Delta(amd(1)),
            reversal: Some(reference("secret-part")),
        })
    };
    vec![captured("secret-tx-0"), back]
}

/// One step in the life of a request. What is refused changes nothing.
async fn step(world: &MoneyWorld, id: &PaymentRequestId, dice: &Dice, number: u64) {
    let key = format!("step-{number}");
    let (app, caller, context) = (&world.app, world.caller(), world.context(&key));
    match dice.below(10) {
        0 | 1 => {
            let at = ["asked", "silent"][usize::try_from(dice.below(2)).unwrap()];
            let account = domain::ids::AccountSlug::parse(at).unwrap();
            let started = app.start_attempt(caller, &context, id, Some(&account));
            let _ = started.await;
        }
        2..=6 => {
            let attempt = dice.below(2) + 1;
            let facts = match dice.below(8) {
                0 => lost_to_the_payers_bank(),
                1 => partly_given_back(),
                2 | 3 => vec![fact(dice), fact(dice)],
                _ => vec![fact(dice)],
            };
            world
                .provider
                .looked_up(&format!("{id}-{attempt}"), says(&facts));
            world.look_up(id, u32::try_from(attempt).unwrap()).await;
        }
        7 => {
            let text = Some("secret words of the payer".to_owned());
            let notice = NewNotice::parse(NoticeKind::Message, text, None).unwrap();
            let _ = app.record_notice(caller, &context, id, notice).await;
        }
        8 => {
            let _ = app.cancel(caller, &context, id).await;
        }
        _ => {
            world.clock.advance(LIFE / 2);
            let _ = app.expire_request(id).await;
        }
    }
}

/// What the bot may say, by what the shop is told: written down once more, by hand.
fn expected(request: &Request) -> BotLabel {
    let unanswered = request.notice_waits();
    match request.label() {
        Label::Paid | Label::PartiallyRefunded | Label::Disputed => BotLabel::Paid,
        Label::Refunded | Label::ChargedBack => BotLabel::Refunded,
        _ if request.in_review() || unanswered => BotLabel::InReview,
        Label::Expired => BotLabel::Expired,
        Label::Cancelled => BotLabel::Cancelled,
        Label::Pending | Label::Processing | Label::PartiallyPaid => BotLabel::Pending,
    }
}

#[track_caller]
fn assert_for_bots(shown: &Value) {
    let members = shown.as_object().unwrap().keys();
    for member in members {
        assert!(SHOWN.contains(&member.as_str()), "{member} in {shown}");
    }
    let status = shown["status"].as_str().unwrap();
    assert!(WORDS.contains(&status), "{shown}");
}

#[tokio::test]
async fn no_history_shows_a_bot_more_than_six_words_and_the_terms() {
    let mut seen = BTreeSet::new();
    let mut labels = BTreeSet::new();
    for seed in 0..HISTORIES {
        let dice = Dice::new(seed);
        let world = MoneyWorld::new();
        let bot = Caller {
            own_only: true,
            ..world.caller().clone()
        };
        let id = world.create("o-1", "create", false).await;
        for number in 0..STEPS {
            step(&world, &id, &dice, number).await;
            let request = world.request(&id).await;
            let now = world.app.recorder.now();
            let shown = shown(&bot, &world.app.links, &request, Version(9), now);
            let shown = serde_json::to_value(shown).unwrap();
            assert_for_bots(&shown);
            let word = expected(&request).as_str();
            assert_eq!(shown["status"], word, "seed {seed}, step {number}");
            let text = shown.to_string();
            for hidden in ["secret", "asked", "silent", "order-", "tx", "backend", "~"] {
                assert!(!text.contains(hidden), "seed {seed}: {hidden} in {text}");
            }
            seen.insert(word);
            labels.insert(request.label());
        }
    }
    // The histories went everywhere, so that there was something to hide.
    assert_eq!(seen, WORDS.into());
    let never = [Label::PartiallyPaid]; // Only where a scenario adds payments up.
    let all: BTreeSet<Label> = Label::ALL.into_iter().collect();
    let missed: Vec<_> = all.difference(&labels).copied().collect();
    assert_eq!(missed, never);
}

/// What must be in no answer to a bot.
struct Hidden(Vec<String>);

impl Hidden {
    #[track_caller]
    fn assert_not_in(&self, what: &str, answer: &Answer) {
        let mut body = answer.text.clone();
        // Where the payer pays is the provider's to say, and the bot hands it on unread.
        if let Ok(Value::Object(mut members)) = serde_json::from_str::<Value>(&body) {
            members.remove("pay_url");
            for row in members
                .get_mut("payment_requests")
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
            {
                row.as_object_mut().unwrap().remove("pay_url");
            }
            body = Value::Object(members).to_string();
        }
        let head = format!("{:?}", answer.headers);
        for hidden in &self.0 {
            assert!(
                !body.contains(hidden.as_str()),
                "{what}: {hidden} in {body}"
            );
            assert!(
                !head.contains(hidden.as_str()),
                "{what}: {hidden} in {head}"
            );
        }
    }
}

/// A concrete path of a route for a request.
fn path(op: Op, id: &str, proposal: &str) -> String {
    let template = op.spec().path;
    let path = template.replace("{id}", id);
    let path = path.replace("{proposal_id}", proposal);
    let path = path.replace("{stream}", &format!("payment_request-{id}"));
    let path = path.replace("{commitment}", &"0".repeat(64));
    let path = path.replace("{quote_id}", "qt_aaaaaaaaaaaaaaaaaaaaaaaaaa");
    assert!(!path.contains('{'), "{template} has no example here");
    path
}

/// Bodies of a route: one that does it, one that is wrong.
fn bodies(op: Op, id: &str, order: &str) -> Vec<Option<Value>> {
    let tea = json!({ "items": [{ "item": "tea", "quantity": 1 }], "order_id": order, "scenario": "telegram" });
    let told = json!({
        "id": "7", "currency": "AMD", "total_amount": 150_000, "invoice_payload": id,
        "telegram_payment_charge_id": "t-1", "provider_payment_charge_id": "p-1",
    });
    let good = match op {
        Op::CreateRequest => {
            let mut replace = tea.clone();
            replace["supersede"] = json!(true);
            return vec![Some(tea), Some(replace), Some(json!({}))];
        }
        Op::ListRequests => {
            return vec![None];
        }
        Op::ReadRequest | Op::StreamRequest | Op::ReadProposal => return vec![None],
        Op::StartAttempt => json!({}),
        Op::Precheck => json!({ "amount": { "minor": "1", "currency": "AMD" } }),
        Op::RecordNotice => json!({ "kind": "message", "text": "Anahit-the-payer paid" }),
        Op::PreCheckout | Op::SuccessfulPayment => told,
        other => panic!(
            "a bot may call {:?}, and this test does not",
            other.spec().id
        ),
    };
    vec![
        Some(good),
        Some(json!({ "account": "sim-other", "attempt_no": 7 })),
        Some(json!([])),
    ]
}

/// Follows a status stream to its first message.
async fn follow(shop: &Shop, path: &str, token: &str) -> Answer {
    let request = shop.node.http().get(shop.node.url(path));
    let mut response = request.bearer_auth(token).send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut text = String::new();
    let first = async {
        while let Some(piece) = response.chunk().await.unwrap() {
            text.push_str(std::str::from_utf8(&piece).unwrap());
            if text.contains("\n\n") {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(2), first).await;
    if let Some(data) = text.lines().find_map(|line| line.strip_prefix("data: ")) {
        text = data.to_owned();
    }
    Answer {
        status,
        headers,
        text,
    }
}

/// A shop where much happened.
struct Busy {
    shop: Shop,
    /// Requests of the bot.
    own: Vec<String>,
    /// Requests of others, with their orders.
    foreign: Vec<(String, String)>,
    /// A proposal to count the last of its own as paid.
    proposal: String,
    /// What must not come to light.
    hidden: Hidden,
}

async fn busy_shop() -> Busy {
    let shop = Shop::open().await;
    let mut hidden = vec![];
    let mut own = vec![];
    for order in ["own-short", "own-back", "own-kept", "own-open"] {
        let (id, ours) = shop.waiting_for_payer_of_bot(order).await;
        hidden.extend([ours.clone(), format!("qo_{ours}"), format!("qt_{ours}")]);
        own.push((id, ours));
    }
    let short = json!({ "amount": "100" });
    shop.tell(&shop.statement_with("captured", &own[0].1, short))
        .await;
    for paid in &own[1..3] {
        shop.tell(&shop.statement("captured", &paid.1)).await;
        shop.paid(&paid.0).await;
    }
    let back = json!({ "refunded": "100", "reversal": "rv-of-the-provider" });
    shop.tell(&shop.statement_with("refunded", &own[1].1, back))
        .await;
    shop.has_status(&own[1].0, "partially_refunded").await;
    let notice = json!({ "kind": "message", "text": "Anahit-the-payer, +37491555777" });
    shop.command(&own[3].0, "notices", &notice)
        .await
        .expect(202);
    let asked = json!({ "order_id": "not-of-the-bot", "scenario": "telegram", "customer_ref": "cust-foreign",
        "amount": { "minor": "700000", "currency": "AMD" } });
    let mut foreign = vec![];
    for (who, order) in [("backend", "not-of-the-bot"), ("bot-2", "of-bot-2")] {
        let body = if who == "backend" {
            asked.clone()
        } else {
            json!({ "items": [{ "item": "tea", "quantity": 1 }], "order_id": order, "scenario": "telegram" })
        };
        let created = shop
            .node
            .post(who, "/v1/payment-requests", order, &body)
            .await;
        let created = created.expect(201);
        hidden.push(created.text_of("checkout_url"));
        foreign.push((created.text_of("id"), order.to_owned()));
    }
    let body = json!({ "items": [{ "item": "tea", "quantity": 1 }], "order_id": "elsewhere", "scenario": "telegram" });
    let other = shop
        .node
        .post("other-bot", "/v1/payment-requests", "k", &body);
    foreign.push((
        other.await.expect(201).text_of("id"),
        "elsewhere".to_owned(),
    ));
    hidden.extend(foreign.iter().map(|(id, _)| id.clone()));
    for words in [
        "cust-foreign",
        "700000",
        "Anahit",
        "37491555777",
        "rv-of-the-provider",
        "sim-main",
        "acc-shop",
        "acc-other",
        "backend",
        "bot-2",
        "payment_request-",
        PASSWORD,
        "underpaid",
        "payer_notice",
        "unrequested_refund",
        "partially",
        "processing",
        "disputed",
        "unapplied",
        "evidence",
        "our_reference",
        "customer_ref",
    ] {
        hidden.push(words.to_owned());
    }
    let own: Vec<String> = own.into_iter().map(|(id, _)| id).collect();
    let person = Person::hired(&shop.node, "op-davit", Role::Operator).await;
    let proposal = person.proposes_override(&shop.node, &own[3]).await;
    hidden.extend(["op-davit", "bank_confirmed", "override"].map(str::to_owned));
    let hidden = Hidden(hidden);
    Busy {
        shop,
        own,
        foreign,
        proposal,
        hidden,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_tells_a_bot_more_than_it_may_show() {
    let Busy {
        shop,
        own,
        foreign,
        proposal,
        hidden,
    } = busy_shop().await;
    let scopes = Role::Bot.scopes();
    let may =
        |op: &&Op| matches!(op.spec().access, Access::Scope(scope) if scopes.contains(&scope));
    let routes: Vec<Op> = Op::ALL.iter().filter(may).copied().collect();
    assert!(routes.len() >= 9, "{routes:?}");
    let token = shop.node.token("bot").to_owned();
    let bearer = format!("Bearer {token}");
    let nobody = (
        "pr_aaaaaaaaaaaaaaaaaaaaaaaaaa".to_owned(),
        "free".to_owned(),
    );
    let of_bot = own.iter().map(|id| (id.clone(), "own-open".to_owned()));
    let mut answers = 0;
    for (id, order) in of_bot.chain(foreign.clone()).chain([nobody]) {
        let of_others = !own.contains(&id);
        for op in &routes {
            let spec = op.spec();
            let of_this = path(*op, &id, &proposal);
            let listing = [
                of_this.clone(),
                format!("{of_this}?order_id={order}"),
                format!("{of_this}?status=disputed"),
            ];
            let paths = if *op == Op::ListRequests {
                &listing[..]
            } else {
                &listing[..1]
            };
            for path in paths {
                for (number, body) in bodies(*op, &id, &order).into_iter().enumerate() {
                    let key = format!("{}-{id}-{number}", spec.id);
                    let key = (spec.method == "POST").then_some(key.as_str());
                    let answer = if *op == Op::StreamRequest {
                        follow(&shop, path, &token).await
                    } else {
                        let call =
                            shop.node
                                .call(spec.method, path, Some(&bearer), key, body.as_ref());
                        call.await
                    };
                    let what = format!("{} {path} #{number}", spec.method);
                    assert!(answer.status < 500, "{what}: {}", answer.text);
                    hidden.assert_not_in(&what, &answer);
                    if of_others && spec.path.contains("{id}") {
                        assert!(
                            matches!(answer.status, 400 | 404 | 422),
                            "{what}: {} {}",
                            answer.status,
                            answer.text
                        );
                    }
                    if *op == Op::ReadProposal {
                        assert_eq!(answer.status, 404, "{what}: {}", answer.text);
                    }
                    if answer.status < 300 && matches!(spec.answer, "PaymentRequest") {
                        assert_for_bots(&answer.json());
                    }
                    answers += 1;
                }
            }
        }
    }
    assert!(answers > 100, "{answers}");
    // Lists and single reads say the same, and a list is narrowed down by those words only.
    for id in &own {
        let word = shop.bot_says(id).await;
        let narrowed = format!("/v1/payment-requests?status={word}");
        let list = shop.node.get("bot", &narrowed).await.expect(200).json();
        let rows = list["payment_requests"].as_array().unwrap().clone();
        assert!(rows.iter().any(|row| row["id"] == id.as_str()), "{list}");
        for row in rows {
            assert_for_bots(&row);
            assert_eq!(row["status"], word);
        }
    }
    for label in Label::ALL.map(Label::as_str) {
        let narrowed = format!("/v1/payment-requests?status={label}");
        let answer = shop.node.get("bot", &narrowed).await;
        let known = WORDS.contains(&label);
        assert_eq!(answer.status, if known { 200 } else { 422 }, "{label}");
    }
    // And what a route does not offer at all, it does not tell either.
    for op in Op::ALL.iter().filter(|op| !may(op)) {
        let spec = op.spec();
        if !matches!(spec.access, Access::Scope(_) | Access::Person(_)) {
            continue;
        }
        let path = path(*op, &own[0], &proposal);
        let (body, key) = (json!({}), Some("k"));
        let call = shop
            .node
            .call(spec.method, &path, Some(&bearer), key, Some(&body));
        let answer = call.await.expect(403);
        assert_eq!(answer.code(), "forbidden", "{path}");
        let told = answer.json();
        let members: BTreeSet<_> = told
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let known = ["type", "title", "status", "detail", "code", "instance"];
        assert!(members.is_subset(&known.into()), "{told}");
    }
    shop.node.stop().await;
}
