//! Requests to servers of this machine.

mod actions;
mod addresses;
mod attempts;
mod bodies;
mod paging;
mod proxying;
mod redirects;
mod regions;
mod requests;
mod responses;
mod stalled;
mod verification;

use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, ConnectionId, Timestamp};
use indexmap::IndexMap;
use parking_lot::Mutex;
use registry::{
    AuthMode, ErrorRules, Limits, Provider, ProviderLimits, RetryRules, Template, Translations, Verification,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::{
    Backoff, FailedRequest, HeaderMap, HeaderName, HeaderValue, Method, Priority, ProxyRequest,
    ProxyResponse, Request, RequestError, Response, Target, Upstream, UpstreamOptions, Variables,
    VerifyError,
};

pub(crate) const PASSWORD: &str = "s3cr3t-password";

pub(crate) fn template(text: &str) -> Template {
    Template::parse(text).unwrap()
}

pub(crate) fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

pub(crate) fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
}

pub(crate) fn templates(pairs: &[(&str, &str)]) -> Vec<(String, Template)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), template(value)))
        .collect()
}

pub(crate) fn words(path: &str) -> Vec<String> {
    path.split('.').map(str::to_owned).collect()
}

/// A provider with Basic authorization at `base_url`.
pub(crate) fn provider(base_url: &str) -> Provider {
    Provider {
        name: "acme".parse().unwrap(),
        display_name: "Acme".to_owned(),
        categories: Vec::new(),
        docs: None,
        notice: None,
        translations: Translations::new(),
        auth: AuthMode::Basic,
        credentials: IndexMap::new(),
        connection_config: IndexMap::new(),
        integration_config: IndexMap::new(),
        connect: Vec::new(),
        base_url: template(base_url),
        servers: IndexMap::new(),
        headers: Vec::new(),
        query: Vec::new(),
        body: Vec::new(),
        verification: None,
        retry: RetryRules::default(),
        paginate: None,
        limits: Limits {
            concurrency: 4,
            per_second: None,
            provider: ProviderLimits::default(),
        },
        errors: ErrorRules {
            code: words("code"),
            message: words("message"),
            unauthorized: vec![401],
            unauthorized_codes: vec!["20005".to_owned()],
            hints: IndexMap::from([("20003".to_owned(), "The secret is wrong.".to_owned())]),
            in_body: None,
        },
        syncs: IndexMap::new(),
        actions: IndexMap::new(),
        webhooks: None,
        document: serde_json::Value::Null,
    }
}

/// A verification that requests these endpoints.
pub(crate) fn verification(endpoints: &[&str]) -> Verification {
    Verification {
        method: registry::Method::Get,
        endpoints: endpoints.iter().map(|path| template(path)).collect(),
        headers: Vec::new(),
        data: None,
        base_url: None,
        checks: Vec::new(),
    }
}

pub(crate) fn target(provider: Provider) -> Target {
    let credentials = [("username", "user-1"), ("password", PASSWORD)];
    let variables = Variables {
        credentials: credentials
            .map(|(name, value)| (name.to_owned(), value.into()))
            .into(),
        secret_config: [].into(),
        connection_config: [("accountId".to_owned(), "a/1".to_owned())].into(),
        integration_config: [].into(),
        metadata: serde_json::Map::new(),
        ..Variables::default()
    };
    Target {
        provider: Arc::new(provider),
        connection: Some(ConnectionId::from_raw(1)),
        variables: Arc::new(variables),
        priority: Priority::Interactive,
    }
}

/// Options that lose no time.
pub(crate) fn options() -> UpstreamOptions {
    UpstreamOptions {
        allow_private_addresses: true,
        backoff: Backoff {
            first: Duration::from_millis(1),
            longest: Duration::from_millis(4),
        },
        request_timeout: Duration::from_secs(5),
        deadline: Duration::from_secs(20),
        ..UpstreamOptions::default()
    }
}

/// Options with this maximum number of attempts.
pub(crate) fn max_attempts(max_attempts: u32) -> UpstreamOptions {
    UpstreamOptions {
        max_attempts,
        ..options()
    }
}

pub(crate) fn upstream(options: UpstreamOptions) -> Upstream {
    Upstream::new(options, Clock::manual(Timestamp::from_micros(0))).unwrap()
}

/// A response of this status, without a body.
pub(crate) fn status(code: u16) -> ResponseTemplate {
    ResponseTemplate::new(code)
}

pub(crate) fn redirect(code: u16, location: &str) -> ResponseTemplate {
    status(code).insert_header("location", location)
}

