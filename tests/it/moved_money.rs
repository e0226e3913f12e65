//! Money that people moved: what is told of it later is recorded where it is, however far that is and
//! while it is on its way, and at no moment is it in two places or in none.

use api::app::case_decisions::CaseRefusal;
use api::app::context::Context;
use api::app::error::AppError;
use api::app::look_ups::LookedUp;
use api::app::transfers::Owner;
use domain::ids::{MerchantId, PaymentRequestId};
use domain::money::{Currency, Money, Sum};
use domain::payment::evidence::Mode;
use domain::payment::exception::ExceptionKind;
use domain::payment::fact::{Fact, FactKind, RefundAmount};
use domain::payment::{Command, Label, Outcome, Request, Resolve, Transfer};
use domain::ports::Filter;
use harness::money_world::{MoneyWorld, PRICE, captured, reference, says};

/// The one movement of money.
const TX: &str = "tx-moved";

fn amd(minor: i64) -> Money {
    Money::new(minor, Currency::from_code("AMD").unwrap()).unwrap()
}

/// A request that was called off and got the money afterwards: its id and our reference.
async fn with_money(world: &MoneyWorld) -> (PaymentRequestId, String) {
    let (id, ours) = world.attempt("first", "asked").await;
    let nobody_paid = says(&[Fact::bare(FactKind::Registered)]);
    world.provider.looked_up(&ours, nobody_paid);
    let cancel = world.context("cancel");
    let cancelled = world.app.cancel(world.caller(), &cancel, &id).await;
    cancelled.unwrap();
    world.provider.looked_up(&ours, says(&[captured(TX)]));
    assert_eq!(ask(world, &id).await, Outcome::Applied);
    (id, ours)
}

async fn ask(world: &MoneyWorld, id: &PaymentRequestId) -> Outcome {
    let context = Context::job("test");
    let asked = world.app.look_up_attempt(id, 1, &context).await;
    let LookedUp::Answered(outcome) = asked.unwrap() else {
        panic!("no answer")
    };
    outcome
}

/// A person decides the open case that holds the money: it is another request's.
async fn send(world: &MoneyWorld, from: &PaymentRequestId, to: &PaymentRequestId) {
    let request = world.request(from).await;
    let mut open = request.cases().iter().filter(|(_, case)| case.open());
    let (case, _) = open.find(|(_, case)| case.capture.is_some()).unwrap();
    let how = Resolve::Reassign {
        transfer: Transfer::id_of(world.app.recorder.key(), case),
        to: to.clone(),
    };
    let case = case.clone();
    let command = Command::ResolveCase { case, how };
    let context = Context::job("test");
    world.app.execute(from, &context, &command).await.unwrap();
}

/// Everything that left arrives; how much of it is news.
async fn arrive(world: &MoneyWorld) -> usize {
    let store = world.app.recorder.store();
    let page = store.read_all(None, &Filter::all(), 10_000).await.unwrap();
    let mut arrived = 0;
    for left in page.events {
        if &*left.record.event_type == "CaptureReassigned" {
            let done = world.app.complete_transfer(&left).await.unwrap();
            arrived += usize::from(done.is_some());
        }
    }
    arrived
}

async fn moved(world: &MoneyWorld, from: &PaymentRequestId, to: &PaymentRequestId) {
    send(world, from, to).await;
    assert_eq!(arrive(world).await, 1);
}

/// Applied, unapplied, returned.
async fn money(world: &MoneyWorld, id: &PaymentRequestId) -> (i64, i64, i64) {
    let request = world.request(id).await;
    let mut all = (0, 0, 0);
    for capture in request.captures().values() {
        all.0 += capture.applied;
        all.1 += capture.unapplied;
        all.2 += capture.returned();
    }
    all
}

fn refund(minor: i64, id: &str) -> Fact {
    of_money(FactKind::Refunded {
        amount: RefundAmount::Delta(amd(minor)),
        reversal: Some(reference(id)),
    })
}

fn refunded_so_far(minor: i64) -> Fact {
    of_money(FactKind::Refunded {
        amount: RefundAmount::Cumulative(Sum::new(minor, Currency::from_code("AMD").unwrap())),
        reversal: None,
    })
}

fn of_money(kind: FactKind) -> Fact {
    Fact {
        transaction: Some(reference(TX)),
        ..Fact::bare(kind)
    }
}

