//! A request to verify.

use std::sync::LazyLock;

use domain::Timestamp;
use registry::{Registry, Webhooks};
use signature::{Candidates, Headers, Message, Refused, Request, StoredSecret, Verified};

pub(crate) static REGISTRY: LazyLock<Registry> = LazyLock::new(|| Registry::builtin().unwrap());

/// Returns the webhooks of a built-in provider.
pub(crate) fn webhooks_of(provider: &str) -> Webhooks {
    REGISTRY.get(provider).unwrap().webhooks.clone().unwrap()
}

/// A request, and what the connection knows.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) webhooks: Webhooks,
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Values by placeholder.
    pub(crate) known: Vec<(String, String)>,
    /// Secrets of subscriptions, each with its `key_id`.
    pub(crate) stored: Vec<(String, Option<String>)>,
    pub(crate) own_address: bool,
    pub(crate) now: Timestamp,
}

impl Sent {
    pub(crate) fn to(provider: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            webhooks: webhooks_of(provider),
            method: "POST".to_owned(),
            url: "https://hooks.example.com/webhook/c_1".to_owned(),
            headers: Vec::new(),
            body: body.into(),
            known: Vec::new(),
            stored: Vec::new(),
            own_address: true,
            now: seconds(1_700_000_000),
        }
    }

    pub(crate) fn method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    pub(crate) fn url(mut self, url: &str) -> Self {
        url.clone_into(&mut self.url);
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn form(self) -> Self {
        self.header("content-type", "application/x-www-form-urlencoded; charset=UTF-8")
    }

    /// The connection has this secret in its configuration.
    pub(crate) fn secret(mut self, secret: &str) -> Self {
        let placeholder = "connectionConfig.webhookSecret".to_owned();
        self.known.push((placeholder, secret.to_owned()));
        self
    }

    pub(crate) fn password(mut self, password: &str) -> Self {
        self.known.push(("password".to_owned(), password.to_owned()));
        self
    }

    /// A subscription of the connection has this secret.
    pub(crate) fn stored(mut self, secret: &str, key_id: Option<&str>) -> Self {
        self.stored.push((secret.to_owned(), key_id.map(str::to_owned)));
        self
    }

    pub(crate) fn at(mut self, now: Timestamp) -> Self {
        self.now = now;
        self
    }

    pub(crate) fn verify(&self) -> Result<Verified, Refused> {
        let headers = self.headers.iter();
        let headers = Headers::new(headers.map(|(name, value)| (name.as_str(), value.as_bytes())));
        let message = Message::new(Request {
            method: &self.method,
            url: &self.url,
            headers: &headers,
            body: &self.body,
        });
        let lookup = |name: &str| {
            let mut known = self.known.iter();
            known
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.clone())
        };
        let stored = self.stored.iter().map(|(secret, key_id)| StoredSecret {
            secret: secret.as_str().into(),
            key_id: key_id.clone(),
            in_use: true,
        });
        let stored: Vec<StoredSecret> = stored.collect();
        let candidates = Candidates::collect(&self.webhooks, &lookup, &stored);
        signature::verify(&self.webhooks, &message, &candidates, self.own_address, self.now)
    }

    #[track_caller]
    pub(crate) fn accepted(&self) -> Verified {
        self.verify()
            .unwrap_or_else(|refused| panic!("{refused}: {self:#?}"))
    }

    #[track_caller]
    pub(crate) fn refused(&self, reason: Refused) {
        assert_eq!(self.verify(), Err(reason), "{self:#?}");
    }
}

pub(crate) fn seconds(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}
