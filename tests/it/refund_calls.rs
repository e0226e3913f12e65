//! The one call for a refund, step by step: whatever is lost on the way, money goes back once, and
//! where nobody can know, nobody calls again.

use std::time::Duration;

use api::app::context::Context;
use api::app::error::AppError;
use api::app::refund_calls::RefundWorked;
use api::app::refunds::NewRefund;
use domain::ids::{PaymentRequestId, ReasonCode, RefundId};
use domain::money::{Currency, Money};
use domain::payment::event::Part;
use domain::payment::exception::ExceptionKind;
use domain::payment::refund::RefundState;
use domain::payment::{Command, Label};
use domain::time::Timestamp;
use harness::money_world::{MoneyWorld, PRICE, captured, says};
use harness::refund_bank::Call;
use projections::views::timers::RefundRow;

const PART: i64 = 50_000;

/// Paid at the account whose provider gives money back.
async fn paid(world: &MoneyWorld) -> PaymentRequestId {
    let (id, ours) = world.attempt("o-1", "asked").await;
    world.provider.looked_up(&ours, says(&[captured("tx-1")]));
    world.look_up(&id, 1).await;
    assert_eq!(world.request(&id).await.label(), Label::Paid);
    id
}

async fn ask(world: &MoneyWorld, id: &PaymentRequestId, key: &str) -> Result<RefundId, AppError> {
    let new = NewRefund {
        capture: None,
        part: Part::Applied,
        amount: Money::new(PART, Currency::from_code("AMD").unwrap()).unwrap(),
        reason: (ReasonCode::parse("returned_goods").unwrap(), None),
    };
    let asked = world
        .app
        .request_refund(world.caller(), &world.context(key), id, new)
        .await?;
    let mut refunds = asked.request.refunds().keys();
    Ok(refunds.next().unwrap().clone())
}

/// What the loop does with it, `since` this moment in its state.
async fn work_since(
    world: &MoneyWorld,
    id: &PaymentRequestId,
    refund: &RefundId,
    since: Timestamp,
) -> RefundWorked {
    let known = world.request(id).await.refunds()[refund].clone();
    let row = RefundRow {
        request: id.clone(),
        merchant: world.caller().merchant.clone(),
        refund: refund.clone(),
        provider: known.capture.provider,
        account: known.capture.account,
        state: known.state,
        since,
    };
    let context = Context::job("work::refund");
    world.app.work_refund(&row, &context).await.unwrap()
}

async fn work(world: &MoneyWorld, id: &PaymentRequestId, refund: &RefundId) -> RefundWorked {
    work_since(world, id, refund, world.app.recorder.now()).await
}

async fn state(world: &MoneyWorld, id: &PaymentRequestId, refund: &RefundId) -> RefundState {
    world.request(id).await.refunds()[refund].state.clone()
}

/// As a process leaves it that died after it wrote the call ahead.
async fn submitted(world: &MoneyWorld, id: &PaymentRequestId) -> RefundId {
    let refund = ask(world, id, "refund").await.unwrap();
    let submit = Command::SubmitRefund {
        refund: refund.clone(),
    };
    let context = Context::job("work::refund");
    world.app.execute(id, &context, &submit).await.unwrap();
    refund
}

const UNKNOWN: RefundWorked = RefundWorked::Unknown {
    retry_after_s: None,
};

#[tokio::test]
async fn an_answered_call_settles_the_refund_f3() {
    let world = MoneyWorld::new();
    let id = paid(&world).await;
    let refund = ask(&world, &id, "refund").await.unwrap();
    assert_eq!(state(&world, &id, &refund).await, RefundState::Requested);
    assert_eq!(
        world.bank.called(),
        0,
        "it is durable before anybody is called"
    );
    assert_eq!(work(&world, &id, &refund).await, RefundWorked::Answered);
    let request = world.request(&id).await;
    assert_eq!(request.label(), Label::PartiallyRefunded);
    assert_eq!(request.applied().minor(), PRICE - PART);
    assert!(!request.refund_pending() && !request.in_review());
    assert_eq!(work(&world, &id, &refund).await, RefundWorked::Nothing);
    assert_eq!(world.bank.given_back(), [PART]);
}

#[tokio::test]
async fn killed_between_the_written_call_and_the_call_it_is_called_once_f6() {
    let world = MoneyWorld::new();
    let id = paid(&world).await;
    let refund = submitted(&world, &id).await;
    assert_eq!(work(&world, &id, &refund).await, RefundWorked::Answered);
    assert_eq!(state(&world, &id, &refund).await, RefundState::Settled);
    let events = world.events(&id).await;
    assert!(events.contains(&"RefundUncertain".to_owned()), "{events:?}");
    assert_eq!(world.bank.given_back(), [PART]);
    // The doubt was told to a person and is over.
    assert_eq!(world.cases(&id).await, [ExceptionKind::RefundUncertain]);
    assert!(!world.request(&id).await.in_review());
}

