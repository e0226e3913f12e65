use domain::money::Currency;

use super::*;

fn reference(text: &str) -> ProviderRef {
    ProviderRef::parse(text).unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn amd(minor: i64) -> Money {
    Money::new(minor, Currency::from_code("AMD").unwrap()).unwrap()
}

fn new(our_reference: &str, minor: i64) -> NewOrder {
    NewOrder {
        our_reference: reference(our_reference),
        amount: amd(minor),
        return_url: None,
        description: "Order 1".into(),
        session: Duration::from_secs(60),
        script: Script::default(),
    }
}

fn bank() -> Bank {
    let mut bank = Bank::default();
    bank.register(new("pr_x-1", 150_000), reference("so_1"), at(0))
        .unwrap();
    bank
}

#[test]
fn one_reference_is_one_order() {
    let mut bank = bank();
    let (again, made) = bank
        .register(new("pr_x-1", 150_000), reference("so_2"), at(1))
        .unwrap();
    assert_eq!((again.id.as_str(), made), ("so_1", false));
    let other = bank.register(new("pr_x-1", 1), reference("so_2"), at(1));
    assert_eq!(other.unwrap_err(), BankRefusal::ReferenceUsed);
    assert_eq!(bank.find("pr_x-1"), bank.find("so_1"));
    assert_eq!(bank.find("pr_x-2"), None);
    assert_eq!(bank.orders().count(), 1);
}

#[test]
fn the_page_takes_money_once_and_only_while_the_session_is_open() {
    let mut bank = bank();
    bank.decline("so_1", at(1)).unwrap();
    assert_eq!(
        bank.find("so_1").unwrap().standing(at(1)),
        Standing::Declined
    );
    bank.pay("so_1", reference("st_1"), "shop", at(2)).unwrap();
    assert_eq!(
        bank.pay("so_1", reference("st_2"), "shop", at(3))
            .unwrap_err(),
        BankRefusal::Closed
    );
    assert_eq!(
        bank.decline("so_1", at(3)).unwrap_err(),
        BankRefusal::Closed
    );
    assert_eq!(bank.cancel("so_1", at(3)).unwrap_err(), BankRefusal::Closed);
    let order = bank.find("so_1").unwrap();
    assert_eq!((order.captures.len(), order.since(at(9))), (1, at(2)));
    assert_eq!(
        bank.pay("so_9", reference("st_2"), "shop", at(3))
            .unwrap_err(),
        BankRefusal::Unknown
    );
}

#[test]
fn a_session_ends_by_time_or_by_the_merchant() {
    let mut bank = bank();
    let order = bank.find("so_1").unwrap();
    assert_eq!(
        (order.standing(at(59)), order.standing(at(60))),
        (Standing::Open, Standing::Expired)
    );
    assert_eq!(
        bank.pay("so_1", reference("st_1"), "shop", at(60))
            .unwrap_err(),
        BankRefusal::Closed
    );
    bank.register(new("pr_x-2", 1), reference("so_2"), at(0))
        .unwrap();
    assert_eq!(bank.cancel("so_2", at(5)).unwrap().since(at(9)), at(5));
    assert_eq!(bank.cancel("so_2", at(6)).unwrap().since(at(9)), at(5));
    assert_eq!(
        bank.pay("so_2", reference("st_1"), "shop", at(7))
            .unwrap_err(),
        BankRefusal::Closed
    );
}

#[test]
fn a_script_may_take_money_late_twice_and_otherwise() {
    let mut bank = bank();
    let changes = Changes {
        amount: Some("100.00".into()),
        account: Some("other".into()),
        ..Changes::default()
    };
    bank.pay_as_told("so_1", reference("st_1"), &changes, "shop", at(100))
        .unwrap();
    bank.pay_as_told(
        "so_1",
        reference("st_2"),
        &Changes::default(),
        "shop",
        at(101),
    )
    .unwrap();
    let taken = bank.find("so_1").unwrap().captures.iter();
    let taken: Vec<_> = taken
        .map(|capture| (capture.amount, capture.payee.as_str(), capture.at))
        .collect();
    assert_eq!(
        taken,
        [
            (amd(10_000), "other", at(100)),
            (amd(150_000), "shop", at(101))
        ]
    );
}
