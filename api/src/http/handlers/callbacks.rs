//! Notifications of providers: raw bytes in, the provider's own answer out. Authentication stands
//! in front of every parser.

use actix_web::http::{Method, StatusCode};
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use domain::ids::{AccountSlug, ProviderCode};
use domain::ports::{InboundMethod, InboundRequest};

use super::super::body;
use super::super::guard::AsIs;
use super::super::problem::{self, Problem};
use super::super::state::HttpState;
use crate::app::receive::NotReceived;

/// `POST` and `GET /v1/callbacks/{provider}/{account}`
pub async fn callback(
    request: HttpRequest,
    mut payload: Payload,
    path: Path<(String, String)>,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let (provider, account) = path.into_inner();
    let unknown = || Problem::new(&problem::NOT_FOUND);
    let provider = ProviderCode::parse(provider).map_err(|_| unknown())?;
    let account = AccountSlug::parse(account).map_err(|_| unknown())?;
    let inbound = InboundRequest {
        method: if *request.method() == Method::GET {
            InboundMethod::Get
        } else {
            InboundMethod::Post
        },
        path: request.path().to_owned(),
        query: request.query_string().to_owned(),
        headers: request
            .headers()
            .iter()
            .map(|(name, value)| {
                (
                    name.as_str().to_ascii_lowercase(),
                    value.as_bytes().to_vec(),
                )
            })
            .collect(),
        body: body::raw(&mut payload).await?,
    };
    let received = state
        .app
        .receive_notification(&provider, &account, &inbound)
        .await
        .map_err(|error| match error {
            NotReceived::UnknownAccount => unknown(),
            NotReceived::Method { ref taken } => Problem::new(&problem::METHOD_NOT_ALLOWED)
                .detail(error.to_string())
                .allow(taken.iter().map(|method| method.as_str())),
        })?;
    match received.rejected {
        Some(rejected) => {
            let reason = rejected.as_str();
            metrics::counter!("counterfoil_webhooks_rejected_total", "account" => account.to_string(), "reason" => reason)
                .increment(1);
            tracing::warn!(%provider, %account, reason, "notification.rejected");
        }
        None => {
            metrics::counter!("counterfoil_webhooks_received_total", "account" => account.to_string()).increment(1);
        }
    }
    let status =
        StatusCode::from_u16(received.answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.insert_header(("retry-after", "5"));
    }
    let mut response = response
        .content_type(received.answer.content_type)
        .body(received.answer.body);
    response.extensions_mut().insert(AsIs);
    Ok(response)
}
