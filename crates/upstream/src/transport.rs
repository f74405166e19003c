//! Sending one attempt, its redirects included, and reading the answer to its end.
//!
//! Redirects are followed here and not by the HTTP client, so that the address policy sees each hop and a foreign one gets nothing.

use std::error::Error;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{self, HeaderMap};
use reqwest::{Client, ClientBuilder, Method, Response, StatusCode, redirect};
use url::Url;

use crate::address::{NoPublicAddress, PublicResolver, check_url};
use crate::request::{Prepared, add_missing, remove_named};
use crate::{Answer, CallError};

const MAX_REDIRECTS: u32 = 5;

/// The two HTTP clients: one that connects to public addresses alone, and one for what configuration allows.
#[derive(Debug)]
pub(crate) struct Transport {
    guarded: Client,
    open: Client,
    allow_private_addresses: bool,
    max_body: usize,
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
                .connect_timeout(connect_timeout)
        };
        Ok(Self {
            guarded: builder().dns_resolver(PublicResolver).build()?,
            open: builder().build()?,
            allow_private_addresses,
            max_body,
        })
    }

    /// One attempt. `trusted` is an address by the operator's own word, which may be private and plain http.
    pub(crate) async fn send(
        &self,
        mut hop: Prepared,
        trusted: Option<&Url>,
        attempt: u32,
    ) -> Result<Answer, CallError> {
        for _ in 0..=MAX_REDIRECTS {
            let host = hop.url.host_str().unwrap_or_default().to_owned();
            let mut request = self
                .client(&hop.url, trusted)?
                .request(hop.method.clone(), hop.url.clone());
            request = request.headers(hop.headers.clone());
            if let Some(body) = &hop.body {
                request = request.body(body.clone());
            }
            let response = request
                .send()
                .await
                .map_err(|error| failure(host.clone(), error))?;
            match redirect_of(&response, &hop.url) {
                Some(location) => hop = hop.redirected(response.status(), location)?,
                None => return self.read(response, host, attempt).await,
            }
        }
        Err(CallError::TooManyRedirects { limit: MAX_REDIRECTS })
    }

    fn client(&self, url: &Url, trusted: Option<&Url>) -> Result<&Client, CallError> {
        if self.allow_private_addresses || trusted.is_some_and(|trusted| trusted.origin() == url.origin()) {
            return Ok(&self.open);
        }
        check_url(url)?;
        Ok(&self.guarded)
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
                    });
                }
                Err(error) => return Err(failure(host, error)),
            }
        }
    }
}

impl Prepared {
    /// What is sent to where a redirect points. Another origin gets no authorisation, no header that may hold a secret, none of the
    /// provider's parameters and no body.
    fn redirected(mut self, status: StatusCode, mut location: Url) -> Result<Self, CallError> {
        // As browsers do (RFC 9110, 15.4): only 307 and 308 keep a POST.
        let becomes_get = match status {
            StatusCode::SEE_OTHER => self.method != Method::HEAD,
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method == Method::POST,
            _ => false,
        };
        if becomes_get {
            self.method = Method::GET;
            self.body = None;
            for name in [
                header::CONTENT_TYPE,
                header::CONTENT_ENCODING,
                header::CONTENT_LANGUAGE,
            ] {
                self.headers.remove(name);
            }
        }
        if location.origin() == self.url.origin() {
            add_missing(&mut location, &self.own_query);
        } else {
            if self.body.is_some() {
                return Err(CallError::ForeignLink {
                    host: location.host_str().unwrap_or_default().to_owned(),
                });
            }
            remove_named(&mut location, &self.own_query);
            self.own_query.clear();
            let mut kept = HeaderMap::new();
            for name in [header::ACCEPT, header::RANGE, header::USER_AGENT] {
                if let Some(value) = self.headers.remove(&name) {
                    kept.insert(name, value);
                }
            }
            self.headers = kept;
        }
        self.url = location;
        Ok(self)
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

fn failure(host: String, error: reqwest::Error) -> CallError {
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
