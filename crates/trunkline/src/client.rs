//! The client of the commands over the API: sends requests to a gateway, and explains its errors.

mod catalog;
mod error;
mod feed;
pub(crate) mod resolve;
pub(crate) mod response;
mod run;

use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value as Json;
use url::Url;

use crate::config::{self, Config};
use crate::usage::UsageError;

pub(crate) use catalog::{ConnectForm, ConnectForms, FormField, Function, ModelTable};
pub(crate) use error::ClientError;
pub(crate) use feed::{Event, Feed, Types};
pub(crate) use run::Run;

/// How long opening a connection to the gateway may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the next bytes of a response may take. `connect` takes as long as the provider takes to respond.
const READ_TIMEOUT: Duration = Duration::from_secs(330);

/// A client of one gateway with one API key.
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    key: Option<SecretString>,
}

impl Client {
    /// A client of the configured gateway with the configured key.
    pub(crate) fn new(config: &Config) -> anyhow::Result<Self> {
        let key = config.secret_key.clone().ok_or_else(|| {
            UsageError(format!(
                "{} is not set: commands send it as their API key. The gateway showed a key at its first start; on the machine of \
                 its database, `trunkline api-keys create dev --name NAME` creates another",
                config::named("secret_key")
            ))
        })?;
        Self::with_key(&config.api_url(), key)
    }

    /// A client of the gateway at `url` with `key`.
    pub(crate) fn with_key(url: &str, key: SecretString) -> anyhow::Result<Self> {
        Ok(Self {
            key: Some(key),
            ..Self::without_key(url)?
        })
    }

    /// A client for requests that need no key.
    pub(crate) fn without_key(url: &str) -> anyhow::Result<Self> {
        // Fails if an earlier client has installed it already.
        drop(rustls::crypto::ring::default_provider().install_default());
        let base = config::gateway_url(url).map_err(UsageError)?;
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .no_proxy()
            .build()?;
        Ok(Self {
            http,
            base,
            key: None,
        })
    }

    /// Returns the address of the gateway.
    pub(crate) fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Sends a GET request and returns the JSON of the response.
    pub(crate) async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Json, ClientError> {
        self.json(self.request(Method::GET, path, query)).await
    }

    /// Sends a DELETE request and returns the JSON of the response; null if it has no content.
    pub(crate) async fn delete(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Json, ClientError> {
        self.json(self.request(Method::DELETE, path, query)).await
    }

    /// Sends JSON in a POST request with further headers, and returns the JSON of the response.
    pub(crate) async fn post(
        &self,
        path: &[&str],
        body: &Json,
        headers: &[(&str, &str)],
    ) -> Result<Json, ClientError> {
        let request = headers.iter().fold(
            self.with_body(Method::POST, path, body),
            |request, (name, value)| request.header(*name, *value),
        );
        self.json(request).await
    }

    /// Sends JSON in a PATCH request, and returns the JSON of the response.
    pub(crate) async fn patch(&self, path: &[&str], body: &Json) -> Result<Json, ClientError> {
        self.json(self.with_body(Method::PATCH, path, body)).await
    }

    fn with_body(&self, method: Method, path: &[&str], body: &Json) -> RequestBuilder {
        self.request(method, path, &[])
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_string())
    }

    /// Sends a GET request for a stream in another format.
    pub(crate) async fn stream(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        accept: &str,
    ) -> Result<Response, ClientError> {
        self.send(self.request(Method::GET, path, query).header(ACCEPT, accept))
            .await
    }

    /// Returns one run.
    pub(crate) async fn run(&self, id: &str) -> Result<Run, ClientError> {
        let mut response = self.get(&["sync", "runs", id], &[]).await?;
        Run::from_json(response.get_mut("run").map(Json::take).unwrap_or_default())
    }

    /// Returns the runs that match a query, newest first, after the whole response.
    pub(crate) async fn runs(&self, query: &[(&str, &str)]) -> Result<(Json, Vec<Run>), ClientError> {
        let response = self.get(&["sync", "runs"], query).await?;
        let runs = response::list(&response, "runs").iter().cloned();
        let runs = runs.map(Run::from_json).collect::<Result<_, _>>()?;
        Ok((response, runs))
    }

    fn request(&self, method: Method, path: &[&str], query: &[(&str, &str)]) -> RequestBuilder {
        let mut url = self.base.clone();
        // An http URL always has segments. Ids of connections may contain a slash.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self
            .http
            .request(method, url)
            .header(USER_AGENT, concat!("trunkline-cli/", env!("CARGO_PKG_VERSION")));
        match &self.key {
            Some(key) => request.bearer_auth(key.expose_secret()),
            None => request,
        }
    }

    async fn json(&self, request: RequestBuilder) -> Result<Json, ClientError> {
        let response = self.send(request).await?;
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(Json::Null);
        }
        let body = response
            .bytes()
            .await
            .map_err(|source| self.unreachable(source))?;
        serde_json::from_slice(&body).map_err(ClientError::Unexpected)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let response = request.send().await.map_err(|source| self.unreachable(source))?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(ClientError::refused(response).await)
        }
    }

    fn unreachable(&self, source: reqwest::Error) -> ClientError {
        ClientError::Unreachable {
            url: self.base.to_string(),
            source: source.without_url(),
        }
    }
}
