//! Calling a request off: what the provider is asked, what is written down before, and what becomes
//! of it when the ledger dies in between.

use std::sync::Arc;
use std::time::Duration;

use api::app::context::Context;
use api::app::error::AppError;
use domain::ids::PaymentRequestId;
use domain::payment::exception::ExceptionKind;
use domain::payment::fact::{Fact, FactKind};
use domain::payment::request::Closure;
use domain::payment::{Label, Refusal};
use domain::ports::LookUpOutcome;
use harness::money_world::{LIFE, MoneyWorld, captured, says, unknown};
use harness::shop::Shop;
use serde_json::json;

fn told(kind: FactKind) -> LookUpOutcome {
    says(&[Fact::bare(kind)])
}

/// A request whose payer is at the provider's page at this moment.
async fn processing(world: &MoneyWorld) -> (PaymentRequestId, String) {
    let (id, ours) = world.attempt("o-1", "asked").await;
    world.provider.looked_up(&ours, told(FactKind::Processing));
    world.look_up(&id, 1).await;
    assert_eq!(world.request(&id).await.label(), Label::Processing);
    (id, ours)
}

async fn cancel(world: &MoneyWorld, id: &PaymentRequestId, key: &str) -> Result<Label, AppError> {
    let context = world.context(key);
    let cancelled = world.app.cancel(world.caller(), &context, id).await;
    cancelled.map(|executed| executed.request.label())
}

