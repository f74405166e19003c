//! Sends one attempt of a request and follows its redirects.

mod connect;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use http::StatusCode;
use http_body_util::{Either, Full, StreamBody};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use thread_local::ThreadLocal;
use tokio::runtime::{Handle, RuntimeFlavor};
use url::Url;

use crate::RequestError;
use crate::address::{NoPublicAddress, Resolver, check_url};
use crate::error::shown_host;
use crate::prepare::PreparedRequest;
use crate::redirect::{make_location_absolute, only_reads, redirect_of};
use crate::upload::UploadParts;
use connect::{Connector, tls_config};

/// A response whose body is not read yet.
pub(crate) type RawResponse = http::Response<Incoming>;

/// The body of a request: whole, or the parts that the client is still sending. If the client gave their length, the headers hold it.
type RequestBody = Either<Full<Bytes>, StreamBody<UploadParts>>;

type Client = legacy::Client<Connector, RequestBody>;

const MAX_REDIRECTS: u32 = 5;

/// How often a request is sent again that an HTTP/2 server says it did not process.
const MAX_REFUSALS: u32 = 2;

/// Idle connections are closed before most servers close them. A request that is sent just then fails, and for a write it is unknown
/// whether it was carried out.
const IDLE: Duration = Duration::from_secs(45);

/// The HTTP clients.
#[derive(Debug)]
pub(crate) struct Transport {
    /// For runtimes with several threads.
    shared: Clients,
    /// For runtimes of one thread, as the API's are: each thread has its own. A connection is served by a task of the runtime that
    /// opened it, so a request over a connection of another thread wakes that thread twice and waits for it.
    per_thread: ThreadLocal<Clients>,
    tls: Arc<ClientConfig>,
    connect_timeout: Duration,
    allow_private_addresses: bool,
}

/// A client that connects to public addresses only, and one that connects to any.
#[derive(Debug)]
struct Clients {
    public_only: Client,
    any: Client,
}

impl Clients {
    fn new(tls: &Arc<ClientConfig>, connect_timeout: Duration) -> Self {
        // No proxy from the environment: it would resolve names itself, past the address policy.
        let client = |resolver| {
            legacy::Client::builder(TokioExecutor::new())
                .timer(TokioTimer::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(IDLE)
                .build(Connector::new(Arc::clone(tls), resolver, connect_timeout))
        };
        Self {
            public_only: client(Resolver::Public),
            any: client(Resolver::Any),
        }
    }
}

/// A response whose body is not read yet, after redirects.
pub(crate) struct PendingResponse {
    pub(crate) response: RawResponse,
    /// The host that sent it.
    pub(crate) host: String,
    /// Whether a redirect turned a write into a GET: the server carried out the write and shows its result (RFC 9110, 15.4.4).
    pub(crate) carried_out: bool,
    /// Why a redirect was not followed, if it is one.
    pub(crate) stopped: Option<RequestError>,
}

impl Transport {
    pub(crate) fn new(
        allow_private_addresses: bool,
        connect_timeout: Duration,
    ) -> Result<Self, rustls::Error> {
        let tls = tls_config()?;
        Ok(Self {
            shared: Clients::new(&tls, connect_timeout),
            per_thread: ThreadLocal::new(),
            tls,
            connect_timeout,
            allow_private_addresses,
        })
    }

    /// Returns the clients for the current runtime.
    fn clients(&self) -> &Clients {
        let runtime = Handle::try_current().map(|handle| handle.runtime_flavor());
        if runtime.is_ok_and(|flavor| flavor == RuntimeFlavor::CurrentThread) {
            return self
                .per_thread
                .get_or(|| Clients::new(&self.tls, self.connect_timeout));
        }
        &self.shared
    }

