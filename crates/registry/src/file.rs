//! The provider file as it is written: one struct a section, from which the JSON Schema is made too.
//!
//! The words for what Nango's provider entries also describe are the same, so that such a file loads as it is; keys that start
//! with `_` here are those of Nango's keys that Trunkline accepts and does not use. What the values mean is decided in `check`.

mod action;
mod field;
mod scalar;
mod sync;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

pub(crate) use action::{
    ActionFile, ActionRequestFile, DeletesRecordFile, InputFile, InputSpec, InputType, ParameterFile,
    WritesFile,
};
pub(crate) use field::{ConfigFile, FieldFile, FieldFormatName};
pub(crate) use scalar::{OneOrMany, Scalar};
pub(crate) use sync::{
    ColumnFile, ColumnParse, ColumnSpec, ColumnType, FormatName, InclusiveName, OffsetName, OrderName,
    PaginateFile, PaginateType, RereadFile, SyncFile, UndatedFile, WindowFile,
};

/// A provider: how to connect to it, how to call it, and what to sync from it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Provider file")]
pub(crate) struct ProviderFile {
    /// What people read.
    pub(crate) display_name: Option<String>,
    /// Free words such as `communication`.
    #[serde(default)]
    pub(crate) categories: Vec<String>,
    /// Where the provider's API is documented.
    pub(crate) docs: Option<String>,
    /// What people must know before they connect, such as that the provider will end these credentials.
    pub(crate) notice: Option<String>,
    /// How a call is authorised: a key that `proxy.headers` or `proxy.query` place, or user name and password.
    pub(crate) auth_mode: AuthModeName,
    /// In a file of many entries: the entry whose keys stand here too, unless they are written here.
    #[serde(rename = "alias")]
    pub(crate) _alias: Option<String>,
    /// The stored credentials: `apiKey`, or `username` and `password`. Always sealed.
    pub(crate) credentials: Option<IndexMap<String, FieldFile>>,
    /// What else a connection must know. A field with `secret: true` is sealed with the credentials and never shown.
    #[serde(default)]
    pub(crate) connection_config: IndexMap<String, FieldFile>,
    /// What the integration itself holds, for all its connections. A field with `secret: true` is sealed and never shown.
    #[serde(default)]
    pub(crate) integration_config: IndexMap<String, FieldFile>,
    /// The ways to connect, best first. Without it there is one, made of `credentials` and `connection_config`.
    #[serde(default)]
    pub(crate) connect: Vec<ConnectFile>,
    /// How the provider is called.
    pub(crate) proxy: ProxyFile,
    /// Further servers by name, for a sync's `request.server`.
    #[serde(default)]
    pub(crate) servers: IndexMap<String, String>,
    /// What the provider bears from one connection.
    #[serde(default)]
    pub(crate) limits: LimitsFile,
    /// How the provider's errors read.
    #[serde(default)]
    pub(crate) errors: ErrorsFile,
    /// The syncs by name. The name is unique among all providers.
    #[serde(default)]
    pub(crate) syncs: IndexMap<String, SyncFile>,
    /// The actions by name.
    #[serde(default)]
    pub(crate) actions: IndexMap<String, ActionFile>,
    /// Accepted and not used.
    #[serde(rename = "docs_connect")]
    pub(crate) _docs_connect: Option<Json>,
    /// Accepted and not used.
    #[serde(rename = "setup_guide_url")]
    pub(crate) _setup_guide_url: Option<Json>,
    /// Accepted and not used.
    #[serde(rename = "webhook_routing_script")]
    pub(crate) _webhook_routing_script: Option<Json>,
    /// Accepted and not used.
    #[serde(rename = "webhook_user_defined_secret")]
    pub(crate) _webhook_user_defined_secret: Option<Json>,
    /// Accepted and not used.
    #[serde(rename = "webhook_allowed_query_params")]
    pub(crate) _webhook_allowed_query_params: Option<Json>,
    /// Accepted and not used.
    #[serde(rename = "credentials_verification_script")]
    pub(crate) _credentials_verification_script: Option<Json>,
    /// Accepted and not used.
    #[serde(rename = "post_connection_script")]
    pub(crate) _post_connection_script: Option<Json>,
}

/// How a call is authorised.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum AuthModeName {
    ApiKey,
    Basic,
}

/// One way to connect: a form and what becomes of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectFile {
    /// What people read: `API key (recommended)`.
    pub(crate) title: String,
    /// The form's fields.
    pub(crate) fields: IndexMap<String, FieldFile>,
    /// What is stored, each from the form's fields: `${apiKeySid}`.
    pub(crate) gives: GivesFile,
}

/// What a form gives.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GivesFile {
    /// The user name, with `auth_mode: BASIC`.
    pub(crate) username: Option<String>,
    /// The password, with `auth_mode: BASIC`.
    pub(crate) password: Option<String>,
    /// The key, with `auth_mode: API_KEY`.
    #[serde(rename = "apiKey")]
    pub(crate) api_key: Option<String>,
    /// The connection's configuration.
    #[serde(default)]
    pub(crate) connection_config: IndexMap<String, Scalar>,
}

