//! The provider file as it is written, from which the JSON Schema is made too.
//!
//! A section whose checked form is the same is deserialized into that form: a provider's sections in `provider` and `response`, a
//! sync's in `sync`, an action's in `action`, and fields and inputs in `field` and `input`. Pagination has both its forms in
//! `paginate`, and so have webhooks in `webhooks`. The other sections are here.
//!
//! The words for what Nango's provider entries also describe are the same, so that such a file loads as it is. What the values mean is
//! decided in `check`.
//!
//! Further sections of a provider, such as settings, are a field of [`ProviderFile`] and a module of their own.

use domain::{ColumnKind, Parse};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::action::{ActionRequest, Deletes, Writes};
use crate::field::{Field, Fields};
use crate::input::InputFile;
use crate::paginate::PaginateFile;
use crate::provider::{AuthMode, Limits, Verification};
use crate::response::{ErrorRules, RetryRules};
use crate::sync::{ListRequest, Lookback, Reread, Undated, Window};
use crate::template::{JsonTemplate, Template};
use crate::translation::{FormTexts, ProviderTexts, Translations};
use crate::webhooks::WebhooksFile;
use crate::written::{self, OneOrMany, Scalar, accept_unused};

/// Keys of Nango's entries that Trunkline accepts and does not use.
const UNUSED: &[&str] = &[
    "docs_connect",
    "setup_guide_url",
    "webhook_routing_script",
    "webhook_user_defined_secret",
    "webhook_allowed_query_params",
    "credentials_verification_script",
    "post_connection_script",
];
/// Such keys of the section `proxy`.
const UNUSED_IN_PROXY: &[&str] = &["decompress", "forward_headers_on_redirect"];

/// A provider: how to connect to it, how to send requests to it, and what to sync from it.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, title = "Provider file", transform = accept_unused(UNUSED))]
pub(crate) struct ProviderFile {
    /// The display name.
    pub(crate) display_name: Option<String>,
    /// Words such as `communication`.
    #[serde(default)]
    pub(crate) categories: Vec<String>,
    /// The URL of the API's documentation.
    pub(crate) docs: Option<String>,
    /// What users must know before they connect, such as the end of support for these credentials.
    pub(crate) notice: Option<String>,
    /// Texts in other languages.
    #[serde(default)]
    pub(crate) translations: Translations<ProviderTexts>,
    /// How requests are authorized: a key in `proxy.headers` or `proxy.query`, or user name and password.
    pub(crate) auth_mode: AuthMode,
    /// In a collection: the entry whose keys this entry has too, unless it has its own.
    #[serde(rename = "alias")]
    pub(crate) _alias: Option<String>,
    /// The stored credentials: `apiKey`, or `username` and `password`. Always encrypted.
    #[serde(default)]
    pub(crate) credentials: Fields,
    /// The other settings of a connection. A field with `secret: true` is encrypted with the credentials and never shown.
    #[serde(default)]
    pub(crate) connection_config: Fields,
    /// The settings of the integration for all its connections. A field with `secret: true` is encrypted and never shown.
    #[serde(default)]
    pub(crate) integration_config: Fields,
    /// The ways to connect, best first. By default one form with the fields of `credentials` and `connection_config`.
    #[serde(default)]
    pub(crate) connect: Vec<ConnectFile>,
    /// How requests are sent to the provider.
    pub(crate) proxy: ProxyFile,
    /// Additional servers by name, for a sync's `request.server`.
    #[serde(default)]
    pub(crate) servers: IndexMap<String, Template>,
    /// The limits for one connection.
    #[serde(default)]
    pub(crate) limits: Limits,
    /// The format of the provider's errors.
    #[serde(default)]
    pub(crate) errors: ErrorRules,
    /// The syncs by name. The name is unique among all providers.
    #[serde(default)]
    pub(crate) syncs: IndexMap<String, SyncFile>,
    /// The actions by name.
    #[serde(default)]
    pub(crate) actions: IndexMap<String, ActionFile>,
    /// What the provider sends by itself.
    pub(crate) webhooks: Option<WebhooksFile>,
}

