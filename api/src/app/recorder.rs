//! Turns decided events into finished records and appends them: ids drawn once, free text sealed,
//! and the same bytes sent again while the outcome is unknown. The only writer of events.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::actor::{Cause, Reason};
use domain::codec::{DomainEvent, Encoded, decode, encode};
use domain::digest::{Digest32, InstanceKey};
use domain::idempotency::Replays;
use domain::ids::{EventId, MerchantId, ReasonCode};
use domain::ports::{
    AppendError, AppendRequest, Appended, Claim, ClaimExpect, Clock, Entropy, EventStore, Expect,
    Keyring, KeyringError, Outcome, Position,
};
use domain::record::{ClaimUse, Envelope, Record};
use domain::sealed::{EvidenceRef, KeyScope, Place};
use domain::stream::{StreamId, Version};
use domain::time::Timestamp;

use super::context::Context;
use super::error::AppError;

/// How often an append with an unknown outcome is sent again before the caller is told.
const RESENDS_MAX: u32 = 4;
/// Pause before the first of them; doubled each time.
const RESEND_AFTER: Duration = Duration::from_millis(50);

/// Writes events.
#[derive(Clone)]
pub struct Recorder {
    store: Arc<dyn EventStore>,
    keyring: Arc<dyn Keyring>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    key: InstanceKey,
    origin: Arc<str>,
    node: Arc<str>,
}

/// A decided event with what stands beside its data.
#[derive(Debug, Clone)]
pub struct Draft {
    encoded: Encoded,
    /// When it happened; `None` means now.
    pub occurred_at: Option<Timestamp>,
    /// Claims that it relies on.
    pub claims: Vec<ClaimUse>,
    /// Why, where a person decided: the code, and free text that will be sealed.
    pub reason: Option<(ReasonCode, Option<String>)>,
    /// On which evidence.
    pub evidence: Vec<EvidenceRef>,
}

impl Draft {
    /// An event with nothing beside it.
    pub fn of<E: DomainEvent>(event: &E) -> Self {
        Self {
            encoded: encode(event),
            occurred_at: None,
            claims: vec![],
            reason: None,
            evidence: vec![],
        }
    }

    /// With evidence.
    #[must_use]
    pub fn with_evidence(mut self, evidence: Vec<EvidenceRef>) -> Self {
        self.evidence = evidence;
        self
    }

    /// With a reason.
    #[must_use]
    pub fn because(mut self, code: ReasonCode, text: Option<String>) -> Self {
        self.reason = Some((code, text));
        self
    }
}

/// Everything of one append.
#[derive(Debug)]
pub struct Decision<'a> {
    /// The stream.
    pub stream: &'a StreamId,
    /// What the decision was made on.
    pub expect: Expect,
    /// Whose events; `None` on instance-wide streams.
    pub merchant: Option<&'a MerchantId>,
    /// Name of the command.
    pub command: &'a str,
    /// Who asks.
    pub context: &'a Context,
    /// The events.
    pub drafts: Vec<Draft>,
    /// Uniqueness that must hold.
    pub claims: Vec<Claim>,
}

/// What was appended.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// The store's answer.
    pub appended: Appended,
    /// The records, as written.
    pub envelopes: Vec<Envelope>,
}

/// A stream, folded.
#[derive(Debug, Clone)]
pub struct Folded<S> {
    /// The state; `None` before the first event.
    pub state: Option<S>,
    /// Version of the last event.
    pub version: Option<Version>,
    /// Position of the last event.
    pub position: Option<Position>,
    /// Keys of the commands so far.
    pub replays: Replays,
}

impl<S> Folded<S> {
    /// What a decision on this state expects.
    pub fn expect(&self) -> Expect {
        self.version.map_or(Expect::NoStream, Expect::Exact)
    }
}