/// How the provider is called.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProxyFile {
    /// Scheme, host and leading path.
    pub(crate) base_url: String,
    /// Headers of every call.
    #[serde(default)]
    pub(crate) headers: IndexMap<String, Scalar>,
    /// Query parameters of every call.
    #[serde(default)]
    pub(crate) query: IndexMap<String, Scalar>,
    /// How stored credentials are tried.
    pub(crate) verification: Option<VerificationFile>,
    /// When and how long to wait before a call is repeated.
    #[serde(default)]
    pub(crate) retry: RetryFile,
    /// How lists go on, unless a sync says otherwise.
    pub(crate) paginate: Option<PaginateFile>,
    /// What is added to the body of every call that has a JSON object or a form, and to `POST`, `PUT` and `PATCH` without one.
    #[serde(default)]
    pub(crate) body: IndexMap<String, Json>,
    /// Further keys of `connection_config`, by their value or by the field that asks for it.
    #[serde(default)]
    pub(crate) connection_config: IndexMap<String, ConfigFile>,
    /// Accepted and not used.
    #[serde(rename = "decompress")]
    pub(crate) _decompress: Option<Json>,
    /// Accepted and not used.
    #[serde(rename = "forward_headers_on_redirect")]
    pub(crate) _forward_headers_on_redirect: Option<Json>,
}

/// How stored credentials are tried: the endpoints in turn until one answers 2xx.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerificationFile {
    /// `GET` unless said otherwise.
    pub(crate) method: Option<MethodName>,
    /// Paths below the base URL; any one that passes is enough.
    pub(crate) endpoints: OneOrMany<String>,
    /// Headers of these calls alone.
    #[serde(default)]
    pub(crate) headers: IndexMap<String, Scalar>,
    /// The body of these calls: JSON, or text that is sent as it is.
    pub(crate) data: Option<Json>,
    /// Another server for these calls.
    pub(crate) base_url_override: Option<String>,
    /// What to look at after a pass.
    #[serde(default)]
    pub(crate) checks: Vec<CheckFile>,
}

/// An HTTP method.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub(crate) enum MethodName {
    #[serde(rename = "GET", alias = "get")]
    Get,
    #[serde(rename = "POST", alias = "post")]
    Post,
    #[serde(rename = "PUT", alias = "put")]
    Put,
    #[serde(rename = "PATCH", alias = "patch")]
    Patch,
    #[serde(rename = "DELETE", alias = "delete")]
    Delete,
    #[serde(rename = "HEAD", alias = "head")]
    Head,
}

/// A further look at an account whose credentials are good.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckFile {
    /// Path below the base URL.
    pub(crate) endpoint: String,
    /// The field of the answer to look at, with dots between names.
    pub(crate) field: String,
    /// What it must say.
    pub(crate) equals: Scalar,
    /// What to tell if it says something else; `${value}` is what it said.
    pub(crate) message: String,
}

/// When a call is repeated, beside what HTTP itself says.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetryFile {
    /// Headers that hold seconds or a date to wait; `Retry-After` always counts.
    #[serde(default)]
    pub(crate) after: OneOrMany<String>,
    /// Headers that hold the time at which to go on, in seconds or milliseconds since 1970 or as a date.
    #[serde(default)]
    pub(crate) at: OneOrMany<String>,
    /// A header that says 0 when nothing is left.
    pub(crate) remaining: Option<String>,
    /// Statuses: `429`, `5xx`, `500-502`. The usual ones if none.
    #[serde(default)]
    pub(crate) error_code: OneOrMany<Scalar>,
    /// Where an error's body says how long to wait.
    pub(crate) in_body: Option<InBodyFile>,
}

/// Where an error's body says how long to wait.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InBodyFile {
    /// The place in the body, with dots between names.
    pub(crate) path: String,
    /// A regular expression for the text there; its first group, or else all that it matches, is the value.
    pub(crate) value: Option<String>,
    /// `after` for seconds or a date to wait, which it is if left out, `at` for the time at which to go on.
    pub(crate) strategy: Option<String>,
}

/// What a provider bears from one connection.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitsFile {
    /// Calls under way at once; 4 unless said otherwise.
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) concurrency: Option<u32>,
    /// Requests a second; at least 0.001, which is one in 1000 seconds.
    #[schemars(range(min = 0.001, max = 100_000.0))]
    pub(crate) per_second: Option<f64>,
    /// What it bears from all connections together.
    #[serde(default)]
    pub(crate) provider: ProviderLimitsFile,
}

/// What a provider bears from all connections of one process together.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProviderLimitsFile {
    /// Calls under way at once; without bound unless said.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) concurrency: Option<u32>,
    /// Requests a second; at least 0.001, which is one in 1000 seconds.
    #[schemars(range(min = 0.001, max = 100_000.0))]
    pub(crate) per_second: Option<f64>,
}

/// How the provider's errors read.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ErrorsFile {
    /// Where in an error's body the code stands, with dots between names and list positions.
    pub(crate) code: Option<String>,
    /// Where the message stands.
    pub(crate) message: Option<String>,
    /// Statuses that mean the credentials are not good; 401 unless said otherwise.
    pub(crate) unauthorized: Option<OneOrMany<u16>>,
    /// Codes that mean the same, whatever the status.
    #[serde(default)]
    pub(crate) unauthorized_codes: OneOrMany<Scalar>,
    /// What to tell people, by code, or by HTTP status for answers whose code has no hint.
    #[serde(default)]
    pub(crate) hints: IndexMap<String, String>,
    /// How to recognise an error in the body of a success (status 2xx).
    pub(crate) in_body: Option<ErrorInBodyFile>,
}

/// How to recognise an error in the body of a success.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ErrorInBodyFile {
    /// The place in the body, with dots between names and list positions.
    pub(crate) path: String,
    /// What stands there in an error, or several such values; without it, anything but `null`, `false`, `0` and what is empty.
    #[serde(default)]
    pub(crate) equals: OneOrMany<Scalar>,
}
