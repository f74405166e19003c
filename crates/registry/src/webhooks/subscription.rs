//! How Trunkline subscribes to a provider's events.

use std::time::Duration;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::action::{ActionRequest, check_inputs};
use crate::duration::{self, LengthOfTime};
use crate::input::{Input, InputError, InputFile};
use crate::template::Template;
use crate::written::{self, OneOrMany, Scalar};

/// One way to subscribe. Its requests have the placeholders `${webhook.url}`, the address, `${subscription.NAME}`, what earlier
/// requests kept, and `${input.NAME}`.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// What it does.
    pub description: String,
    /// What the caller must say, by name.
    pub inputs: IndexMap<String, Input>,
    /// Whether Trunkline makes the secret, `${subscription.secret}`, before the first request.
    pub generate_secret: bool,
    /// Whether it replaces a value at the provider, which `end` restores. If `show` reports another value or 404, `end` sends nothing.
    pub replaces: bool,
    /// The requests that subscribe, in order.
    pub create: Vec<Step>,
    /// The request that shows what the provider holds.
    pub show: Option<Show>,
    /// The request that keeps it from expiring.
    pub renew: Option<Renewal>,
    /// The requests that end it, in order. A 404 means that it has ended.
    pub end: Vec<Step>,
}

impl Subscription {
    /// Whether it makes or keeps a secret with which the provider signs.
    pub fn brings_secret(&self) -> bool {
        self.generate_secret || self.create.iter().any(|step| step.keep.contains_key("secret"))
    }

    /// Returns the inputs as the requests need them, for the subscription of this name; see [`crate::Action::check`].
    pub fn check(&self, name: &str, given: Map<String, Json>) -> Result<Map<String, Json>, Vec<InputError>> {
        check_inputs(name, &self.inputs, &[], given)
    }
}

/// The request that keeps a subscription from expiring.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "SubscriptionRenewal")]
pub struct Renewal {
    /// How often it is sent: `5 days`.
    #[serde(deserialize_with = "duration::read")]
    #[schemars(with = "LengthOfTime")]
    pub every: Duration,
    /// The request, as that of an action.
    pub request: ActionRequest,
}

/// A request, and what is kept of its response.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "SubscriptionStep")]
pub struct Step {
    /// The request, as that of an action.
    pub request: ActionRequest,
    /// Values to keep: names, each with its path in the response. All are encrypted; `secret` is never shown, and `key_id` names it. Null is
    /// kept as an empty text.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, String>")]
    pub keep: IndexMap<String, KeptPath>,
}

/// The path to a value in a response.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct KeptPath(#[serde(deserialize_with = "written::path")] pub Vec<String>);

/// The request that shows what the provider holds.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "SubscriptionShow")]
pub struct Show {
    /// The request, as that of an action.
    pub request: ActionRequest,
    /// What the response must hold for the subscription to be as it was set: paths, each with its value.
    #[serde(default, deserialize_with = "written::pairs")]
    #[schemars(with = "IndexMap<String, Scalar>")]
    pub expect: Vec<(String, Template)>,
}

/// A way to subscribe to the provider's events.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Subscription")]
pub(crate) struct SubscriptionFile {
    /// What it does.
    pub(crate) description: String,
    /// What the caller must say, by name in camelCase: a type, or an object with a type.
    #[serde(default)]
    pub(crate) input: IndexMap<String, InputFile>,
    /// Whether Trunkline makes the secret before the first request; false if left out.
    #[serde(default)]
    pub(crate) generate_secret: bool,
    /// Whether it replaces a value at the provider, which `end` restores; false if left out. If `show` reports another value or 404, `end`
    /// sends nothing.
    #[serde(default)]
    pub(crate) replaces: bool,
    /// The request that subscribes, or several in order.
    #[serde(deserialize_with = "written::one_or_many")]
    #[schemars(with = "OneOrMany<Step>")]
    pub(crate) create: Vec<Step>,
    /// The request that shows what the provider holds.
    pub(crate) show: Option<Show>,
    /// The request that keeps it from expiring, if it expires.
    pub(crate) renew: Option<Renewal>,
    /// The request that ends it, or several in order.
    #[serde(default, deserialize_with = "written::one_or_many")]
    #[schemars(with = "OneOrMany<Step>")]
    pub(crate) end: Vec<Step>,
}
