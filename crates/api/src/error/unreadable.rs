//! The errors of requests whose head actix would refuse with an empty body.

use actix_web::HttpResponse;
use actix_web::web::{self, ServiceConfig};

use super::ApiError;
use crate::request_heads::{ROUTE, Unreadable};

/// Says what is wrong with a head that cannot be read.
pub(super) fn words(why: Unreadable) -> &'static str {
    match why {
        Unreadable::Head => {
            "the request's head breaks the grammar of HTTP/1.1 (RFC 9112): check its first line and its headers"
        }
        Unreadable::Target => "the request's target is not a URL: percent-encode what is not allowed in one",
        Unreadable::TargetTooLong => {
            "the request's target is longer than 65000 bytes: send long values in the body"
        }
        Unreadable::HeadTooLarge => {
            "the request's headers are too many or too large: at most 96 of 100000 bytes together"
        }
        Unreadable::Length => {
            "the length of the body is not clear: send one Content-Length, or Transfer-Encoding: chunked"
        }
        Unreadable::Late => "the request's headers did not arrive in time",
    }
}

/// Registers the route of requests without a readable head, which is not in the document.
pub(crate) fn unreadable_heads(config: &mut ServiceConfig) {
    config.route(&format!("{ROUTE}{{why}}"), web::route().to(refuse));
}

async fn refuse(why: web::Path<String>) -> Result<HttpResponse, ApiError> {
    Err(why.parse().map_or(ApiError::NoRoute, ApiError::Unreadable))
}
