//! What follows from a try: success, the next try, or the failed list.

use std::collections::BTreeSet;
use std::time::Duration;

use super::event::{DeadReason, Event, FailureClass, OurFault, Pair, Tried};
use super::pull::{Consumer, PullCursor};
use super::schedule::{STEPS_S, next_try};
use crate::digest::Digest32;
use crate::ids::{BatchId, DeliveryId, KeyId};
use crate::ports::OutError;
use crate::time::Timestamp;

/// A delivery, folded. Before its first outcome there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Open, or how it ended.
    pub state: State,
    /// 1, and one more after each redrive.
    pub generation: u32,
    /// Tries of this generation.
    pub attempts: u32,
    /// When the next try is due, where that follows from the last one.
    pub next_try_at: Option<Timestamp>,
    /// The batches that decided it so far; none of them does so twice.
    pub batches: BTreeSet<BatchId>,
}

/// Open, or how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is still being tried.
    Open,
    /// It arrived.
    Delivered,
    /// It was given up.
    DeadLettered,
    /// We cannot send it.
    Quarantined,
    /// A person accepts the loss.
    Abandoned,
    /// The receiver fetched it.
    Acknowledged,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            state: State::Open,
            generation: 1,
            attempts: 0,
            next_try_at: None,
            batches: BTreeSet::new(),
        }
    }
}

/// What a try came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status, or why there was none.
    pub result: Result<u16, Failure>,
    /// The receiver's wish.
    pub retry_after: Option<Duration>,
    /// How long it took.
    pub latency: Duration,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// SHA-256 of the body.
    pub body_sha256: Digest32,
    /// Names of the keys that signed it.
    pub key_ids: Vec<KeyId>,
    /// SHA-256 of the URL.
    pub endpoint_url_sha256: Digest32,
    /// What is kept of the answer, committed to.
    pub answer_commitment: Option<Digest32>,
    /// The receiver's own document number.
    pub receiver_ref: Option<String>,
}

impl Answer {
    fn latency_ms(&self) -> u32 {
        u32::try_from(self.latency.as_millis()).unwrap_or(u32::MAX)
    }

    fn tried(&self) -> Tried {
        Tried {
            sent_at: self.sent_at,
            latency_ms: self.latency_ms(),
            key_ids: self.key_ids.clone(),
            body_sha256: self.body_sha256,
            endpoint_url_sha256: self.endpoint_url_sha256,
            answer_commitment: self.answer_commitment,
        }
    }
}

/// Why there was no status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The request failed.
    Http(OutError),
    /// Nothing could sign it.
    NoKey,
}

/// An order to a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Record a try.
    Record {
        /// What it came to.
        answer: Answer,
        /// Tries that a receiver gets which refuses, as its policy says.
        refused_tries: u32,
    },
    /// Stop trying: it is our own fault.
    Quarantine(OurFault),
    /// Stop trying: it waited too long.
    GiveUp,
    /// Start its schedule again.
    Redrive {
        /// Among others, by this batch.
        batch: Option<BatchId>,
    },
    /// Accept that it never arrives.
    Abandon {
        /// Among others, by this batch.
        batch: Option<BatchId>,
    },
    /// Note that the receiver fetched it by itself and has it.
    Acknowledge {
        /// Up to where it has its queue.
        cursor: PullCursor,
        /// Who says so.
        consumer: Consumer,
    },
}

/// A rule says no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It arrived.
    #[error("the delivery has arrived")]
    Delivered,
    /// It is still being tried.
    #[error("the delivery is still being tried")]
    Open,
    /// A person gave it up.
    #[error("the delivery was abandoned")]
    Abandoned,
}

/// Folds one event.
pub fn evolve(delivery: Option<Delivery>, event: &Event) -> Option<Delivery> {
    let mut known = delivery.unwrap_or_default();
    if let Event::Redriven { batch, .. } | Event::Abandoned { batch, .. } = event {
        known.batches.extend(batch.clone());
    }
    Some(match event {
        Event::Succeeded { attempt_no, .. } => Delivery {
            state: State::Delivered,
            attempts: *attempt_no,
            next_try_at: None,
            ..known
        },
        Event::AttemptFailed {
            attempt_no,
            next_try_at,
            ..
        } => Delivery {
            attempts: *attempt_no,
            next_try_at: Some(*next_try_at),
            ..known
        },
        Event::DeadLettered { attempts, .. } => Delivery {
            state: State::DeadLettered,
            attempts: *attempts,
            next_try_at: None,
            ..known
        },
        Event::Quarantined { .. } => Delivery {
            state: State::Quarantined,
            next_try_at: None,
            ..known
        },
        Event::Redriven { generation, .. } => Delivery {
            state: State::Open,
            generation: *generation,
            attempts: 0,
            next_try_at: None,
            ..known
        },
        Event::Abandoned { .. } => Delivery {
            state: State::Abandoned,
            next_try_at: None,
            ..known
        },
        Event::AcknowledgedByPull { .. } => Delivery {
            state: State::Acknowledged,
            next_try_at: None,
            ..known
        },
    })
}

