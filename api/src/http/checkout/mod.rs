//! `GET /checkout/{link}` and `POST /checkout/{link}/pay`: the page that a payer sees, and the way
//! from it to the provider.
//!
//! The link is the whole credential: there is no cookie and no session, so that a forged request
//! could carry nothing that its sender does not know. The form's token makes sure all the same that a
//! payment starts from a page that was shown within the last hour, and `Sec-Fetch-Site` that it does
//! not start from another site's.

mod assets;
mod caps;
mod format;
mod page;
mod standing;
pub mod texts;

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION, RETRY_AFTER};
use actix_web::web::{Data, Payload};
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, dev};
use domain::actor::Actor;
use domain::ids::{AccountSlug, PaymentRequestId};
use domain::payment::{Refusal, Request};
use domain::ports::{HandOver, PayForm};
use jiff::tz::TimeZone;
use maud::Markup;

use self::caps::Caps;
use self::page::{Shown, Way};
use self::standing::Standing;
use super::body;
use super::call::{prefix, text};
use super::guard::AsIs;
use super::problem::{self, Problem};
use super::state::{HttpState, query};
use crate::app::attempts::description;
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::config::Settings;
use crate::config::settings::Language;

/// What the page needs of the settings.
pub struct Checkout {
    /// How often payers may ask.
    pub caps: Caps,
    language: Language,
    zone: TimeZone,
}

impl Checkout {
    /// By these settings, which were checked.
    pub fn new(settings: &Settings) -> Self {
        Self {
            caps: Caps::new(&settings.limits),
            language: settings.checkout.language,
            zone: TimeZone::get(&settings.checkout.time_zone).unwrap_or(TimeZone::UTC),
        }
    }

    /// For payers who ask for none of ours.
    pub fn language(&self) -> Language {
        self.language
    }
}

/// Whoever holds a link that opens.
#[derive(Debug, Clone)]
pub struct Payer {
    id: PaymentRequestId,
    link: String,
    address: Option<IpAddr>,
}

impl Payer {
    /// The payer of this request. A link that does not open, for whatever reason, is not found.
    pub(super) fn of(state: &HttpState, request: &HttpRequest) -> Result<Self, Problem> {
        let link = request.match_info().get("link").unwrap_or_default();
        let id = state.app.links.key().open(link);
        let id = id.ok_or_else(|| Problem::new(&problem::NOT_FOUND))?;
        state.checkout.caps.page(&id)?;
        Ok(Self {
            id,
            link: link.to_owned(),
            address: request.peer_addr().map(|peer| peer.ip()),
        })
    }
}

impl FromRequest for Payer {
    type Error = Problem;
    type Future = std::future::Ready<Result<Self, Problem>>;

    /// The policy put it there; a route without a policy has none and answers 500.
    fn from_request(request: &HttpRequest, _: &mut dev::Payload) -> Self::Future {
        let payer = request.extensions().get::<Self>().cloned();
        std::future::ready(payer.ok_or_else(|| Problem::new(&problem::INTERNAL)))
    }
}

/// `GET /checkout/{link}?lang=&returned=`
pub async fn show(request: HttpRequest, payer: Payer, state: Data<HttpState>) -> HttpResponse {
    let shown = show_page(&request, &payer, &state, None).await;
    shown.unwrap_or_else(|problem| refused(&request, &problem))
}

/// `POST /checkout/{link}/pay`
pub async fn pay(
    request: HttpRequest,
    mut payload: Payload,
    payer: Payer,
    state: Data<HttpState>,
) -> HttpResponse {
    let sent = send_on(&request, &mut payload, &payer, &state).await;
    sent.unwrap_or_else(|problem| refused(&request, &problem))
}

