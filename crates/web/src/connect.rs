//! The connect page: end users choose an integration that their app allows, fill in its form, and are told how it went.
//!
//! The token of the connect session is all that a request needs. It comes in the query of the first request, or from the page that embeds
//! this one, and is passed on in links and forms.

mod form;
mod form_error;
mod request;
mod view;

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{LOCATION, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use askama::Template;
use gateway::{ConnectSession, Gateway, GatewayError, StoreError, error_chain, sessions};

use self::form::FormPage;
use self::form_error::FormError;
use self::request::{CONNECTED, FIELD, INTEGRATION, ONLY, PageRequest, SEARCH};
use self::view::{ListPage, MessagePage};
use crate::policy;
use crate::shared::Shared;

/// The largest body of a form, in bytes.
const MAX_FORM: usize = 64 << 10;
/// How long the body of a form may take to arrive.
const FORM_TIMEOUT: Duration = Duration::from_secs(30);

/// Renders a page.
fn render(request: &PageRequest<'_>, status: StatusCode, page: &impl Template) -> HttpResponse {
    render_with(HttpResponse::build(status), request, page)
}

fn render_with(
    mut response: HttpResponseBuilder,
    request: &PageRequest<'_>,
    page: &impl Template,
) -> HttpResponse {
    policy::add(&mut response, &request.shared.frame_ancestors);
    match page.render() {
        Ok(html) => response.content_type("text/html; charset=utf-8").body(html),
        Err(error) => {
            tracing::error!(%error, "a page cannot be rendered");
            HttpResponse::InternalServerError().finish()
        }
    }
}

/// Shows the list of integrations, or the form of one.
pub(crate) async fn show(
    shared: web::Data<Shared>,
    gateway: web::Data<Gateway>,
    request: HttpRequest,
) -> HttpResponse {
    let request = PageRequest::new(&shared, &request, request.query_string().as_bytes(), false);
    let shown = show_or_error(&gateway, &request).await;
    shown.unwrap_or_else(|error| failure(&request, &error))
}

async fn show_or_error(gateway: &Gateway, request: &PageRequest<'_>) -> Result<HttpResponse, GatewayError> {
    let Some(token) = request.token() else {
        return Ok(MessagePage::no_token(request));
    };
    let session = sessions::authenticate(gateway, token).await?;
    if let Some(key) = request.get(CONNECTED) {
        let forms = sessions::forms(gateway, &session, key).await?;
        return Ok(MessagePage::connected_before(request, &forms));
    }
    if let Some(key) = request.get(INTEGRATION).or(request.get(ONLY)) {
        let has_list = has_list(gateway, request, &session).await?;
        return form(gateway, request, &session, key, has_list).await;
    }
    let allowed = sessions::integrations(gateway, &session).await?;
    if let [only] = allowed.as_slice() {
        return form(gateway, request, &session, only.key.as_str(), false).await;
    }
    Ok(ListPage::render(
        request,
        &allowed,
        request.get(SEARCH).unwrap_or_default(),
    ))
}

/// Shows the form of an integration.
async fn form(
    gateway: &Gateway,
    request: &PageRequest<'_>,
    session: &ConnectSession,
    key: &str,
    has_list: bool,
) -> Result<HttpResponse, GatewayError> {
    let forms = sessions::forms(gateway, session, key).await?;
    let page = FormPage::new(request, session, &forms, has_list);
    Ok(render(request, StatusCode::OK, &page))
}

/// Whether the reader can choose among several integrations.
async fn has_list(
    gateway: &Gateway,
    request: &PageRequest<'_>,
    session: &ConnectSession,
) -> Result<bool, GatewayError> {
    if request.get(ONLY).is_some() || session.connection.is_some() {
        return Ok(false);
    }
    Ok(match &session.allowed_integrations {
        Some(allowed) => allowed.len() > 1,
        None => sessions::integrations(gateway, session).await?.len() > 1,
    })
}

/// Connects with the fields of a form.
pub(crate) async fn submit(
    shared: web::Data<Shared>,
    gateway: web::Data<Gateway>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let refuse = |status| {
        let request = PageRequest::new(&shared, &request, &[], false);
        MessagePage::refused(&request, status)
    };
    let body = match tokio::time::timeout(FORM_TIMEOUT, payload.to_bytes_limited(MAX_FORM)).await {
        Ok(Ok(Ok(body))) => body,
        Ok(Ok(Err(_))) => return refuse(StatusCode::BAD_REQUEST),
        Ok(Err(_)) => return refuse(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => return refuse(StatusCode::REQUEST_TIMEOUT),
    };
    let request = PageRequest::new(&shared, &request, &body, true);
    let submitted = submit_or_error(&gateway, &request).await;
    submitted.unwrap_or_else(|error| failure(&request, &error))
}

async fn submit_or_error(gateway: &Gateway, request: &PageRequest<'_>) -> Result<HttpResponse, GatewayError> {
    let Some(token) = request.token() else {
        return Ok(MessagePage::no_token(request));
    };
    let session = sessions::authenticate(gateway, token).await?;
    let key = request.get(INTEGRATION).unwrap_or_default();
    let forms = sessions::forms(gateway, &session, key).await?;
    let mut page = FormPage::new(
        request,
        &session,
        &forms,
        has_list(gateway, request, &session).await?,
    );
    let fields = request.with_prefix(FIELD);
    let fields = fields.filter(|(name, _)| page.field(name).is_some());
    let fields = fields.map(|(name, value)| (name.to_owned(), value.into()));
    let connected = sessions::connect_by_form(gateway, &session, key, page.form(), &fields.collect()).await;
    match connected {
        Ok(connected) if request.is_scripted() => Ok(MessagePage::connected(request, &forms, &connected)),
        // Post/redirect/get: reloading the result page does not submit the form again.
        Ok(_) => Ok(HttpResponse::SeeOther()
            .insert_header((LOCATION, request.link(&[(CONNECTED, key)])))
            .finish()),
        Err(error) => {
            let error = FormError::of(error, request, &forms, &page)?;
            let mut response = HttpResponse::build(error.status);
            if let Some(seconds) = error.retry_after {
                response.insert_header((RETRY_AFTER, seconds));
            }
            page.show_error(error);
            Ok(render_with(response, request, &page))
        }
    }
}

/// Returns the page for an error that the form cannot show.
fn failure(request: &PageRequest<'_>, error: &GatewayError) -> HttpResponse {
    let texts = request.texts;
    match error {
        // A connection that a session replaces is deleted with the session.
        GatewayError::MalformedSessionToken
        | GatewayError::UnknownSession
        | GatewayError::UnknownConnection { .. } => MessagePage::expired(request),
        GatewayError::UnknownIntegration(_) | GatewayError::IntegrationNotAllowed(_) => {
            MessagePage::not_allowed(request)
        }
        GatewayError::Uncallable(_) | GatewayError::IntegrationSecretsLost(_) => {
            // End users cannot help that; the operator can.
            tracing::warn!(error = %error_chain(error), "an integration cannot be connected from the connect page");
            MessagePage::failed(request, StatusCode::BAD_REQUEST, &texts.not_ready)
        }
        GatewayError::Store(StoreError::Unavailable(_) | StoreError::Busy(_)) => {
            tracing::debug!(error = %error_chain(error), "a page failed");
            MessagePage::failed(request, StatusCode::SERVICE_UNAVAILABLE, &texts.failed)
        }
        error => {
            tracing::error!(error = %error_chain(error), "a page failed");
            MessagePage::failed(request, StatusCode::INTERNAL_SERVER_ERROR, &texts.failed)
        }
    }
}
