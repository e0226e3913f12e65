//! The routes, all on one screen: method, path, who may call, which body, what it does.
//!
//! This table is the policy. A route that is not here does not exist, and one without `access`
//! cannot be written down. The OpenAPI document, the reference page and the authorisation tests
//! are made from it.

use domain::access::scope::Scope;

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Public,
    /// A provider, by the signature of its notification.
    Provider,
    /// A payer, by the link of a payment request.
    Link,
    /// A person, by the credentials in the body.
    Credentials,
    /// A person who signed in, whatever they may do.
    Session,
    /// A client whose token, or a person whose session, has this scope.
    Scope(Scope),
    /// A person whose session has this scope; no token, whatever it may do.
    Person(Scope),
}

/// One route.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// `GET`, `POST`, `PATCH` or `DELETE`.
    pub method: &'static str,
    /// Path template.
    pub path: &'static str,
    /// Name in the OpenAPI document.
    pub id: &'static str,
    /// Heading in the reference.
    pub group: &'static str,
    /// Who may call.
    pub access: Access,
    /// True when an `Idempotency-Key` is needed.
    pub keyed: bool,
    /// Name of the body's schema; empty without a body.
    pub body: &'static str,
    /// Name of the answer's schema; empty where the answer is no JSON of ours.
    pub answer: &'static str,
    /// Status of success.
    pub success: u16,
    /// One sentence.
    pub summary: &'static str,
}

macro_rules! ops {
    ($($op:ident: $method:literal $path:literal, $id:literal, $group:literal, $access:expr, $keyed:literal,
       $body:literal -> $success:literal $answer:literal, $summary:literal;)+) => {
        /// A route by name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Op {
            $(#[doc = $summary] $op,)+
        }

        impl Op {
            /// Every route.
            pub const ALL: &'static [Self] = &[$(Self::$op),+];

            /// Its row.
            pub fn spec(self) -> Spec {
                match self {
                    $(Self::$op => Spec {
                        method: $method, path: $path, id: $id, group: $group, access: $access, keyed: $keyed,
                        body: $body, answer: $answer, success: $success, summary: $summary,
                    },)+
                }
            }
        }
    };
}

use Access::{Credentials, Link, Provider, Public, Session};

const fn scope(scope: Scope) -> Access {
    Access::Scope(scope)
}

const fn person(scope: Scope) -> Access {
    Access::Person(scope)
}