impl Recorder {
    /// A recorder for one log on one node.
    pub fn new(
        store: Arc<dyn EventStore>,
        keyring: Arc<dyn Keyring>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        key: InstanceKey,
        origin: &str,
        node: &str,
    ) -> Self {
        Self {
            store,
            keyring,
            clock,
            entropy,
            key,
            origin: origin.into(),
            node: node.into(),
        }
    }

    /// The instance key.
    pub fn key(&self) -> &InstanceKey {
        &self.key
    }

    /// The event store, for reads.
    pub fn store(&self) -> &Arc<dyn EventStore> {
        &self.store
    }

    /// The clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Random bytes.
    pub fn entropy(&self) -> &Arc<dyn Entropy> {
        &self.entropy
    }

    /// Name of the log.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Name of this node.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Now, by the wall clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Reads and folds a whole stream, or its events up to `until`.
    ///
    /// # Errors
    /// [`AppError`]: the store is away, or its bytes cannot be read.
    pub async fn fold<E: DomainEvent, S>(
        &self,
        stream: &StreamId,
        until: Option<Version>,
        evolve: impl Fn(Option<S>, &E) -> Option<S>,
    ) -> Result<Folded<S>, AppError> {
        let nothing = Folded {
            state: None,
            version: None,
            position: None,
            replays: Replays::default(),
        };
        self.fold_on(nothing, stream, until, evolve).await
    }

    /// Reads and folds what came after `folded`: as [`Recorder::fold`], for whoever asks for the same
    /// stream again and again.
    ///
    /// # Errors
    /// As [`Recorder::fold`].
    pub async fn fold_on<E: DomainEvent, S>(
        &self,
        mut folded: Folded<S>,
        stream: &StreamId,
        until: Option<Version>,
        evolve: impl Fn(Option<S>, &E) -> Option<S>,
    ) -> Result<Folded<S>, AppError> {
        const PAGE: usize = 1000;
        let mut from = folded.version.map_or(Version::FIRST, Version::next);
        loop {
            let page = self.store.read_stream(stream, from, PAGE).await?;
            let full = page.len() == PAGE;
            for recorded in page {
                if until.is_some_and(|until| recorded.record.version > until) {
                    return Ok(folded);
                }
                let envelope = recorded.envelope().map_err(AppError::bug)?;
                let event: E = decode(&envelope).map_err(AppError::bug)?;
                folded.state = evolve(folded.state, &event);
                folded.version = Some(recorded.record.version);
                folded.position = Some(recorded.position);
                folded.replays.fold(&envelope);
                from = recorded.record.version.next();
            }
            if !full {
                return Ok(folded);
            }
        }
    }

    /// Appends a decision. While the outcome is unknown, the same records are sent again.
    ///
    /// # Errors
    /// [`AppendError`], for the caller to decide again on a conflict or a taken claim.
    pub async fn append(&self, decision: Decision<'_>) -> Result<Receipt, RecordFailure> {
        let (request, envelopes) = self.finish(decision).await?;
        let mut pause = RESEND_AFTER;
        for _ in 0..RESENDS_MAX {
            match self.store.append(request.clone()).await {
                Ok(appended) => {
                    return Ok(Receipt {
                        appended,
                        envelopes,
                    });
                }
                Err(AppendError::Unavailable {
                    outcome: Outcome::Unknown,
                    cause,
                }) => {
                    tracing::warn!(stream = %request.stream, error = %cause, "append.unknown");
                    self.clock.sleep(pause).await;
                    pause = pause.saturating_mul(2);
                }
                Err(other) => return Err(other.into()),
            }
        }
        let appended = self.store.append(request).await?;
        Ok(Receipt {
            appended,
            envelopes,
        })
    }

    /// The words of a record's reason; `None` where there are none, or where they are erased.
    ///
    /// # Errors
    /// [`AppError`]: the keyring is away, or the record does not open.
    pub async fn words_of(&self, record: &Envelope) -> Result<Option<String>, AppError> {
        let sealed = record.reason.as_ref().and_then(|why| why.text.as_ref());
        let Some(sealed) = sealed else {
            return Ok(None);
        };
        let place = reason_of(&self.origin, &record.stream, record.event_id);
        match self.keyring.open(sealed, &place).await {
            Ok(text) => String::from_utf8(text).map(Some).map_err(AppError::bug),
            Err(KeyringError::Destroyed) => Ok(None),
            Err(other) => Err(other.into()),
        }
    }

