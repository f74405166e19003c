//! One webhook before it is signed and sent.

use serde::{Deserialize, Serialize};

/// What a webhook reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookKind {
    /// The new status of a message, to its `StatusCallback`.
    MessageStatus,
    /// The progress of a call, to its `StatusCallback`.
    CallStatus,
    /// An inbound message, to the number's `SmsUrl` or the service's `InboundRequestUrl`.
    InboundMessage,
    /// Events of Event Streams, to a sink.
    Event,
    /// An event of Conversations, to the service's `PostWebhookUrl`.
    Conversation,
    /// A test of a Setting of the webhooks configuration API.
    Test,
    /// A webhook of a test's own making.
    Custom,
}

/// The HTTP method of a webhook.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum WebhookMethod {
    /// Parameters are a form in the body.
    #[default]
    Post,
    /// Parameters are added to the query.
    Get,
}

impl WebhookMethod {
    /// Returns the name in HTTP.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Get => "GET",
        }
    }

    /// Returns the method of a setting; POST unless it is GET.
    pub(crate) fn of_setting(text: &str) -> Self {
        if text.eq_ignore_ascii_case("GET") {
            Self::Get
        } else {
            Self::Post
        }
    }
}

/// What a webhook carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Payload {
    Form(Vec<(String, String)>),
    Json(Vec<u8>),
}

/// A webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Callback {
    pub(crate) kind: WebhookKind,
    /// The account whose auth token signs it.
    pub(crate) account: String,
    /// The SID of the resource that it reports, or the id of an event.
    pub(crate) subject: String,
    /// The status or event type.
    pub(crate) state: String,
    /// As configured, with user info and fragment.
    pub(crate) url: String,
    pub(crate) method: WebhookMethod,
    pub(crate) payload: Payload,
    /// Where to send it if `url` fails.
    pub(crate) fallback: Option<(String, WebhookMethod)>,
    /// Webhooks of one subject are sent one after the other.
    pub(crate) ordered: bool,
    /// The Setting that a test names, in place of the one of a rule.
    pub(crate) setting: Option<String>,
}

impl Callback {
    /// Returns a form that reports `state` of `subject`.
    pub(crate) fn form(
        kind: WebhookKind,
        account: &str,
        subject: &str,
        state: &str,
        url: &str,
        parameters: Vec<(String, String)>,
    ) -> Self {
        Self {
            kind,
            account: account.to_owned(),
            subject: subject.to_owned(),
            state: state.to_owned(),
            url: url.to_owned(),
            method: WebhookMethod::Post,
            payload: Payload::Form(parameters),
            fallback: None,
            ordered: true,
            setting: None,
        }
    }

    /// Returns the fallback after a failure: the same parameters with the reason, to the other URL.
    pub(crate) fn fallback(&self) -> Option<Self> {
        let (url, method) = self.fallback.clone()?;
        let Payload::Form(mut parameters) = self.payload.clone() else {
            return None;
        };
        parameters.push(("ErrorCode".to_owned(), "11200".to_owned()));
        parameters.push(("ErrorUrl".to_owned(), self.url.clone()));
        Some(Self {
            url,
            method,
            payload: Payload::Form(parameters),
            fallback: None,
            ..self.clone()
        })
    }
}

/// Collects the parameters of a form.
#[derive(Debug, Default)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    pub(crate) fn add(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a parameter that has a value.
    pub(crate) fn add_some(self, name: &str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.add(name, value),
            None => self,
        }
    }

    pub(crate) fn parameters(self) -> Vec<(String, String)> {
        self.0
    }
}
