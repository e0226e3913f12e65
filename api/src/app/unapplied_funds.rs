//! What closed requests of an order still hold when a new request is made for it (row E16): the payer
//! may have paid already, and whoever sells should know before they ask again.
//!
//! Earlier requests are found through the log alone. A record that takes the order's claim over names
//! who had it before, and so does every one before that.

use std::collections::{BTreeSet, VecDeque};

use domain::codec::decode;
use domain::ids::{CaseId, PaymentRequestId};
use domain::money::Sum;
use domain::payment::exception::Ending;
use domain::payment::{Event, Request, evolve};
use domain::ports::{ClaimSpace, Position};
use domain::stream::{StreamId, Version};
use serde::Serialize;

use super::App;
use super::error::AppError;
use super::requests::Executed;

/// Most earlier requests that are looked at, the latest first. Money of older ones is in the review
/// list all the same.
pub const LOOK_BACK_MAX: usize = 50;

/// Money that one closed request holds, of one capture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnappliedFunds {
    /// The request.
    pub payment_request_id: PaymentRequestId,
    /// The case in which a person decides about it.
    pub exception_id: Option<CaseId>,
    /// How much waits.
    pub amount: Sum,
}

impl App {
    /// What the order's earlier requests held when this one was made: the same to every repeat.
    ///
    /// # Errors
    /// [`AppError`]: the store is away, or its bytes cannot be read.
    pub async fn unapplied_funds(
        &self,
        created: &Executed,
    ) -> Result<Vec<UnappliedFunds>, AppError> {
        let Some(then) = created.position else {
            return Ok(vec![]);
        };
        let first = StreamId::payment_request(&created.request.terms().id);
        let (_, earlier) = self.read_until(&first, then).await?;
        let mut seen = BTreeSet::from([first]);
        let mut next = VecDeque::from(earlier);
        let mut funds = vec![];
        while let Some(stream) = next.pop_front() {
            if seen.len() > LOOK_BACK_MAX {
                break;
            }
            if !seen.insert(stream.clone()) {
                continue;
            }
            let (request, earlier) = self.read_until(&stream, then).await?;
            funds.extend(request.iter().flat_map(held));
            next.extend(earlier);
        }
        Ok(funds)
    }

    /// A request as it was at a place of the log, and who had its order's claim before it: once when it
    /// was made, and once more for each time that it was paid late.
    async fn read_until(
        &self,
        stream: &StreamId,
        until: Position,
    ) -> Result<(Option<Request>, Vec<StreamId>), AppError> {
        const PAGE: usize = 1000;
        let (mut request, mut earlier, mut from) = (None, vec![], Version::FIRST);
        loop {
            let store = self.recorder.store();
            let page = store.read_stream(stream, from, PAGE).await?;
            let full = page.len() == PAGE;
            for recorded in page {
                if recorded.position > until {
                    return Ok((request, earlier));
                }
                let envelope = recorded.envelope().map_err(AppError::bug)?;
                let told: Event = decode(&envelope).map_err(AppError::bug)?;
                request = evolve(request, &told);
                let orders = envelope.claims.into_iter();
                let orders = orders.filter(|claim| claim.ns == ClaimSpace::Order);
                earlier.extend(orders.filter_map(|claim| claim.from));
                from = recorded.record.version.next();
            }
            if !full {
                return Ok((request, earlier));
            }
        }
    }
}

fn held(request: &Request) -> Vec<UnappliedFunds> {
    let waiting = request
        .captures()
        .iter()
        .filter(|(_, capture)| capture.unapplied > 0);
    let case_of = |key| {
        let mut cases = request.cases().iter();
        let found = cases.find(|(_, case)| {
            case.open()
                && case.kind.ends_by() == Ending::Money
                && case.capture.as_ref() == Some(key)
        });
        found.map(|(id, _)| id.clone())
    };
    waiting
        .map(|(key, capture)| UnappliedFunds {
            payment_request_id: request.terms().id.clone(),
            exception_id: case_of(key),
            amount: Sum::new(capture.unapplied, capture.amount.currency()),
        })
        .collect()
}
