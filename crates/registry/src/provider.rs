//! A checked provider.
//!
//! [`crate::Registry`] makes it from a file; a value of these types has passed every check. A section that needs no conversion derives
//! `Deserialize` here. The raw form of the other sections is in `file`.

use std::sync::Arc;

use domain::{ActionName, ProviderName, SyncName};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::action::Action;
use crate::field::Fields;
use crate::method::Method;
use crate::paginate::Paginate;
use crate::response::{ErrorRules, RetryRules};
use crate::sync::Sync;
use crate::template::{JsonTemplate, Template};
use crate::translation::{FormTexts, ProviderTexts, Translations};
use crate::webhooks::Webhooks;
use crate::written::{self, OneOrMany, Scalar};

/// One provider, from a file of its own or from an entry of a collection.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Its name: the file's, or the entry's key in a collection.
    pub name: ProviderName,
    /// The display name.
    pub display_name: String,
    /// Words such as `communication`.
    pub categories: Vec<String>,
    /// The URL of the API's documentation.
    pub docs: Option<String>,
    /// What users must know before they connect.
    pub notice: Option<String>,
    /// Texts in other languages.
    pub translations: Translations<ProviderTexts>,
    /// How requests are authorized.
    pub auth: AuthMode,
    /// The credentials that are stored, by name: `apiKey`, or `username` and `password`. Always sealed.
    pub credentials: Fields,
    /// Configuration that a connection needs besides credentials. Fields that are secret are sealed with the credentials.
    pub connection_config: Fields,
    /// What the integration itself holds, for all its connections. Fields that are secret are sealed and never shown.
    pub integration_config: Fields,
    /// The forms that `POST /{integration}/connect` accepts; never empty. The first form whose required fields are all present is used.
    pub connect: Vec<ConnectForm>,
    /// The scheme, host and leading path of the provider's main server.
    pub base_url: Template,
    /// Further servers by name.
    pub servers: IndexMap<String, Template>,
    /// Headers of every request.
    pub headers: Vec<(String, Template)>,
    /// Query parameters of every request. They are never stored with a next-page link, since they may contain keys.
    pub query: Vec<(String, Template)>,
    /// Fields that are added to every body that is a JSON object or a form. A `POST`, `PUT` or `PATCH` without a body gets these fields
    /// as its body.
    pub body: Vec<(String, JsonTemplate)>,
    /// How stored credentials are verified.
    pub verification: Option<Verification>,
    /// When to retry a request, and how long to wait.
    pub retry: RetryRules,
    /// The default pagination of the provider's lists.
    pub paginate: Option<Paginate>,
    /// Limits on concurrency and rate.
    pub limits: Limits,
    /// How the provider reports errors.
    pub errors: ErrorRules,
    /// Its syncs.
    pub syncs: IndexMap<SyncName, Arc<Sync>>,
    /// Its actions.
    pub actions: IndexMap<ActionName, Arc<Action>>,
    /// The webhooks that the provider sends.
    pub webhooks: Option<Webhooks>,
    /// The whole entry as the file has it, for `GET /providers/{provider}`.
    pub document: serde_json::Value,
}

impl Provider {
    /// Whether a field of a connection's configuration is secret: sealed with the credentials and never shown.
    pub fn is_secret_config(&self, name: &str) -> bool {
        let field = self.connection_config.get(name);
        field.is_some_and(|field| field.secret)
    }

    /// Whether a field of an integration's configuration is secret: sealed and never shown.
    pub fn is_secret_integration_config(&self, name: &str) -> bool {
        let field = self.integration_config.get(name);
        field.is_some_and(|field| field.secret)
    }

    /// Returns the action whose short route matches a path below the integration's key, and the inputs from the path, as text.
    pub fn action_at(&self, method: &str, path: &[&str]) -> Option<(&Action, Vec<(&str, String)>)> {
        self.actions.values().find_map(|action| {
            let inputs = action.route.as_ref()?.matches(method, path)?;
            Some((action.as_ref(), inputs))
        })
    }
}

/// How requests are authorized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema, strum::IntoStaticStr)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum AuthMode {
    /// One key, which the file puts into a header, a query parameter, the body or an address.
    ApiKey,
    /// User name and password in an `Authorization: Basic` header, unless the file's headers set another.
    Basic,
}

impl AuthMode {
    /// Returns the mode as files and Nango's API write it: `API_KEY`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// One way to connect.
#[derive(Debug, Clone)]
pub struct ConnectForm {
    /// The title for people: `API key (recommended)`.
    pub title: String,
    /// Its title in other languages.
    pub translations: Translations<FormTexts>,
    /// The form's fields.
    pub fields: Fields,
    /// The stored credentials, each from the fields (`${apiKeySid}`).
    pub credentials: IndexMap<String, Template>,
    /// The connection's configuration, each from the fields.
    pub connection_config: IndexMap<String, Template>,
}

/// How credentials are verified: the endpoints are requested in turn until one responds with 2xx or cannot be judged, as after a timeout.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Verification {
    /// The method; `GET` if left out.
    #[serde(default)]
    pub method: Method,
    /// Paths, perhaps with a query, below the base URL; any one that passes is enough.
    #[serde(deserialize_with = "written::one_or_many")]
    #[schemars(with = "OneOrMany<String>")]
    pub endpoints: Vec<Template>,
    /// Headers of these requests only.
    #[serde(default, deserialize_with = "written::pairs")]
    #[schemars(with = "IndexMap<String, Scalar>")]
    pub headers: Vec<(String, Template)>,
    /// The body of these requests: text is sent as it is, anything else as JSON or, if the headers say so, as a form.
    pub data: Option<JsonTemplate>,
    /// Another server for these requests.
    #[serde(rename = "base_url_override")]
    pub base_url: Option<Template>,
    /// Further checks after a success.
    #[serde(default)]
    pub checks: Vec<Check>,
}

/// A further check of an account with valid credentials.
///
/// A response that refuses the request is not a failure, because a valid key may lack the permission for it. After a rate limit or a 5xx,
/// verification fails.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Check {
    /// The path, perhaps with a query, below the base URL.
    pub endpoint: Template,
    /// The field of the response to compare, with dots between names.
    #[serde(deserialize_with = "written::path")]
    #[schemars(with = "String")]
    pub field: Vec<String>,
    /// The value that it must have.
    #[serde(deserialize_with = "written::text")]
    #[schemars(with = "Scalar")]
    pub equals: String,
    /// The error message if the values differ; `${value}` is the value found.
    pub message: Template,
}

/// The limits for one connection, and those for all connections together.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Limits {
    /// Concurrent requests; 4 if left out.
    #[schemars(range(min = 1, max = 1000))]
    pub concurrency: u32,
    /// Requests a second; at least 0.001, which is one in 1000 seconds.
    #[schemars(range(min = 0.001, max = 100_000.0))]
    pub per_second: Option<f64>,
    /// The limits for all connections together.
    pub provider: ProviderLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrency: 4,
            per_second: None,
            provider: ProviderLimits::default(),
        }
    }
}

/// The limits for all connections of one process together.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct ProviderLimits {
    /// Concurrent requests; unlimited if left out.
    #[schemars(range(min = 1, max = 100_000))]
    pub concurrency: Option<u32>,
    /// Requests a second; at least 0.001, which is one in 1000 seconds.
    #[schemars(range(min = 0.001, max = 100_000.0))]
    pub per_second: Option<f64>,
}