/// One way to connect: a form, and what is stored of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct ConnectFile {
    /// The name that users see: `API key (recommended)`.
    pub(crate) title: String,
    /// Its name in other languages.
    #[serde(default)]
    pub(crate) translations: Translations<FormTexts>,
    /// The form's fields.
    pub(crate) fields: Fields,
    /// What is stored, each from the form's fields: `${apiKeySid}`.
    pub(crate) gives: GivesFile,
}

/// What a form gives.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct GivesFile {
    /// The user name, with `auth_mode: BASIC`.
    pub(crate) username: Option<Template>,
    /// The password, with `auth_mode: BASIC`.
    pub(crate) password: Option<Template>,
    /// The key, with `auth_mode: API_KEY`.
    #[serde(rename = "apiKey")]
    pub(crate) api_key: Option<Template>,
    /// The connection's configuration.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, Scalar>")]
    pub(crate) connection_config: IndexMap<String, Template>,
}

/// How requests are sent to the provider.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, transform = accept_unused(UNUSED_IN_PROXY))]
pub(crate) struct ProxyFile {
    /// Scheme, host and leading path.
    pub(crate) base_url: Template,
    /// Headers of every request.
    #[serde(default, deserialize_with = "written::pairs")]
    #[schemars(with = "IndexMap<String, Scalar>")]
    pub(crate) headers: Vec<(String, Template)>,
    /// Query parameters of every request.
    #[serde(default, deserialize_with = "written::pairs")]
    #[schemars(with = "IndexMap<String, Scalar>")]
    pub(crate) query: Vec<(String, Template)>,
    /// How stored credentials are verified.
    pub(crate) verification: Option<Verification>,
    /// When to retry a request, and how long to wait.
    #[serde(default)]
    pub(crate) retry: RetryRules,
    /// The pagination of syncs without their own.
    pub(crate) paginate: Option<PaginateFile>,
    /// What is added to the body of every request that has a JSON object or a form, and to `POST`, `PUT` and `PATCH` without one.
    #[serde(default, deserialize_with = "written::pairs")]
    #[schemars(with = "IndexMap<String, JsonTemplate>")]
    pub(crate) body: Vec<(String, JsonTemplate)>,
    /// Additional keys of `connection_config`: a fixed value, or a field that asks for it.
    #[serde(default)]
    pub(crate) connection_config: IndexMap<String, ConfigFile>,
}

/// What `proxy.connection_config` says of a key: its value, or the field that asks for it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum ConfigFile {
    Value(Scalar),
    Field(Box<Field>),
}

/// A sync: the list to read, how and when, and the table.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct SyncFile {
    /// Which records it reads.
    pub(crate) description: String,
    /// One record's name, capitalised: `Message`.
    pub(crate) model: String,
    /// The plural in paths and responses; by default made from `model`: `messages`, `phone-numbers`.
    pub(crate) plural: Option<String>,
    /// The table, unique among all providers: `shop_orders`.
    pub(crate) table: String,
    /// The interval: `every 5 minutes`, at least 30 seconds. Either this or `cron`.
    pub(crate) runs: Option<String>,
    /// When, as a cron expression of five fields or of six with seconds first; Sunday is 0 or 7.
    pub(crate) cron: Option<String>,
    /// The time zone of `cron`, such as `Europe/Berlin`; UTC by default.
    pub(crate) timezone: Option<String>,
    /// Whether it runs for a new connection automatically; true by default.
    pub(crate) auto_start: Option<bool>,
    /// The request that reads the list.
    pub(crate) request: ListRequest,
    /// The path to the records in the response, with dots; omitted if the response is the list.
    #[serde(default, deserialize_with = "written::path")]
    #[schemars(with = "String")]
    pub(crate) records: Option<Vec<String>>,
    /// The pagination; `proxy.paginate` by default.
    pub(crate) paginate: Option<PaginateFile>,
    /// The column, of type text, that identifies a record within its connection.
    pub(crate) key: String,
    /// How the list is ordered, by the window's column.
    #[serde(default)]
    pub(crate) order: Order,
    /// Timestamp columns that order records newest first; the first one with a value counts. The window's column by default.
    #[serde(default, deserialize_with = "written::one_or_many")]
    #[schemars(with = "OneOrMany<String>")]
    pub(crate) newest_by: Vec<String>,
    /// Reading the list by date. Without it, every run reads the whole list.
    pub(crate) window: Option<Window>,
    /// The lookback windows that runs re-read, because records change later.
    #[serde(default, deserialize_with = "written::one_or_many")]
    #[schemars(with = "OneOrMany<Lookback>")]
    pub(crate) lookback: Vec<Lookback>,
    /// How single records that are not final are rechecked.
    pub(crate) reread: Option<Reread>,
    /// How to find records without a date, which no date filter matches.
    pub(crate) undated: Option<Undated>,
    /// Whether missing rows are marked as deleted.
    #[serde(default)]
    pub(crate) deletes: DeletesFile,
    /// The columns: a type, or a type and more.
    pub(crate) columns: IndexMap<String, ColumnFile>,
    /// Columns that can be filtered by exact value; each is indexed.
    #[serde(default)]
    pub(crate) filters: Vec<String>,
}

