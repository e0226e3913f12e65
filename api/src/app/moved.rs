//! Where money is now. The claim on it stays with the stream that it came to first; who owns it follows
//! from the transfers since, and facts about it are recorded there.

use std::collections::{BTreeMap, BTreeSet};

use domain::ids::PaymentRequestId;
use domain::payment::claims::ptx_key;
use domain::payment::fact::{Fact, Observation};
use domain::payment::{CaptureKey, RecordFacts, Request, Target, moved_to};
use domain::ports::ClaimSpace;

use super::App;
use super::error::AppError;
use super::observations::request_of;

/// Most moves of one movement of money that are followed. Each was a decision of a person.
const MOVES_MAX: usize = 64;

/// Who owns a movement of money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Holder {
    /// A request, which may not have received it yet.
    Request(PaymentRequestId),
    /// Nobody yet: it is in suspense, or a person took it out of it.
    Suspense,
}

/// One part of an observation on its way to who owns the money: what is told, to whom, and who was asked
/// before.
pub(super) struct Told {
    pub(super) to: PaymentRequestId,
    pub(super) target: Target,
    pub(super) facts: Vec<Fact>,
    pub(super) asked: BTreeSet<PaymentRequestId>,
}

impl Told {
    /// To the first who is asked.
    pub(super) fn first(to: PaymentRequestId, target: Target, facts: Vec<Fact>) -> Self {
        Self {
            to,
            target,
            facts,
            asked: BTreeSet::new(),
        }
    }

    /// Takes out of the facts what is about money that is not here any more, and gives it with who is to
    /// be asked next. Nobody is asked twice: then the money is on its way back there, and that part of
    /// the facts waits.
    pub(super) fn pass_on(&self, request: &Request, facts: &mut RecordFacts) -> PassedOn {
        let mut elsewhere: BTreeMap<PaymentRequestId, Vec<Fact>> = BTreeMap::new();
        let mut asked = self.asked.clone();
        asked.insert(self.to.clone());
        let (mut here, mut waits) = (vec![], false);
        for fact in &facts.observation.facts {
            match moved_to(request, &facts.observation, &facts.target, fact) {
                Some((to, _)) if asked.contains(&to) || asked.len() > MOVES_MAX => waits = true,
                Some((to, fact)) => elsewhere.entry(to).or_default().push(fact),
                None => here.push(fact.clone()),
            }
        }
        facts.observation.facts = here;
        let told = elsewhere.into_iter().map(|(to, facts)| Self {
            to,
            target: Target::Moved,
            facts,
            asked: asked.clone(),
        });
        PassedOn {
            told: told.collect(),
            waits,
        }
    }
}

/// What was passed on.
pub(super) struct PassedOn {
    pub(super) told: Vec<Told>,
    /// True when something is about money in transit, and must be told again.
    pub(super) waits: bool,
}

impl App {
    /// Who owns a movement of money now. `None` when it is nobody's claim.
    pub(super) async fn holder_of(&self, capture: &CaptureKey) -> Result<Option<Holder>, AppError> {
        let mut at = match self.first_holder_of(capture).await? {
            Some(Holder::Request(id)) => id,
            other @ (Some(Holder::Suspense) | None) => return Ok(other),
        };
        let (mut capture, mut asked) = (capture.clone(), BTreeSet::new());
        // Where it was before is where it is on its way to.
        while asked.len() < MOVES_MAX && asked.insert(at.clone()) {
            let request = self.fold_request(&at, None).await?.state;
            let Some((known, to)) = request.as_ref().and_then(|request| {
                let (known, money) = request.capture(&capture)?;
                Some((known.clone(), money.moved_away()?.clone()))
            }) else {
                break;
            };
            (capture, at) = (known, to);
        }
        Ok(Some(Holder::Request(at)))
    }

    /// The first request that owned it: the one with its claim, or the one that it left suspense for.
    async fn first_holder_of(&self, capture: &CaptureKey) -> Result<Option<Holder>, AppError> {
        let key = ptx_key(self.recorder.key(), capture);
        let store = self.recorder.store();
        let Some(claim) = store.find_claim(ClaimSpace::Ptx, &key).await? else {
            return Ok(None);
        };
        if let Some(id) = request_of(&claim.owner) {
            return Ok(Some(Holder::Request(id)));
        }
        let suspense = self.fold_suspense(&claim.owner).await?.state;
        let sent = suspense.and_then(|known| known.sent(&claim.owner));
        Ok(Some(match sent {
            Some((to, _)) => Holder::Request(to),
            None => Holder::Suspense,
        }))
    }

    /// Who is to be told first of an observation that names nothing but money, where each of its facts
    /// says that money of ours goes back. Empty when there is anything else in it.
    pub(super) async fn told_of_money(
        &self,
        observation: &Observation,
    ) -> Result<Vec<Told>, AppError> {
        let mut told: BTreeMap<PaymentRequestId, Vec<Fact>> = BTreeMap::new();
        for fact in &observation.facts {
            let (true, Some(transaction)) = (fact.kind.takes_back(), &fact.transaction) else {
                return Ok(vec![]);
            };
            let capture = CaptureKey {
                provider: observation.provider.clone(),
                account: observation.account.clone(),
                transaction: transaction.clone(),
            };
            let Some(Holder::Request(to)) = self.first_holder_of(&capture).await? else {
                return Ok(vec![]);
            };
            told.entry(to).or_default().push(fact.clone());
        }
        let told = told.into_iter();
        Ok(told
            .map(|(to, facts)| Told::first(to, Target::Moved, facts))
            .collect())
    }
}
