//! What each role may do, once more and by hand, so that a slip in the product's own table shows.

use domain::access::role::Role;

pub(super) const REQUESTS: &str = "/v1/payment-requests";
pub(super) const REQUEST: &str = "/v1/payment-requests/{id}";
pub(super) const STREAM: &str = "/v1/payment-requests/{id}/stream";
pub(super) const ATTEMPTS: &str = "/v1/payment-requests/{id}/attempts";
pub(super) const PRECHECK: &str = "/v1/payment-requests/{id}/precheck";
pub(super) const CANCEL: &str = "/v1/payment-requests/{id}/cancel";
pub(super) const NOTICES: &str = "/v1/payment-requests/{id}/notices";
pub(super) const REFUNDS: &str = "/v1/payment-requests/{id}/refunds";
pub(super) const PRE_CHECKOUT: &str = "/v1/telegram/pre-checkout-queries";
pub(super) const TELEGRAM_PAYMENT: &str = "/v1/telegram/successful-payments";
pub(super) const OVERRIDES: &str = "/v1/payment-requests/{id}/overrides";
pub(super) const REVOCATIONS: &str = "/v1/payment-requests/{id}/revocations";
pub(super) const PROPOSAL: &str = "/v1/payment-requests/{id}/overrides/{proposal_id}";
pub(super) const APPROVE: &str = "/v1/payment-requests/{id}/overrides/{proposal_id}/approve";
pub(super) const REJECT: &str = "/v1/payment-requests/{id}/overrides/{proposal_id}/reject";
pub(super) const EVIDENCE: &str = "/v1/payment-requests/{id}/evidence";
pub(super) const OPEN: &str = "/v1/payment-requests/{id}/evidence/{commitment}/open";
pub(super) const TRAIL: &str = "/v1/payment-requests/{id}/trail";
pub(super) const QUOTES: &str = "/v1/quotes";
pub(super) const QUOTE: &str = "/v1/quotes/{quote_id}";
pub(super) const EVENTS: &str = "/v1/events";
pub(super) const EVENT_STREAM: &str = "/v1/streams/{stream}";
pub(super) const EXCEPTIONS: &str = "/v1/exceptions";
pub(super) const EXCEPTION: &str = "/v1/exceptions/{id}";
pub(super) const ASSIGN: &str = "/v1/exceptions/{id}/assign";
pub(super) const RESOLVE: &str = "/v1/exceptions/{id}/resolve";
pub(super) const PROJECTIONS: &str = "/v1/projections";
pub(super) const CALLBACK: &str = "/v1/callbacks/{provider}/{account}";
pub(super) const CHECKOUT: &str = "/checkout/{link}";
pub(super) const CHECKOUT_PAY: &str = "/checkout/{link}/pay";
pub(super) const SUBSCRIBERS: &str = "/v1/subscribers";
pub(super) const SUBSCRIBER: &str = "/v1/subscribers/{id}";
pub(super) const TEST: &str = "/v1/subscribers/{id}/test";
pub(super) const PAUSE: &str = "/v1/subscribers/{id}/pause";
pub(super) const RESUME: &str = "/v1/subscribers/{id}/resume";
pub(super) const KEYS: &str = "/v1/subscribers/{id}/keys";
pub(super) const BACKFILLS: &str = "/v1/subscribers/{id}/backfills";
pub(super) const PULL: &str = "/v1/subscribers/{id}/events";
pub(super) const ACK: &str = "/v1/subscribers/{id}/ack";
pub(super) const DELIVERIES: &str = "/v1/deliveries";
pub(super) const DELIVERY: &str = "/v1/deliveries/{id}";
pub(super) const OF_REQUEST: &str = "/v1/payment-requests/{id}/deliveries";
pub(super) const DELIVERY_REQUEST: &str = "/v1/deliveries/{id}/request";
pub(super) const REDRIVE: &str = "/v1/deliveries/{id}/redrive";
pub(super) const ABANDON: &str = "/v1/deliveries/{id}/abandon";
pub(super) const REDRIVE_MANY: &str = "/v1/deliveries/redrive";
pub(super) const ABANDON_MANY: &str = "/v1/deliveries/abandon";
pub(super) const BATCHES: &str = "/v1/delivery-batches";
pub(super) const BATCH: &str = "/v1/delivery-batches/{id}";
pub(super) const CANCEL_BATCH: &str = "/v1/delivery-batches/{id}/cancel";
pub(super) const SCHEMA: &str = "/schemas/{file}";
pub(super) const SESSIONS: &str = "/v1/sessions";
pub(super) const CURRENT: &str = "/v1/sessions/current";
pub(super) const CONFIRM: &str = "/v1/sessions/confirm";

pub(super) type Route = (&'static str, &'static str);

/// Who is a person with a session; the others are clients. No client is an approver or a supervisor,
/// and the proposer has the role of the operator.
pub(super) const PERSONS: [(&str, Role); 3] = [
    ("approver", Role::Approver),
    ("proposer", Role::Operator),
    ("supervisor", Role::Supervisor),
];

