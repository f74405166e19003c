//! Sending one attempt, its redirects included, and reading the answer to its end.
//!
//! Redirects are followed here and not by the HTTP client, so that the address policy sees each hop and a foreign one gets nothing.

use std::error::Error;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header;
use reqwest::{Body, Client, ClientBuilder, Method, Response, StatusCode, redirect};
use url::Url;

use crate::address::{NoPublicAddress, PublicResolver, check_url};
use crate::request::{Prepared, add_missing, remove_named};
use crate::{Answer, CallError};

const MAX_REDIRECTS: u32 = 5;

/// Idle connections are closed before most servers do it: a call that is sent just then breaks, and if it writes nobody knows
/// whether it was carried out.
const IDLE: Duration = Duration::from_secs(45);

/// The HTTP clients.
#[derive(Debug)]
pub(crate) struct Transport {
    /// Decompress what they receive.
    pub(crate) reading: Clients,
    /// Hand on what they receive.
    pub(crate) relaying: Clients,
    allow_private_addresses: bool,
    max_body: usize,
}

/// One that connects to public addresses alone, and one for what configuration allows.
#[derive(Debug)]
pub(crate) struct Clients {
    guarded: Client,
    open: Client,
}

impl Clients {
    fn new(builder: impl Fn() -> ClientBuilder) -> reqwest::Result<Self> {
        Ok(Self {
            guarded: builder().dns_resolver(PublicResolver).build()?,
            open: builder().build()?,
        })
    }
}

/// An answer of which the body is still to come.
pub(crate) struct Begun {
    pub(crate) response: Response,
    /// Who answers.
    pub(crate) host: String,
    /// Whether a redirect made a GET of a write: that is how a server shows the result of what it carried out (RFC 9110, 15.4.4).
    pub(crate) carried_out: bool,
    /// Why a redirect was not followed, if it is one.
    pub(crate) stopped: Option<CallError>,
}

impl Transport {
    pub(crate) fn new(
        allow_private_addresses: bool,
        connect_timeout: Duration,
        max_body: usize,
    ) -> reqwest::Result<Self> {
        // An error means that somebody installed one before, which serves as well.
        drop(rustls::crypto::ring::default_provider().install_default());
        // No proxy from the environment: it would resolve names itself, and the address policy would be void.
        let builder = || {
            ClientBuilder::new()
                .redirect(redirect::Policy::none())
                .no_proxy()
                .pool_idle_timeout(IDLE)
                .connect_timeout(connect_timeout)
        };
        Ok(Self {
            reading: Clients::new(builder)?,
            relaying: Clients::new(|| builder().no_gzip())?,
            allow_private_addresses,
            max_body,
        })
    }

    /// One attempt. `trusted` is an address by the operator's own word, which may be private and plain http.
    pub(crate) async fn send(
        &self,
        prepared: &Prepared,
        trusted: Option<&Url>,
        attempt: u32,
    ) -> Result<Answer, CallError> {
        let begun = self.begin(&self.reading, prepared, None, trusted).await?;
        if let Some(error) = begun.stopped {
            return Err(error);
        }
        let answer = self.read(begun.response, begun.host, attempt).await?;
        Ok(Answer {
            carried_out: begun.carried_out,
            ..answer
        })
    }

    /// Sends, follows redirects, and returns when the head of the answer is there. `stream` is sent in place of the body, once.
    pub(crate) async fn begin(
        &self,
        clients: &Clients,
        prepared: &Prepared,
        mut stream: Option<Body>,
        trusted: Option<&Url>,
    ) -> Result<Begun, CallError> {
        let streamed = stream.is_some();
        let mut redirects = 0;
        let mut led: Option<Prepared> = None;
        let mut carried_out = false;
        loop {
            let hop = led.as_ref().unwrap_or(prepared);
            let host = hop.url.host_str().unwrap_or_default().to_owned();
            let failed = |error: CallError| error.behind(carried_out, &host);
            let mut request = self
                .client(clients, &hop.url, trusted)
                .map_err(failed)?
                .request(hop.method.clone(), hop.url.clone())
                .headers(hop.headers.clone());
            if let Some(body) = stream.take() {
                request = request.body(body);
            } else if let Some(body) = &hop.body {
                request = request.body(body.clone());
            }
            let sent = request.send().await;
            let response = sent.map_err(|error| failed(failure(host.clone(), error)))?;
            let next = match redirect_of(&response, &hop.url) {
                None => None,
                Some(_) if redirects == MAX_REDIRECTS => {
                    Some(Err(CallError::TooManyRedirects { limit: MAX_REDIRECTS }))
                }
                Some(location) => Some(hop.redirected(response.status(), location, streamed)),
            };
            match next {
                Some(Ok(next)) => {
                    carried_out |= next.method == Method::GET && hop.method != Method::GET;
                    led = Some(next);
                }
                stopped => {
                    return Ok(Begun {
                        response,
                        host,
                        carried_out,
                        stopped: stopped.and_then(Result::err),
                    });
                }
            }
            redirects += 1;
        }
    }

