//! Sends all requests to providers: authorization, address policy, limits, retries, redirects and pagination.
//!
//! The crate knows no database. It uses `domain` and `registry`; the `api`, `gateway` and `worker` crates use it. Its invariants:
//!
//! - A credential is sent only to the origins that the provider file declares, and to those that the operator's settings name (`base_urls`
//!   and `allowed_origins` of [`UpstreamOptions`]).
//! - An address that is not public is not connected to, unless the settings allow it.
//! - No error, log line or `Debug` of this crate holds a secret or a body. Of a body, an error quotes at most a short text, such as the
//!   provider's message.

mod action;
mod address;
mod backoff;
mod budget;
mod client;
mod coding;
mod context;
mod driver;
mod error;
mod json;
mod limiter;
mod link_header;
mod list_check;
mod list_end;
mod options;
mod outcome;
mod pagination;
mod prepare;
mod provider_error;
mod proxy;
mod read_body;
mod redact;
mod redirect;
mod request;
mod request_body;
mod response;
mod retry_after;
mod servers;
mod target;
mod transport;
mod upload;
mod verify;
mod webhook;

#[cfg(test)]
mod tests;

pub use action::{FailedRequest, QuotedResponse};
pub use address::may_be_public;
pub use backoff::Backoff;
pub use budget::BodyMemory;
pub use client::Upstream;
pub use error::{ProviderError, RequestError, UnexpectedBody, UpstreamError, VerifyError, excerpt};
pub use http::Method;
pub use http::header::{HeaderMap, HeaderName, HeaderValue};
pub use json::at as json_at;
pub use limiter::RateLimiter;
pub use list_end::{End, IncompleteReason, PageInfo, list_total};
pub use options::UpstreamOptions;
pub use outcome::{ErrorCode, Outcome, Verdict};
pub use pagination::{Next, first_page};
pub use prepare::may_set_header;
pub use proxy::{ProxyRequest, ProxyResponse, ProxyResponseBody};
pub use request::Request;
pub use response::Response;
pub use target::{Kept, Priority, Target, Variables};
pub use upload::{ProxyRequestBody, UploadError};
pub use webhook::{WebhookRequest, WebhookResponse};