fn refusal(result: Result<Label, AppError>) -> Refusal {
    match result {
        Err(AppError::Payment(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

async fn position_of(world: &MoneyWorld, id: &PaymentRequestId, event: &str) -> Option<usize> {
    let events = world.events(id).await;
    events.iter().position(|name| name == event)
}

#[tokio::test]
async fn a_payment_under_way_is_ended_at_the_provider_and_then_cancelled_e13() {
    let world = MoneyWorld::new();
    let (id, ours) = processing(&world).await;
    let ended = told(FactKind::SessionExpired);
    world.provider.once_cancelled(&ours, ended);
    assert_eq!(cancel(&world, &id, "c").await.unwrap(), Label::Cancelled);
    assert_eq!(world.provider.cancelled(), [ours]);
    assert!(!world.request(&id).await.cancel_pending());
    let position = async |event| position_of(&world, &id, event).await.unwrap();
    let (asked, failed) = (
        position("AttemptCancelRequested").await,
        position("AttemptFailed").await,
    );
    assert!(asked < failed && failed < position("PaymentRequestCancelled").await);
}

#[tokio::test]
async fn money_that_came_while_the_provider_ended_it_pays_and_is_not_cancelled_e13() {
    let world = MoneyWorld::new();
    let (id, ours) = processing(&world).await;
    let paid = says(&[captured("tx-1")]);
    world.provider.once_cancelled(&ours, paid);
    let refused = refusal(cancel(&world, &id, "c").await);
    assert_eq!(refused, Refusal::AlreadyPaid);
    assert_eq!(world.request(&id).await.label(), Label::Paid);
    assert_eq!(
        position_of(&world, &id, "PaymentRequestCancelled").await,
        None
    );
}

#[tokio::test]
async fn what_the_provider_goes_on_with_stays_open_and_says_so_e13() {
    let world = MoneyWorld::new();
    let (id, ours) = processing(&world).await;
    let refused = refusal(cancel(&world, &id, "c").await);
    assert_eq!(refused, Refusal::PaymentInFlight);
    assert!(world.request(&id).await.cancel_pending());
    // Once it has ended, the same command goes through.
    world
        .provider
        .looked_up(&ours, told(FactKind::SessionExpired));
    assert_eq!(cancel(&world, &id, "c").await.unwrap(), Label::Cancelled);
    assert!(!world.request(&id).await.cancel_pending());
}

#[tokio::test]
async fn what_nobody_can_tell_about_is_neither_ended_nor_cancelled_e13() {
    let world = MoneyWorld::new();
    let (id, ours) = processing(&world).await;
    world.provider.looked_up(&ours, unknown());
    let refused = refusal(cancel(&world, &id, "c").await);
    assert_eq!(refused, Refusal::PaymentInFlight);
    assert_eq!(world.provider.cancelled(), [""; 0]);
    assert!(!world.request(&id).await.cancel_pending());
}

#[tokio::test]
async fn an_end_that_nobody_can_confirm_is_not_cancelled_e13() {
    let world = MoneyWorld::new();
    let (id, ours) = world.attempt("o-1", "asked").await;
    world.provider.looked_up(&ours, told(FactKind::Registered));
    world.provider.once_cancelled(&ours, unknown());
    let refused = refusal(cancel(&world, &id, "c").await);
    assert_eq!(refused, Refusal::PaymentInFlight);
    assert_eq!(*world.request(&id).await.closure(), Closure::Open);
}

#[tokio::test]
async fn an_idle_session_is_ended_before_its_request_is_closed_e12_e1() {
    for expires in [false, true] {
        let world = MoneyWorld::new();
        let (id, ours) = world.attempt("o-1", "asked").await;
        world.provider.looked_up(&ours, told(FactKind::Registered));
        let paid = says(&[captured("tx-1")]);
        world.provider.once_cancelled(&ours, paid);
        if expires {
            world.clock.advance(LIFE + Duration::from_secs(1));
            world.app.expire_request(&id).await.unwrap();
            let cases = world.cases(&id).await;
            assert_eq!(cases, [ExceptionKind::LatePayment]);
        } else {
            let refused = refusal(cancel(&world, &id, "c").await);
            assert_eq!(refused, Refusal::AlreadyPaid);
        }
        assert_eq!(world.provider.cancelled(), [ours]);
    }
}

#[tokio::test]
async fn a_payment_under_way_is_ended_before_its_request_is_replaced_a4() {
    let world = MoneyWorld::new();
    let (id, ours) = processing(&world).await;
    let ended = told(FactKind::SessionExpired);
    world.provider.once_cancelled(&ours, ended);
    let new = world.create("o-1", "again", true).await;
    assert_eq!(world.request(&id).await.label(), Label::Cancelled);
    assert_eq!(world.request(&new).await.label(), Label::Pending);
}

#[tokio::test]
async fn a_session_that_is_registered_after_the_cancel_is_ended_e12() {
    let world = Arc::new(MoneyWorld::new());
    let id = world.create("o-1", "k-1", false).await;
    world.provider.registers_slowly(true);
    let starting = tokio::spawn({
        let (world, id) = (Arc::clone(&world), id.clone());
        async move { world.start(&id, "silent").await }
    });
    while position_of(&world, &id, "AttemptStarted").await.is_none() {
        tokio::task::yield_now().await;
    }
    let ours = format!("{id}-1");
    world.provider.looked_up(&ours, says(&[]));
    assert_eq!(cancel(&world, &id, "c").await.unwrap(), Label::Cancelled);
    let before = world.provider.cancelled().len();
    world.provider.registers_slowly(false);
    starting.await.unwrap();
    assert_eq!(world.provider.cancelled().len(), before + 1);
}

/// The ledger dies after it wrote down that it will call, and before the provider took the call.
async fn killed_before_the_call(world: &Arc<MoneyWorld>) -> (PaymentRequestId, String) {
    let (id, ours) = processing(world).await;
    world.provider.hangs(true);
    let cancelling = tokio::spawn({
        let (world, id) = (Arc::clone(world), id.clone());
        async move { cancel(&world, &id, "c").await }
    });
    while position_of(world, &id, "AttemptCancelRequested")
        .await
        .is_none()
    {
        tokio::task::yield_now().await;
    }
    cancelling.abort();
    cancelling.await.unwrap_err();
    world.provider.hangs(false);
    (id, ours)
}

/// The ledger starts again, and finds what was interrupted.
async fn restarted(world: &MoneyWorld) {
    let second = Duration::from_secs(1);
    world.runs_for(Duration::from_secs(10), second).await;
    assert_eq!(
        world.provider.cancelled(),
        [""; 0],
        "whoever called may still be at it"
    );
    world.runs_for(Duration::from_secs(60), second).await;
}

#[tokio::test]
async fn a_call_that_a_crash_interrupted_is_made_again_where_that_does_no_harm_e13() {
    let world = Arc::new(MoneyWorld::new());
    let (id, ours) = killed_before_the_call(&world).await;
    assert_eq!(world.provider.cancelled(), [""; 0]);
    let ended = told(FactKind::SessionExpired);
    world.provider.once_cancelled(&ours, ended);
    restarted(&world).await;
    assert_eq!(world.provider.cancelled(), [ours]);
    let request = world.request(&id).await;
    assert!(!request.cancel_pending());
    // Whoever called got no answer and repeats the command; nothing was decided for them.
    assert_eq!(*request.closure(), Closure::Open);
    assert_eq!(cancel(&world, &id, "c").await.unwrap(), Label::Cancelled);
}

#[tokio::test]
async fn a_call_that_a_crash_interrupted_is_only_looked_up_where_a_second_one_may_do_harm_e13() {
    let world = Arc::new(MoneyWorld::new());
    world.provider.ends_sessions_once();
    let (id, ours) = killed_before_the_call(&world).await;
    world
        .provider
        .looked_up(&ours, told(FactKind::SessionExpired));
    restarted(&world).await;
    assert_eq!(world.provider.cancelled(), [""; 0]);
    assert!(!world.request(&id).await.cancel_pending());
}

#[tokio::test]
async fn an_attempt_of_an_account_that_is_gone_can_be_cancelled_e12() {
    let mut world = MoneyWorld::new();
    let (id, _) = world.attempt("o-1", "asked").await;
    world.forget_account("asked");
    let context = Context::job("test");
    assert!(world.app.end_attempt(&id, 1, &context).await.unwrap());
    assert_eq!(cancel(&world, &id, "c").await.unwrap(), Label::Cancelled);
    assert!(!world.request(&id).await.cancel_pending());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_finishes_what_a_cancel_began_and_the_shop_repeats_it_e13() {
    let mut shop = Shop::open().await;
    let (id, reference) = shop.waiting_for_payer("cancel-twice").await;
    let processing = shop.statement("processing", &reference);
    shop.provider.says(&reference, &processing);
    let answer = shop.command(&id, "cancel", &json!({})).await.expect(409);
    assert_eq!(answer.code(), "payment_in_flight");
    assert_eq!(shop.provider.ended(&reference), 1);
    assert_eq!(shop.shown(&id).await["cancel_pending"], true);
    shop.views_have_caught_up().await;
    shop.node.restart().await;
    let ended = shop.statement("session_expired", &reference);
    shop.provider.says_once_ended(&reference, &ended);
    shop.node.leap(Duration::from_secs(61)).await;
    shop.eventually("the end of the attempt", async || {
        let shown = shop.shown(&id).await;
        (shown["cancel_pending"] == false).then_some(())
    })
    .await;
    assert_eq!(shop.provider.ended(&reference), 2);
    assert_eq!(shop.events(&id, "AttemptCancelRequested").await, 1);
    shop.command(&id, "cancel", &json!({})).await.expect(200);
    let row = shop.listed().await.remove(0);
    assert_eq!(
        (&row["status"], &row["cancel_pending"]),
        (&json!("cancelled"), &json!(false))
    );
}
