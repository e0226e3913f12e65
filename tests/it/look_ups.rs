//! What a provider's answers do to requests, and what they must not do.

use std::sync::Arc;
use std::time::Duration;

use api::work::supervise::stopper;
use api::work::{expire, look_up};
use domain::digest::base32;
use domain::ids::PaymentRequestId;
use domain::payment::Label;
use domain::payment::event::{PrecheckRefusal, PrecheckVerdict};
use domain::payment::exception::ExceptionKind;
use domain::payment::fact::{Fact, FactKind};
use domain::payment::request::{AttemptState, Closure};
use domain::ports::{LookUpOutcome, RegisterOutcome};
use domain::time::Timestamp;
use harness::money_world::{LIFE, MoneyWorld, captured, price, reference, registered, says};
use projections::ports::{GenerationState, Row, Work};
use projections::view::TypedRow;
use projections::views::timers::{self, AskedRow, ExpiryRow};

fn unsure() -> RegisterOutcome {
    RegisterOutcome::Unknown {
        why: "timeout".to_owned(),
        retry_after: None,
    }
}

fn of_order(order: &str, fact: Fact) -> Fact {
    Fact {
        provider_order_ref: Some(reference(order)),
        ..fact
    }
}

/// The order `taken` belongs to the first request; the second one's registration got no answer.
async fn with_a_taken_order() -> (MoneyWorld, [PaymentRequestId; 2], String) {
    let world = MoneyWorld::new();
    world.provider.next_registration(registered("taken"));
    let (owner, _) = world.attempt("o-1", "asked").await;
    world.provider.next_registration(unsure());
    let (other, reference) = world.attempt("o-2", "asked").await;
    (world, [owner, other], reference)
}

#[tokio::test]
async fn an_answer_that_names_an_order_of_another_request_pays_nothing_here_g5() {
    let (world, [owner, other], ours) = with_a_taken_order().await;
    let facts = [
        of_order("taken", Fact::bare(FactKind::Registered)),
        of_order("taken", captured("tx-1")),
    ];
    world.provider.looked_up(&ours, says(&facts));
    world.look_up(&other, 1).await;
    let request = world.request(&other).await;
    assert_eq!(request.label(), Label::Pending);
    assert!(request.captures().is_empty());
    assert_eq!(world.cases(&other).await, [ExceptionKind::IdentityMismatch]);
    // The money still pays the request that the order belongs to.
    let owners = format!("{owner}-1");
    world.provider.looked_up(&owners, says(&facts));
    world.look_up(&owner, 1).await;
    assert_eq!(world.request(&owner).await.label(), Label::Paid);
}

#[tokio::test]
async fn money_of_an_order_of_another_request_is_not_taken_even_where_it_is_the_only_word_g5() {
    let (world, [_, other], ours) = with_a_taken_order().await;
    let facts = [of_order("taken", captured("tx-1"))];
    world.provider.looked_up(&ours, says(&facts));
    world.look_up(&other, 1).await;
    assert_eq!(world.request(&other).await.label(), Label::Pending);
    assert_eq!(world.cases(&other).await, [ExceptionKind::IdentityMismatch]);
}

#[tokio::test]
async fn a_registration_that_names_an_order_of_another_request_fails_the_attempt_g5() {
    let (world, _, _) = with_a_taken_order().await;
    world.provider.next_registration(registered("taken"));
    let (third, _) = world.attempt("o-3", "asked").await;
    let state = world.request(&third).await.attempts()[&1].state;
    assert!(matches!(state, AttemptState::Failed(_)), "{state:?}");
    world.start(&third, "asked").await;
    let request = world.request(&third).await;
    assert_eq!(request.attempts()[&2].state, AttemptState::Registered);
}