/// What each role may do, and nothing else.
pub(super) const MAY: [(&str, &[Route]); 8] = [
    (
        "bot",
        &[
            ("POST", REQUESTS),
            ("GET", REQUESTS),
            ("GET", REQUEST),
            ("GET", STREAM),
            ("GET", PROPOSAL),
            ("POST", ATTEMPTS),
            ("POST", PRECHECK),
            ("POST", NOTICES),
            ("POST", PRE_CHECKOUT),
            ("POST", TELEGRAM_PAYMENT),
        ],
    ),
    (
        "backend",
        &[
            ("POST", QUOTES),
            ("GET", QUOTE),
            ("POST", REQUESTS),
            ("GET", REQUESTS),
            ("GET", REQUEST),
            ("GET", STREAM),
            ("GET", PROPOSAL),
            ("POST", ATTEMPTS),
            ("POST", PRECHECK),
            ("POST", CANCEL),
            ("POST", NOTICES),
            ("POST", REFUNDS),
            ("POST", PRE_CHECKOUT),
            ("POST", TELEGRAM_PAYMENT),
        ],
    ),
    (
        "operator",
        &[
            ("GET", REQUESTS),
            ("GET", REQUEST),
            ("GET", STREAM),
            ("GET", PROPOSAL),
            ("POST", NOTICES),
            ("POST", TELEGRAM_PAYMENT),
            ("GET", EXCEPTIONS),
            ("GET", EXCEPTION),
            ("POST", ASSIGN),
            ("POST", RESOLVE),
            ("GET", SUBSCRIBERS),
            ("GET", SUBSCRIBER),
            ("POST", PAUSE),
            ("POST", RESUME),
            ("GET", DELIVERIES),
            ("GET", DELIVERY),
            ("GET", OF_REQUEST),
            ("GET", DELIVERY_REQUEST),
            ("GET", BATCHES),
            ("GET", BATCH),
            ("POST", REDRIVE),
            ("POST", ABANDON),
            ("POST", REDRIVE_MANY),
            ("POST", ABANDON_MANY),
            ("POST", CANCEL_BATCH),
        ],
    ),
    (
        "approver",
        &[
            ("GET", REQUESTS),
            ("GET", REQUEST),
            ("GET", STREAM),
            ("GET", PROPOSAL),
            ("GET", TRAIL),
            ("GET", EVENTS),
            ("GET", EVENT_STREAM),
            ("POST", APPROVE),
            ("POST", REJECT),
            ("GET", EVIDENCE),
            ("POST", OPEN),
            ("POST", CONFIRM),
            ("DELETE", CURRENT),
        ],
    ),
    (
        "finance",
        &[
            ("GET", REQUESTS),
            ("GET", REQUEST),
            ("GET", STREAM),
            ("GET", PROPOSAL),
        ],
    ),
    (
        "auditor",
        &[
            ("GET", REQUESTS),
            ("GET", REQUEST),
            ("GET", STREAM),
            ("GET", PROPOSAL),
            ("GET", TRAIL),
            ("GET", EVENTS),
            ("GET", EVENT_STREAM),
            ("GET", SUBSCRIBERS),
            ("GET", SUBSCRIBER),
            ("GET", DELIVERIES),
            ("GET", DELIVERY),
            ("GET", OF_REQUEST),
            ("GET", DELIVERY_REQUEST),
            ("GET", BATCHES),
            ("GET", BATCH),
        ],
    ),
    (
        "admin",
        &[
            ("GET", REQUESTS),
            ("GET", REQUEST),
            ("GET", STREAM),
            ("GET", PROPOSAL),
            ("GET", TRAIL),
            ("GET", EVENTS),
            ("GET", EVENT_STREAM),
            ("GET", PROJECTIONS),
            ("GET", SUBSCRIBERS),
            ("GET", SUBSCRIBER),
            ("POST", SUBSCRIBERS),
            ("PATCH", SUBSCRIBER),
            ("DELETE", SUBSCRIBER),
            ("POST", KEYS),
            ("POST", BACKFILLS),
            ("POST", TEST),
            ("GET", DELIVERIES),
            ("GET", DELIVERY),
            ("GET", OF_REQUEST),
            ("GET", DELIVERY_REQUEST),
            ("GET", BATCHES),
            ("GET", BATCH),
        ],
    ),
    ("receiver", &[("GET", PULL), ("POST", ACK)]),
];

/// What an operator may who is a person, beside what the token of one may.
pub(super) const PROPOSER: [Route; 5] = [
    ("POST", OVERRIDES),
    ("POST", REVOCATIONS),
    ("GET", EVIDENCE),
    ("POST", OPEN),
    ("DELETE", CURRENT),
];

/// Every row, the proposer's and the supervisor's too, who is an approver besides.
pub(super) fn rows() -> Vec<(&'static str, Vec<Route>)> {
    let mut rows: Vec<_> = MAY.map(|(role, may)| (role, may.to_vec())).into();
    let of = |name| &rows.iter().find(|(role, _)| *role == name).unwrap().1;
    let proposer = [&of("operator")[..], &PROPOSER].concat();
    let supervisor = [&proposer[..], of("approver")].concat();
    rows.push(("proposer", proposer));
    rows.push(("supervisor", supervisor));
    rows
}

/// Anybody may read these.
pub(super) const PUBLIC: [Route; 7] = [
    ("GET", "/asyncapi.json"),
    ("GET", SCHEMA),
    ("GET", "/.well-known/webhook-keys.json"),
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
];
