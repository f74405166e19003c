//! Sends one attempt of a request, its redirects included.

use std::error::Error;
use std::time::Duration;

use reqwest::{Body, Client, ClientBuilder, Response, redirect};
use thread_local::ThreadLocal;
use tokio::runtime::{Handle, RuntimeFlavor};
use url::Url;

use crate::CallError;
use crate::address::{NoPublicAddress, PublicResolver, check_url};
use crate::error::shown_host;
use crate::redirect::{make_location_absolute, only_reads, redirect_of};
use crate::request::Prepared;

const MAX_REDIRECTS: u32 = 5;

/// Idle connections are closed before most servers do it: a call that is sent just then breaks, and if it writes nobody knows
/// whether it was carried out.
const IDLE: Duration = Duration::from_secs(45);

/// The HTTP clients.
#[derive(Debug)]
pub(crate) struct Transport {
    /// For runtimes with several threads.
    shared: Clients,
    /// For runtimes of one thread, as the API's are, each thread has its own. A connection is served by a task of the runtime that
    /// opened it, so a request over a connection of another thread wakes that thread twice and waits for it.
    of_threads: ThreadLocal<Clients>,
    connect_timeout: Duration,
    allow_private_addresses: bool,
}

/// One client that connects to public addresses alone, and one for what configuration allows.
#[derive(Debug)]
struct Clients {
    guarded: Client,
    open: Client,
}

impl Clients {
    fn new(connect_timeout: Duration) -> reqwest::Result<Self> {
        // No proxy from the environment: it would resolve names itself, and the address policy would be void.
        let builder = || {
            ClientBuilder::new()
                .redirect(redirect::Policy::none())
                .no_proxy()
                .pool_idle_timeout(IDLE)
                .connect_timeout(connect_timeout)
        };
        Ok(Self {
            guarded: builder().dns_resolver(PublicResolver).build()?,
            open: builder().build()?,
        })
    }
}

/// A response whose body is still to come.
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
    pub(crate) fn new(allow_private_addresses: bool, connect_timeout: Duration) -> reqwest::Result<Self> {
        // An error means that somebody installed one before, which serves as well.
        drop(rustls::crypto::ring::default_provider().install_default());
        Ok(Self {
            shared: Clients::new(connect_timeout)?,
            of_threads: ThreadLocal::new(),
            connect_timeout,
            allow_private_addresses,
        })
    }

    /// The clients for the runtime that asks.
    fn clients(&self) -> &Clients {
        let runtime = Handle::try_current().map(|handle| handle.runtime_flavor());
        if runtime.is_ok_and(|flavor| flavor == RuntimeFlavor::CurrentThread) {
            // What was built once can be built again; if not, the shared ones serve as well.
            let own = self.of_threads.get_or_try(|| Clients::new(self.connect_timeout));
            return own.unwrap_or(&self.shared);
        }
        &self.shared
    }

    /// Sends, follows redirects, and returns when the head of the response is there. `stream` is sent in place of the body, once.
    /// `trusted` is an address by the operator's own word, which may be private and plain http.
    pub(crate) async fn begin(
        &self,
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
            let host = shown_host(&hop.url);
            let failed = |error: CallError| error.behind(carried_out, &host);
            let mut request = self
                .client(&hop.url, trusted)
                .map_err(failed)?
                .request(hop.method.clone(), hop.url.clone())
                .headers(hop.headers.clone());
            if let Some(body) = stream.take() {
                request = request.body(body);
            } else if let Some(body) = &hop.body {
                request = request.body(body.clone());
            }
            let sent = request.send().await;
            let mut response = sent.map_err(|error| failed(failure(host.clone(), error)))?;
            let next = match redirect_of(&response, &hop.url) {
                None => None,
                Some(_) if redirects == MAX_REDIRECTS => {
                    Some(Err(CallError::TooManyRedirects { limit: MAX_REDIRECTS }))
                }
                Some(location) => Some(hop.redirected(response.status(), location, streamed)),
            };
            match next {
                Some(Ok(next)) => {
                    carried_out |= only_reads(&next.method) && !only_reads(&hop.method);
                    led = Some(next);
                }
                stopped => {
                    if stopped.is_some() {
                        make_location_absolute(&mut response, &hop.url);
                    }
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

    fn client(&self, url: &Url, trusted: Option<&Url>) -> Result<&Client, CallError> {
        if self.allow_private_addresses || trusted.is_some_and(|trusted| trusted.origin() == url.origin()) {
            return Ok(&self.clients().open);
        }
        check_url(url)?;
        Ok(&self.clients().guarded)
    }
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
