//! The sections of a sync.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{OneOrMany, Scalar};

/// A sync: which list to read, how, when, and into which table.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SyncFile {
    /// What it brings.
    pub(crate) description: String,
    /// One record's name, capitalised: `Message`.
    pub(crate) model: String,
    /// How several are called in paths and answers; made from `model` if left out: `messages`, `phone-numbers`.
    pub(crate) plural: Option<String>,
    /// The table, unique among all providers: `shop_orders`.
    pub(crate) table: String,
    /// How often: `every 5 minutes`, at least 30 seconds. Either this or `cron`.
    pub(crate) runs: Option<String>,
    /// When, as a cron expression of five fields or of six with seconds first; Sunday is 0 or 7.
    pub(crate) cron: Option<String>,
    /// The time zone of `cron`, such as `Europe/Berlin`; UTC if left out.
    pub(crate) timezone: Option<String>,
    /// Whether it runs for a new connection without being started; true if left out.
    pub(crate) auto_start: Option<bool>,
    /// The call that reads the list.
    pub(crate) request: RequestFile,
    /// Where in the answer the records stand, with dots between names; left out if the answer itself is the list.
    pub(crate) records: Option<String>,
    /// How the list goes on; `proxy.paginate` if left out.
    pub(crate) paginate: Option<PaginateFile>,
    /// The column, of type text, whose value names a record within its connection.
    pub(crate) key: String,
    /// How the list is ordered, by the window's column.
    #[serde(default)]
    pub(crate) order: OrderName,
    /// Timestamp columns that order records newest first; the first that has a value counts. The window's if left out.
    pub(crate) newest_by: Option<OneOrMany<String>>,
    /// Reading the list by date. Without it the list is read whole each time.
    pub(crate) window: Option<WindowFile>,
    /// What each run reads again, since records change after they were read.
    #[serde(default)]
    pub(crate) lookback: OneOrMany<LookbackFile>,
    /// How single records that are not final are followed up.
    pub(crate) reread: Option<RereadFile>,
    /// How records without a date, which no window shows, are found.
    pub(crate) undated: Option<UndatedFile>,
    /// Whether rows that are no longer found are marked deleted.
    #[serde(default)]
    pub(crate) deletes: DeletesFile,
    /// The columns: a type, or a type and more.
    pub(crate) columns: IndexMap<String, ColumnFile>,
    /// Columns that can be filtered by exact value; each is indexed.
    #[serde(default)]
    pub(crate) filters: Vec<String>,
}

/// The call that reads a list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestFile {
    /// A name of `servers`; the base URL if left out.
    pub(crate) server: Option<String>,
    /// Path below the server.
    pub(crate) path: String,
    /// Query parameters.
    #[serde(default)]
    pub(crate) query: IndexMap<String, Scalar>,
    /// Headers beside the provider's.
    #[serde(default)]
    pub(crate) headers: IndexMap<String, Scalar>,
}

/// How a list goes on. Which keys are needed depends on `type`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PaginateFile {
    /// By the next page's address, by a token, by how many records or pages to skip, or not at all.
    #[serde(rename = "type")]
    pub(crate) kind: PaginateType,
    /// link: where in the answer the next page's address stands, with dots between names.
    pub(crate) link_path_in_response_body: Option<String>,
    /// link: the relation in the `Link` header, usually `next`.
    pub(crate) link_rel_in_response_header: Option<String>,
    /// link: the parameter beside that relation by which the provider says true or false whether there is more.
    pub(crate) link_more_in_response_header: Option<String>,
    /// cursor: the parameter for the token.
    pub(crate) cursor_name_in_request: Option<String>,
    /// cursor: where in the answer the token stands.
    pub(crate) cursor_path_in_response: Option<String>,
    /// cursor: the field of the last record that is the token, where the answer holds none.
    pub(crate) cursor_from_last_record: Option<String>,
    /// Where in the response it says true if there is more, and false at the end.
    pub(crate) more_path_in_response: Option<String>,
    /// Where in the response it says true at the end.
    pub(crate) end_path_in_response: Option<String>,
    /// link and cursor: whether a page without records is the end; false if left out.
    #[serde(default)]
    pub(crate) ends_with_empty_page: bool,
    /// Where in the response it says how many records the whole list has.
    pub(crate) total_path_in_response: Option<String>,
    /// The most pages of one list that the provider shows.
    #[schemars(range(min = 1))]
    pub(crate) max_pages: Option<u64>,
    /// offset: the largest offset that the provider accepts.
    pub(crate) max_offset: Option<u64>,
    /// offset: the parameter for the offset.
    pub(crate) offset_name_in_request: Option<String>,
    /// offset: the first value; 0 if left out.
    pub(crate) offset_start_value: Option<u64>,
    /// offset: whether it counts pages or records; records if left out.
    #[serde(default)]
    pub(crate) offset_calculation_method: OffsetName,
    /// The page size asked for.
    #[schemars(range(min = 1))]
    pub(crate) limit: Option<u64>,
    /// The parameter for the page size.
    pub(crate) limit_name_in_request: Option<String>,
    /// Where the records stand, unless the sync says it in `records`.
    pub(crate) response_path: Option<String>,
    /// Whether the parameters stand in the body; a list that a sync reads has none.
    #[serde(default)]
    pub(crate) in_body: bool,
}

