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
use registry::{AuthMode, ErrorRules, Limits, Provider, ProviderLimits, RetryRules, Template};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, Respond};

use crate::{
    Backoff, Priority, Request, RequestError, Response, Target, Upstream, UpstreamOptions, Variables,
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

pub(crate) fn templates(pairs: &[(&str, &str)]) -> Vec<(String, Template)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), template(value)))
        .collect()
}

pub(crate) fn words(path: &str) -> Vec<String> {
    path.split('.').map(str::to_owned).collect()
}

/// A provider with Basic authorisation at `base_url`.
pub(crate) fn provider(base_url: &str) -> Provider {
    Provider {
        name: "acme".parse().unwrap(),
        display_name: "Acme".to_owned(),
        categories: Vec::new(),
        docs: None,
        notice: None,
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
        document: serde_json::Value::Null,
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
        variant: None,
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

pub(crate) fn upstream(options: UpstreamOptions) -> Upstream {
    Upstream::new(options, Clock::manual(Timestamp::from_micros(0))).unwrap()
}

/// Mounts an answer to `method` and `path` that is given `times` at most, before those mounted later.
pub(crate) async fn answers(
    server: &MockServer,
    verb: &str,
    at: &str,
    times: u64,
    response: impl Respond + 'static,
) {
    Mock::given(method(verb))
        .and(path(at))
        .respond_with(response)
        .up_to_n_times(times)
        .mount(server)
        .await;
}

/// Responds to `GET /x`, before responses mounted later.
pub(crate) async fn respond(server: &MockServer, response: impl Respond + 'static) {
    answers(server, "GET", "/x", 9, response).await;
}

/// A server that responds so to `GET /x`.
pub(crate) async fn responding(response: impl Respond + 'static) -> MockServer {
    let server = MockServer::start().await;
    respond(&server, response).await;
    server
}

/// Sends `GET /x`.
pub(crate) async fn fetch(upstream: &Upstream, server: &MockServer) -> Result<Response, RequestError> {
    let target = target(provider(&server.uri()));
    upstream.fetch(&target, Request::get("/x")).await
}

/// How many calls the server has had.
pub(crate) async fn calls(server: &MockServer) -> usize {
    server.received_requests().await.unwrap().len()
}