#[tokio::test]
async fn a_refund_after_a_move_lands_where_the_money_is_e15() {
    for refunds in [
        [refund(50_000, "r1"), refund(100_000, "r2")],
        [refunded_so_far(50_000), refunded_so_far(PRICE)],
    ] {
        let world = MoneyWorld::new();
        let (from, ours) = with_money(&world).await;
        let to = world.create("second", "second", false).await;
        moved(&world, &from, &to).await;
        assert_eq!(world.request(&to).await.label(), Label::Paid);
        let [part, rest] = refunds;
        let (first, both) = (
            says(&[captured(TX), part.clone()]),
            says(&[captured(TX), part, rest]),
        );
        world.provider.looked_up(&ours, first);
        assert_eq!(ask(&world, &from).await, Outcome::Applied);
        assert_eq!(money(&world, &to).await, (PRICE - 50_000, 0, 50_000));
        // Told again, it is the same refund.
        assert_eq!(ask(&world, &from).await, Outcome::Duplicate);
        world.provider.looked_up(&ours, both);
        assert_eq!(ask(&world, &from).await, Outcome::Applied);
        assert_eq!(ask(&world, &from).await, Outcome::Duplicate);
        assert_eq!(money(&world, &to).await, (0, 0, PRICE));
        assert_eq!(money(&world, &from).await, (0, 0, 0));
        assert_eq!(world.request(&to).await.label(), Label::Refunded);
        let cases = world.cases(&from).await;
        assert_eq!(cases, [ExceptionKind::PaidAfterCancel]);
    }
}

#[tokio::test]
async fn a_dispute_after_a_move_lands_where_the_money_is_e15() {
    let world = MoneyWorld::new();
    let (from, ours) = with_money(&world).await;
    let to = world.create("second", "second", false).await;
    moved(&world, &from, &to).await;
    let dispute = reference("d1");
    let opened = of_money(FactKind::DisputeOpened {
        dispute: dispute.clone(),
        amount: None,
        reason: None,
        due_by: None,
    });
    let facts = says(&[captured(TX), opened.clone()]);
    world.provider.looked_up(&ours, facts);
    assert_eq!(ask(&world, &from).await, Outcome::Applied);
    assert_eq!(world.request(&to).await.label(), Label::Disputed);
    let lost = of_money(FactKind::DisputeLost { dispute });
    let facts = says(&[captured(TX), opened, lost]);
    world.provider.looked_up(&ours, facts);
    assert_eq!(ask(&world, &from).await, Outcome::Applied);
    assert_eq!(world.request(&to).await.label(), Label::ChargedBack);
    assert_eq!(money(&world, &to).await, (0, 0, PRICE));
    assert!(world.request(&from).await.disputes().is_empty());
}

/// Called off before the money of another one came.
async fn closed(world: &MoneyWorld, order: &str) -> PaymentRequestId {
    let id = world.create(order, order, false).await;
    let cancel = world.context(&format!("cancel-{order}"));
    let cancelled = world.app.cancel(world.caller(), &cancel, &id).await;
    cancelled.unwrap();
    id
}

#[tokio::test]
async fn money_is_found_however_often_it_moved_e15() {
    let world = MoneyWorld::new();
    let (first, ours) = with_money(&world).await;
    let mut at = first.clone();
    for order in ["second", "third", "fourth"] {
        let next = closed(&world, order).await;
        moved(&world, &at, &next).await;
        at = next;
    }
    let told = refund(50_000, "r1");
    world
        .provider
        .looked_up(&ours, says(&[captured(TX), told.clone()]));
    assert_eq!(ask(&world, &first).await, Outcome::Applied);
    assert_eq!(money(&world, &at).await, (0, PRICE - 50_000, 50_000));
    // The rest comes home, and everything that was told on the way is known there.
    moved(&world, &at, &first).await;
    assert_eq!(ask(&world, &first).await, Outcome::Duplicate);
    assert_eq!(money(&world, &first).await, (0, PRICE - 50_000, 0));
    let more = refund(100_000, "r2");
    world
        .provider
        .looked_up(&ours, says(&[captured(TX), told, more]));
    assert_eq!(ask(&world, &first).await, Outcome::Applied);
    assert_eq!(ask(&world, &first).await, Outcome::Duplicate);
    assert_eq!(money(&world, &first).await, (0, 0, 100_000));
    assert_eq!(money(&world, &at).await, (0, 0, 50_000));
}

#[tokio::test]
async fn what_is_told_of_money_in_transit_waits_until_it_arrived_e15() {
    let world = MoneyWorld::new();
    let (from, ours) = with_money(&world).await;
    let to = closed(&world, "second").await;
    send(&world, &from, &to).await;
    assert_eq!(money(&world, &from).await, (0, 0, 0));
    assert_eq!(money(&world, &to).await, (0, 0, 0));
    let facts = says(&[captured(TX), refund(50_000, "r1")]);
    world.provider.looked_up(&ours, facts);
    assert_eq!(ask(&world, &from).await, Outcome::Parked);
    assert_eq!(arrive(&world).await, 1);
    assert_eq!(ask(&world, &from).await, Outcome::Applied);
    assert_eq!(money(&world, &to).await, (0, PRICE - 50_000, 50_000));
    // On its way back, nobody is asked in circles.
    send(&world, &to, &from).await;
    let facts = [captured(TX), refund(50_000, "r1"), refund(100_000, "r2")];
    world.provider.looked_up(&ours, says(&facts));
    assert_eq!(ask(&world, &from).await, Outcome::Parked);
    assert_eq!(arrive(&world).await, 1);
    assert_eq!(ask(&world, &from).await, Outcome::Applied);
    assert_eq!(money(&world, &from).await, (0, 0, 100_000));
    assert_eq!(money(&world, &to).await, (0, 0, 50_000));
}