/// How a list goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PaginateType {
    Link,
    Cursor,
    Offset,
    None,
}

/// What an offset counts.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OffsetName {
    PerPage,
    #[default]
    ByResponseSize,
}

/// How a list is ordered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OrderName {
    NewestFirst,
    OldestFirst,
    #[default]
    Unknown,
}

/// Reading a list by date.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WindowFile {
    /// The timestamp column that the provider filters by, or orders the list by if there is no `from`.
    pub(crate) column: String,
    /// The parameter for the lower bound. Without it the list must be in order, newest first, and is read as far down as is needed.
    pub(crate) from: Option<String>,
    /// The parameter for the upper bound. Without it ranges reach to the newest record, and the first reading is not cut into slices.
    pub(crate) to: Option<String>,
    /// How bounds are written: whole UTC days, ISO 8601, or seconds or milliseconds since 1970. Needed with `from`.
    pub(crate) format: Option<FormatName>,
    /// Whether records exactly at the upper bound (with dates: on that day) are included; the lower bound always is. Needed with `to`.
    pub(crate) inclusive: Option<InclusiveName>,
    /// The width of a slice of the first reading; 7 days if left out.
    pub(crate) step: Option<String>,
    /// The widest range that the provider takes; any if left out.
    pub(crate) longest: Option<String>,
    /// Slices read at once; 4 if left out.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) parallel: Option<u32>,
    /// Pages after which a slice is split; 50 if left out.
    #[schemars(range(min = 1))]
    pub(crate) split_after: Option<u32>,
    /// How far back the provider keeps records: `400 days`.
    pub(crate) retention: String,
    /// How the provider says that a range begins before its retention.
    pub(crate) beyond_retention: Option<BeyondFile>,
    /// How far back the provider keeps records in any case, if `retention` is not sure; the longest `lookback` if left out. A 400 for
    /// a range that begins before that is met by a narrower range.
    pub(crate) shortest_retention: Option<String>,
}

/// How the provider says that a range begins before its retention.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BeyondFile {
    /// The error code.
    pub(crate) code: Scalar,
}

/// How a bound is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FormatName {
    Date,
    DateTime,
    UnixSeconds,
    UnixMillis,
}

/// Which bounds a range includes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum InclusiveName {
    Both,
    Lower,
}

/// A trailing range that is read again.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LookbackFile {
    /// How far back: `3 days`.
    pub(crate) reach: String,
    /// At most this often; every run if left out.
    pub(crate) every: Option<String>,
}

/// Following up single records that are not final.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RereadFile {
    /// One column, and its values that are not final. Without it single records are read only to confirm that they are gone.
    #[serde(default, rename = "where")]
    #[schemars(extend("maxProperties" = 1))]
    pub(crate) condition: IndexMap<String, OneOrMany<Scalar>>,
    /// Where one record is read; `${record.KEY}` is the value of the key column.
    pub(crate) path: String,
    /// Where in the answer the record stands, with dots between names; left out if the answer is the record.
    pub(crate) record: Option<String>,
    /// Calls a run at most; 100 if left out.
    #[schemars(range(min = 1))]
    pub(crate) budget: Option<u32>,
}

/// Finding records that no window shows.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UndatedFile {
    /// The whole list is read this often: `30 days`.
    pub(crate) every: String,
    /// Pages of the whole list that one run reads at most; 100 if left out.
    #[schemars(range(min = 1))]
    pub(crate) pages: Option<u32>,
}

/// Whether rows that are no longer found are marked deleted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeletesFile {
    /// Whether they are; false if left out.
    #[serde(default)]
    pub(crate) track: bool,
    /// The largest share of a connection's rows that one run may mark deleted; 0.3 if left out.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) guard: Option<f64>,
}

/// A column: its type, or its type and more.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum ColumnFile {
    /// The type alone.
    Short(ColumnType),
    /// The type and more.
    Long(ColumnSpec),
}

/// A column.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ColumnSpec {
    /// Its type in the table.
    #[serde(rename = "type")]
    pub(crate) kind: ColumnType,
    /// How the provider writes a timestamp; `iso8601` if left out.
    pub(crate) parse: Option<ColumnParse>,
    /// Where the value stands in the record, with dots between names; the column's name if left out.
    pub(crate) path: Option<String>,
    /// What it means.
    #[serde(default)]
    pub(crate) description: String,
}

/// The type of a column. A decimal is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ColumnType {
    Text,
    Integer,
    Boolean,
    Timestamp,
    Decimal,
    Json,
}

/// How a provider writes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ColumnParse {
    Plain,
    Rfc2822,
    Iso8601,
    UnixSeconds,
    UnixMillis,
}