#[tokio::test]
async fn money_that_pays_another_request_does_not_hide_the_money_beside_it_g4() {
    let world = MoneyWorld::new();
    let (first, ours) = world.attempt("o-1", "asked").await;
    world.provider.looked_up(&ours, says(&[captured("tx-1")]));
    world.look_up(&first, 1).await;
    let (second, ours) = world.attempt("o-2", "asked").await;
    let both = [captured("tx-1"), captured("tx-2")];
    world.provider.looked_up(&ours, says(&both));
    world.look_up(&second, 1).await;
    let request = world.request(&second).await;
    assert_eq!(request.label(), Label::Paid);
    let captures = request.captures().keys();
    let transactions: Vec<_> = captures.map(|key| key.transaction.to_string()).collect();
    assert_eq!(transactions, ["tx-2"]);
    for id in [&first, &second] {
        assert_eq!(world.cases(id).await, [ExceptionKind::TxnReused]);
    }
}

#[tokio::test]
async fn an_attempt_that_the_provider_never_made_frees_its_request_after_any_doubt_a7() {
    let world = MoneyWorld::new();
    world.provider.next_registration(unsure());
    let (id, ours) = world.attempt("o-1", "asked").await;
    world.look_up(&id, 1).await; // No answer: row A17.
    assert_eq!(world.request(&id).await.label(), Label::Processing);
    world.provider.looked_up(&ours, LookUpOutcome::NotFound);
    world.look_up(&id, 1).await;
    assert_eq!(world.request(&id).await.label(), Label::Pending);
    world.start(&id, "asked").await;
}

#[tokio::test]
async fn a_status_that_nobody_can_tell_keeps_no_request_open_for_ever_e5() {
    let world = MoneyWorld::new();
    let (id, ours) = world.attempt("o-1", "asked").await;
    world.look_up(&id, 1).await; // No answer: row A17.
    world.provider.looked_up(&ours, says(&[])); // An answer that says nothing.
    world.clock.advance(LIFE);
    for _ in 0..30 {
        world.app.expire_request(&id).await.unwrap();
        world.clock.advance(Duration::from_secs(5 * 60));
    }
    assert_eq!(*world.request(&id).await.closure(), Closure::Expired);
    assert_eq!(world.cases(&id).await, [ExceptionKind::StatusUnknown]);
}

#[tokio::test]
async fn a_payment_under_way_is_not_expired_for_an_idle_attempt_elsewhere_e4() {
    let world = MoneyWorld::new();
    let (id, ours) = world.attempt("o-1", "asked").await;
    world.start(&id, "silent").await;
    let under_way = says(&[Fact::bare(FactKind::Processing)]);
    world.provider.looked_up(&ours, under_way);
    world.clock.advance(LIFE);
    assert!(world.app.expire_request(&id).await.unwrap());
    let request = world.request(&id).await;
    assert_eq!(*request.closure(), Closure::Open);
    assert!(request.deferred().is_some());
}

#[tokio::test]
async fn an_attempt_without_news_is_not_expired_for_an_idle_attempt_elsewhere_e5() {
    let world = MoneyWorld::new();
    let (id, _) = world.attempt("o-1", "asked").await;
    world.start(&id, "silent").await;
    world.clock.advance(LIFE);
    assert!(world.app.expire_request(&id).await.unwrap());
    assert_eq!(*world.request(&id).await.closure(), Closure::Open);
}

/// Writes rows of the timers as if the view had.
async fn timer_rows<T: TypedRow + Send + 'static>(world: &MoneyWorld, rows: Vec<T>) {
    let views = &world.app.views;
    let made = views.create(&timers::SPEC, GenerationState::Live).await;
    let work: Work = Box::new(move |transaction| {
        for row in &rows {
            let (key, cells) = (row.key(), row.cells());
            let body = serde_json::to_vec(row).unwrap();
            transaction.put(T::TABLE.name, Row { key, cells, body })?;
        }
        Ok(None)
    });
    let kept = views.transact(&timers::SPEC, made.unwrap(), None, work);
    kept.await.unwrap();
}

fn some_request(number: u128) -> PaymentRequestId {
    PaymentRequestId::parse(format!("pr_{}", base32(&number.to_be_bytes()))).unwrap()
}