#[tokio::test]
async fn killed_between_the_call_and_its_answer_it_is_asked_about_and_not_called_again_f6() {
    let world = MoneyWorld::new();
    let id = paid(&world).await;
    let refund = ask(&world, &id, "refund").await.unwrap();
    world.bank.next_call(Call::AnswerLost);
    assert_eq!(work(&world, &id, &refund).await, UNKNOWN);
    assert_eq!(state(&world, &id, &refund).await, RefundState::Uncertain);
    assert_eq!(work(&world, &id, &refund).await, RefundWorked::Answered);
    assert_eq!(state(&world, &id, &refund).await, RefundState::Settled);
    assert_eq!(
        (world.bank.called(), world.bank.given_back()),
        (1, vec![PART])
    );
}

#[tokio::test]
async fn a_lost_call_is_made_again_only_under_its_own_id_f6() {
    for look_up in [true, false] {
        let world = MoneyWorld::new();
        world.bank.can(true, look_up);
        let id = paid(&world).await;
        let refund = ask(&world, &id, "refund").await.unwrap();
        for call in [Call::CallLost, Call::AnswerLost] {
            world.bank.next_call(call);
            assert_eq!(work(&world, &id, &refund).await, UNKNOWN);
        }
        assert_eq!(work(&world, &id, &refund).await, RefundWorked::Answered);
        assert_eq!(state(&world, &id, &refund).await, RefundState::Settled);
        assert_eq!(world.bank.given_back(), [PART], "look-up: {look_up}");
    }
}

#[tokio::test]
async fn a_provider_that_keys_on_nothing_is_never_called_twice_f6() {
    let world = MoneyWorld::new();
    world.bank.can(false, true);
    let id = paid(&world).await;
    let refund = submitted(&world, &id).await;
    let began = world.app.recorder.now();
    assert_eq!(work(&world, &id, &refund).await, UNKNOWN);
    assert_eq!(state(&world, &id, &refund).await, RefundState::Uncertain);
    // It may still be at work on a call that got lost; that it never heard of it counts later.
    world.clock.advance(Duration::from_secs(899));
    assert_eq!(work_since(&world, &id, &refund, began).await, UNKNOWN);
    world.clock.advance(Duration::from_secs(1));
    let told = work_since(&world, &id, &refund, began).await;
    assert_eq!(told, RefundWorked::Answered);
    let request = world.request(&id).await;
    assert_eq!(request.refunds()[&refund].state, RefundState::Failed);
    assert_eq!(request.label(), Label::Paid);
    assert_eq!(world.bank.called(), 0);
    let kinds = [ExceptionKind::RefundUncertain, ExceptionKind::RefundFailed];
    assert_eq!(world.cases(&id).await, kinds);
}

#[tokio::test]
async fn where_nobody_can_be_asked_the_doubt_stays_with_a_person_f6() {
    let world = MoneyWorld::new();
    world.bank.can(false, false);
    let id = paid(&world).await;
    let refund = ask(&world, &id, "refund").await.unwrap();
    world.bank.next_call(Call::AnswerLost);
    let began = world.app.recorder.now();
    assert_eq!(work(&world, &id, &refund).await, UNKNOWN);
    world.clock.advance(Duration::from_secs(30 * 24 * 3600));
    let told = work_since(&world, &id, &refund, began).await;
    assert_eq!(told, RefundWorked::Nothing);
    let request = world.request(&id).await;
    assert!(request.refund_pending() && request.in_review());
    assert_eq!(world.bank.called(), 1);
}

#[tokio::test]
async fn a_refund_that_is_declined_frees_its_money_f5() {
    let world = MoneyWorld::new();
    let id = paid(&world).await;
    let refund = ask(&world, &id, "refund").await.unwrap();
    world.bank.next_call(Call::Declined);
    assert_eq!(work(&world, &id, &refund).await, RefundWorked::Answered);
    let request = world.request(&id).await;
    assert_eq!(request.refunds()[&refund].state, RefundState::Failed);
    assert!(!request.refund_pending());
    assert_eq!(world.cases(&id).await, [ExceptionKind::RefundFailed]);
    assert_eq!(world.bank.given_back(), Vec::<i64>::new());
}

#[tokio::test]
async fn a_provider_that_gives_nothing_back_is_named_before_anything_is_written_f1() {
    let mut world = MoneyWorld::new();
    let id = paid(&world).await;
    world.forget_account("asked");
    let refused = ask(&world, &id, "refund").await;
    assert!(
        matches!(refused, Err(AppError::RefundsUnsupported)),
        "{refused:?}"
    );
    assert!(world.request(&id).await.refunds().is_empty());
}

#[tokio::test]
async fn a_refund_whose_account_is_gone_fails_instead_of_waiting_for_ever_f5() {
    let mut world = MoneyWorld::new();
    let id = paid(&world).await;
    let refund = ask(&world, &id, "refund").await.unwrap();
    world.forget_account("asked");
    assert_eq!(work(&world, &id, &refund).await, RefundWorked::Answered);
    assert_eq!(state(&world, &id, &refund).await, RefundState::Failed);
    assert_eq!(world.bank.called(), 0);
}

#[tokio::test]
async fn a_call_that_is_written_down_is_not_given_up_when_its_account_is_gone_f6() {
    let mut world = MoneyWorld::new();
    let id = paid(&world).await;
    let refund = submitted(&world, &id).await;
    world.forget_account("asked");
    assert_eq!(work(&world, &id, &refund).await, RefundWorked::Nothing);
    assert_eq!(state(&world, &id, &refund).await, RefundState::Uncertain);
}
