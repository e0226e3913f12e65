//! What every operational store must do. The macro
//! [`ops_store_contract`](crate::ops_store_contract) names every promise once.

use std::sync::Arc;
use std::time::Duration;

use domain::ids::DeliveryId;
use domain::time::Timestamp;
use projections::ports::{Excerpt, OpsStore};

/// One adapter under test.
pub trait OpsStoreUnderTest: Send + Sync {
    /// A fresh, empty store.
    fn fresh() -> Self;

    /// The store.
    fn store(&self) -> Arc<dyn OpsStore>;
}

/// Instantiates every promise for one adapter, in a module of the given name.
#[macro_export]
macro_rules! ops_store_contract {
    ($name:ident, $store:ty) => {
        mod $name {
            use super::*;
            $crate::ops_store_contract! { @each $store:
                a_lease_has_one_holder_until_its_time_is_over
                a_late_holder_changes_nothing
                a_released_lease_is_free_and_its_epoch_goes_on
                what_a_dead_owner_held_is_free_at_once_and_its_epoch_goes_on
                one_of_many_gets_the_lease
                excerpts_are_kept_by_try_and_erased_by_age
                notes_are_replaced_and_forgotten
            }
        }
    };
    (@each $store:ty: $($promise:ident)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $promise() {
            $crate::contract::ops_store::$promise::<$store>().await;
        }
    )+};
}

const MINUTE: Duration = Duration::from_secs(60);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_700_000_000 + seconds)
}

/// Also for the holder itself: a second worker may bear the same name.
pub async fn a_lease_has_one_holder_until_its_time_is_over<S: OpsStoreUnderTest>() {
    let under_test = S::fresh();
    let store = under_test.store();
    let lease = store
        .acquire("k", "a", MINUTE, at(0))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((lease.epoch, lease.until), (1, at(60)));
    for owner in ["a", "b"] {
        assert_eq!(
            store.acquire("k", owner, MINUTE, at(59)).await.unwrap(),
            None
        );
    }
    assert!(
        store
            .acquire("other", "b", MINUTE, at(59))
            .await
            .unwrap()
            .is_some()
    );
    let renewed = store.renew(&lease, MINUTE, at(59)).await.unwrap().unwrap();
    assert_eq!(renewed.until, at(119));
    assert_eq!(
        store.acquire("k", "b", MINUTE, at(118)).await.unwrap(),
        None
    );
    let taken = store
        .acquire("k", "b", MINUTE, at(119))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (taken.owner.as_str(), taken.epoch, taken.until),
        ("b", 2, at(179))
    );
}

/// The fence is owner and epoch.
pub async fn a_late_holder_changes_nothing<S: OpsStoreUnderTest>() {
    let under_test = S::fresh();
    let store = under_test.store();
    let late = store
        .acquire("k", "a", MINUTE, at(0))
        .await
        .unwrap()
        .unwrap();
    let now = store
        .acquire("k", "a", MINUTE, at(60))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(now.epoch, 2);
    assert_eq!(store.renew(&late, MINUTE, at(61)).await.unwrap(), None);
    assert!(!store.release(&late).await.unwrap());
    assert!(!store.finish(&late).await.unwrap());
    assert_eq!(store.acquire("k", "b", MINUTE, at(61)).await.unwrap(), None);
    assert!(store.renew(&now, MINUTE, at(61)).await.unwrap().is_some());
}

/// Counting goes on after a release and begins again after the end.
pub async fn a_released_lease_is_free_and_its_epoch_goes_on<S: OpsStoreUnderTest>() {
    let under_test = S::fresh();
    let store = under_test.store();
    let first = store
        .acquire("k", "a", MINUTE, at(0))
        .await
        .unwrap()
        .unwrap();
    assert!(store.release(&first).await.unwrap());
    let second = store
        .acquire("k", "b", MINUTE, at(1))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(second.epoch, 2);
    assert!(store.finish(&second).await.unwrap());
    assert!(!store.finish(&second).await.unwrap());
    let third = store
        .acquire("k", "c", MINUTE, at(2))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(third.epoch, 1);
}

