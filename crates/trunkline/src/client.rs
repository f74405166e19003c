//! The client behind the commands for people: requests to a gateway's API, and its errors in words.

pub(crate) mod answer;
mod catalog;
mod error;
pub(crate) mod resolve;
mod run;

use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use reqwest::{Method, RequestBuilder, Response};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value as Json;
use url::Url;

use crate::config::{self, Config, ConfigError};

pub(crate) use catalog::{ConnectForm, ConnectForms, FormField, Function, ModelTable};
pub(crate) use error::ClientError;
pub(crate) use run::{Run, RunError, RunStatus};

/// For a connection to the gateway to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For the next bytes of an answer. Connecting may take as long as the provider takes to answer.
const READ_TIMEOUT: Duration = Duration::from_secs(330);

/// Asks one gateway, as the holder of one key.
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    key: Option<SecretString>,
}

impl Client {
    /// Asks the configured gateway with the configured key.
    pub(crate) fn new(config: &Config) -> anyhow::Result<Self> {
        let key = config.secret_key.clone().ok_or(ConfigError::Missing {
            key: "secret_key",
            advice: "commands send it as their API key. The gateway showed one at its first start; beside its database, \
                     `trunkline api-keys create dev --name NAME` makes another",
        })?;
        Self::with_key(&config.api_url(), key)
    }

    /// Asks the gateway at `url` with `key`.
    pub(crate) fn with_key(url: &str, key: SecretString) -> anyhow::Result<Self> {
        Ok(Self {
            key: Some(key),
            ..Self::without_key(url)?
        })
    }

    /// Asks only what needs no key.
    pub(crate) fn without_key(url: &str) -> anyhow::Result<Self> {
        // A client before this one may have done it; either way there is one now.
        drop(rustls::crypto::ring::default_provider().install_default());
        let base = config::gateway_url(url).map_err(ConfigError::Refused)?;
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

    /// The address that is asked.
    pub(crate) fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// GET as JSON.
    pub(crate) async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Json, ClientError> {
        self.json(self.request(Method::GET, path, query)?).await
    }

    /// DELETE.
    pub(crate) async fn delete(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Json, ClientError> {
        self.json(self.request(Method::DELETE, path, query)?).await
    }

    /// POST of JSON.
    pub(crate) async fn post(&self, path: &[&str], body: &Json) -> Result<Json, ClientError> {
        self.post_with(path, body, &[]).await
    }

    /// POST of JSON with further headers.
    pub(crate) async fn post_with(
        &self,
        path: &[&str],
        body: &Json,
        headers: &[(&str, &str)],
    ) -> Result<Json, ClientError> {
        let request = self
            .request(Method::POST, path, &[])?
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_string());
        let request = headers
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, *value));
        self.json(request).await
    }

    /// GET of a stream in another format.
    pub(crate) async fn stream(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        accept: &str,
    ) -> Result<Response, ClientError> {
        self.send(self.request(Method::GET, path, query)?.header(ACCEPT, accept))
            .await
    }

    /// One run.
    pub(crate) async fn run(&self, id: &str) -> Result<Run, ClientError> {
        let answer = self.get(&["sync", "runs", id], &[]).await?;
        Run::from_json(answer.get("run").cloned().unwrap_or_default())
    }

    fn request(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<RequestBuilder, ClientError> {
        let mut url = self.base.clone();
        // Names of connections may hold a slash.
        url.path_segments_mut()
            .map_err(|()| ClientError::Address)?
            .pop_if_empty()
            .extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self
            .http
            .request(method, url)
            .header(USER_AGENT, concat!("trunkline-cli/", env!("CARGO_PKG_VERSION")));
        Ok(match &self.key {
            Some(key) => request.bearer_auth(key.expose_secret()),
            None => request,
        })
    }

    async fn json(&self, request: RequestBuilder) -> Result<Json, ClientError> {
        let body = self
            .send(request)
            .await?
            .bytes()
            .await
            .map_err(|source| self.unreachable(source))?;
        serde_json::from_slice(&body).map_err(ClientError::Answer)
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
