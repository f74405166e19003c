//! What an app sets of a webhook endpoint, and its rules.

use std::collections::BTreeMap;

use domain::{EndpointSettings, EventType, IntegrationKey, WebhookFormat, matches_type};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use signature::standard::SigningKey;
use url::Url;
use utoipa::ToSchema;

use crate::error::FieldError;
use crate::gateway::Gateway;

/// How long a receiver may take, in seconds, unless the endpoint says otherwise.
pub const DEFAULT_TIMEOUT_SECONDS: i64 = 20;
/// How many deliveries an endpoint gets at a time, unless it says otherwise.
pub const DEFAULT_CONCURRENCY: i64 = 20;

/// The longest URL, in bytes.
const MAX_URL: usize = 2_048;
/// The longest description, in characters.
const MAX_DESCRIPTION: usize = 500;
/// The most patterns of event types, integrations, tags and headers.
const MAX_ENTRIES: usize = 50;
/// The longest value of a header, in bytes.
const MAX_HEADER: usize = 4_096;
/// The most attempts of a delivery.
const MAX_ATTEMPTS: usize = 25;
/// The longest wait before an attempt: 7 days, in seconds.
const MAX_WAIT: u32 = 7 * 86_400;
/// The longest time that a receiver may take, in seconds.
const MAX_TIMEOUT: i64 = 60;
/// The most deliveries in a second, and at a time.
const MAX_RATE: i64 = 10_000;
const MAX_CONCURRENCY: i64 = 200;

/// A webhook endpoint, or a change of one: a field that is left out stays as it is, and null sets it to its default.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookEndpointBody)]
pub struct EndpointBody {
    /// Where events are sent: an https URL without a password.
    #[schema(example = "https://app.acme.example/hooks/trunkline")]
    pub(super) url: Option<String>,
    /// What it is for.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    description: Change<String>,
    /// The types of events to send: types, groups such as `sync.*`, or `*` for all, which is the default.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, example = json!(["sync.*", "connection.error"]))]
    events: Change<Vec<String>>,
    /// `standard` (the default): `{type, timestamp, data}`. `nango`: the bodies of Nango's webhooks, for the types that Nango has.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^(standard|nango)$", example = "standard")]
    format: Change<String>,
    /// Only events of connections of these integrations.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, example = json!(["acme"]))]
    integrations: Change<Vec<String>>,
    /// Only events of connections with all of these tags.
    #[serde(default)]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    tags: Change<BTreeMap<String, String>>,
    /// Whether to send the ends of runs that changed nothing; false unless set.
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    unchanged_runs: Change<bool>,
    /// Your own headers, such as `Authorization`. The values are stored encrypted and never shown.
    #[serde(default)]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    pub(super) headers: Change<BTreeMap<String, String>>,
    /// Whether events of a connection arrive in order: one that fails holds back later ones of its connection until it is delivered, or
    /// has failed for good.
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    ordered: Change<bool>,
    /// The waits before each attempt, in seconds: 1 to 25 of them, each at most 7 days. The default has ten attempts within about three
    /// days.
    #[serde(default)]
    #[schema(value_type = Option<Vec<u32>>, min_items = 1, max_items = 25, example = json!([0, 5, 300]))]
    retry_seconds: Change<Vec<u32>>,
    /// How long your server may take, 1 to 60 seconds; 20 unless set.
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 60, example = 20)]
    timeout_seconds: Change<i64>,
    /// The most deliveries in a second; no limit unless set.
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 10_000, example = 100)]
    rate_per_second: Change<i64>,
    /// The most deliveries at a time, 1 to 200; 20 unless set.
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 200, example = 20)]
    concurrency: Change<i64>,
    /// Whether it gets deliveries. Enabling a disabled endpoint sends what happened meanwhile, as far as it is kept.
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    enabled: Change<bool>,
    /// Your own secret, `whsec_` and 24 to 64 bytes in base64; a random one unless set. Only when the endpoint is made.
    #[schema(value_type = Option<String>)]
    pub(super) secret: Option<SecretString>,
    /// Whether deliveries are also signed with an ed25519 key of the endpoint (`v1a`), which needs no shared secret to verify. Only when
    /// the endpoint is made.
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    pub(super) ed25519: Option<bool>,
}

