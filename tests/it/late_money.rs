//! Several requests of one order that closed and hold money: at most one of them is ever paid, and
//! none while another request stands for the order.

use api::app::context::Context;
use api::app::error::AppError;
use api::app::requests::Executed;
use domain::ids::PaymentRequestId;
use domain::payment::{Command, Label, Resolve};
use harness::money_world::MoneyWorld;

const ORDER: &str = "o-1";

async fn accept(world: &MoneyWorld, id: &PaymentRequestId) -> Result<Executed, AppError> {
    let request = world.request(id).await;
    let accept = Command::ResolveCase {
        case: request.cases().keys().next().unwrap().clone(),
        how: Resolve::Accept { with: vec![] },
    };
    world.app.execute(id, &Context::job("test"), &accept).await
}

#[tokio::test]
async fn late_money_is_accepted_only_while_nobody_else_stands_for_the_order_e9() {
    let world = MoneyWorld::new();
    let first = world.paid_after_cancel(ORDER, "first").await;
    let second = world.create(ORDER, "second", false).await;
    let refused = accept(&world, &first).await;
    assert!(
        matches!(&refused, Err(AppError::OpenRequestExists { id: Some(id) }) if *id == second),
        "{refused:?}"
    );
    let cancel = world.context("cancel");
    let cancelled = world.app.cancel(world.caller(), &cancel, &second).await;
    cancelled.unwrap();
    let accepted = accept(&world, &first).await.unwrap();
    assert_eq!(accepted.request.label(), Label::Paid);
    assert!(accepted.request.verified().unwrap().late);
}

#[tokio::test]
async fn of_two_closed_requests_of_one_order_one_is_paid_e9() {
    let world = MoneyWorld::new();
    let first = world.paid_after_cancel(ORDER, "first").await;
    let second = world.paid_after_cancel(ORDER, "second").await;
    accept(&world, &second).await.unwrap();
    let refused = accept(&world, &first).await;
    assert!(
        matches!(&refused, Err(AppError::OrderAlreadyPaid { id: Some(id) }) if *id == second),
        "{refused:?}"
    );
    assert_eq!(world.request(&first).await.label(), Label::Cancelled);
}

/// The order's claim is the younger one's already, so paying that one must still be news to whoever
/// looked at it before.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_closed_requests_that_are_accepted_at_once_never_both_pay_e9() {
    for _ in 0..50 {
        let world = std::sync::Arc::new(MoneyWorld::new());
        let first = world.paid_after_cancel(ORDER, "first").await;
        let second = world.paid_after_cancel(ORDER, "second").await;
        let both = [first.clone(), second.clone()].map(|id| {
            let world = world.clone();
            tokio::spawn(async move { accept(&world, &id).await.is_ok() })
        });
        let mut accepted = 0;
        for one in both {
            accepted += usize::from(one.await.unwrap());
        }
        assert_eq!(accepted, 1);
        let paid = async |id| world.request(id).await.label() == Label::Paid;
        assert_ne!(paid(&first).await, paid(&second).await);
    }
}