/// Others keep theirs, and what was over already is not counted.
pub async fn what_a_dead_owner_held_is_free_at_once_and_its_epoch_goes_on<S: OpsStoreUnderTest>() {
    let under_test = S::fresh();
    let store = under_test.store();
    for (key, owner, since) in [("k", "a", 0), ("l", "a", 0), ("m", "b", 0), ("n", "a", -90)] {
        let held = store.acquire(key, owner, MINUTE, at(since)).await.unwrap();
        assert!(held.is_some());
    }
    assert_eq!(store.release_all("a", at(1)).await.unwrap(), 2);
    assert_eq!(store.release_all("a", at(1)).await.unwrap(), 0);
    for key in ["k", "l"] {
        let again = store.acquire(key, "a", MINUTE, at(1)).await.unwrap();
        assert_eq!(again.unwrap().epoch, 2);
    }
    assert_eq!(store.acquire("m", "a", MINUTE, at(1)).await.unwrap(), None);
}

/// 32 workers, one lease.
pub async fn one_of_many_gets_the_lease<S: OpsStoreUnderTest>() {
    let under_test = S::fresh();
    let store = under_test.store();
    let tries: Vec<_> = (0..32)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                store
                    .acquire("k", &format!("w{n}"), MINUTE, at(0))
                    .await
                    .unwrap()
            })
        })
        .collect();
    let mut got = 0;
    for one in tries {
        got += usize::from(one.await.unwrap().is_some());
    }
    assert_eq!(got, 1);
}

/// What may hold personal data goes when its time is over.
pub async fn excerpts_are_kept_by_try_and_erased_by_age<S: OpsStoreUnderTest>() {
    let under_test = S::fresh();
    let store = under_test.store();
    let delivery = |letter: &str| DeliveryId::parse(format!("dlv_{}", letter.repeat(32))).unwrap();
    let excerpt = |letter: &str, generation: u32, attempt_no: u32| Excerpt {
        delivery: delivery(letter),
        generation,
        attempt_no,
        nonce: [7; 32],
        bytes: vec![0, 255, u8::try_from(attempt_no).unwrap()],
        at: at(i64::from(attempt_no)),
    };
    for (generation, attempt_no) in [(2, 1), (1, 2), (1, 1)] {
        store
            .put_excerpt(&excerpt("a", generation, attempt_no))
            .await
            .unwrap();
    }
    store.put_excerpt(&excerpt("b", 1, 9)).await.unwrap();
    let replaced = Excerpt {
        bytes: vec![],
        ..excerpt("a", 2, 1)
    };
    store.put_excerpt(&replaced).await.unwrap();
    let kept = store.excerpts(&delivery("a")).await.unwrap();
    assert_eq!(kept, [excerpt("a", 1, 1), excerpt("a", 1, 2), replaced]);
    assert_eq!(store.erase_excerpts(at(2)).await.unwrap(), 2);
    assert_eq!(
        store.excerpts(&delivery("a")).await.unwrap(),
        [excerpt("a", 1, 2)]
    );
    assert_eq!(store.excerpts(&delivery("b")).await.unwrap().len(), 1);
}

/// Small and by key.
pub async fn notes_are_replaced_and_forgotten<S: OpsStoreUnderTest>() {
    let under_test = S::fresh();
    let store = under_test.store();
    assert_eq!(store.note("k").await.unwrap(), None);
    store.put_note("k", b"one").await.unwrap();
    store.put_note("k", b"two").await.unwrap();
    store.put_note("l", b"").await.unwrap();
    assert_eq!(store.note("k").await.unwrap().as_deref(), Some(&b"two"[..]));
    store.forget_note("k").await.unwrap();
    store.forget_note("k").await.unwrap();
    assert_eq!(store.note("k").await.unwrap(), None);
    assert_eq!(store.note("l").await.unwrap().as_deref(), Some(&b""[..]));
}