#[tokio::test]
async fn money_that_is_told_at_its_new_request_is_no_second_payment_g4() {
    let world = MoneyWorld::new();
    let (from, _) = with_money(&world).await;
    let (to, its_own) = world.attempt("second", "asked").await;
    world.provider.looked_up(&its_own, says(&[captured(TX)]));
    send(&world, &from, &to).await;
    // Before it arrived, and after.
    assert_eq!(ask(&world, &to).await, Outcome::Duplicate);
    assert_eq!(money(&world, &to).await, (0, 0, 0));
    assert_eq!(arrive(&world).await, 1);
    assert_eq!(ask(&world, &to).await, Outcome::Duplicate);
    assert_eq!(money(&world, &to).await, (PRICE, 0, 0));
    assert_eq!(world.cases(&to).await, []);
    assert_eq!(world.cases(&from).await, [ExceptionKind::PaidAfterCancel]);
    // At a third it is somebody else's: who has it now is told, not who had it.
    let (third, its_own) = world.attempt("third", "asked").await;
    world.provider.looked_up(&its_own, says(&[captured(TX)]));
    assert_eq!(ask(&world, &third).await, Outcome::Refused);
    assert_eq!(world.cases(&third).await, [ExceptionKind::TxnReused]);
    assert_eq!(world.cases(&to).await, [ExceptionKind::TxnReused]);
    assert_eq!(world.cases(&from).await, [ExceptionKind::PaidAfterCancel]);
}

/// Where every unit is: at requests, or between them.
async fn everywhere(world: &MoneyWorld, all: &[PaymentRequestId]) -> i64 {
    let (mut sum, mut sent, mut received) = (0, 0, 0);
    for id in all {
        let (applied, unapplied, returned) = money(world, id).await;
        assert!(applied >= 0 && unapplied >= 0 && returned >= 0);
        sum += applied + unapplied + returned;
        let request: Request = world.request(id).await;
        for capture in request.captures().values() {
            sent += capture.moved;
            let came = capture.attempt_no.is_none();
            received += if came { capture.amount.minor() } else { 0 };
        }
    }
    sum + sent - received
}

#[tokio::test]
async fn at_every_step_each_unit_is_in_one_place_e15() {
    let world = MoneyWorld::new();
    let (first, ours) = with_money(&world).await;
    let second = closed(&world, "second").await;
    let third = world.create("third", "third", false).await;
    let all = [first.clone(), second.clone(), third.clone()];
    assert_eq!(everywhere(&world, &all).await, PRICE);
    for (from, to) in [(&first, &second), (&second, &third)] {
        send(&world, from, to).await;
        assert_eq!(everywhere(&world, &all).await, PRICE);
        let facts = says(&[captured(TX), refund(1, "r1")]);
        world.provider.looked_up(&ours, facts);
        ask(&world, &first).await;
        assert_eq!(everywhere(&world, &all).await, PRICE);
        assert_eq!(arrive(&world).await, 1);
        assert_eq!(everywhere(&world, &all).await, PRICE);
        ask(&world, &first).await;
        assert_eq!(everywhere(&world, &all).await, PRICE);
        assert_eq!(arrive(&world).await, 0);
        assert_eq!(everywhere(&world, &all).await, PRICE);
    }
    // One unit went back on the way, so that it is too little for the third, and a person decides.
    assert_eq!(money(&world, &third).await, (0, PRICE - 1, 0));
    assert_eq!(world.cases(&third).await, [ExceptionKind::Underpaid]);
}

#[tokio::test]
async fn money_moves_only_to_a_request_of_the_same_owner_e15() {
    let world = MoneyWorld::new();
    let to = world.create("first", "first", false).await;
    let owner = |merchant, mode, currency| (merchant, mode, Currency::from_code(currency).unwrap());
    for ((merchant, mode, currency), refused) in [
        (owner("shop", Mode::Test, "AMD"), None),
        (owner("shop", Mode::Live, "AMD"), Some("other mode")),
        (owner("shop", Mode::Test, "USD"), Some("other currency")),
        (owner("other", Mode::Test, "AMD"), Some("not found")),
    ] {
        let merchant = MerchantId::parse(merchant).unwrap();
        let owner = Owner {
            merchant: &merchant,
            mode,
            currency,
        };
        let answer = world.app.may_receive(&to, owner).await;
        let word = match answer {
            Ok(()) => None,
            Err(AppError::Case(CaseRefusal::OtherMode)) => Some("other mode"),
            Err(AppError::Case(CaseRefusal::OtherCurrency)) => Some("other currency"),
            Err(AppError::Case(CaseRefusal::NoSuchTarget)) => Some("not found"),
            Err(other) => panic!("{other}"),
        };
        assert_eq!(word, refused, "{merchant} {mode:?} {currency:?}");
    }
}