pub(crate) fn post(path: &str) -> Request {
    Request::new(Method::POST, path)
}

/// A provider on this machine, a client, and a target for the client's requests.
pub(crate) struct Fixture {
    pub(crate) server: MockServer,
    pub(crate) upstream: Upstream,
    pub(crate) target: Target,
}

impl Fixture {
    /// Starts a provider that responds with 404 until a test mounts other responses.
    pub(crate) async fn start() -> Self {
        Self::with_options(options()).await
    }

    pub(crate) async fn with_options(options: UpstreamOptions) -> Self {
        let server = MockServer::start().await;
        Self {
            upstream: upstream(options),
            target: target(provider(&server.uri())),
            server,
        }
    }

    /// A provider whose file names a server that the test has, or none.
    pub(crate) async fn at(base_url: &str, options: UpstreamOptions) -> Self {
        let mut fixture = Self::with_options(options).await;
        fixture.provider().base_url = template(base_url);
        fixture
    }

    /// Starts a provider that responds so to `GET /x`.
    pub(crate) async fn responding(response: ResponseTemplate) -> Self {
        let fixture = Self::start().await;
        fixture.respond("GET /x", response).await;
        fixture
    }

    /// The provider's file, for changes before the first request.
    pub(crate) fn provider(&mut self) -> &mut Provider {
        Arc::make_mut(&mut self.target.provider)
    }

    /// The values of the connection, for changes before the first request.
    pub(crate) fn variables(&mut self) -> &mut Variables {
        Arc::make_mut(&mut self.target.variables)
    }

    /// Responds so to `request`, such as `GET /x`. Of several responses to the same request the first counts.
    pub(crate) async fn respond(&self, request: &str, response: ResponseTemplate) {
        self.respond_times(u64::MAX, request, response).await;
    }

    /// Like [`Self::respond`], to the next `times` requests only.
    pub(crate) async fn respond_times(&self, times: u64, request: &str, response: ResponseTemplate) {
        let (verb, at) = request.split_once(' ').unwrap();
        Mock::given(method(verb))
            .and(path(at))
            .respond_with(response)
            .up_to_n_times(times)
            .mount(&self.server)
            .await;
    }

    /// Sends `GET /x`.
    pub(crate) async fn get(&self) -> Result<Response, RequestError> {
        self.fetch(Request::get("/x")).await
    }

    pub(crate) async fn fetch(&self, request: Request) -> Result<Response, RequestError> {
        self.upstream.fetch(&self.target, request).await
    }

    /// Sends a request of an action that expects no output, and returns why it failed.
    pub(crate) async fn failed_action(&self, request: Request) -> FailedRequest {
        let sent = self.upstream.send_action(&self.target, request, false).await;
        sent.unwrap_err()
    }

    pub(crate) async fn proxy(&self, request: ProxyRequest) -> Result<ProxyResponse, RequestError> {
        self.upstream.proxy(&self.target, request).await
    }

    pub(crate) async fn verify(&self) -> Result<(), VerifyError> {
        self.upstream.verify(&self.target).await
    }

    /// The requests that the provider has received, the oldest first.
    pub(crate) async fn requests(&self) -> Vec<wiremock::Request> {
        self.server.received_requests().await.unwrap()
    }

    pub(crate) async fn last_request(&self) -> wiremock::Request {
        self.requests().await.pop().unwrap()
    }
}

/// Returns the value of a received request's header.
pub(crate) fn header<'a>(request: &'a wiremock::Request, name: &str) -> Option<&'a str> {
    request.headers.get(name).map(|value| value.to_str().unwrap())
}

/// Reads the body of a proxied response to its end.
pub(crate) async fn read(response: &mut ProxyResponse) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(part) = response.body.part().await.unwrap() {
        body.extend_from_slice(&part);
    }
    body
}

/// The address of a server that responds to each connection with the next of `responses`, or with nothing after the last, and closes it;
/// and the requests that it has received.
pub(crate) async fn raw_server(responses: &'static [&'static str]) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let received = Arc::<Mutex<Vec<String>>>::default();
    let requests = Arc::clone(&received);
    tokio::spawn(async move {
        'accept: while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
                if !matches!(stream.read_buf(&mut request).await, Ok(1..)) {
                    // The client closed the connection without a request.
                    continue 'accept;
                }
            }
            let response = responses.get(requests.lock().len());
            let request = String::from_utf8_lossy(&request).into_owned();
            requests.lock().push(request);
            let response = response.copied().unwrap_or_default();
            stream.write_all(response.as_bytes()).await.unwrap();
        }
    });
    (address, received)
}