    async fn finish(
        &self,
        decision: Decision<'_>,
    ) -> Result<(AppendRequest, Vec<Envelope>), RecordFailure> {
        let Decision {
            stream,
            expect,
            merchant,
            command,
            context,
            drafts,
            claims,
        } = decision;
        let now = self.clock.now();
        let command_id = self.entropy.event_id(now);
        let mut version = expect.first_version();
        let mut envelopes = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let event_id = self.entropy.event_id(now);
            let place = reason_of(&self.origin, stream, event_id);
            let reason = match (draft.reason, merchant) {
                (Some((code, Some(text))), Some(merchant)) => {
                    let scope = KeyScope::Notes {
                        merchant: merchant.clone(),
                    };
                    let text = self
                        .keyring
                        .seal(&scope, &place, text.as_bytes())
                        .await
                        .map_err(AppError::from)?;
                    Some(Reason {
                        code,
                        text: Some(text),
                    })
                }
                (Some((code, _)), _) => Some(Reason { code, text: None }),
                (None, _) => None,
            };
            envelopes.push(Envelope {
                v: 1,
                origin: self.origin.to_string(),
                merchant: merchant.cloned(),
                stream: stream.clone(),
                stream_version: version,
                event_id,
                event_type: draft.encoded.event_type,
                type_v: draft.encoded.type_v,
                recorded_at: now,
                occurred_at: draft.occurred_at.unwrap_or(now),
                actor: context.actor.clone(),
                on_behalf_of: context.on_behalf_of.clone(),
                source: context.source(&self.node),
                cause: Cause {
                    command: command.to_owned(),
                    command_id,
                    key_hmac: context.idempotency.map(|known| known.key_hmac),
                    fingerprint: context.idempotency.map(|known| known.fingerprint),
                    causation_id: context.causation_id,
                    correlation_id: context.correlation_id.clone(),
                },
                claims: draft.claims,
                reason,
                evidence: draft.evidence,
                data: draft.encoded.data,
                pii: BTreeMap::new(),
            });
            version = version.next();
        }
        let events = envelopes
            .iter()
            .map(Record::write)
            .collect::<Result<Vec<_>, _>>()
            .map_err(AppError::bug)?;
        Ok((
            AppendRequest {
                stream: stream.clone(),
                expect,
                events,
                claims,
            },
            envelopes,
        ))
    }

    /// What an event's record lists for a claim that is expected to be as told, and is made anew;
    /// `from` is who had it before.
    pub fn claim_use(
        ns: domain::ports::ClaimSpace,
        key: Digest32,
        expect: ClaimExpect,
        from: Option<StreamId>,
    ) -> ClaimUse {
        let generation = match expect {
            ClaimExpect::Free => 1,
            ClaimExpect::Generation(generation) => generation + 1,
        };
        ClaimUse {
            ns,
            key,
            generation,
            from,
        }
    }
}

/// Where the words of a reason stand.
fn reason_of<'a>(origin: &'a str, stream: &'a StreamId, event_id: EventId) -> Place<'a> {
    Place {
        origin,
        stream,
        event_id,
        field: "reason.text",
    }
}

/// Why a decision was not written.
#[derive(Debug, thiserror::Error)]
pub enum RecordFailure {
    /// The store's answer, for the caller to decide again.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// Sealing or writing failed before anything was sent.
    #[error(transparent)]
    Other(#[from] AppError),
}

impl From<RecordFailure> for AppError {
    fn from(failure: RecordFailure) -> Self {
        match failure {
            RecordFailure::Append(error) => error.into(),
            RecordFailure::Other(error) => error,
        }
    }
}
