//! The errors of requests whose head actix would refuse without a word.

use actix_web::HttpResponse;
use actix_web::web::{self, ServiceConfig};

use super::ApiError;
use crate::request_heads::{ROUTE, Unreadable};

/// What is wrong with a request that has no readable head.
pub(super) fn words(why: Unreadable) -> &'static str {
    match why {
        Unreadable::Head => {
            "the request's head breaks the grammar of HTTP/1.1 (RFC 9112): look at its first line and its headers"
        }
        Unreadable::Target => "the request's address is none: percent-encode what no URL may hold",
        Unreadable::TargetTooLong => {
            "the request's address is longer than 65000 bytes: send long values in the body"
        }
        Unreadable::HeadTooLarge => {
            "the request's headers are too many or too large: at most 96 of 100000 bytes together"
        }
        Unreadable::Length => {
            "the length of the body cannot be told: send one Content-Length, or Transfer-Encoding: chunked"
        }
        Unreadable::Late => "the request's headers did not arrive in time",
    }
}

/// Where requests without a readable head are led; the document does not have it.
pub(crate) fn unreadable_heads(config: &mut ServiceConfig) {
    config.route(&format!("{ROUTE}{{why}}"), web::route().to(refuse));
}

async fn refuse(why: web::Path<String>) -> Result<HttpResponse, ApiError> {
    Err(why.parse().map_or(ApiError::NoRoute, ApiError::Unreadable))
}
