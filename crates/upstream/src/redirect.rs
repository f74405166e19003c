//! Redirects: which are followed, what is sent along, and which end a request.
//!
//! They are followed here and not by the HTTP client, so that the address policy sees each hop and another origin gets no secret.

use std::mem;

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use url::Url;

use crate::error::shown_host;
use crate::prepare::PreparedRequest;
use crate::servers::{add_missing, remove_parameters};
use crate::{RequestError, excerpt};

/// Characters of a new address that an error shows.
const SHOWN: usize = 300;

/// Returns where a response redirects to, if it does and the address is valid.
pub(crate) fn redirect_of(status: StatusCode, headers: &HeaderMap, from: &Url) -> Option<Url> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = headers.get(header::LOCATION)?.to_str().ok()?;
    let mut url = from.join(location).ok()?;
    // A name and password in the address would become an authorization.
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    matches!(url.scheme(), "http" | "https").then_some(url)
}

/// Makes the `Location` of a redirect that the client gets a whole address: a relative one would lead the client to a path of the gateway.
pub(crate) fn make_location_absolute(headers: &mut HeaderMap, from: &Url) {
    let location = headers.get(header::LOCATION);
    let Some(location) = location.and_then(|location| location.to_str().ok()) else {
        return;
    };
    if Url::parse(location).is_ok() {
        return;
    }
    // The query may contain the provider's own parameters.
    let mut base = from.clone();
    base.set_query(None);
    let absolute = base.join(location).ok();
    if let Some(value) = absolute.and_then(|url| HeaderValue::from_str(url.as_str()).ok()) {
        headers.insert(header::LOCATION, value);
    }
}

/// Whether a request with this method only reads (RFC 9110, 9.2.1; RFC 4918, 9.1; RFC 3253, 3.6).
pub(crate) fn only_reads(method: &Method) -> bool {
    method.is_safe() || matches!(method.as_str(), "PROPFIND" | "REPORT")
}

impl RequestError {
    /// Wraps an error that follows a completed write, so that callers never read it as "nothing was done".
    pub(crate) fn after_redirect(self, carried_out: bool, host: &str) -> Self {
        if !carried_out {
            return self;
        }
        Self::Broken(host.to_owned(), Box::new(self))
    }
}

impl PreparedRequest {
    /// Returns the request that follows a redirect. Another origin gets no authorization, no header that may contain a secret, none of the
    /// provider's parameters and no body; `streamed` says that the body was sent already.
    ///
    /// A redirect of a write is followed only where HTTP says what that means: 303 shows the result of a write that was carried out, 307 and
    /// 308 send it again within the origin. After 301 and 302 a client may do either, so a success of the next request would mean
    /// nothing: that is [`RequestError::Moved`] (RFC 9110, 15.4).
    pub(crate) fn redirected(
        &self,
        status: StatusCode,
        mut location: Url,
        streamed: bool,
    ) -> Result<Self, RequestError> {
        let mut next = self.clone();
        let is_foreign = location.origin() != self.url.origin();
        let reads = only_reads(&self.method);
        let becomes_get = status == StatusCode::SEE_OTHER && self.method != Method::HEAD;
        if !reads && !becomes_get {
            let sent_again = matches!(
                status,
                StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT
            );
            if !sent_again {
                return Err(RequestError::Moved {
                    status: status.as_u16(),
                    method: self.method.to_string(),
                    location: shown_address(location),
                });
            }
            if is_foreign {
                return Err(RequestError::ForeignLink(shown_host(&location)));
            }
        }
        if becomes_get {
            next.method = Method::GET;
            next.body = None;
            for name in [
                header::CONTENT_TYPE,
                header::CONTENT_ENCODING,
                header::CONTENT_LANGUAGE,
                header::CONTENT_LENGTH,
            ] {
                next.headers.remove(name);
            }
        }
        let has_body = next.body.is_some() || (streamed && !becomes_get);
        if has_body && (is_foreign || streamed) {
            return Err(RequestError::ForeignLink(shown_host(&location)));
        }
        if is_foreign {
            let own_query = mem::take(&mut next.own_query);
            remove_parameters(&mut location, |name| own_query.iter().any(|(own, _)| own == name));
            let mut kept = mem::take(&mut next.carried);
            for name in [
                header::ACCEPT,
                header::ACCEPT_ENCODING,
                header::RANGE,
                header::USER_AGENT,
            ] {
                if let Some(value) = next.headers.remove(&name) {
                    kept.insert(name, value);
                }
            }
            next.headers = kept;
        } else {
            add_missing(&mut location, &next.own_query);
        }
        next.url = location;
        Ok(next)
    }
}

/// Returns an address for an error message: cut short and without its query, which may contain a key.
fn shown_address(mut location: Url) -> String {
    location.set_query(None);
    location.set_fragment(None);
    excerpt(location.as_str(), SHOWN)
}
