//! Random histories: the adapter answers as the reference does, word for word.

use adapters::memory::MemoryEventStore;
use domain::digest::Digest32;
use domain::ids::EventId;
use domain::ports::{
    AppendError, AppendRequest, Claim, ClaimExpect, ClaimSpace, EventStore, Expect, Filter,
};
use domain::record::Record;
use domain::stream::{Category, StreamId, Version};

use super::{StoreUnderTest, rounds};
use crate::world::Dice;

/// Few names, ids and keys, so that they meet.
fn random_append(dice: &Dice) -> AppendRequest {
    let category = ["case", "quote"][dice.below(2) as usize];
    let stream = StreamId::parse(format!("{category}-{}", dice.below(4))).unwrap();
    let expect = match dice.below(6) {
        0 | 1 => Expect::NoStream,
        version => Expect::Exact(Version(version - 2)),
    };
    let mut version = expect.first_version();
    let mut events = vec![];
    for _ in 0..=dice.below(2) {
        let bytes = vec![b'0' + dice.below(2) as u8; 2];
        let event_id = EventId::from_parts(dice.below(60), [0; 10]);
        events.push(Record {
            event_id,
            event_type: "Tested".into(),
            version,
            bytes: bytes.into(),
        });
        version = version.next();
    }
    let claims = (0..dice.below(3))
        .map(|_| Claim {
            ns: [ClaimSpace::Order, ClaimSpace::Ref][dice.below(2) as usize],
            key: Digest32([dice.below(3) as u8; 32]),
            owner: stream.clone(),
            detail: dice.below(2) as u32,
            expect: match dice.below(4) {
                0 | 1 => ClaimExpect::Free,
                generation => ClaimExpect::Generation(generation - 1),
            },
        })
        .collect();
    AppendRequest {
        stream,
        expect,
        events,
        claims,
    }
}

/// Answers as text, apart from the store's name in positions.
fn told(answer: &Result<domain::ports::Appended, AppendError>) -> String {
    format!("{answer:?}")
}

/// The whole contract at once, on small random histories with retries and restarts.
pub async fn random_histories_agree_with_the_reference<S: StoreUnderTest>() {
    let (mut accepted, mut repeated) = (0, 0);
    for seed in 0..rounds(15, 400) {
        let dice = Dice::new(seed);
        let mut under_test = S::fresh();
        let identity = under_test.store().identity().clone();
        let reference = MemoryEventStore::new(identity.store, identity.epoch);
        let mut sent: Vec<AppendRequest> = vec![];
        for step in 0..60 {
            let request = match dice.below(5) {
                0 if !sent.is_empty() => sent[dice.below(sent.len() as u64) as usize].clone(),
                _ => random_append(&dice),
            };
            let wanted = reference.append(request.clone()).await;
            let got = under_test.store().append(request.clone()).await;
            assert_eq!(
                told(&got),
                told(&wanted),
                "seed {seed}, step {step}: {request:?}"
            );
            accepted += u64::from(got.is_ok());
            repeated += u64::from(got.is_ok_and(|answer| answer.repeated));
            sent.push(request);
            if dice.below(30) == 0 {
                under_test.reopen();
            }
        }
        let store = under_test.store();
        for filter in [Filter::all(), Filter::categories(&[Category::Quote])] {
            let wanted = reference.read_all(None, &filter, 10_000).await.unwrap();
            assert_eq!(
                store.read_all(None, &filter, 10_000).await.unwrap(),
                wanted,
                "seed {seed}"
            );
        }
        for ns in [ClaimSpace::Order, ClaimSpace::Ref] {
            for key in 0..3 {
                let key = Digest32([key; 32]);
                let wanted = reference.find_claim(ns, &key).await.unwrap();
                assert_eq!(
                    store.find_claim(ns, &key).await.unwrap(),
                    wanted,
                    "seed {seed}"
                );
            }
        }
    }
    assert!(
        accepted > 100 && repeated > 20,
        "histories that say something: {accepted}, {repeated}"
    );
}
