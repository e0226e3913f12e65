//! What people do with cases: look after one, decide one. A case of a payment request is decided by
//! the request; its money moves in the same append.

use domain::digest::base32;
use domain::ids::{
    CaseId, MerchantId, OperatorId, PaymentRequestId, ProviderRef, ReasonCode, RefundId, TransferId,
};
use domain::pan::holds_card_number;
use domain::payment::request::Case;
use domain::payment::{Command, Request, Resolve};
use domain::ports::Position;
use domain::stream::{Category, StreamId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::App;
use super::cases::{no_such_case, stream_of};
use super::context::Context;
use super::error::AppError;
use super::observations::request_of;
use super::requests::{Executed, Order};
use super::transfers::Owner;
use super::unmatched_cases::{DecidedSuspense, Finding, SuspenseCommand};

/// Most characters of what a person says about a decision: it stands on each event of it.
pub const WORDS_MAX: usize = 2_000;

/// A rule of cases that no single request can see.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaseRefusal {
    /// Nobody of the merchant has this id, or they were disabled.
    #[error("there is no such person to look after it")]
    NoSuchPerson,
    /// There is no request to move the money to, or it is another merchant's.
    #[error("there is no such payment request to move the money to")]
    NoSuchTarget,
    /// The money would arrive in another currency than the one that is due there.
    #[error("the money is in another currency than the payment request that it would go to")]
    OtherCurrency,
    /// Live money pays no test, and the other way round.
    #[error("one is live money and the other a test")]
    OtherMode,
    /// Money that no request explains is a request's, nobody's, or income.
    #[error("money that no request explains is reassigned, given back or kept as income")]
    OfNoRequest,
    /// Money of a request goes back by a refund of it.
    #[error("money of a payment request goes back by a refund")]
    OfARequest,
}

/// How a person decides, as they say it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "resolution", rename_all = "snake_case")]
pub enum How {
    /// The money counts towards the order.
    Accept {
        /// Other cases of the same request whose money counts as well.
        with: Vec<CaseId>,
    },
    /// The money goes back.
    Refund,
    /// The money pays another request.
    Reassign {
        /// Which.
        to: PaymentRequestId,
    },
    /// The money is the shop's income.
    KeepAsIncome,
    /// Money that no request explains went back, outside of the ledger.
    GivenBack,
    /// There is nothing to do.
    Dismiss,
    /// What a person found out about a refund whose answer is not known.
    RefundAnswer {
        /// True when the money went back.
        settled: bool,
        /// The provider's id of the reversal, where it is known.
        reversal: Option<ProviderRef>,
    },
}

/// One way to decide a case, and whether it is open now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Way {
    /// `accept`, `refund` ...
    pub resolution: &'static str,
    /// True when it would be done.
    pub possible: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
}

impl Way {
    /// Each way by its name, with stand-ins for what only the person knows.
    pub(super) fn every() -> Result<[(&'static str, Resolve); 6], AppError> {
        let id = |prefix: &str| format!("{prefix}_{}", "a".repeat(26));
        let refund = RefundId::parse(id("rf")).map_err(AppError::bug)?;
        let transfer = TransferId::parse(id("tr")).map_err(AppError::bug)?;
        let to = PaymentRequestId::parse(id("pr")).map_err(AppError::bug)?;
        let (settled, reversal) = (false, None);
        Ok([
            ("accept", Resolve::Accept { with: vec![] }),
            ("refund", Resolve::Refund { refund }),
            ("reassign", Resolve::Reassign { transfer, to }),
            ("keep_as_income", Resolve::KeepAsIncome),
            ("dismiss", Resolve::Dismiss),
            ("refund_answer", Resolve::RefundAnswer { settled, reversal }),
        ])
    }

    /// What came of trying it.
    ///
    /// # Errors
    /// What is no answer: an outage, a bug.
    pub(super) fn tried(
        resolution: &'static str,
        refused: Option<AppError>,
    ) -> Result<Self, AppError> {
        let why_not = match refused {
            None => None,
            Some(
                no @ (AppError::Payment(_)
                | AppError::OpenRequestExists { .. }
                | AppError::OrderAlreadyPaid { .. }),
            ) => Some(no.to_string()),
            Some(other) => return Err(other),
        };
        Ok(Self {
            resolution,
            possible: why_not.is_none(),
            why_not,
        })
    }
}

/// Why a person decided so: a code, and their own words.
pub type Why = (ReasonCode, Option<String>);

/// A case after a decision.
#[derive(Debug, Clone)]
pub enum Decided {
    /// One of a payment request.
    OfRequest(Box<DecidedRequest>),
    /// One of money that no request explains.
    OfSuspense(Box<DecidedSuspense>),
}

/// A payment request after a decision on a case of it.
#[derive(Debug, Clone)]
pub struct DecidedRequest {
    /// The request.
    pub executed: Executed,
    /// The refund that was asked for.
    pub refund: Option<RefundId>,
    /// The transfer that the money left by.
    pub transfer: Option<TransferId>,
}

impl Decided {
    /// What is told about it, the same to every repeat.
    pub fn shown(&self, id: &CaseId) -> Value {
        let DecidedRequest {
            executed,
            refund,
            transfer,
        } = match self {
            Self::OfRequest(decided) => &**decided,
            Self::OfSuspense(decided) => return decided.shown(id),
        };
        let request = &executed.request;
        let case = request.cases().get(id);
        json!({
            "id": id, "payment_request_id": request.terms().id, "order_id": request.terms().order_id,
            "kind": case.map(|case| case.kind),
            "state": if case.is_some_and(Case::open) { "open" } else { "resolved" },
            "assignee": case.and_then(|case| case.assignee.clone()),
            "resolution": case.and_then(|case| case.resolution),
            "refund_id": refund, "transfer_id": transfer,
            "status": request.label(), "version": executed.version,
        })
    }

