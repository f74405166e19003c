//! A provider as the rest of Trunkline sees it: checked, typed, and with nothing left to interpret.
//!
//! Made from a file by [`crate::Registry`]; a value of these types has passed every check.

use std::sync::Arc;
use std::time::Duration;

use domain::{ActionName, Model, ProviderName, SyncName, TableName};
use indexmap::IndexMap;

use crate::{Action, ErrorRules, JsonTemplate, Paginate, RetryRules, Schedule, Template};

/// One provider, from one file.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Its name: the file's, or the entry's key in a file of many entries.
    pub name: ProviderName,
    /// What people read.
    pub display_name: String,
    /// Free words such as `communication`.
    pub categories: Vec<String>,
    /// Where its API is documented.
    pub docs: Option<String>,
    /// What people must know before they connect.
    pub notice: Option<String>,
    /// How a call is authorised.
    pub auth: AuthMode,
    /// The credentials that are stored, by name: `apiKey`, or `username` and `password`. Always sealed.
    pub credentials: IndexMap<String, Field>,
    /// What else a connection must know. Fields that are secret are sealed with the credentials.
    pub connection_config: IndexMap<String, Field>,
    /// What the integration itself holds, for all its connections. Fields that are secret are sealed and never shown.
    pub integration_config: IndexMap<String, Field>,
    /// The bodies that `POST /{integration}/connect` takes; never empty. The first whose fields are all there wins.
    pub connect: Vec<ConnectForm>,
    /// The scheme, host and leading path of the provider's main server.
    pub base_url: Template,
    /// Further servers by name.
    pub servers: IndexMap<String, Template>,
    /// Headers of every call.
    pub headers: Vec<(String, Template)>,
    /// Query parameters of every call. Their names are never stored with a next-page link, since they may carry keys.
    pub query: Vec<(String, Template)>,
    /// What is added to the body of every call that has a JSON object or a form, and to `POST`, `PUT` and `PATCH` without one.
    pub body: Vec<(String, JsonTemplate)>,
    /// How stored credentials are tried.
    pub verification: Option<Verification>,
    /// When and how long to wait before a call is repeated.
    pub retry: RetryRules,
    /// The default for the provider's lists.
    pub paginate: Option<Paginate>,
    /// What the provider bears.
    pub limits: Limits,
    /// How its errors read.
    pub errors: ErrorRules,
    /// Its syncs.
    pub syncs: IndexMap<SyncName, Arc<Sync>>,
    /// Its actions.
    pub actions: IndexMap<ActionName, Arc<Action>>,
    /// The whole entry as it stands in the file, for `GET /providers/{provider}`.
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
}

/// How calls are authorised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMode {
    /// One key, placed by the file's headers or query.
    ApiKey,
    /// User name and password in an `Authorization: Basic` header, unless the file's headers set another.
    Basic,
}

/// A field that somebody fills in.
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are independent of each other, as the file's keys are"
)]
#[derive(Debug, Clone, Default)]
pub struct Field {
    /// Its label.
    pub title: Option<String>,
    /// What it is and where to find it.
    pub description: Option<String>,
    /// A value of the right shape.
    pub example: Option<String>,
    /// What the value must match.
    pub pattern: Option<regex::Regex>,
    /// What the pattern asks for, in words that go on after "must be".
    pub pattern_description: Option<String>,
    /// Whether a part of the value may match, as in Nango's entries; else all of it must.
    pub pattern_anywhere: bool,
    /// What kind of value it must be.
    pub format: Option<FieldFormat>,
    /// The values allowed; empty for any.
    pub allowed: Vec<String>,
    /// Stands before the value where a person types it; a value that lacks it gets it not: it is display only.
    pub prefix: Option<String>,
    /// As `prefix`, behind.
    pub suffix: Option<String>,
    /// Prefix and suffix that the provider's address adds, so that [`Field::bare`] takes them off a value.
    pub(crate) added: (Option<String>, Option<String>),
    /// Asked for only if another field of the form holds one of these values.
    pub visible_when: Option<VisibleWhen>,
    /// Never shown, echoed or logged.
    pub secret: bool,
    /// May be left out.
    pub optional: bool,
    /// Taken if the field is left out.
    pub default_value: Option<String>,
    /// Set by the file, not asked from people.
    pub hidden: bool,
    /// The environment variable from which the command line takes it.
    pub env: Option<String>,
}

/// When a field is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisibleWhen {
    /// The other field of the form.
    pub field: String,
    /// The values of which it must hold one.
    pub equals: Vec<String>,
}

/// What kind of value a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldFormat {
    /// A host name.
    Hostname,
    /// An absolute http or https address.
    Uri,
    /// A UUID.
    Uuid,
    /// An e-mail address.
    Email,
    /// A phone number in E.164, or a channel address such as `whatsapp:+15551234567`.
    Phone,
    /// The same, a short code, or a sender's name.
    Sender,
    /// A day: `2026-01-31`.
    Date,
    /// A moment with its offset: `2026-01-31T10:00:00Z`.
    DateTime,
}

/// One way to connect.
#[derive(Debug, Clone)]
pub struct ConnectForm {
    /// What people read: `API key (recommended)`.
    pub title: String,
    /// The body's fields.
    pub fields: IndexMap<String, Field>,
    /// The stored credentials, each from the fields (`${apiKeySid}`).
    pub credentials: IndexMap<String, Template>,
    /// The connection's configuration, each from the fields.
    pub connection_config: IndexMap<String, Template>,
}

