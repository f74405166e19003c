//! The section `webhooks`: how requests of a provider are verified, whose they are, and which rows they change.
//!
//! The registry only describes; `signature` verifies. A placeholder names a part of the request: `${header.NAME}`, `${query.NAME}`,
//! `${body.PATH}` for a field of the JSON or the form, and `${event.PATH}` for a field of one event, where a request brings several.
//!
//! [`Webhooks`] is the checked form. A part that needs no conversion derives `Deserialize`; the others have a `…File` beside them, and
//! their checks are in `check/webhooks`.

mod events;
mod scheme;
mod subscription;

use std::collections::BTreeSet;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

pub use self::events::{Effect, EventField, EventPattern, EventRule, NewerBy};
pub(crate) use self::events::{EventFile, EventFiles, FieldFile, FieldSpec, NewerByFile};
pub use self::scheme::{
    Algorithm, Encoding, Scheme, Secret, SecretFormat, SignedPart, TimestampFormat, TimestampRule,
    UrlVariant, ValueForm, When,
};
pub(crate) use self::scheme::{SchemeFile, TimestampFile};
pub(crate) use self::subscription::SubscriptionFile;
pub use self::subscription::{KeptPath, Renewal, Show, Step, Subscription};
use crate::method::Method;
use crate::template::{JsonTemplate, Template};
use crate::written::{self, OneOrMany, Scalar};

/// The placeholder of a secret that belongs to a subscription.
pub const SUBSCRIPTION_SECRET: &str = "subscription.secret";

/// The placeholder of the address that a provider calls. An action may have it too, and it has no value where no public URL is known.
pub const WEBHOOK_URL: &str = "webhook.url";

/// What a provider sends, and how Trunkline receives it.
#[derive(Debug, Clone)]
pub struct Webhooks {
    /// Where in the provider people enter the address.
    pub setup: Option<String>,
    /// The methods of the provider's requests; any other is refused.
    pub methods: Vec<Method>,
    /// The ways to sign, best first. If empty, the provider signs nothing, and only a connection's own random address is accepted.
    pub signature: Vec<Scheme>,
    /// How a request to the integration's address finds its connection.
    pub connection: Option<ConnectionMatch>,
    /// Where in the body the list of events is. A body that is a list is one too.
    pub batch: Option<Vec<String>>,
    /// The id by which a repeated event is recognised.
    pub id: Option<Template>,
    /// The type of an event.
    pub kind: Option<Template>,
    /// What events mean, in the order of the file; the first pattern that matches counts. Other events change no row.
    pub events: Vec<(EventPattern, Vec<EventRule>)>,
    /// Requests that the provider sends to test the address.
    pub challenges: Vec<Challenge>,
    /// The ways to subscribe, by name; the first is the default.
    pub subscriptions: IndexMap<String, Subscription>,
}

impl Webhooks {
    /// Returns what an event of this type means; empty if it changes no row.
    pub fn rules(&self, kind: &str) -> &[EventRule] {
        let matching = self.events.iter().find(|(pattern, _)| pattern.matches(kind));
        matching.map_or(&[], |(_, rules)| rules)
    }

    /// Whether requests are accepted only at a connection's own random address, because the provider signs nothing, or need not.
    pub fn needs_own_address(&self) -> bool {
        self.signature.iter().all(|scheme| scheme.optional)
    }
}

impl Webhooks {
    /// Returns the headers that the rules of the file read, in lower case, without those that hold a secret.
    pub fn header_names(&self) -> BTreeSet<String> {
        let mut names: Vec<&str> = vec!["header.content-type"];
        let templates = self.id.iter().chain(&self.kind);
        let templates = templates.chain(self.connection.iter().map(|matched| &matched.from));
        names.extend(templates.flat_map(Template::placeholders));
        for rule in self.events.iter().flat_map(|(_, rules)| rules) {
            names.extend(rule.templates().into_iter().flat_map(Template::placeholders));
        }
        let mut headers: BTreeSet<String> = names.into_iter().filter_map(header).collect();
        for scheme in &self.signature {
            headers.extend(scheme.placeholders().into_iter().filter_map(header));
            headers.extend(scheme.when.iter().map(|when| when.header.to_ascii_lowercase()));
        }
        for secret in self.secret_parts().filter_map(header) {
            headers.remove(&secret);
        }
        headers
    }