    /// The refund that was asked for.
    pub fn refund(&self) -> Option<&RefundId> {
        match self {
            Self::OfRequest(decided) => decided.refund.as_ref(),
            Self::OfSuspense(_) => None,
        }
    }

    /// Position of the last event, for reading one's own writes.
    pub fn position(&self) -> Option<Position> {
        match self {
            Self::OfRequest(decided) => decided.executed.position,
            Self::OfSuspense(decided) => decided.position,
        }
    }

    /// True when the same command was done before.
    pub fn replayed(&self) -> bool {
        match self {
            Self::OfRequest(decided) => decided.executed.replayed,
            Self::OfSuspense(decided) => decided.replayed,
        }
    }
}

/// What a case is of.
enum Subject {
    Request(Box<Request>),
    Suspense(StreamId),
}

impl App {
    /// Gives a case to a person, or to nobody. The same again leaves no event.
    ///
    /// # Errors
    /// [`AppError::NotFound`], [`CaseRefusal`], refusals of the domain.
    pub async fn assign_case(
        &self,
        merchant: &MerchantId,
        context: &Context,
        id: &CaseId,
        to: Option<OperatorId>,
        why: Option<Why>,
    ) -> Result<Decided, AppError> {
        let found = self.subject_of_case(merchant, id).await?;
        if let Some(person) = &to {
            self.person_of(merchant, person).await?;
        }
        let reason = checked(why)?;
        let request = match found {
            Subject::Request(request) => request,
            Subject::Suspense(stream) => {
                let to = SuspenseCommand::Assign(to);
                return self
                    .decide_suspense(merchant, context, &stream, id, &to, reason)
                    .await;
            }
        };
        let case = id.clone();
        let command = Command::AssignCase { case, to };
        let order = Order {
            reason,
            ..Order::of(&command)
        };
        let executed = self
            .execute_case(&request.terms().id, context, order)
            .await?;
        let (refund, transfer) = (None, None);
        Ok(Decided::OfRequest(Box::new(DecidedRequest {
            executed,
            refund,
            transfer,
        })))
    }

