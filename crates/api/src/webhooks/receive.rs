//! The addresses at which providers send their events. They need no API key: a signature or a random path shows who sends.

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::BytesMut;
use futures::StreamExt;
use gateway::webhooks::{self, MAX_WEBHOOK_BODY, Received, RequestHeaders, WebhookRequest};
use gateway::{Gateway, WebhookAddress};

use crate::body::in_time;
use crate::error::ApiError;
use crate::providers::PublicUrl;

/// Receives events of a provider at the address of an integration.
///
/// The provider's file says how a request is verified and how its connection is found. An event that fits no connection is kept. It is
/// stored before the response; an event that is sent again changes nothing.
#[utoipa::path(
    method(get, post), path = "/webhook/{environment}/{integration}", operation_id = "receive_webhook", tag = "webhooks", security(()),
    params(
        ("environment" = String, Path, description = "The environment's name", example = "dev"),
        ("integration" = String, Path, description = "The integration", example = "acme")
    ),
    responses(
        (status = 200, description = "Stored, or the response to a test of the address", content_type = "*/*"),
        (status = 401, description = "The request is not accepted: `webhook_refused`"),
        (status = 404, description = "There is no such address: `not_found`"),
        (status = 413, description = "The body is larger than 256 KB, or has too many events: `body_too_large`"),
        (status = 503, description = "Too many events wait (`webhook_backlog`), or the database cannot be reached (`unavailable`): see the header `Retry-After`")
    )
)]
pub(crate) async fn integration(
    request: HttpRequest,
    gateway: web::Data<Gateway>,
    url: web::Data<PublicUrl>,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let (environment, integration) = path.into_inner();
    let address = WebhookAddress::Integration {
        environment,
        integration,
    };
    receive(&request, &gateway, &url, &address, payload).await
}

/// Receives events of a provider at the address of one connection, whose last part is random.
#[utoipa::path(
    method(get, post), path = "/webhook/{secret}", operation_id = "receive_connection_webhook", tag = "webhooks", security(()),
    params(("secret" = String, Path, description = "The random part of the connection's address")),
    responses(
        (status = 200, description = "Stored, or the response to a test of the address", content_type = "*/*"),
        (status = 401, description = "The request is not accepted: `webhook_refused`"),
        (status = 404, description = "There is no such address: `not_found`"),
        (status = 413, description = "The body is larger than 256 KB, or has too many events: `body_too_large`"),
        (status = 503, description = "Too many events wait (`webhook_backlog`), or the database cannot be reached (`unavailable`): see the header `Retry-After`")
    )
)]
pub(crate) async fn connection(
    request: HttpRequest,
    gateway: web::Data<Gateway>,
    url: web::Data<PublicUrl>,
    secret: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let address = webhooks::address_of(&secret);
    receive(&request, &gateway, &url, &address, payload).await
}

async fn receive(
    request: &HttpRequest,
    gateway: &Gateway,
    url: &PublicUrl,
    address: &WebhookAddress,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let body = in_time(body(payload)).await??;
    let at = request.uri().path_and_query().map_or("/", |at| at.as_str());
    let headers = request.headers().iter();
    let headers = headers.map(|(name, value)| (name.as_str(), value.as_bytes()));
    let received = WebhookRequest {
        method: request.method().as_str().to_owned(),
        url: format!("{}{at}", url.0),
        headers: RequestHeaders::new(headers),
        body,
    };
    Ok(match webhooks::receive(gateway, address, received).await? {
        Received::Events => HttpResponse::Ok().finish(),
        Received::Challenge(challenge) => HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, challenge.content_type))
            .body(challenge.body),
    })
}

/// Reads the raw body, which the signature covers.
async fn body(mut payload: web::Payload) -> Result<web::Bytes, ApiError> {
    let mut body = BytesMut::new();
    while let Some(part) = payload.next().await {
        body.extend_from_slice(&part.map_err(|_| ApiError::BrokenBody)?);
        if body.len() > MAX_WEBHOOK_BODY {
            return Err(ApiError::TooLarge(MAX_WEBHOOK_BODY));
        }
    }
    Ok(body.freeze())
}