/// What a body says of a field: nothing, null, or a value.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) enum Change<T> {
    /// The field is left out and stays as it is.
    #[default]
    Keep,
    /// It is null and gets its default.
    Reset,
    /// It gets this value.
    Set(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Reset, Self::Set))
    }
}

impl<T: Clone> Change<T> {
    /// Returns the new value of a field without a default value.
    pub(super) fn over(&self, old: Option<T>) -> Option<T> {
        match self {
            Self::Keep => old,
            Self::Reset => None,
            Self::Set(value) => Some(value.clone()),
        }
    }

    /// Returns the new value of a field with a default value.
    fn or_default(&self, old: T, default: T) -> T {
        match self {
            Self::Keep => old,
            Self::Reset => default,
            Self::Set(value) => value.clone(),
        }
    }

    /// Returns the value that is set, if one is.
    fn value(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Reset => None,
        }
    }
}

impl EndpointBody {
    /// Returns the settings of a new endpoint.
    pub(super) fn defaults() -> EndpointSettings {
        EndpointSettings {
            url: None,
            description: None,
            format: WebhookFormat::Standard,
            events: vec!["*".to_owned()],
            integrations: None,
            tags: BTreeMap::new(),
            unchanged_runs: false,
            header_names: Vec::new(),
            ordered: false,
            retry_seconds: None,
            timeout_seconds: None,
            rate_per_second: None,
            concurrency: None,
            enabled: true,
        }
    }

    /// Returns `old` with what this sets, and the errors of what it sets.
    pub(super) fn over(
        &self,
        gateway: &Gateway,
        old: EndpointSettings,
    ) -> (EndpointSettings, Vec<FieldError>) {
        let mut errors = Vec::new();
        let mut wrong = |field: &str, message: String| errors.push(FieldError::at("invalid", field, message));
        let defaults = Self::defaults();
        let url = self.url.clone().or(old.url);
        if let Some(Err(rule)) = self.url.as_ref().map(|url| check_url(gateway, url)) {
            wrong("url", rule);
        }
        let too_long = |text: &String| text.chars().count() > MAX_DESCRIPTION;
        if self.description.value().is_some_and(too_long) {
            wrong(
                "description",
                format!("must have at most {MAX_DESCRIPTION} characters"),
            );
        }
        if let Some(events) = self.events.value() {
            check_events(events, &mut wrong);
        }
        let format = match &self.format {
            Change::Keep => old.format,
            Change::Reset => defaults.format,
            Change::Set(text) => text.parse().unwrap_or_else(|_| {
                wrong("format", "must be `standard` or `nango`".to_owned());
                old.format
            }),
        };
        let integrations = match &self.integrations {
            Change::Keep => old.integrations,
            Change::Reset => None,
            Change::Set(keys) => Some(check_integrations(keys, &mut wrong)),
        };
        if self.tags.value().is_some_and(|tags| tags.len() > MAX_ENTRIES) {
            wrong("tags", format!("must be at most {MAX_ENTRIES}"));
        }
        let header_names = match &self.headers {
            Change::Keep => old.header_names,
            Change::Reset => Vec::new(),
            Change::Set(headers) => {
                check_headers(headers, &mut wrong);
                headers.keys().cloned().collect()
            }
        };
        let too_many = |waits: &Vec<u32>| {
            !(1..=MAX_ATTEMPTS).contains(&waits.len()) || waits.iter().any(|wait| *wait > MAX_WAIT)
        };
        if self.retry_seconds.value().is_some_and(too_many) {
            let rule = format!("must be 1 to {MAX_ATTEMPTS} waits of 0 to {MAX_WAIT} seconds each");
            wrong("retry_seconds", rule);
        }
        for (field, change, most) in [
            ("timeout_seconds", &self.timeout_seconds, MAX_TIMEOUT),
            ("rate_per_second", &self.rate_per_second, MAX_RATE),
            ("concurrency", &self.concurrency, MAX_CONCURRENCY),
        ] {
            if change.value().is_some_and(|value| !(1..=most).contains(value)) {
                wrong(field, format!("must be between 1 and {most}"));
            }
        }
        if let Some(secret) = &self.secret
            && let Err(rule) = SigningKey::parse(secret)
        {
            wrong("secret", rule.to_string());
        }
        let new = EndpointSettings {
            url,
            description: self.description.over(old.description),
            format,
            events: self.events.or_default(old.events, defaults.events),
            integrations,
            tags: self.tags.or_default(old.tags, defaults.tags),
            unchanged_runs: self.unchanged_runs.or_default(old.unchanged_runs, false),
            header_names,
            ordered: self.ordered.or_default(old.ordered, false),
            retry_seconds: self.retry_seconds.over(old.retry_seconds),
            timeout_seconds: self.timeout_seconds.over(old.timeout_seconds),
            rate_per_second: self.rate_per_second.over(old.rate_per_second),
            concurrency: self.concurrency.over(old.concurrency),
            enabled: self.enabled.or_default(old.enabled, true),
        };
        (new, errors)
    }
}