/// How credentials are tried: the endpoints in turn until one answers 2xx.
#[derive(Debug, Clone)]
pub struct Verification {
    /// GET unless the file says otherwise.
    pub method: String,
    /// Path and query below the base URL; any one that passes is enough.
    pub endpoints: Vec<Template>,
    /// Headers of these calls alone.
    pub headers: Vec<(String, Template)>,
    /// Body of these calls; text is sent as it is, anything else as JSON or, if the headers say so, as a form.
    pub data: Option<JsonTemplate>,
    /// Another server for these calls.
    pub base_url: Option<Template>,
    /// Looked at after a pass.
    pub checks: Vec<Check>,
}

/// A further look at an account whose credentials are good.
///
/// An answer that is not 2xx is no failure: a key may be good and yet not allowed to look.
#[derive(Debug, Clone)]
pub struct Check {
    /// Path and query below the base URL.
    pub endpoint: Template,
    /// The field of the answer to look at, outermost name first.
    pub field: Vec<String>,
    /// What it must say.
    pub equals: String,
    /// What to tell if it says something else; `${value}` is what it said.
    pub message: Template,
}

/// What a provider bears from one connection.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Calls under way at once.
    pub concurrency: u32,
    /// Calls a second, if it counts them.
    pub per_second: Option<f64>,
    /// From all connections of one process together.
    pub provider: ProviderLimits,
}

/// What a provider bears from everybody who comes from here.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProviderLimits {
    /// Calls under way at once; without bound if `None`.
    pub concurrency: Option<u32>,
    /// Calls a second, if it counts them.
    pub per_second: Option<f64>,
}

/// A sync: which list to read, how, when, and into which model.
#[derive(Debug, Clone)]
pub struct Sync {
    /// Its name.
    pub name: SyncName,
    /// What it brings.
    pub description: String,
    /// Its table.
    pub model: Arc<Model>,
    /// When it runs.
    pub schedule: Schedule,
    /// Whether it runs for a new connection without being started.
    pub auto_start: bool,
    /// The list.
    pub request: ListRequest,
    /// Where in the answer the records stand, outermost name first; empty if the answer itself is the list.
    pub records: Vec<String>,
    /// How the list goes on.
    pub paginate: Paginate,
    /// Whether the list begins with the newest records, by the window's column.
    pub newest_first: bool,
    /// How the list is read by date; `None` reads it whole each time.
    pub window: Option<Window>,
    /// What each run reads again.
    pub lookback: Vec<Lookback>,
    /// How single rows are followed up.
    pub reread: Option<Reread>,
    /// How rows without a date, which no window shows, are found.
    pub undated: Option<Undated>,
    /// Whether rows that a complete reading no longer finds are marked deleted.
    pub track_deletes: bool,
    /// The largest share of a connection's live rows (0 to 1) that one run may mark deleted.
    pub delete_guard: f64,
}

/// The call that reads a list.
#[derive(Debug, Clone)]
pub struct ListRequest {
    /// A name of `servers`; the base URL if none.
    pub server: Option<String>,
    /// Path below the server.
    pub path: Template,
    /// Query parameters.
    pub query: Vec<(String, Template)>,
    /// Headers beside the provider's.
    pub headers: Vec<(String, Template)>,
    /// The query parameter that holds the page size, if the file names it.
    pub size_parameter: Option<String>,
}

/// Reading a list by date.
#[derive(Debug, Clone)]
pub struct Window {
    /// The timestamp column that the provider filters or orders by.
    pub column: TableName,
    /// The parameter for the lower bound; without one the list's order, newest first, tells where to stop.
    pub from: Option<String>,
    /// The parameter for the upper bound; without one every range reaches to the newest record, and the first reading has one slice.
    pub to: Option<String>,
    /// How bounds are written.
    pub format: BoundFormat,
    /// Whether rows exactly at the upper bound (with dates: on that day) are included; the lower one always is.
    pub to_inclusive: bool,
    /// The width of a slice of the backfill, a whole number of days with dates.
    pub step: Duration,
    /// The widest range that the provider takes.
    pub longest: Option<Duration>,
    /// Slices read at once.
    pub parallel: u32,
    /// Pages after which a slice is split.
    pub split_after: u32,
    /// How far back the provider keeps records.
    pub retention: Duration,
    /// The error code by which the provider says that a range begins before its retention.
    pub beyond_retention: Option<String>,
    /// How far back the provider keeps records in any case: a 400 for a range that begins before that may mean
    /// that it keeps less than `retention`.
    pub shortest_retention: Duration,
}

/// How a bound is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoundFormat {
    /// `2026-11-21`: whole UTC days.
    Date,
    /// `2026-11-21T10:00:00Z`.
    DateTime,
    /// Seconds since 1970.
    UnixSeconds,
    /// Milliseconds since 1970.
    UnixMillis,
}

/// A trailing range that is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lookback {
    /// How far back.
    pub reach: Duration,
    /// At most this often; `None` for every run.
    pub every: Option<Duration>,
}

/// Reading single records by key: those that are not final, and those that a list no longer shows.
#[derive(Debug, Clone)]
pub struct Reread {
    /// Which rows are not final; `None` reads only those that a list no longer shows.
    pub unfinished: Option<Unfinished>,
    /// Where one record is read; `${record.KEY}` is the row's key.
    pub path: Template,
    /// Where in the answer the record stands; empty if the answer is the record.
    pub record: Vec<String>,
    /// Calls a run at most.
    pub budget: u32,
}

/// Which rows are not final: those with one of these values in this column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// A column of type text.
    pub column: TableName,
    /// Its values that are not final.
    pub values: Vec<String>,
}

/// Finding rows whose window column is empty, by reading the list without a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undated {
    /// The whole list is read this often; each run reads its newest pages.
    pub every: Duration,
    /// Pages of the whole list that one run reads at most; the next run goes on there.
    pub pages: u32,
}