    /// Sends a request, follows redirects, and returns when the response's headers are there. `stream` is sent instead of the body, once.
    /// `operator_base_url` is an address that the operator set, which may be private and plain http.
    pub(crate) async fn begin(
        &self,
        prepared: &PreparedRequest,
        mut stream: Option<UploadParts>,
        operator_base_url: Option<&Url>,
    ) -> Result<PendingResponse, RequestError> {
        let streamed = stream.is_some();
        let mut redirects = 0;
        let mut redirected: Option<PreparedRequest> = None;
        let mut carried_out = false;
        loop {
            let hop = redirected.as_ref().unwrap_or(prepared);
            let host = shown_host(&hop.url);
            let failed = |error: RequestError| error.after_redirect(carried_out, &host);
            let client = self.client(&hop.url, operator_base_url).map_err(failed)?;
            let sent = send(client, hop, stream.take(), &host).await;
            let mut response = sent.map_err(failed)?;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                // What follows is not HTTP.
                let problem = "it switched to another protocol without having been asked to";
                return Err(RequestError::Broken(host, problem.into()));
            }
            let next = match redirect_of(response.status(), response.headers(), &hop.url) {
                None => None,
                Some(_) if redirects == MAX_REDIRECTS => {
                    Some(Err(RequestError::TooManyRedirects(MAX_REDIRECTS)))
                }
                Some(location) => Some(hop.redirected(response.status(), location, streamed)),
            };
            match next {
                Some(Ok(next)) => {
                    carried_out |= only_reads(&next.method) && !only_reads(&hop.method);
                    redirected = Some(next);
                }
                stopped => {
                    if stopped.is_some() {
                        make_location_absolute(response.headers_mut(), &hop.url);
                    }
                    return Ok(PendingResponse {
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

    /// Sends a request once, without following a redirect.
    pub(crate) async fn send_once(
        &self,
        prepared: &PreparedRequest,
        allow_private_addresses: bool,
    ) -> Result<RawResponse, RequestError> {
        let client = if allow_private_addresses {
            &self.clients().any
        } else {
            check_url(&prepared.url)?;
            &self.clients().public_only
        };
        send(client, prepared, None, &shown_host(&prepared.url)).await
    }

    fn client(&self, url: &Url, operator_base_url: Option<&Url>) -> Result<&Client, RequestError> {
        if self.allow_private_addresses || operator_base_url.is_some_and(|base| base.origin() == url.origin())
        {
            return Ok(&self.clients().any);
        }
        check_url(url)?;
        Ok(&self.clients().public_only)
    }
}

/// Sends a request to one server; `stream` is sent instead of its body.
async fn send(
    client: &Client,
    prepared: &PreparedRequest,
    stream: Option<UploadParts>,
    host: &str,
) -> Result<RawResponse, RequestError> {
    let failed = |error| convert_error(host.to_owned(), error);
    if let Some(parts) = stream {
        let request = prepared.to_request(Either::Right(StreamBody::new(parts)))?;
        return client.request(request).await.map_err(failed);
    }
    let mut refusals = 0;
    loop {
        let body = Full::new(prepared.body.clone().unwrap_or_default());
        let request = prepared.to_request(Either::Left(body))?;
        match client.request(request).await {
            Err(error) if refusals < MAX_REFUSALS && was_not_processed(&error) => refusals += 1,
            sent => return sent.map_err(failed),
        }
    }
}

/// Whether an HTTP/2 server says that it did not process the request: it is about to close the connection, or has too many requests
/// (RFC 9113, 6.8 and 8.7).
fn was_not_processed(error: &legacy::Error) -> bool {
    let cause = error.source().and_then(Error::source);
    let cause = cause.and_then(|cause| cause.downcast_ref::<h2::Error>());
    cause.is_some_and(|cause| {
        let refused = cause.is_reset() && cause.reason() == Some(Reason::REFUSED_STREAM);
        let closing = cause.is_go_away() && cause.reason() == Some(Reason::NO_ERROR);
        cause.is_remote() && (refused || closing)
    })
}

/// Converts an error of the HTTP client.
fn convert_error(host: String, error: legacy::Error) -> RequestError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(current) = cause {
        if current.is::<NoPublicAddress>() {
            return RequestError::AddressRefused(host);
        }
        cause = current.source();
    }
    let connecting = error.is_connect();
    let source = error.into();
    if connecting {
        RequestError::Unreachable(host, source)
    } else {
        RequestError::Broken(host, source)
    }
}