#[tokio::test]
async fn a_question_is_asked_however_many_were_answered_before_h1() {
    let world = MoneyWorld::new();
    let (id, ours) = world.attempt("o-1", "asked").await;
    world.provider.looked_up(&ours, says(&[]));
    let now = world.app.recorder.now();
    let mut rows: Vec<AskedRow> = (0..600)
        .map(|number| AskedRow {
            request: some_request(number),
            at: now.minus(Duration::from_secs(3600)),
        })
        .collect();
    rows.push(AskedRow {
        request: id,
        at: now,
    });
    timer_rows(&world, rows).await;
    let (stopper, stop) = stopper();
    let work = tokio::spawn(look_up::run(world.app.clone(), Arc::default(), stop));
    for _ in 0..200 {
        if !world.provider.asked().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        world.clock.advance(Duration::from_millis(500));
    }
    stopper.stop();
    world.clock.advance(Duration::from_secs(1));
    work.await.unwrap();
    assert_eq!(world.provider.asked()[0], ours);
}

#[tokio::test]
async fn a_request_of_an_account_that_is_gone_still_ends_e1_e12() {
    let mut world = MoneyWorld::new();
    let (cancelled, _) = world.attempt("o-1", "asked").await;
    let (expired, _) = world.attempt("o-2", "asked").await;
    world.forget_account("asked");
    let context = world.context("cancel");
    let done = world.app.cancel(world.caller(), &context, &cancelled).await;
    done.unwrap();
    world.clock.advance(LIFE);
    assert!(world.app.expire_request(&expired).await.unwrap());
    assert_eq!(*world.request(&expired).await.closure(), Closure::Expired);
}

#[tokio::test]
async fn requests_in_trouble_hold_up_no_expiry_e1() {
    let world = MoneyWorld::new();
    let id = world.create("o-1", "k-1", false).await;
    let expires_at = world.app.recorder.now().plus(LIFE);
    let row = |request, due_at| ExpiryRow {
        request,
        merchant: world.caller().merchant.clone(),
        expires_at,
        due_at,
    };
    // Rows that stay due whatever is done, since no stream is behind them.
    let mut rows: Vec<ExpiryRow> = (0..150)
        .map(|number| row(some_request(number), Timestamp::from_seconds(0)))
        .collect();
    rows.push(row(id.clone(), expires_at));
    timer_rows(&world, rows).await;
    world.clock.advance(LIFE);
    let (stopper, stop) = stopper();
    let work = tokio::spawn(expire::run(world.app.clone(), Arc::default(), stop));
    for _ in 0..100 {
        if *world.request(&id).await.closure() == Closure::Expired {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        world.clock.advance(Duration::from_secs(1));
    }
    stopper.stop();
    work.await.unwrap();
    assert_eq!(*world.request(&id).await.closure(), Closure::Expired);
}

#[tokio::test]
async fn a_replaced_request_can_no_longer_be_paid_at_the_provider_a4() {
    let world = MoneyWorld::new();
    let (_, ours) = world.attempt("o-1", "asked").await;
    let idle = says(&[Fact::bare(FactKind::Registered)]);
    world.provider.looked_up(&ours, idle);
    world.create("o-1", "again", true).await;
    assert_eq!(world.provider.cancelled(), [ours]);
}

#[tokio::test]
async fn a_repeated_precheck_answers_as_first_decided_a8_a9() {
    let world = MoneyWorld::new();
    let (id, _) = world.attempt("o-1", "asked").await;
    let precheck = async |key: &str| {
        let context = world.context(key);
        let asked = world
            .app
            .precheck(world.caller(), &context, &id, None, None, price());
        asked.await.unwrap()
    };
    let allowed = PrecheckVerdict::Allowed {};
    let refused = PrecheckVerdict::Refused {
        reason: PrecheckRefusal::NotPayable,
    };
    assert_eq!(precheck("k-1").await, (allowed.clone(), false));
    world.clock.advance(LIFE);
    assert_eq!(precheck("k-2").await, (refused.clone(), false));
    assert_eq!(precheck("k-1").await, (allowed, true));
    assert_eq!(precheck("k-2").await, (refused, true));
}