/// Checks where events may be sent.
pub(super) fn check_url(gateway: &Gateway, text: &str) -> Result<(), String> {
    if text.len() > MAX_URL || text.contains(char::is_control) {
        return Err(format!(
            "must have at most {MAX_URL} bytes and no control characters"
        ));
    }
    let url = Url::parse(text).map_err(|error| format!("must be a URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err("must begin with https://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "must hold no user name and password: send them in `headers`, as `Authorization`".to_owned(),
        );
    }
    if url.fragment().is_some() {
        return Err("must have no fragment (#…), which is never sent".to_owned());
    }
    gateway
        .upstream
        .check_webhook_address(&url)
        .map_err(|error| super::sender::refused_address(&error).unwrap_or_else(|| error.to_string()))
}

fn check_events(events: &[String], wrong: &mut impl FnMut(&str, String)) {
    if events.is_empty() || events.len() > MAX_ENTRIES {
        wrong("events", format!("must be 1 to {MAX_ENTRIES} types"));
    }
    for pattern in events {
        if !EventType::ALL.iter().any(|known| matches_type(pattern, *known)) {
            let known: Vec<&str> = EventType::ALL.iter().map(|known| known.as_str()).collect();
            let rule = format!(
                "unknown event type {pattern:?}: use `*`, a group such as `sync.*`, or one of {}",
                known.join(", ")
            );
            wrong("events", rule);
        }
    }
}

fn check_integrations(keys: &[String], wrong: &mut impl FnMut(&str, String)) -> Vec<IntegrationKey> {
    if keys.len() > MAX_ENTRIES {
        wrong("integrations", format!("must be at most {MAX_ENTRIES}"));
    }
    let mut parsed = Vec::new();
    for key in keys {
        match key.parse() {
            Ok(key) => parsed.push(key),
            Err(rule) => wrong("integrations", format!("{key:?} {rule}")),
        }
    }
    parsed
}

fn check_headers(headers: &BTreeMap<String, String>, wrong: &mut impl FnMut(&str, String)) {
    if headers.len() > MAX_ENTRIES {
        wrong("headers", format!("must be at most {MAX_ENTRIES}"));
    }
    for (name, value) in headers {
        let lower = name.to_ascii_lowercase();
        let ours = ["webhook-", "x-nango-"]
            .iter()
            .any(|prefix| lower.starts_with(prefix))
            || lower.starts_with("content-");
        if ours || !upstream::may_set_header(name) {
            wrong(
                "headers",
                format!("{name:?} cannot be set: Trunkline sets it, or it is no header"),
            );
        } else if value.len() > MAX_HEADER || upstream::HeaderValue::from_str(value).is_err() {
            let rule =
                format!("the value of {name:?} must be visible characters, at most {MAX_HEADER} bytes");
            wrong("headers", rule);
        }
    }
}