#[rustfmt::skip]
mod table {
    use super::*;
    ops! {
    IssueQuote:     "POST" "/v1/quotes", "issueQuote", "Quotes", scope(Scope::QuotesWrite), true, "NewQuote" -> 201 "Quote", "Fix an amount for an order, for a bot to use.";
    ReadQuote:      "GET" "/v1/quotes/{quote_id}", "readQuote", "Quotes", scope(Scope::QuotesWrite), false, "" -> 200 "Quote", "Read a quote.";
    CreateRequest:  "POST" "/v1/payment-requests", "createPaymentRequest", "Payment requests", scope(Scope::RequestsCreate), true, "NewPaymentRequest" -> 201 "PaymentRequest", "Create a payment request from a quote, from the catalogue, or with an amount by scope.";
    ListRequests:   "GET" "/v1/payment-requests", "listPaymentRequests", "Payment requests", scope(Scope::RequestsRead), false, "" -> 200 "PaymentRequestList", "Find payment requests by order, status or time.";
    ReadRequest:    "GET" "/v1/payment-requests/{id}", "readPaymentRequest", "Payment requests", scope(Scope::RequestsRead), false, "" -> 200 "PaymentRequest", "Read a payment request; its ETag is the stream version.";
    StreamRequest:  "GET" "/v1/payment-requests/{id}/stream", "streamPaymentRequest", "Payment requests", scope(Scope::RequestsRead), false, "" -> 200 "", "Follow a payment request as server-sent events.";
    StartAttempt:   "POST" "/v1/payment-requests/{id}/attempts", "startAttempt", "Payment requests", scope(Scope::RequestsCreate), true, "NewAttempt" -> 201 "PaymentRequest", "Register an attempt at a provider; the answer says where to pay.";
    Precheck:       "POST" "/v1/payment-requests/{id}/precheck", "precheck", "Payment requests", scope(Scope::Precheck), true, "NewPrecheck" -> 200 "Precheck", "Ask whether an attempt may be paid right now.";
    CancelRequest:  "POST" "/v1/payment-requests/{id}/cancel", "cancelPaymentRequest", "Payment requests", scope(Scope::RequestsCancel), true, "Cancel" -> 200 "PaymentRequest", "Call a payment request off.";
    RequestRefund:  "POST" "/v1/payment-requests/{id}/refunds", "requestRefund", "Payment requests", scope(Scope::RefundsRequest), true, "NewRefund" -> 202 "PaymentRequest", "Ask for money to be given back; the provider is called after this is durable.";
    RecordNotice:   "POST" "/v1/payment-requests/{id}/notices", "recordNotice", "Payment requests", scope(Scope::NoticesWrite), true, "NewNotice" -> 202 "PaymentRequest", "Record what a customer told or showed; it starts a look-up and never pays.";
    PreCheckout:    "POST" "/v1/telegram/pre-checkout-queries", "preCheckoutQuery", "Telegram", scope(Scope::Precheck), true, "PreCheckoutQuery" -> 200 "AnswerPreCheckoutQuery", "Pass a pre_checkout_query on; the answer is what the bot sends back with answerPreCheckoutQuery.";
    SuccessfulPayment: "POST" "/v1/telegram/successful-payments", "successfulPayment", "Telegram", scope(Scope::NoticesWrite), true, "SuccessfulPayment" -> 202 "PaymentRequest", "Pass a successful_payment on, as a payer notice: it starts a look-up and never pays.";
    Propose:        "POST" "/v1/payment-requests/{id}/overrides", "proposeOverride", "Overrides", person(Scope::OverridesPropose), true, "NewProposal" -> 201 "Proposal", "Propose that a request counts as paid although no money proved it; it stays a proposal for 24 hours.";
    ProposeRevocation: "POST" "/v1/payment-requests/{id}/revocations", "proposeRevocation", "Overrides", person(Scope::OverridesPropose), true, "NewProposal" -> 201 "Proposal", "Propose that a paid request does not count as paid any more.";
    ReadProposal:   "GET" "/v1/payment-requests/{id}/overrides/{proposal_id}", "readProposal", "Overrides", scope(Scope::RequestsRead), false, "" -> 200 "Proposal", "Read a proposal: who, why, on what, and what became of it. A bot sees none.";
    ApproveProposal: "POST" "/v1/payment-requests/{id}/overrides/{proposal_id}/approve", "approveProposal", "Overrides", person(Scope::OverridesApprove), true, "Verdict" -> 200 "PaymentRequest", "Approve an override or a revocation, with a ticket for it.";
    RejectProposal: "POST" "/v1/payment-requests/{id}/overrides/{proposal_id}/reject", "rejectProposal", "Overrides", person(Scope::OverridesApprove), true, "Verdict" -> 200 "PaymentRequest", "Reject an override or a revocation, with a ticket for it.";
    ListEvidence:   "GET" "/v1/payment-requests/{id}/evidence", "listEvidence", "Evidence", person(Scope::PiiEvidence), false, "" -> 200 "EvidenceList", "What is kept sealed about a request: its kind, when it came, and which event names it.";
    OpenEvidence:   "POST" "/v1/payment-requests/{id}/evidence/{commitment}/open", "openEvidence", "Evidence", person(Scope::PiiEvidence), true, "EvidenceReason" -> 200 "", "Open a sealed piece, with a reason; the answer is its raw bytes, as an attachment. Who opened it and why is in the log before they leave.";
    ReadTrail:      "GET" "/v1/payment-requests/{id}/trail", "readTrail", "Audit", scope(Scope::AuditRead), false, "" -> 200 "Trail", "Who, what, when, why, from where.";
    ListExceptions: "GET" "/v1/exceptions", "listExceptions", "Exceptions", scope(Scope::ExceptionsResolve), false, "" -> 200 "ExceptionList", "What a person must decide.";
    ReadException:  "GET" "/v1/exceptions/{id}", "readException", "Exceptions", scope(Scope::ExceptionsResolve), false, "" -> 200 "Exception", "One case: its history, the money that it holds, and how it can be decided now.";
    AssignException:"POST" "/v1/exceptions/{id}/assign", "assignException", "Exceptions", scope(Scope::ExceptionsResolve), true, "Assignment" -> 200 "Exception", "Give a case to a person, or to nobody.";
    ResolveException:"POST" "/v1/exceptions/{id}/resolve", "resolveException", "Exceptions", scope(Scope::ExceptionsResolve), true, "CaseDecision" -> 200 "Exception", "Decide a case: accept, refund, reassign, keep_as_income, dismiss or refund_answer.";
    ReadEvents:     "GET" "/v1/events", "readEvents", "Audit", scope(Scope::AuditRead), false, "" -> 200 "EventPage", "Replay the merchant's events in order, as JSON or NDJSON.";
    ReadStream:     "GET" "/v1/streams/{stream}", "readStream", "Audit", scope(Scope::AuditRead), false, "" -> 200 "EventPage", "Replay one stream, whole or as of a version.";
    AddSubscriber:  "POST" "/v1/subscribers", "addSubscriber", "Subscribers", scope(Scope::SubscribersAdmin), true, "NewSubscriber" -> 201 "Subscriber", "Add a receiver of events.";
    ListSubscribers:"GET" "/v1/subscribers", "listSubscribers", "Subscribers", scope(Scope::DeliveriesRead), false, "" -> 200 "SubscriberList", "List the merchant's subscribers.";
    ReadSubscriber: "GET" "/v1/subscribers/{id}", "readSubscriber", "Subscribers", scope(Scope::DeliveriesRead), false, "" -> 200 "Subscriber", "Read one subscriber.";
    ChangeSubscriber: "PATCH" "/v1/subscribers/{id}", "changeSubscriber", "Subscribers", scope(Scope::SubscribersAdmin), true, "SubscriberChange" -> 200 "Subscriber", "Change what is named, and nothing else.";
    RemoveSubscriber: "DELETE" "/v1/subscribers/{id}", "removeSubscriber", "Subscribers", scope(Scope::SubscribersAdmin), true, "" -> 200 "Subscriber", "End a subscriber, for good.";
    AddSigningKey:  "POST" "/v1/subscribers/{id}/keys", "addSigningKey", "Subscribers", scope(Scope::SubscribersAdmin), true, "NewSigningKey" -> 201 "Subscriber", "Make a signing key; the others of its scheme sign beside it for a while.";
    Backfill:       "POST" "/v1/subscribers/{id}/backfills", "backfillSubscriber", "Subscribers", scope(Scope::SubscribersAdmin), true, "Backfill" -> 202 "Subscriber", "Send what happened before, as far as it was not sent.";
    TestSubscriber: "POST" "/v1/subscribers/{id}/test", "testSubscriber", "Subscribers", scope(Scope::SubscribersAdmin), true, "" -> 202 "Subscriber", "Send a test event.";
    PauseSubscriber:"POST" "/v1/subscribers/{id}/pause", "pauseSubscriber", "Subscribers", scope(Scope::DeliveriesOperate), true, "" -> 200 "Subscriber", "Park a subscriber's deliveries.";
    ResumeSubscriber:"POST" "/v1/subscribers/{id}/resume", "resumeSubscriber", "Subscribers", scope(Scope::DeliveriesOperate), true, "" -> 200 "Subscriber", "Go on with a subscriber's deliveries.";
    PullEvents:     "GET" "/v1/subscribers/{id}/events", "pullEvents", "Subscribers", scope(Scope::DeliveriesPull), false, "" -> 200 "PulledEvents", "Fetch the events of the subscriber that the client is bound to: a CloudEvents batch, or JSON with signatures.";
    AcknowledgeEvents: "POST" "/v1/subscribers/{id}/ack", "acknowledgeEvents", "Subscribers", scope(Scope::DeliveriesPull), false, "Acknowledgement" -> 200 "Acknowledged", "Say that everything up to a cursor has arrived; saying it again changes nothing.";
    ListDeliveries: "GET" "/v1/deliveries", "listDeliveries", "Deliveries", scope(Scope::DeliveriesRead), false, "" -> 200 "DeliveryList", "Find deliveries by state, subscriber, class, reason, payment request or time, for example the failed ones.";
    ReadDelivery:   "GET" "/v1/deliveries/{id}", "readDelivery", "Deliveries", scope(Scope::DeliveriesRead), false, "" -> 200 "DeliveryDetail", "One delivery with its exact body, its attempts with what came back, and its history.";
    DeliveriesOfRequest: "GET" "/v1/payment-requests/{id}/deliveries", "listDeliveriesOfRequest", "Deliveries", scope(Scope::DeliveriesRead), false, "" -> 200 "DeliveryList", "The deliveries of one payment request: who was told what of it, and who was not.";
    ReadDeliveryRequest: "GET" "/v1/deliveries/{id}/request", "readDeliveryRequest", "Deliveries", scope(Scope::DeliveriesRead), false, "" -> 200 "DeliveryRequest", "The exact request with a line for curl; signed=true needs the scope deliveries:operate, since what is signed can be sent.";
    RedriveDelivery:"POST" "/v1/deliveries/{id}/redrive", "redriveDelivery", "Deliveries", scope(Scope::DeliveriesOperate), true, "Reason" -> 200 "Delivery", "Start a failed delivery's schedule again.";
    AbandonDelivery:"POST" "/v1/deliveries/{id}/abandon", "abandonDelivery", "Deliveries", scope(Scope::DeliveriesOperate), true, "Reason" -> 200 "Delivery", "Give a delivery up, with a reason.";
    RedriveDeliveries: "POST" "/v1/deliveries/redrive", "redriveDeliveries", "Deliveries", scope(Scope::DeliveriesOperate), true, "NewDeliveryBatch" -> 202 "DeliveryBatch", "Start the schedules of a subscriber's failed deliveries again, so many per second; a dry run only counts them, and answers 200.";
    AbandonDeliveries: "POST" "/v1/deliveries/abandon", "abandonDeliveries", "Deliveries", scope(Scope::DeliveriesOperate), true, "NewDeliveryBatch" -> 202 "DeliveryBatch", "Give a subscriber's failed deliveries up, so many per second; a dry run only counts them, and answers 200.";
    ListBatches:    "GET" "/v1/delivery-batches", "listDeliveryBatches", "Deliveries", scope(Scope::DeliveriesRead), false, "" -> 200 "DeliveryBatchList", "Batches, newest first: who asked for them, and how far they are.";
    ReadBatch:      "GET" "/v1/delivery-batches/{id}", "readDeliveryBatch", "Deliveries", scope(Scope::DeliveriesRead), false, "" -> 200 "DeliveryBatch", "One batch and how far it is.";
    CancelBatch:    "POST" "/v1/delivery-batches/{id}/cancel", "cancelDeliveryBatch", "Deliveries", scope(Scope::DeliveriesOperate), true, "Reason" -> 200 "DeliveryBatch", "Leave what is left of a batch as it is.";
    ListProjections:"GET" "/v1/projections", "listProjections", "Operations", scope(Scope::ProjectionsAdmin), false, "" -> 200 "ProjectionList", "Views with their lag and parked keys.";
    SignIn:         "POST" "/v1/sessions", "signIn", "Sessions", Credentials, false, "SignIn" -> 201 "Session", "Sign a person in; the token is shown this once.";
    SignOut:        "DELETE" "/v1/sessions/current", "signOut", "Sessions", Session, false, "" -> 204 "", "End the session of this token.";
    Confirm:        "POST" "/v1/sessions/confirm", "confirm", "Sessions", person(Scope::OverridesApprove), false, "Confirm" -> 200 "Ticket", "Show the password once more, for one proposal; the ticket counts for five minutes.";
    Callback:       "POST" "/v1/callbacks/{provider}/{account}", "callback", "Providers", Provider, false, "" -> 200 "", "A provider's notification: raw bytes in, the provider's own answer out.";
    CallbackByQuery: "GET" "/v1/callbacks/{provider}/{account}", "callbackByQuery", "Providers", Provider, false, "" -> 200 "", "The same as a query string, for accounts whose profile takes it; others answer 405.";
    Checkout:       "GET" "/checkout/{link}", "checkoutPage", "Checkout", Link, false, "" -> 200 "", "The page that a payer sees: terms, how the payment stands, and the way to the provider.";
    CheckoutPay:    "POST" "/checkout/{link}/pay", "checkoutPay", "Checkout", Link, false, "" -> 303 "", "The form of that page: starts an attempt, or uses the live one, and leads to the provider.";
    PublicKeys:     "GET" "/.well-known/webhook-keys.json", "webhookKeys", "Subscribers", Public, false, "" -> 200 "", "Public keys of deliveries that are signed with a key pair.";
    Live:           "GET" "/health/live", "live", "Operations", Public, false, "" -> 200 "Health", "The process runs. Touches no store.";
    Ready:          "GET" "/health/ready", "ready", "Operations", Public, false, "" -> 200 "Health", "Every part works; names the part that does not.";
    Metrics:        "GET" "/metrics", "metrics", "Operations", Public, false, "" -> 200 "", "Figures for Prometheus.";
    AsyncApi:       "GET" "/asyncapi.json", "asyncapi", "Operations", Public, false, "" -> 200 "", "What subscribers are sent, as AsyncAPI 3.0.";
    EventSchema:    "GET" "/schemas/{file}", "eventSchema", "Operations", Public, false, "" -> 200 "", "The JSON Schema of an event, for example payment.verified.v1.json.";
    OpenApi:        "GET" "/openapi.json", "openapi", "Operations", Public, false, "" -> 200 "", "This interface as OpenAPI 3.1.";
    }
}
pub use table::Op;

