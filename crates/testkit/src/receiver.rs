//! A receiver of webhooks for tests.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value as Json;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate, matchers};

/// A webhook that arrived.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// The headers, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The raw body.
    pub body: Vec<u8>,
}

impl Webhook {
    /// Returns the value of a header; empty if it is missing.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is not JSON.
    pub fn json(&self) -> Json {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    /// Returns the type of the event.
    pub fn event_type(&self) -> String {
        let body = self.json();
        let named = body.get("type").and_then(Json::as_str);
        named.unwrap_or_default().to_owned()
    }

    /// The id of the event.
    pub fn id(&self) -> String {
        self.header("webhook-id").to_owned()
    }
}

/// Decides the response to a webhook from how many arrived before it.
type Answer = dyn Fn(usize, &Webhook) -> ResponseTemplate + Send + Sync;

/// A server that keeps what it gets. It responds with 204, unless [`Receiver::answering`] made it.
pub struct Receiver {
    server: MockServer,
    got: Arc<Mutex<Vec<Webhook>>>,
}

struct Recorder {
    got: Arc<Mutex<Vec<Webhook>>>,
    answer: Box<Answer>,
}

impl Respond for Recorder {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let headers = request.headers.iter();
        let headers = headers.map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        });
        let webhook = Webhook {
            headers: headers.collect(),
            body: request.body.clone(),
        };
        let mut got = self.got.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = (self.answer)(got.len(), &webhook);
        got.push(webhook);
        answer
    }
}

impl Receiver {
    /// Starts a receiver that accepts everything.
    pub async fn start() -> Self {
        Self::answering(|_, _| ResponseTemplate::new(204)).await
    }

    /// Starts a receiver with other responses.
    pub async fn answering(
        answer: impl Fn(usize, &Webhook) -> ResponseTemplate + Send + Sync + 'static,
    ) -> Self {
        let server = MockServer::start().await;
        let got = Arc::default();
        let recorder = Recorder {
            got: Arc::clone(&got),
            answer: Box::new(answer),
        };
        Mock::given(matchers::any())
            .respond_with(recorder)
            .mount(&server)
            .await;
        Self { server, got }
    }

    /// Returns its URL.
    pub fn url(&self) -> String {
        format!("{}/hook", self.server.uri())
    }

    /// Returns what arrived so far, in order.
    pub fn got(&self) -> Vec<Webhook> {
        self.got.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the types of the events that arrived so far, in order.
    pub fn types(&self) -> Vec<String> {
        self.got().iter().map(Webhook::event_type).collect()
    }
}