/// What could not be answered, as a page.
pub(super) fn refused(request: &HttpRequest, problem: &Problem) -> HttpResponse {
    let language = language(request);
    let texts = language.texts();
    let code = problem.code;
    let (title, text) = match code.status {
        404 => (texts.not_found_title, texts.not_found_text),
        429 => (texts.busy_title, texts.busy_text),
        _ => (texts.failed_title, texts.failed_text),
    };
    let status = StatusCode::from_u16(code.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = html(status, &[], page::notice(language, title, text));
    if let Some(seconds) = problem.retry_after_s {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// Why the form was not taken.
#[derive(Clone, Copy)]
enum FormRefused {
    Stale,
    TooMany,
    Unreachable,
}

impl FormRefused {
    fn told(self, language: Language) -> (StatusCode, &'static str) {
        let texts = language.texts();
        match self {
            Self::Stale => (StatusCode::FORBIDDEN, texts.note_stale),
            Self::TooMany => (StatusCode::CONFLICT, texts.note_too_many),
            Self::Unreachable => (StatusCode::SERVICE_UNAVAILABLE, texts.note_unreachable),
        }
    }
}

async fn show_page(
    request: &HttpRequest,
    payer: &Payer,
    state: &HttpState,
    form_refused: Option<FormRefused>,
) -> Result<HttpResponse, Problem> {
    let found = state.app.payers_request(&payer.id).await?;
    let now = state.app.recorder.now();
    let language = language(request);
    let returned = query(request).contains_key("returned");
    let standing = Standing::of(&found.request, now, returned);
    if returned && standing.waits() {
        ask_provider(payer, state, &found.request);
    }
    let tag = page::tag(&found.version.to_string(), standing, language, now);
    let known = text(request.headers(), IF_NONE_MATCH.as_str());
    if form_refused.is_none() && known == Some(tag.as_str()) {
        let mut response = HttpResponse::NotModified();
        return Ok(response.insert_header((ETAG, tag)).finish());
    }
    let terms = found.request.terms();
    let config = state.app.merchant(&terms.merchant)?;
    let title_of = |code: &str| {
        let item = config
            .catalogue
            .iter()
            .find(|item| item.code.as_str() == code);
        item.map(|item| item.title.clone())
    };
    let (ways, pay_origins) = ways(state, &found.request);
    let (status, form_refused) = match form_refused.map(|why| why.told(language)) {
        None => (StatusCode::OK, None),
        Some((status, note)) => (status, Some(note)),
    };
    let shown = Shown {
        request: &found.request,
        standing,
        merchant: config
            .display_name
            .as_deref()
            .unwrap_or(config.merchant.as_str()),
        items: page::items(&terms.priced_by, title_of),
        ways,
        link: &payer.link,
        form_token: state.app.links.key().form_token(&payer.link, now),
        language,
        zone: &state.checkout.zone,
        tag: tag.clone(),
        returned,
        form_refused,
    };
    let mut response = html(status, &pay_origins, page::of(&shown));
    if let Ok(tag) = tag.parse() {
        response.headers_mut().insert(ETAG, tag);
    }
    Ok(response)
}

/// The ways to pay that lead somewhere, and where their pages are. The live attempt's comes first.
fn ways(state: &HttpState, request: &Request) -> (Vec<Way>, Vec<String>) {
    let live = request.live_attempt(state.app.recorder.now());
    let live = live.map(|(_, attempt)| &attempt.account);
    let (mut ways, mut origins) = (vec![], vec![]);
    for account in &request.terms().rules.accounts {
        let Ok((_, config, provider)) = state.app.account(account) else {
            continue;
        };
        if provider.api.is_none() {
            continue;
        }
        let name = config.display_name.as_deref();
        ways.push(Way {
            account: account.to_string(),
            name: name.unwrap_or(config.provider.as_str()).to_owned(),
            first: false,
        });
        for origin in &provider.pay_origins {
            if !origins.contains(origin) {
                origins.push(origin.clone());
            }
        }
    }
    let first = ways
        .iter()
        .position(|way| live.is_some_and(|live| way.account == live.as_str()))
        .unwrap_or(0);
    if let Some(way) = ways.get_mut(first) {
        way.first = true;
    }
    (ways, origins)
}

/// A payer who comes back is a reason to ask the provider now, and proof of nothing. The page does
/// not wait for the answer.
fn ask_provider(payer: &Payer, state: &HttpState, request: &Request) {
    let open = request
        .attempts()
        .values()
        .filter(|attempt| attempt.may_still_pay());
    let accounts = open.map(|attempt| &attempt.account);
    if !state.checkout.caps.may_look_up(&payer.id, accounts) {
        return;
    }
    let (app, id) = (Arc::clone(&state.app), payer.id.clone());
    tokio::spawn(async move {
        let context = Context::job("checkout::returned");
        if let Err(error) = app.look_up_open_attempts(&id, &context).await {
            tracing::warn!(payment_request_id = %id, error = %error, "checkout.look_up");
        }
    });
}

async fn send_on(
    request: &HttpRequest,
    payload: &mut Payload,
    payer: &Payer,
    state: &HttpState,
) -> Result<HttpResponse, Problem> {
    let (token, account) = form(request, payload).await?;
    let now = state.app.recorder.now();
    let from_here = text(request.headers(), "sec-fetch-site")
        .is_none_or(|site| site == "same-origin" || site == "none");
    let key = state.app.links.key();
    if !from_here || !key.admits_form(&payer.link, &token, now) {
        return show_page(request, payer, state, Some(FormRefused::Stale)).await;
    }
    state.checkout.caps.start(&payer.id, payer.address)?;
    let mut context = Context::of(Actor::payer(), "POST /checkout/{link}/pay");
    context.ip_prefix = payer.address.map(prefix);
    let (app, id) = (Arc::clone(&state.app), payer.id.clone());
    let code = language(request).texts().code;
    // On its own, so that a browser that goes away leaves no attempt half registered.
    let started = tokio::spawn(async move {
        app.start_payers_attempt(&context, &id, account.as_ref(), code)
            .await
    });
    let started = started
        .await
        .map_err(|_| Problem::new(&problem::INTERNAL))?;
    match started {
        Ok(started) => match pay_page(state, &started, code) {
            Some(Ok(PayPage::Link(url))) => Ok(see_other(&url)),
            Some(Ok(PayPage::Form(form, origin))) => Ok(html(
                StatusCode::OK,
                &[origin],
                page::hand_over(language(request), &payer.link, &form),
            )),
            Some(Err(())) => show_page(request, payer, state, Some(FormRefused::Unreachable)).await,
            None => Ok(see_other(&back(payer, request))),
        },
        // Paid, closed or under way meanwhile: the page tells.
        Err(AppError::Payment(
            Refusal::AlreadyPaid | Refusal::NotPayable { .. } | Refusal::PaymentInFlight,
        )) => Ok(see_other(&back(payer, request))),
        Err(AppError::Payment(Refusal::TooManyAttempts { .. })) => {
            show_page(request, payer, state, Some(FormRefused::TooMany)).await
        }
        Err(AppError::ProviderUnavailable { .. }) => {
            show_page(request, payer, state, Some(FormRefused::Unreachable)).await
        }
        Err(AppError::Payment(Refusal::AccountNotAllowed { .. }) | AppError::UnknownAccount) => {
            show_page(request, payer, state, Some(FormRefused::Stale)).await
        }
        Err(other) => Err(other.into()),
    }
}

fn back(payer: &Payer, request: &HttpRequest) -> String {
    format!(
        "/checkout/{}?lang={}",
        payer.link,
        language(request).texts().code
    )
}

/// How a payer gets to the provider.
enum PayPage {
    /// By a link.
    Link(String),
    /// By a form, which the browser sends to this origin.
    Form(PayForm, String),
}

/// The provider's page of the live attempt. `Err` where it is not at a place that was configured:
/// nobody is sent there.
fn pay_page(
    state: &HttpState,
    request: &Request,
    language: &'static str,
) -> Option<Result<PayPage, ()>> {
    let (_, attempt) = request.live_attempt(state.app.recorder.now())?;
    let account = state.app.account(&attempt.account);
    let provider = account.as_ref().ok().map(|(_, _, provider)| *provider);
    let form = provider
        .and_then(|provider| provider.api.as_ref())
        .and_then(|api| {
            api.pay_form(&HandOver {
                our_reference: attempt.our_reference.clone(),
                amount: attempt.amount,
                description: description(request),
                language,
            })
        });
    let url = match &form {
        Some(form) => form.action.as_str(),
        None => attempt.pay_url.as_deref()?,
    };
    let origin = url::Url::parse(url).map(|url| url.origin().ascii_serialization());
    let known =
        |origin: &String| provider.is_some_and(|provider| provider.pay_origins.contains(origin));
    let Some(origin) = origin.ok().filter(known) else {
        tracing::error!(account = %attempt.account, "checkout.pay_url_elsewhere");
        return Some(Err(()));
    };
    Some(Ok(match form {
        Some(form) => PayPage::Form(form, origin),
        None => PayPage::Link(url.to_owned()),
    }))
}

async fn form(
    request: &HttpRequest,
    payload: &mut Payload,
) -> Result<(String, Option<AccountSlug>), Problem> {
    let media = text(request.headers(), CONTENT_TYPE.as_str()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Problem::new(&problem::UNSUPPORTED_MEDIA_TYPE));
    }
    let body = body::raw(payload).await?;
    let (mut token, mut account) = (String::new(), None);
    for (name, value) in url::form_urlencoded::parse(&body) {
        match &*name {
            "token" => token = value.into_owned(),
            "account" => {
                let parsed =
                    AccountSlug::parse(value).map_err(|_| Problem::new(&problem::MALFORMED));
                account = Some(parsed?);
            }
            _ => {}
        }
    }
    Ok((token, account))
}

/// The payer's choice, else the browser's, else what is configured.
fn language(request: &HttpRequest) -> Language {
    let chosen = query(request)
        .get("lang")
        .and_then(|tag| Language::of_tag(tag));
    let accepted = || Language::accepted(text(request.headers(), "accept-language")?);
    let configured = || {
        request
            .app_data::<Data<HttpState>>()
            .map(|state| state.checkout.language)
    };
    chosen
        .or_else(accepted)
        .or_else(configured)
        .unwrap_or(Language::En)
}

fn see_other(url: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((LOCATION, url))
        .finish()
}

fn html(status: StatusCode, pay_origins: &[String], markup: Markup) -> HttpResponse {
    let mut response = HttpResponse::build(status)
        .content_type("text/html; charset=utf-8")
        .insert_header((
            "content-security-policy",
            assets::content_policy(pay_origins),
        ))
        .body(markup.into_string());
    response.extensions_mut().insert(AsIs);
    response
}
