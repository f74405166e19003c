//! Usage events of Nango's connect page, which are accepted and discarded.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::HeaderValue;
use actix_web::http::{Method, header};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};

use crate::connect_sessions::ConnectPage;

/// The path to which Nango's connect page sends usage events.
const TELEMETRY: &str = "/connect/telemetry";

/// Lets the connect page send its beacons. A browser sends them with credentials, and then requires the page's origin in the response
/// instead of `*`. Without a configured connect page, every page may send them: the response holds nothing.
pub(crate) async fn beacons(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let page = request.app_data::<web::Data<ConnectPage>>();
    let page = page.and_then(|page| page.custom_origin());
    let origin = origin.filter(|origin| {
        request.path() == TELEMETRY && page.is_none_or(|page| origin.as_bytes() == page.as_bytes())
    });
    let Some(origin) = origin else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let is_preflight = request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if is_preflight {
        let answer = HttpResponse::NoContent()
            .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, "POST"))
            .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type"))
            .insert_header((header::ACCESS_CONTROL_MAX_AGE, "600"))
            .finish();
        request.into_response(answer)
    } else {
        next.call(request).await?.map_into_boxed_body()
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
        HeaderValue::from_static("true"),
    );
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    Ok(response)
}

/// Accepts usage events of Nango's connect page, and discards them.
#[utoipa::path(
    post, path = "/connect/telemetry", operation_id = "connect_telemetry", tag = "connect sessions", security(()),
    responses((status = 204, description = "Discarded"))
)]
pub(crate) async fn telemetry() -> HttpResponse {
    HttpResponse::NoContent().finish()
}
