//! What an event store decides, apart from how it stores: limits, repeats, claims, and how far a
//! reader has come.
//!
//! Every store whose positions are dense numbers asks these functions, so that a retry and a taken
//! claim mean the same everywhere. They see what is stored as arguments and write nothing.

use tokio::sync::watch;

use domain::ports::{
    AppendError, AppendRequest, Claim, ClaimExpect, ClaimOwner, Position, ReadError, StoreIdentity,
};
use domain::record::{RECORD_BYTES_MAX, Record};
use domain::stream::Version;

/// Refuses what no store may keep, before anything is written.
pub(crate) fn check(request: &AppendRequest) -> Result<(), AppendError> {
    request.check()?;
    match request.events.iter().map(|record| record.bytes.len()).max() {
        Some(bytes) if bytes > RECORD_BYTES_MAX => Err(AppendError::TooLarge { events: 1, bytes }),
        Some(_) | None => Ok(()),
    }
}

/// What an append is whose expectation does not hold.
///
/// `stored` are the records that stand where those of the request would stand, as far as there are
/// any. `Ok` means that they are the same, so that the first answer may be given again. Nothing
/// else of the request is looked at: a claim that it made then may be another's by now.
pub(crate) fn same_append(
    request: &AppendRequest,
    stored: &[Record],
    actual: Option<Version>,
) -> Result<(), AppendError> {
    let pairs = || request.events.iter().zip(stored);
    let known_id = pairs().any(|(asked, stored)| asked.event_id == stored.event_id);
    if !known_id {
        return Err(AppendError::Conflict { actual });
    }
    let same = |(asked, stored): (&Record, &Record)| {
        asked.event_id == stored.event_id && asked.bytes == stored.bytes
    };
    if stored.len() == request.events.len() && pairs().all(same) {
        Ok(())
    } else {
        Err(AppendError::IdReused)
    }
}

/// Whether a claim holds against the one that stands. `Some` is to be written; `None` means that
/// it stands as wished already.
///
/// A generation that nobody has is refused with generation 0 and the asker as its owner.
pub(crate) fn settle(
    claim: &Claim,
    held: Option<&ClaimOwner>,
) -> Result<Option<ClaimOwner>, AppendError> {
    let taken = |owner: &domain::stream::StreamId, generation| {
        Err(AppendError::ClaimTaken {
            ns: claim.ns,
            owner: owner.clone(),
            generation,
        })
    };
    let now_ours = |generation| {
        Ok(Some(ClaimOwner {
            owner: claim.owner.clone(),
            detail: claim.detail,
            generation,
        }))
    };
    let Some(held) = held else {
        return match claim.expect {
            ClaimExpect::Free => now_ours(1),
            ClaimExpect::Generation(_) => taken(&claim.owner, 0),
        };
    };
    let ours = held.owner == claim.owner && held.detail == claim.detail;
    match claim.expect {
        ClaimExpect::Free if ours => Ok(None),
        ClaimExpect::Generation(generation) if generation == held.generation => {
            if ours {
                Ok(None)
            } else {
                now_ours(held.generation + 1)
            }
        }
        ClaimExpect::Free | ClaimExpect::Generation(_) => taken(&held.owner, held.generation),
    }
}

/// How many events stand at or before `after` in a log of `length` events.
///
/// A position past the end comes from a log that was longer once, so it is as foreign as one of
/// another store.
pub(crate) fn passed(
    identity: &StoreIdentity,
    after: Option<Position>,
    length: u64,
) -> Result<u64, ReadError> {
    let Some(after) = after else { return Ok(0) };
    let (number, _) = after.parts();
    let same_log = after.same_log(Position::new(identity.tag(), identity.epoch, 0, 0));
    if same_log && number <= length {
        Ok(number)
    } else {
        Err(ReadError::OtherLog)
    }
}

/// A limit of the port drawn into its range.
pub(crate) fn page_limit(limit: usize) -> usize {
    limit.clamp(1, 10_000)
}

/// Returns when the log is longer than `after`, and at once for a position that [`passed`] refuses,
/// so that the caller reads and hears of it.
pub(crate) async fn wait_past(
    identity: &StoreIdentity,
    mut length: watch::Receiver<u64>,
    after: Option<Position>,
) {
    let longer =
        |length: &u64| passed(identity, after, *length).is_ok_and(|passed| passed < *length);
    let foreign = |length: &u64| passed(identity, after, *length).is_err();
    // The sender lives as long as the store; if it is gone, there is nothing to wait for.
    let _ = length
        .wait_for(|length| longer(length) || foreign(length))
        .await;
}

#[cfg(test)]
mod tests {
    use domain::digest::Digest32;
    use domain::ports::ClaimSpace;
    use domain::stream::StreamId;

    use super::*;

    fn stream(name: &str) -> StreamId {
        StreamId::parse(format!("case-{name}")).unwrap()
    }

    #[test]
    fn a_claim_goes_to_who_expects_what_stands() {
        use ClaimExpect::{Free, Generation};
        // (held by, detail, generation), (asked by, detail, expectation), generation afterwards or
        // the one it is refused with.
        type Held = Option<(&'static str, u32, u64)>;
        type Asked = (&'static str, u32, ClaimExpect);
        let table: [(Held, Asked, Result<Option<u64>, u64>); 12] = [
            (None, ("a", 0, Free), Ok(Some(1))),
            (None, ("a", 0, Generation(0)), Err(0)),
            (None, ("a", 0, Generation(1)), Err(0)),
            (Some(("a", 0, 3)), ("a", 0, Free), Ok(None)),
            (Some(("a", 1, 3)), ("a", 2, Free), Err(3)),
            (Some(("b", 0, 3)), ("a", 0, Free), Err(3)),
            (Some(("b", 0, 3)), ("a", 0, Generation(3)), Ok(Some(4))),
            (Some(("b", 0, 3)), ("a", 0, Generation(2)), Err(3)),
            (Some(("b", 0, 3)), ("a", 0, Generation(4)), Err(3)),
            (Some(("a", 0, 3)), ("a", 0, Generation(3)), Ok(None)),
            (Some(("a", 0, 3)), ("a", 0, Generation(2)), Err(3)),
            (Some(("a", 1, 3)), ("a", 2, Generation(3)), Ok(Some(4))),
        ];
        for (held, (owner, detail, expect), wanted) in table {
            let key = Digest32([1; 32]);
            let owner = stream(owner);
            let claim = Claim {
                ns: ClaimSpace::Ref,
                key,
                owner: owner.clone(),
                detail,
                expect,
            };
            let held = held.map(|(owner, detail, generation)| ClaimOwner {
                owner: stream(owner),
                detail,
                generation,
            });
            let context = format!("{held:?} {claim:?}");
            match (settle(&claim, held.as_ref()), wanted) {
                (Ok(None), Ok(None)) => {}
                (Ok(Some(now)), Ok(Some(generation))) => {
                    assert_eq!(
                        now,
                        ClaimOwner {
                            owner,
                            detail,
                            generation
                        },
                        "{context}"
                    );
                }
                (Err(AppendError::ClaimTaken { generation, .. }), Err(wanted)) => {
                    assert_eq!(generation, wanted, "{context}");
                }
                (got, _) => panic!("{context}: {got:?}"),
            }
        }
    }
}
