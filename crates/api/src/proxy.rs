//! The proxy: requests to a provider with a connection's credentials. Bodies are streamed both ways unchanged.

mod headers;
mod response;
mod upload;

use actix_web::{HttpRequest, HttpResponse, web};
use gateway::{Names, proxy};
use upstream::{Method, ProxyRequest};

use self::headers::Options;
use crate::caller::{Authorized, scope};
use crate::error::ApiError;
use crate::path::PROXY;

/// Methods that are relayed but not in the OpenAPI document, which cannot describe them.
pub(crate) const FURTHER_METHODS: [&str; 2] = ["PROPFIND", "REPORT"];

/// Sends a request to the provider with the connection's credentials.
///
/// The body reaches the provider unchanged, and its response comes back unchanged: status, headers except hop-by-hop ones, body. Path and
/// query are sent as they are written, except for the rules of the [URL standard](https://url.spec.whatwg.org/): `'` is sent as `%27` in
/// a query, and the segments `.` and `..` are resolved. Bodies are streamed both ways. `PROPFIND` and `REPORT` work like the methods
/// shown here. Of the request's headers, only those that begin with `Nango-Proxy-` are forwarded, without that prefix, and
/// `Content-Type` and `Content-Encoding` of a body. `Trunkline-Upstream-Status` marks a response of the provider.
#[utoipa::path(
    method(get, head, post, put, patch, delete), path = "/proxy/{endpoint}", operation_id = "proxy", tag = "proxy", security(("api_key" = ["environment:proxy"])),
    params(
        ("endpoint" = String, Path, description = "The path below the provider's base URL", example = "v1/orders"),
        Options,
    ),
    responses(
        (status = 200, description = "The provider's response, whatever its status", content_type = "*/*"),
        (status = 400, description = "`invalid_headers`, `base_url_override_not_allowed`, `invalid_uri_params` or `connection_incomplete`"),
        (status = 404, description = "`unknown_provider_config` or `unknown_connection`"),
        (status = 429, description = "The limits of connection or provider are reached: `rate_limited`; see the header `Retry-After`"),
        (status = 502, description = "The provider could not be reached, or the response broke off: `provider_unreachable`"),
        (status = 504, description = "The provider did not respond in time: `provider_timeout`")
    )
)]
pub(crate) async fn call(
    Authorized { gateway, caller, .. }: Authorized<scope::Proxy>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let options = Options::read(request.headers()).map_err(ApiError::InvalidHeaders)?;
    let address = request.uri();
    let endpoint = address.path().strip_prefix(PROXY).ok_or(ApiError::InvalidPath)?;
    let method = Method::from_bytes(request.method().as_str().as_bytes());
    let mut relay = ProxyRequest::new(method.map_err(|_| ApiError::InvalidPath)?, endpoint);
    relay.query = address.query().map(str::to_owned);
    let (integration, connection) = options.apply(&mut relay);
    relay.body = upload::body(&request, payload, relay.retries > 0).await?;
    if !relay.body.is_empty() {
        headers::add_content_headers(request.headers(), &mut relay.content_headers);
    }
    let relayed = proxy::send(&gateway, Names::of(&caller, &integration, &connection), relay).await?;
    Ok(response::stream(relayed, request))
}
