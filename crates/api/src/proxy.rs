//! Calls to a provider with a connection's credentials: bodies stream both ways as they are.

mod answer;
mod headers;
mod upload;

use actix_web::{HttpRequest, HttpResponse, web};
use gateway::Gateway;
use upstream::{Method, ProxyRequest};

use crate::caller::{Caller, scope};
use crate::error::ApiError;
use crate::path::PROXY;

/// Methods that are relayed beside those of the OpenAPI document, which cannot describe them.
pub(crate) const FURTHER_METHODS: [&str; 2] = ["PROPFIND", "REPORT"];

/// Calls the provider with the connection's credentials.
///
/// The body reaches it byte for byte, and its answer comes back as it is: status, headers but those of one hop, body. Path and query
/// stay as they are written but for the rules of the [URL standard](https://url.spec.whatwg.org/): `'` goes out as `%27` in a query,
/// and segments `.` and `..` are resolved. Bodies are streamed both ways. `PROPFIND` and `REPORT` work like the methods shown here. Of the request's headers only those
/// that begin with `Nango-Proxy-` go on, without that beginning, and `Content-Type` and `Content-Encoding` beside a body.
/// `Trunkline-Upstream-Status` tells that an answer is the provider's.
#[utoipa::path(
    method(get, head, post, put, patch, delete), path = "/proxy/{endpoint}", operation_id = "proxy", tag = "proxy", security(("api_key" = ["environment:proxy"])),
    params(
        ("endpoint" = String, Path, description = "What to call below the provider's base URL", example = "v1/orders"),
        ("Provider-Config-Key" = String, Header, description = "The integration's key", example = "acme"),
        ("Connection-Id" = String, Header, description = "What you call the connection", example = "my-acme"),
        ("Base-Url-Override" = Option<String>, Header, description = "Another server of the provider, or one that the operator allows"),
        ("Retries" = Option<u32>, Header, description = "Repetitions, 0 to 10; 0 if left out. What writes is repeated only if it cannot have been carried out", minimum = 0, maximum = 10),
        ("Retry-On" = Option<String>, Header, description = "Further statuses to repeat, whatever the method", example = "409,423"),
        ("Decompress" = Option<bool>, Header, description = "Whether a compressed answer is to be decompressed"),
        ("Forward-Headers-On-Redirect" = Option<bool>, Header, description = "Whether your headers go along to another origin; an authorisation never does"),
        ("Trunkline-Deadline" = Option<f64>, Header, description = "Seconds until the answer must begin, retries included; bounded by the configuration"),
        ("Trunkline-Wait" = Option<f64>, Header, description = "Seconds to wait for a place under the limits; 10 at most"),
    ),
    responses(
        (status = 200, description = "The provider's answer, whatever its status", content_type = "*/*"),
        (status = 400, description = "`invalid_headers`, `base_url_override_not_allowed`, `invalid_uri_params` or `connection_incomplete`"),
        (status = 404, description = "`unknown_provider_config` or `unknown_connection`"),
        (status = 429, description = "The limits of connection or provider are reached: `rate_limited`; see the header `Retry-After`"),
        (status = 502, description = "The provider could not be reached, or broke off: `provider_unreachable`"),
        (status = 504, description = "The provider did not answer in time: `provider_timeout`")
    )
)]
pub(crate) async fn call(
    caller: Caller<scope::Proxy>,
    gateway: web::Data<Gateway>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let asked = headers::read(request.headers()).map_err(ApiError::InvalidHeaders)?;
    let address = request.uri();
    let endpoint = address.path().strip_prefix(PROXY).ok_or(ApiError::InvalidPath)?;
    let method = Method::from_bytes(request.method().as_str().as_bytes());
    let mut relay = ProxyRequest::new(method.map_err(|_| ApiError::InvalidPath)?, endpoint);
    relay.query = address.query().map(str::to_owned);
    let (integration, connection) = asked.apply(&mut relay);
    relay.body = upload::body(&request, payload, relay.retries > 0).await?;
    if !relay.body.is_empty() {
        headers::of_the_body(request.headers(), &mut relay.content_headers);
    }
    let relayed = gateway
        .proxy()
        .send(&caller, &integration, &connection, relay)
        .await?;
    Ok(answer::stream(relayed, request))
}