    fn client<'a>(
        &self,
        clients: &'a Clients,
        url: &Url,
        trusted: Option<&Url>,
    ) -> Result<&'a Client, CallError> {
        if self.allow_private_addresses || trusted.is_some_and(|trusted| trusted.origin() == url.origin()) {
            return Ok(&clients.open);
        }
        check_url(url)?;
        Ok(&clients.guarded)
    }

    async fn read(&self, mut response: Response, host: String, attempts: u32) -> Result<Answer, CallError> {
        let (status, headers) = (response.status().as_u16(), std::mem::take(response.headers_mut()));
        let too_large = CallError::TooLarge { limit: self.max_body };
        let mut body = BytesMut::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len().saturating_add(chunk.len()) > self.max_body => {
                    return Err(too_large);
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => {
                    return Ok(Answer {
                        status,
                        headers,
                        body: Bytes::from(body),
                        attempts,
                        carried_out: false,
                    });
                }
                Err(error) => return Err(failure(host, error)),
            }
        }
    }
}

impl CallError {
    /// The error of a hop behind a write that was carried out: there, one that says that nothing was done would be wrong.
    fn behind(self, carried_out: bool, host: &str) -> Self {
        if !carried_out {
            return self;
        }
        Self::Broken {
            host: host.to_owned(),
            source: Box::new(self),
        }
    }
}

impl Prepared {
    /// What is sent to where a redirect points. Another origin gets no authorisation, no header that may hold a secret, none of the
    /// provider's parameters and no body; `streamed` tells that the body is gone.
    fn redirected(&self, status: StatusCode, location: Url, streamed: bool) -> Result<Self, CallError> {
        let mut next = self.clone();
        // As browsers do (RFC 9110, 15.4): only 307 and 308 keep a POST.
        let becomes_get = match status {
            StatusCode::SEE_OTHER => self.method != Method::HEAD,
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method == Method::POST,
            _ => false,
        };
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
        let body = next.body.is_some() || (streamed && !becomes_get);
        next.lead(location, body, streamed)?;
        Ok(next)
    }

    fn lead(&mut self, mut location: Url, body: bool, streamed: bool) -> Result<(), CallError> {
        let foreign = location.origin() != self.url.origin();
        if body && (foreign || streamed) {
            return Err(CallError::ForeignLink {
                host: location.host_str().unwrap_or_default().to_owned(),
            });
        }
        if foreign {
            remove_named(&mut location, &self.own_query);
            self.own_query.clear();
            let mut kept = std::mem::take(&mut self.carried);
            for name in [
                header::ACCEPT,
                header::ACCEPT_ENCODING,
                header::RANGE,
                header::USER_AGENT,
            ] {
                if let Some(value) = self.headers.remove(&name) {
                    kept.insert(name, value);
                }
            }
            self.headers = kept;
        } else {
            add_missing(&mut location, &self.own_query);
        }
        self.url = location;
        Ok(())
    }
}

/// Where the answer redirects to, if it does and the place makes sense.
fn redirect_of(response: &Response, from: &Url) -> Option<Url> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(header::LOCATION)?.to_str().ok()?;
    let mut url = from.join(location).ok()?;
    // A name and password in the address would become an authorisation.
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    matches!(url.scheme(), "http" | "https").then_some(url)
}

pub(crate) fn failure(host: String, error: reqwest::Error) -> CallError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(current) = cause {
        if current.is::<NoPublicAddress>() {
            return CallError::AddressRefused { host };
        }
        cause = current.source();
    }
    // The address may hold a key.
    let error = error.without_url();
    if error.is_connect() {
        CallError::Unreachable {
            host,
            source: error.into(),
        }
    } else if error.is_timeout() {
        CallError::TimedOut { host }
    } else {
        CallError::Broken {
            host,
            source: error.into(),
        }
    }
}