    /// Returns the query parameters that hold a secret.
    pub fn secret_parameters(&self) -> impl Iterator<Item = &str> {
        self.secret_parts().filter_map(|part| part.strip_prefix("query."))
    }

    /// Whether a request must hold a secret itself, and not a signature.
    pub fn sends_secrets(&self) -> bool {
        self.secret_parts().next().is_some()
    }

    /// The placeholders whose values are secrets, not signatures.
    fn secret_parts(&self) -> impl Iterator<Item = &str> {
        let sends = |scheme: &&Scheme| matches!(scheme.algorithm, Algorithm::Token | Algorithm::Basic);
        let schemes = self.signature.iter().filter(sends);
        schemes.flat_map(|scheme| scheme.source.iter().map(String::as_str))
    }
}

/// Returns the name of the header that a placeholder reads.
fn header(placeholder: &str) -> Option<String> {
    placeholder.strip_prefix("header.").map(str::to_ascii_lowercase)
}

/// How a request to the integration's address finds its connection.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ConnectionMatch {
    /// The value in the request: `${body.AccountSid}`. Of several events, the first counts.
    pub from: Template,
    /// The key of `connection_config` that has this value. A prefix or suffix that the address adds to it is removed first.
    pub config: String,
}

/// A request by which the provider tests the address. It counts as one if all its placeholders have values.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Challenge {
    /// The text that the response must have: `${query.challenge}`.
    pub echo: Option<Template>,
    /// The JSON that the response must have.
    pub json: Option<JsonTemplate>,
    /// The secret that the request brings. It is kept with the subscription that has none yet.
    pub secret: Option<Template>,
}

impl Challenge {
    /// Returns the placeholders that a request must fill.
    pub fn placeholders(&self) -> Vec<&str> {
        let texts = self.echo.iter().chain(&self.secret);
        let texts = texts.flat_map(Template::placeholders);
        texts
            .chain(self.json.iter().flat_map(JsonTemplate::placeholders))
            .collect()
    }
}

/// Webhooks: how the provider's requests are verified, and which rows they change.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Webhooks")]
pub(crate) struct WebhooksFile {
    /// Where in the provider people enter the address.
    pub(crate) setup: Option<String>,
    /// The methods of the provider's requests; POST if left out.
    #[serde(default = "post", deserialize_with = "written::one_or_many")]
    #[schemars(with = "OneOrMany<Method>")]
    pub(crate) methods: Vec<Method>,
    /// How the provider signs; several ways, best first. If left out, it signs nothing, and only the random address of a connection is
    /// accepted.
    #[serde(default, deserialize_with = "written::one_or_many")]
    #[schemars(with = "OneOrMany<SchemeFile>")]
    pub(crate) signature: Vec<SchemeFile>,
    /// How a request to the integration's address finds its connection. The address of a connection is always possible.
    pub(crate) connection: Option<ConnectionMatch>,
    /// The path to the list of events in the body, with dots. A body that is a list is one without it.
    #[serde(default, deserialize_with = "written::path")]
    #[schemars(with = "String")]
    pub(crate) batch: Option<Vec<String>>,
    /// The id by which a repeated event is recognised: `${body.id}`.
    #[schemars(with = "Option<Scalar>")]
    pub(crate) id: Option<Template>,
    /// The type of an event: `${header.X-Event}.${body.action} || ${header.X-Event}`.
    #[serde(rename = "type")]
    #[schemars(with = "Option<Scalar>")]
    pub(crate) kind: Option<Template>,
    /// What events mean, by type. `*` in a type is any text; the first that matches counts. Other events change no row.
    #[serde(default)]
    pub(crate) events: IndexMap<String, EventFiles>,
    /// Requests by which the provider tests the address.
    #[serde(default, deserialize_with = "written::one_or_many")]
    #[schemars(with = "OneOrMany<Challenge>")]
    pub(crate) challenges: Vec<Challenge>,
    /// The ways to subscribe, by name; the first is the default.
    #[serde(default)]
    pub(crate) subscriptions: IndexMap<String, SubscriptionFile>,
}

fn post() -> Vec<Method> {
    vec![Method::Post]
}
