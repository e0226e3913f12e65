//! Uniqueness across streams.

use futures::future::join_all;

use domain::digest::Digest32;
use domain::ports::{
    AppendError, AppendRequest, Claim, ClaimExpect, ClaimOwner, ClaimSpace, EventStore, Expect,
};
use domain::stream::StreamId;

use super::{StoreUnderTest, one, rounds, stream, whole_log, whole_stream};

fn key(text: &str) -> Digest32 {
    Digest32::sha256(&[text.as_bytes()])
}

/// A create of `owner` that claims one thing for it.
fn claiming(owner: &StreamId, key: Digest32, expect: ClaimExpect) -> AppendRequest {
    let mut request = one(owner, Expect::NoStream);
    let owner = owner.clone();
    request.claims.push(Claim {
        ns: ClaimSpace::Order,
        key,
        owner,
        detail: 0,
        expect,
    });
    request
}

async fn owner_of(store: &dyn EventStore, key: &Digest32) -> Option<ClaimOwner> {
    store.find_claim(ClaimSpace::Order, key).await.unwrap()
}

/// S9: one live owner.
pub async fn one_of_64_owners_gets_a_claim<S: StoreUnderTest>() {
    let mut under_test = S::fresh();
    for round in 0..rounds(3, 100) {
        let store = under_test.store();
        let wanted = key(&round.to_string());
        let tasks = (0..64).map(|owner| {
            let (store, owner) = (store.clone(), stream(format!("{round}-{owner}")));
            let request = claiming(&owner, wanted, ClaimExpect::Free);
            tokio::spawn(async move { (owner, store.append(request).await) })
        });
        let (mut winners, mut told) = (vec![], vec![]);
        for done in join_all(tasks).await {
            match done.unwrap() {
                (owner, Ok(_)) => winners.push(owner),
                (
                    asked_by,
                    Err(AppendError::ClaimTaken {
                        ns: ClaimSpace::Order,
                        owner,
                        generation: 1,
                    }),
                ) => {
                    told.push(owner);
                    assert!(whole_stream(&*store, &asked_by).await.is_empty());
                }
                (_, Err(other)) => panic!("{other:?}"),
            }
        }
        let [winner] = &winners[..] else {
            panic!("{} winners", winners.len())
        };
        assert_eq!(told, vec![winner.clone(); 63]);
        drop(store);
        under_test.reopen();
        let held = owner_of(&*under_test.store(), &wanted).await.unwrap();
        assert_eq!(
            held,
            ClaimOwner {
                owner: winner.clone(),
                detail: 0,
                generation: 1
            }
        );
    }
}

/// Claiming what one has is no change; the same key elsewhere is another claim.
pub async fn the_same_owner_may_claim_again<S: StoreUnderTest>() {
    let under_test = S::fresh();
    let store = under_test.store();
    let (owner, wanted) = (stream("a"), key("order"));
    let appended = store
        .append(claiming(&owner, wanted, ClaimExpect::Free))
        .await
        .unwrap();
    let mut again = claiming(&owner, wanted, ClaimExpect::Free);
    let in_space = |ns, detail| Claim {
        ns,
        detail,
        ..again.claims[0].clone()
    };
    let others = [
        in_space(ClaimSpace::Ptx, 0),
        in_space(ClaimSpace::Ref, 3),
        in_space(ClaimSpace::Ref, 3),
    ];
    again.claims.extend(others);
    again.expect = Expect::Exact(appended.version);
    again.events[0].version = appended.version.next();
    store.append(again.clone()).await.unwrap();
    let held = |detail| {
        Some(ClaimOwner {
            owner: owner.clone(),
            detail,
            generation: 1,
        })
    };
    for (ns, detail) in [
        (ClaimSpace::Order, 0),
        (ClaimSpace::Ptx, 0),
        (ClaimSpace::Ref, 3),
    ] {
        assert_eq!(
            store.find_claim(ns, &wanted).await.unwrap(),
            held(detail),
            "{ns}"
        );
    }
    assert_eq!(
        store.find_claim(ClaimSpace::Quote, &wanted).await.unwrap(),
        None
    );

    let mut other_attempt = claiming(&stream("b"), wanted, ClaimExpect::Free);
    let claim = Claim {
        ns: ClaimSpace::Ref,
        owner: owner.clone(),
        detail: 4,
        ..again.claims[0].clone()
    };
    other_attempt.claims = vec![claim];
    let refused = store.append(other_attempt).await;
    assert!(
        matches!(refused, Err(AppendError::ClaimTaken { generation: 1, .. })),
        "{refused:?}"
    );
}

