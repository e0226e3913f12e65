//! HTTP: parse, one use-case call, present. Statuses stand nowhere inward of here.

pub mod asyncapi;
pub mod body;
pub mod call;
mod card_numbers;
pub mod checkout;
pub mod csp;
pub mod docs_page;
pub mod fields;
pub mod guard;
pub mod handlers;
pub mod openapi;
pub mod ops;
pub mod policy;
pub mod present;
mod present_money;
pub mod problem;
mod problem_of;
pub mod schemas;
pub mod server;
pub mod state;
pub mod strict_json;

use std::collections::BTreeMap;

use actix_web::body::BoxBody;
use actix_web::dev::ServiceRequest;
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, ServiceConfig};
use actix_web::{Resource, ResponseError, Route};

use self::handlers::{
    callbacks, deliveries, delivery_batches, events, evidence, exceptions, operations, overrides,
    pull, refunds, requests, sessions, stream, subscribers, telegram,
};
use self::ops::Op;
use self::problem::Problem;

/// Puts every route of the table in place, each behind its policy.
pub fn configure(config: &mut ServiceConfig) {
    let mut by_path: BTreeMap<&str, Vec<Op>> = BTreeMap::new();
    for op in Op::ALL {
        by_path.entry(op.spec().path).or_default().push(*op);
    }
    for (path, ops) in by_path {
        let mut resource: Resource = web::resource(path);
        let methods: Vec<_> = ops.iter().map(|op| op.spec().method).collect();
        for op in ops {
            let policy = move |request: ServiceRequest, next: Next<BoxBody>| {
                policy::enforce(op, request, next)
            };
            resource = resource.route(route(op).wrap(from_fn(policy)));
        }
        config.service(resource.default_service(other_method(methods)));
    }
    let docs = web::resource("/docs").route(web::get().to(docs_page::page));
    config.service(docs.default_service(other_method(vec!["GET"])));
    config.default_service(web::to(not_found));
}

/// Refuses what is none of `methods`, and names them (RFC 9110, 15.5.6).
fn other_method(methods: Vec<&'static str>) -> Route {
    web::to(move || {
        let problem = Problem::new(&problem::METHOD_NOT_ALLOWED).allow(methods.iter().copied());
        async move { problem.error_response() }
    })
}

async fn not_found() -> actix_web::HttpResponse {
    Problem::new(&problem::NOT_FOUND).error_response()
}

fn route(op: Op) -> Route {
    match op {
        Op::IssueQuote => web::post().to(requests::issue_quote),
        Op::ReadQuote => web::get().to(requests::read_quote),
        Op::CreateRequest => web::post().to(requests::create),
        Op::ListRequests => web::get().to(requests::list),
        Op::ReadRequest => web::get().to(requests::read),
        Op::StreamRequest => web::get().to(stream::follow),
        Op::StartAttempt => web::post().to(requests::start_attempt),
        Op::Precheck => web::post().to(requests::precheck),
        Op::CancelRequest => web::post().to(requests::cancel),
        Op::RequestRefund => web::post().to(refunds::request),
        Op::RecordNotice => web::post().to(requests::record_notice),
        Op::PreCheckout => web::post().to(telegram::pre_checkout),
        Op::SuccessfulPayment => web::post().to(telegram::successful_payment),
        Op::Propose => web::post().to(overrides::propose),
        Op::ProposeRevocation => web::post().to(overrides::propose_revocation),
        Op::ReadProposal => web::get().to(overrides::read),
        Op::ApproveProposal => web::post().to(overrides::approve),
        Op::RejectProposal => web::post().to(overrides::reject),
        Op::ListEvidence => web::get().to(evidence::list),
        Op::OpenEvidence => web::post().to(evidence::open),
        Op::ReadTrail => web::get().to(events::read_trail),
        Op::ListExceptions => web::get().to(exceptions::list),
        Op::ReadException => web::get().to(exceptions::read),
        Op::AssignException => web::post().to(exceptions::assign),
        Op::ResolveException => web::post().to(exceptions::resolve),
        Op::ReadEvents => web::get().to(events::read_events),
        Op::ReadStream => web::get().to(events::read_stream),
        Op::AddSubscriber => web::post().to(subscribers::add),
        Op::ListSubscribers => web::get().to(subscribers::list),
        Op::ReadSubscriber => web::get().to(subscribers::read),
        Op::ChangeSubscriber => web::patch().to(subscribers::change),
        Op::RemoveSubscriber => web::delete().to(subscribers::remove),
        Op::AddSigningKey => web::post().to(subscribers::add_key),
        Op::Backfill => web::post().to(subscribers::backfill),
        Op::PublicKeys => web::get().to(subscribers::public_keys),
        Op::TestSubscriber => web::post().to(subscribers::test),
        Op::PauseSubscriber => web::post().to(subscribers::pause),
        Op::ResumeSubscriber => web::post().to(subscribers::resume),
        Op::PullEvents => web::get().to(pull::events),
        Op::AcknowledgeEvents => web::post().to(pull::acknowledge),
        Op::ListDeliveries => web::get().to(deliveries::list),
        Op::ReadDelivery => web::get().to(deliveries::read),
        Op::DeliveriesOfRequest => web::get().to(deliveries::of_request),
        Op::ReadDeliveryRequest => web::get().to(deliveries::exact_request),
        Op::RedriveDelivery => web::post().to(deliveries::redrive),
        Op::AbandonDelivery => web::post().to(deliveries::abandon),
        Op::RedriveDeliveries => web::post().to(delivery_batches::redrive),
        Op::AbandonDeliveries => web::post().to(delivery_batches::abandon),
        Op::ListBatches => web::get().to(delivery_batches::list),
        Op::ReadBatch => web::get().to(delivery_batches::read),
        Op::CancelBatch => web::post().to(delivery_batches::cancel),
        Op::ListProjections => web::get().to(operations::projections),
        Op::SignIn => web::post().to(sessions::sign_in),
        Op::SignOut => web::delete().to(sessions::sign_out),
        Op::Confirm => web::post().to(sessions::confirm),
        Op::Checkout => web::get().to(checkout::show),
        Op::CheckoutPay => web::post().to(checkout::pay),
        Op::Callback => web::post().to(callbacks::callback),
        Op::CallbackByQuery => web::get().to(callbacks::callback),
        Op::Live => web::get().to(operations::live),
        Op::Ready => web::get().to(operations::ready),
        Op::Metrics => web::get().to(operations::metrics),
        Op::AsyncApi => web::get().to(operations::asyncapi),
        Op::EventSchema => web::get().to(operations::event_schema),
        Op::OpenApi => web::get().to(operations::openapi),
    }
}
