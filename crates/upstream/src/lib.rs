//! Every byte to a provider passes here: authorisation, address policy, limits, retries, redirects and paging.
//!
//! Knows no database. `domain` and `registry` stand below it; the use cases and the worker above. The invariants: a credential is
//! sent to the provider's own origins alone, an address that is not public is not connected to unless configuration allows it, and
//! no error, log line or `Debug` of this crate holds a secret or a body.

mod action;
mod address;
mod answer;
mod body;
mod budget;
mod call;
mod client;
mod coding;
mod context;
mod error;
mod gate;
mod json;
mod link_header;
mod list_check;
mod list_end;
mod options;
mod pagination;
mod provider_error;
mod reading;
mod redirect;
mod relay;
mod request;
mod retry;
mod target;
mod transport;
mod verify;

#[cfg(test)]
mod tests;

pub use action::{Quoted, Refusal, place};
pub use answer::{Answer, Instead};
pub use budget::BodyPermit;
pub use call::Call;
pub use client::Upstream;
pub use error::{CallError, UpstreamError, VerifyError, excerpt};
pub use gate::Urgency;
pub use http::header::{HeaderMap, HeaderName, HeaderValue};
pub use http::{Method, StatusCode};
pub use list_end::{Doubt, End, total};
pub use options::UpstreamOptions;
pub use pagination::{Next, PageSeen, first_page};
pub use provider_error::ProviderError;
pub use relay::{Relay, RelayBody, Relayed, RelayedBody, Upload, UploadError};
pub use request::may_be_set;
pub use retry::RetryAfter;
pub use target::{Target, Variables};