/// A take-over names the generation that it has read.
pub async fn a_claim_goes_over_by_its_generation_only<S: StoreUnderTest>() {
    use ClaimExpect::{Free, Generation};
    let mut under_test = S::fresh();
    let store = under_test.store();
    let wanted = key("order");
    let held = |name: &str, generation| ClaimOwner {
        owner: stream(name),
        detail: 0,
        generation,
    };
    // Who asks, expecting what; who has it afterwards, and whether it was given.
    for (asks, expect, given, owner) in [
        ("a", Generation(1), false, None),
        ("a", Free, true, Some(held("a", 1))),
        ("b", Free, false, Some(held("a", 1))),
        ("b", Generation(0), false, Some(held("a", 1))),
        ("b", Generation(2), false, Some(held("a", 1))),
        ("b", Generation(1), true, Some(held("b", 2))),
        ("c", Generation(1), false, Some(held("b", 2))),
        ("c", Generation(2), true, Some(held("c", 3))),
    ] {
        let context = format!("{asks} {expect:?}");
        let events = whole_log(&*store).await.len();
        let answer = store.append(claiming(&stream(asks), wanted, expect)).await;
        match (&answer, given) {
            (Ok(_), true) => {}
            (
                Err(AppendError::ClaimTaken {
                    ns,
                    owner: told,
                    generation,
                }),
                false,
            ) => {
                let now = owner.clone().unwrap_or(held(asks, 0));
                assert_eq!(
                    (*ns, told, *generation),
                    (ClaimSpace::Order, &now.owner, now.generation)
                );
            }
            _ => panic!("{context}: {answer:?}"),
        }
        assert_eq!(owner_of(&*store, &wanted).await, owner, "{context}");
        assert_eq!(
            whole_log(&*store).await.len(),
            events + usize::from(given),
            "{context}"
        );
    }
    drop(store);
    under_test.reopen();
    assert_eq!(
        owner_of(&*under_test.store(), &wanted).await,
        Some(held("c", 3))
    );
}

/// A slow owner and any number of successors: one goes on.
pub async fn racing_take_overs_one_wins<S: StoreUnderTest>() {
    let under_test = S::fresh();
    let store = under_test.store();
    for round in 0..rounds(3, 100) {
        let wanted = key(&round.to_string());
        let first = stream(format!("{round}-first"));
        let appended = store
            .append(claiming(&first, wanted, ClaimExpect::Free))
            .await
            .unwrap();
        // The old owner asserts its claim again while the others take it over.
        let mut old = claiming(&first, wanted, ClaimExpect::Generation(1));
        old.expect = Expect::Exact(appended.version);
        old.events[0].version = appended.version.next();
        let mut requests = vec![old];
        for other in 0..15 {
            let owner = stream(format!("{round}-{other}"));
            requests.push(claiming(&owner, wanted, ClaimExpect::Generation(1)));
        }
        let tasks = requests.into_iter().map(|request| {
            let store = store.clone();
            tokio::spawn(async move { (request.stream.clone(), store.append(request).await) })
        });
        let (mut successors, mut asserted) = (vec![], false);
        for done in join_all(tasks).await {
            match done.unwrap() {
                (owner, Ok(_)) if owner == first => asserted = true,
                (owner, Ok(_)) => successors.push(owner),
                (_, Err(AppendError::ClaimTaken { generation: 2, .. })) => {}
                (_, Err(other)) => panic!("{other:?}"),
            }
        }
        let [successor] = &successors[..] else {
            panic!("{} successors", successors.len())
        };
        let held = owner_of(&*store, &wanted).await.unwrap();
        assert_eq!(
            held,
            ClaimOwner {
                owner: successor.clone(),
                detail: 0,
                generation: 2
            }
        );
        let length = whole_stream(&*store, &first).await.len();
        assert_eq!(length, if asserted { 2 } else { 1 });
    }
}

/// Events and all claims of an append stand or fall together.
pub async fn a_refused_claim_appends_nothing<S: StoreUnderTest>() {
    let mut under_test = S::fresh();
    let store = under_test.store();
    store
        .append(claiming(&stream("a"), key("taken"), ClaimExpect::Free))
        .await
        .unwrap();
    let mut both = claiming(&stream("b"), key("free"), ClaimExpect::Free);
    both.claims
        .extend(claiming(&stream("b"), key("taken"), ClaimExpect::Free).claims);
    let refused = store.append(both.clone()).await;
    assert!(
        matches!(refused, Err(AppendError::ClaimTaken { .. })),
        "{refused:?}"
    );
    drop(store);
    for _ in 0..2 {
        let store = under_test.store();
        assert_eq!(whole_log(&*store).await.len(), 1);
        assert!(whole_stream(&*store, &stream("b")).await.is_empty());
        assert_eq!(owner_of(&*store, &key("free")).await, None);
        drop(store);
        under_test.reopen();
    }
    both.claims.pop();
    under_test.store().append(both).await.unwrap();
}

/// A late retry learns that it was done, although the claim is another's by now, and takes nothing
/// back.
pub async fn a_claiming_append_may_be_repeated_after_a_take_over<S: StoreUnderTest>() {
    let under_test = S::fresh();
    let store = under_test.store();
    let wanted = key("order");
    let first = claiming(&stream("a"), wanted, ClaimExpect::Free);
    let take_over = claiming(&stream("b"), wanted, ClaimExpect::Generation(1));
    let mut answers = vec![];
    for request in [&first, &take_over] {
        answers.push(store.append(request.clone()).await.unwrap());
    }
    for (request, answer) in [&first, &take_over].into_iter().zip(answers) {
        let again = store.append(request.clone()).await.unwrap();
        assert!(again.repeated);
        assert_eq!(again.position, answer.position);
    }
    let held = owner_of(&*store, &wanted).await.unwrap();
    assert_eq!(
        held,
        ClaimOwner {
            owner: stream("b"),
            detail: 0,
            generation: 2
        }
    );
}
