//! A client of the API with one key; its responses are kept, so that a test can search them.

use std::sync::{Arc, Mutex, PoisonError};

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::Value as Json;

/// Sends requests to the API with one key, or with none.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    key: Option<String>,
    seen: Arc<Mutex<String>>,
}

/// A complete response.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub text: String,
}

impl Reply {
    /// The body as JSON.
    ///
    /// # Panics
    /// If it is not JSON.
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {:?}", self.text))
    }

    /// Returns the code of an error.
    pub fn code(&self) -> String {
        self.json()
            .pointer("/error/code")
            .and_then(Json::as_str)
            .unwrap_or_default()
            .to_owned()
    }

    /// Returns the message of an error.
    pub fn message(&self) -> String {
        self.json()
            .pointer("/error/message")
            .and_then(Json::as_str)
            .unwrap_or_default()
            .to_owned()
    }

    /// Returns the fields that an error names, as paths with dots.
    pub fn fields(&self) -> Vec<String> {
        let json = self.json();
        let errors = json
            .pointer("/error/errors")
            .and_then(Json::as_array)
            .cloned()
            .unwrap_or_default();
        let path = |error: &Json| {
            let parts = error
                .get("path")
                .and_then(Json::as_array)
                .cloned()
                .unwrap_or_default();
            parts
                .iter()
                .filter_map(Json::as_str)
                .collect::<Vec<_>>()
                .join(".")
        };
        errors.iter().map(path).collect()
    }

    /// Returns a header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Returns the response if its status is `status`.
    ///
    /// # Panics
    /// If it has another status.
    #[expect(
        clippy::return_self_not_must_use,
        reason = "often a test only checks the status"
    )]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }
}

impl Client {
    pub(crate) fn new(
        http: reqwest::Client,
        base: String,
        key: Option<String>,
        seen: Arc<Mutex<String>>,
    ) -> Self {
        Self {
            http,
            base,
            key,
            seen,
        }
    }

    /// Returns the client's key.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Returns this client with another key.
    #[must_use]
    pub fn with_key(&self, key: Option<String>) -> Self {
        Self { key, ..self.clone() }
    }

    /// Starts a request for [`Client::send`].
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    /// Sends a request.
    ///
    /// # Panics
    /// If there is no response.
    pub async fn send(&self, request: RequestBuilder) -> Reply {
        let response = request.send().await.expect("the API responds");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.expect("the response arrives completely");
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, value) in &headers {
            seen.extend([name.as_str(), ": ", value.to_str().unwrap_or_default(), "\n"]);
        }
        seen.push_str(&text);
        drop(seen);
        Reply {
            status,
            headers,
            text,
        }
    }

    /// Sends a GET.
    pub async fn get(&self, path: &str) -> Reply {
        self.send(self.request(Method::GET, path)).await
    }

    /// Sends a GET with an `Accept` header.
    pub async fn get_as(&self, path: &str, accept: &str) -> Reply {
        self.send(self.request(Method::GET, path).header("Accept", accept))
            .await
    }

    /// Sends a POST with a JSON body.
    pub async fn post(&self, path: &str, body: &Json) -> Reply {
        self.send_json(Method::POST, path, body).await
    }

    /// Sends a PATCH with a JSON body.
    pub async fn patch(&self, path: &str, body: &Json) -> Reply {
        self.send_json(Method::PATCH, path, body).await
    }

    /// Sends a PUT with a JSON body.
    pub async fn put(&self, path: &str, body: &Json) -> Reply {
        self.send_json(Method::PUT, path, body).await
    }

    async fn send_json(&self, method: Method, path: &str, body: &Json) -> Reply {
        let request = self
            .request(method, path)
            .header("Content-Type", "application/json");
        self.send(request.body(body.to_string())).await
    }

    /// Sends a DELETE.
    pub async fn delete(&self, path: &str) -> Reply {
        self.send(self.request(Method::DELETE, path)).await
    }
}