    /// Decides a case. The same decision again, for the same reason, leaves no event.
    ///
    /// # Errors
    /// [`AppError::NotFound`], [`CaseRefusal`], refusals of the domain; where the money would pay late,
    /// [`AppError::OpenRequestExists`] and [`AppError::OrderAlreadyPaid`].
    pub async fn resolve_case(
        &self,
        merchant: &MerchantId,
        context: &Context,
        id: &CaseId,
        how: How,
        why: Why,
    ) -> Result<Decided, AppError> {
        let found = self.subject_of_case(merchant, id).await?;
        let reason = checked(Some(why))?;
        let request = match found {
            Subject::Request(request) => request,
            Subject::Suspense(stream) => {
                let finding = SuspenseCommand::Resolve(Finding::of(how)?);
                return self
                    .decide_suspense(merchant, context, &stream, id, &finding, reason)
                    .await;
            }
        };
        let (mut refund, mut transfer) = (None, None);
        let how = match how {
            How::Accept { with } => Resolve::Accept { with },
            How::Refund => {
                let drawn = self.id_for(context, id, "rf");
                let drawn = RefundId::parse(drawn).map_err(AppError::bug)?;
                refund = Some(drawn.clone());
                Resolve::Refund { refund: drawn }
            }
            How::Reassign { to } => {
                let drawn = self.id_for(context, id, "tr");
                let drawn = TransferId::parse(drawn).map_err(AppError::bug)?;
                transfer = Some(drawn.clone());
                // A repeat is answered as before, whatever became of the target.
                if self
                    .replay_of(context, &request.terms().id)
                    .await?
                    .is_none()
                {
                    self.may_be_reassigned(&request, id, &to).await?;
                }
                let transfer = drawn;
                Resolve::Reassign { transfer, to }
            }
            How::KeepAsIncome => Resolve::KeepAsIncome,
            How::GivenBack => return Err(CaseRefusal::OfARequest.into()),
            How::Dismiss => Resolve::Dismiss,
            How::RefundAnswer { settled, reversal } => Resolve::RefundAnswer { settled, reversal },
        };
        let case = id.clone();
        let command = Command::ResolveCase { case, how };
        let order = Order {
            reason: reason.clone(),
            ..Order::of(&command)
        };
        let executed = self
            .execute_case(&request.terms().id, context, order)
            .await?;
        let closed = executed
            .request
            .cases()
            .get(id)
            .is_some_and(|case| !case.open());
        if closed && executed.events.is_empty() && !executed.replayed {
            let before = self.closing_of(merchant, id).await?;
            before.repeated_because(reason.as_ref().map(|(code, _)| code))?;
            (refund, transfer) = (before.refund, before.transfer);
        }
        Ok(Decided::OfRequest(Box::new(DecidedRequest {
            executed,
            refund,
            transfer,
        })))
    }

    async fn execute_case(
        &self,
        id: &PaymentRequestId,
        context: &Context,
        order: Order<'_>,
    ) -> Result<Executed, AppError> {
        let done = self.execute_order(id, context, order).await?;
        done.map_err(|taken| AppError::bug(format!("a case that claims {}", taken.ns)))
    }

    /// What the case is of.
    async fn subject_of_case(
        &self,
        merchant: &MerchantId,
        id: &CaseId,
    ) -> Result<Subject, AppError> {
        let stream = stream_of(id)?;
        let Some(request) = request_of(&stream) else {
            self.case(merchant, id).await?; // Of another merchant, or unknown: not found.
            if stream.category() != Category::Unmatched {
                return Err(CaseRefusal::OfNoRequest.into());
            }
            return Ok(Subject::Suspense(stream));
        };
        let found = self.fold_request(&request, None).await?.state;
        let ours = |request: &Request| {
            request.terms().merchant == *merchant && request.cases().contains_key(id)
        };
        let request = found.filter(ours).ok_or_else(no_such_case)?;
        Ok(Subject::Request(Box::new(request)))
    }

    async fn person_of(&self, merchant: &MerchantId, id: &OperatorId) -> Result<(), AppError> {
        match self.operator(id).await {
            Ok(known) if known.merchant == *merchant && !known.disabled => Ok(()),
            Ok(_) | Err(AppError::NotFound { .. }) => Err(CaseRefusal::NoSuchPerson.into()),
            Err(other) => Err(other),
        }
    }

    /// Money goes to a request of the same merchant, currency and mode only. Where the case holds none,
    /// the domain refuses.
    async fn may_be_reassigned(
        &self,
        source: &Request,
        case: &CaseId,
        to: &PaymentRequestId,
    ) -> Result<(), AppError> {
        let known = source.cases().get(case);
        let capture = known.and_then(|case| case.capture.as_ref());
        let money = capture.and_then(|key| source.capture(key));
        let currency = money.map_or(source.terms().amount.currency(), |(_, money)| {
            money.amount.currency()
        });
        let owner = Owner {
            merchant: &source.terms().merchant,
            mode: source.terms().mode,
            currency,
        };
        self.may_receive(to, owner).await
    }

    /// An id of what follows from a decision: the same for every repeat of a command with a key. The
    /// case is part of it, since a caller may use one key for several requests.
    fn id_for(&self, context: &Context, case: &CaseId, prefix: &str) -> String {
        let text = match &context.idempotency {
            Some(command) => {
                let parts = [&command.key_hmac.0[..], case.as_str().as_bytes()];
                self.recorder.key().digest("case/decision", &parts).short()
            }
            None => {
                let mut random = [0; 16];
                self.recorder.entropy().fill(&mut random);
                base32(&random)
            }
        };
        format!("{prefix}_{text}")
    }
}

/// Words of a person are kept, so they hold no card number.
pub(super) fn checked(why: Option<Why>) -> Result<Option<Why>, AppError> {
    let text = why.as_ref().and_then(|(_, text)| text.as_deref());
    if text.is_some_and(|text| holds_card_number(text.as_bytes(), &[])) {
        return Err(AppError::CardNumber);
    }
    Ok(why)
}