/// Events that follow from `command` at `now`; none when it is already so.
///
/// # Errors
/// [`Refusal`].
pub fn decide(
    id: &DeliveryId,
    of: &Pair,
    delivery: &Delivery,
    command: &Command,
    now: Timestamp,
) -> Result<Vec<Event>, Refusal> {
    let of = of.clone();
    match (command, delivery.state) {
        (
            Command::Record {
                answer,
                refused_tries,
            },
            State::Open,
        ) => Ok(vec![tried(id, of, delivery, answer, *refused_tries, now)]),
        (Command::Quarantine(fault), State::Open) => {
            let (attempts, generation) = (delivery.attempts, delivery.generation);
            Ok(vec![Event::Quarantined {
                of,
                fault: *fault,
                attempts,
                generation,
            }])
        }
        (Command::GiveUp, State::Open) => {
            let (attempts, generation) = (delivery.attempts, delivery.generation);
            let reason = DeadReason::MaxAge;
            Ok(vec![Event::DeadLettered {
                of,
                reason,
                attempts,
                generation,
                http_status: None,
                class: None,
                tried: None,
            }])
        }
        (
            Command::Record { .. } | Command::Quarantine(_) | Command::GiveUp,
            State::Delivered
            | State::DeadLettered
            | State::Quarantined
            | State::Abandoned
            | State::Acknowledged,
        ) => Ok(vec![]),
        // Whatever became of it since: no batch decides it twice.
        (
            Command::Redrive { batch: Some(batch) } | Command::Abandon { batch: Some(batch) },
            State::Open
            | State::Delivered
            | State::DeadLettered
            | State::Quarantined
            | State::Abandoned
            | State::Acknowledged,
        ) if delivery.batches.contains(batch) => Ok(vec![]),
        (Command::Redrive { batch }, State::DeadLettered | State::Quarantined) => {
            Ok(vec![Event::Redriven {
                of,
                generation: delivery.generation + 1,
                batch: batch.clone(),
            }])
        }
        (Command::Redrive { .. }, State::Open) => Err(Refusal::Open),
        (
            Command::Redrive { .. } | Command::Abandon { .. },
            State::Delivered | State::Acknowledged,
        ) => Err(Refusal::Delivered),
        (Command::Redrive { .. }, State::Abandoned) => Err(Refusal::Abandoned),
        (Command::Abandon { .. }, State::Abandoned) => Ok(vec![]),
        // A batch is about what failed; what is being tried again is no longer its concern.
        (Command::Abandon { batch: Some(_) }, State::Open) => Err(Refusal::Open),
        (Command::Abandon { batch }, State::Open | State::DeadLettered | State::Quarantined) => {
            let batch = batch.clone();
            Ok(vec![Event::Abandoned { of, batch }])
        }
        // What has arrived, or was given up, stays as it is: whoever says twice that they have it is right.
        (
            Command::Acknowledge { .. },
            State::Delivered | State::Abandoned | State::Acknowledged,
        ) => Ok(vec![]),
        (
            Command::Acknowledge { cursor, consumer },
            State::Open | State::DeadLettered | State::Quarantined,
        ) => Ok(vec![Event::AcknowledgedByPull {
            of,
            cursor: cursor.clone(),
            consumer: consumer.clone(),
        }]),
    }
}

fn tried(
    id: &DeliveryId,
    of: Pair,
    delivery: &Delivery,
    answer: &Answer,
    refused_tries: u32,
    now: Timestamp,
) -> Event {
    let (attempt_no, generation) = (delivery.attempts + 1, delivery.generation);
    let dead = |of, reason, http_status, class| Event::DeadLettered {
        of,
        reason,
        attempts: attempt_no,
        generation,
        http_status,
        class,
        tried: Some(answer.tried()),
    };
    let (class, http_status) = match answer.result {
        Ok(http_status @ 200..=299) => {
            return Event::Succeeded {
                of,
                attempt_no,
                generation,
                http_status,
                latency_ms: answer.latency_ms(),
                body_sha256: answer.body_sha256,
                key_ids: answer.key_ids.clone(),
                sent_at: answer.sent_at,
                receiver_ref: answer.receiver_ref.clone(),
                endpoint_url_sha256: Some(answer.endpoint_url_sha256),
            };
        }
        Ok(410) => {
            let class = Some(FailureClass::Refused);
            return dead(of, DeadReason::Gone, Some(410), class);
        }
        Err(Failure::Http(OutError::Blocked)) => return dead(of, DeadReason::Blocked, None, None),
        Ok(status @ (408 | 425 | 429)) => (FailureClass::Throttled, Some(status)),
        Ok(status @ 300..=399) => (FailureClass::Redirect, Some(status)),
        Ok(status @ 400..=499) => (FailureClass::Refused, Some(status)),
        Ok(status) => (FailureClass::ServerError, Some(status)),
        Err(Failure::Http(OutError::Timeout)) => (FailureClass::Timeout, None),
        Err(Failure::Http(OutError::Dns)) => (FailureClass::Dns, None),
        Err(Failure::Http(OutError::Tls)) => (FailureClass::Tls, None),
        Err(Failure::Http(OutError::Connect | OutError::Broken)) => (FailureClass::Connect, None),
        Err(Failure::NoKey) => (FailureClass::NoKey, None),
    };
    let (tries_max, reason) = match class {
        FailureClass::Refused => (refused_tries, DeadReason::Rejected),
        FailureClass::Timeout
        | FailureClass::Connect
        | FailureClass::Dns
        | FailureClass::Tls
        | FailureClass::ServerError
        | FailureClass::Throttled
        | FailureClass::Redirect
        | FailureClass::NoKey => (
            u32::try_from(STEPS_S.len()).unwrap_or(u32::MAX),
            DeadReason::ScheduleExhausted,
        ),
    };
    if attempt_no >= tries_max {
        return dead(of, reason, http_status, Some(class));
    }
    let next_try_at = next_try(now, id, generation, attempt_no, answer.retry_after);
    Event::AttemptFailed {
        of,
        attempt_no,
        generation,
        class,
        http_status,
        next_try_at,
        tried: Some(answer.tried()),
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