/// How a list is ordered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    NewestFirst,
    OldestFirst,
    #[default]
    Unknown,
}

/// Whether missing rows are marked as deleted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(crate) struct DeletesFile {
    /// Whether to mark them; false by default.
    pub(crate) track: bool,
    /// The deletion guard: the largest share of a connection's rows that one run may mark as deleted; 0.3 by default.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) guard: f64,
}

impl Default for DeletesFile {
    fn default() -> Self {
        Self {
            track: false,
            guard: 0.3,
        }
    }
}

/// A column: its type, or its type and more.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum ColumnFile {
    /// The type alone.
    Short(ColumnKind),
    /// The type and more.
    Long(ColumnSpec),
}

/// A column.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct ColumnSpec {
    /// Its type in the table.
    #[serde(rename = "type")]
    pub(crate) kind: ColumnKind,
    /// The format of a timestamp; `iso8601` by default.
    pub(crate) parse: Option<Parse>,
    /// The path to the value in the record, with dots; the column's name by default.
    #[serde(default, deserialize_with = "written::path")]
    #[schemars(with = "String")]
    pub(crate) path: Option<Vec<String>>,
    /// Its description.
    #[serde(default)]
    pub(crate) description: String,
}

impl From<ColumnFile> for ColumnSpec {
    fn from(file: ColumnFile) -> Self {
        match file {
            ColumnFile::Long(spec) => spec,
            ColumnFile::Short(kind) => Self {
                kind,
                parse: None,
                path: None,
                description: String::new(),
            },
        }
    }
}

/// An action: one request that an app runs by name.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct ActionFile {
    /// What it does.
    pub(crate) description: String,
    /// Its inputs, by name in camelCase: a type, or an object with a type.
    #[serde(default)]
    pub(crate) input: IndexMap<String, InputFile>,
    /// Groups of inputs; at least one input of each group is required.
    #[serde(default)]
    pub(crate) needs: Vec<Vec<String>>,
    /// The request.
    pub(crate) request: ActionRequest,
    /// The path to the action's result in the response, with dots; the whole response by default.
    #[serde(default, deserialize_with = "written::path")]
    #[schemars(with = "String")]
    pub(crate) answer: Vec<String>,
    /// Whether running it twice has the same effect as once; by default true for GET, PUT and DELETE, else false.
    pub(crate) repeatable: Option<bool>,
    /// The returned record is written into a sync's table at once.
    pub(crate) writes: Option<Writes>,
    /// A record is marked as deleted in a sync's table at once.
    pub(crate) deletes: Option<Deletes>,
    /// A short route for apps: `POST /messages`, below the integration's key. `{name}` is an input.
    pub(crate) route: Option<String>,
}