impl Op {
    /// Headings in the order of the table; each once, wherever its routes stand.
    pub fn groups() -> Vec<&'static str> {
        let mut groups = vec![];
        for op in Self::ALL {
            let group = op.spec().group;
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_routes_are_the_same_and_every_change_has_a_key() {
        let mut seen = std::collections::BTreeSet::new();
        for op in Op::ALL {
            let spec = op.spec();
            assert!(seen.insert((spec.method, spec.path)), "{} twice", spec.path);
            assert!(seen.insert(("id", spec.id)), "{} twice", spec.id);
            // Providers and browsers repeat in their own way; of credentials nothing is kept that a repeat could
            // be answered with, and whoever signs in twice has two sessions.
            let of_callers = !matches!(spec.access, Access::Provider | Access::Link);
            let changes = spec.method != "GET" && of_callers;
            let of_sessions = spec.path.starts_with("/v1/sessions");
            // A cursor says all that a key could: everything up to it, once.
            let cumulative = op == &Op::AcknowledgeEvents;
            let keyed = changes && !of_sessions && !cumulative;
            assert_eq!(keyed, spec.keyed, "{}", spec.id);
            assert!(spec.summary.ends_with('.'));
        }
    }

    #[test]
    fn only_these_routes_are_public() {
        let public: Vec<_> = Op::ALL
            .iter()
            .map(|op| op.spec())
            .filter(|s| s.access == Public)
            .map(|s| s.path)
            .collect();
        assert_eq!(
            public,
            [
                "/.well-known/webhook-keys.json",
                "/health/live",
                "/health/ready",
                "/metrics",
                "/asyncapi.json",
                "/schemas/{file}",
                "/openapi.json"
            ]
        );
    }
}
