//! A sync: the list to read, how and when, and its model.
//!
//! A section that needs no conversion derives `Deserialize` here. For other sections, `file` has the type that is deserialized. Syncs with
//! parents would add a section to `SyncFile` (which sync lists the parents) and a field to [`ListRequest`] (the placeholder that a parent
//! fills).

use std::sync::Arc;
use std::time::Duration;

use domain::{Model, SyncName, TableName, Timestamp};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::Deserializer;

use crate::duration::{self, LengthOfTime};
use crate::paginate::Paginate;
use crate::schedule::Schedule;
use crate::template::Template;
use crate::written::{self, OneOrMany, Scalar};

/// A sync: the list to read, how and when, and its model.
#[derive(Debug, Clone)]
pub struct Sync {
    /// Its name.
    pub name: SyncName,
    /// What it syncs.
    pub description: String,
    /// The records' table.
    pub model: Arc<Model>,
    /// When it runs.
    pub schedule: Schedule,
    /// Whether it runs for a new connection automatically.
    pub auto_start: bool,
    /// The request for the list.
    pub request: ListRequest,
    /// Where in the response the records are, outermost name first; empty if the response itself is the list.
    pub records: Vec<String>,
    /// How the list continues.
    pub paginate: Paginate,
    /// Whether the list begins with the newest records, by the window's column.
    pub newest_first: bool,
    /// How the list is read by date; `None` means a full scan in every run.
    pub window: Option<Window>,
    /// The lookback windows.
    pub lookback: Vec<Lookback>,
    /// How single rows are rechecked.
    pub reread: Option<Reread>,
    /// How to find rows without a date, which no date filter matches.
    pub undated: Option<Undated>,
    /// Whether rows that a complete read no longer finds are marked as deleted.
    pub track_deletes: bool,
    /// The largest share of a connection's live rows (0 to 1) that one run may mark as deleted.
    pub delete_guard: f64,
}

/// The request that reads a list.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ListRequest {
    /// A name from `servers`; the base URL by default.
    pub server: Option<String>,
    /// The path below the server.
    pub path: Template,
    /// Query parameters.
    #[serde(default, deserialize_with = "written::pairs")]
    #[schemars(with = "IndexMap<String, Scalar>")]
    pub query: Vec<(String, Template)>,
    /// Headers in addition to the provider's.
    #[serde(default, deserialize_with = "written::pairs")]
    #[schemars(with = "IndexMap<String, Scalar>")]
    pub headers: Vec<(String, Template)>,
    /// The query parameter that holds the page size, if the file names it in `paginate`.
    #[serde(skip)]
    pub size_parameter: Option<String>,
}

/// Reading a list by date. This is not a lookback window.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Window {
    /// The timestamp column that the provider filters by, or orders the list by if there is no `from`.
    #[schemars(with = "String")]
    pub column: TableName,
    /// The parameter for the lower bound. Without it the list must be in order, newest first, and is read as far down as is needed.
    pub from: Option<String>,
    /// The parameter for the upper bound. Without it ranges reach to the newest record, and the backfill is not cut into slices.
    pub to: Option<String>,
    /// How bounds are written: whole UTC days, ISO 8601, or seconds or milliseconds since 1970. Needed with `from`.
    #[serde(default)]
    pub format: BoundFormat,
    /// `both`: the provider includes records at the upper bound (with `date`: of that day). `lower`: it does not. Records at the lower bound
    /// are always included. Needed with `to`.
    pub inclusive: Option<Inclusive>,
    /// The width of a slice of the backfill; 7 days if left out.
    #[serde(default = "default_step", deserialize_with = "duration::read")]
    #[schemars(with = "LengthOfTime")]
    pub step: Duration,
    /// The widest range of one request; no limit if left out.
    #[serde(default, deserialize_with = "duration::read")]
    #[schemars(with = "LengthOfTime")]
    pub longest: Option<Duration>,
    /// Slices read at once; 4 if left out.
    #[serde(default = "default_parallel")]
    #[schemars(range(min = 1, max = 100))]
    pub parallel: u32,
    /// Pages after which a slice is split; 50 if left out.
    #[serde(default = "default_split")]
    #[schemars(range(min = 1))]
    pub split_after: u32,
    /// How far back the provider keeps records: `400 days`.
    #[serde(deserialize_with = "duration::read")]
    #[schemars(with = "LengthOfTime")]
    pub retention: Duration,
    /// How the provider reports that a range begins before its retention.
    pub beyond_retention: Option<BeyondRetention>,
    /// The retention that the provider guarantees, if it may be shorter than `retention`. If the provider responds with 400 to a range that
    /// begins earlier, the range is halved. Default: the longest `reach` of `lookback`.
    #[serde(default, deserialize_with = "duration::read")]
    #[schemars(with = "LengthOfTime")]
    pub shortest_retention: Duration,
}

const fn default_step() -> Duration {
    Duration::from_hours(7 * 24)
}

const fn default_parallel() -> u32 {
    4
}

const fn default_split() -> u32 {
    50
}

/// How a bound is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BoundFormat {
    /// `2026-11-21`: whole UTC days.
    Date,
    /// `2026-11-21T10:00:00Z`.
    #[default]
    DateTime,
    /// Seconds since 1970.
    UnixSeconds,
    /// Milliseconds since 1970.
    UnixMillis,
}

/// Which bounds a range includes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Inclusive {
    /// Both.
    Both,
    /// The lower bound.
    Lower,
}

/// How the provider reports that a range begins before its retention.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Beyond")]
pub struct BeyondRetention {
    /// The error code.
    #[serde(deserialize_with = "written::text")]
    #[schemars(with = "Scalar")]
    pub code: String,
}

impl Window {
    /// Returns the query parameters that limit a list to `[from, to)`; without `to` the range reaches to the newest record.
    pub fn bounds(&self, from: Timestamp, to: Option<Timestamp>) -> Vec<(String, String)> {
        let mut query = Vec::new();
        if let Some(name) = &self.from {
            query.push((name.clone(), self.write(from)));
        }
        if let (Some(name), Some(to)) = (&self.to, to) {
            // `to` itself belongs to the next range. If the provider includes the upper bound, send one unit less.
            let last = if self.inclusive == Some(Inclusive::Both) {
                to.minus(self.granularity())
            } else {
                to
            };
            query.push((name.clone(), self.write(last)));
        }
        query
    }

    /// Returns the unit in which bounds are written.
    pub const fn granularity(&self) -> Duration {
        match self.format {
            BoundFormat::Date => Timestamp::DAY,
            BoundFormat::DateTime | BoundFormat::UnixSeconds => Timestamp::SECOND,
            BoundFormat::UnixMillis => Duration::from_millis(1),
        }
    }

    fn write(&self, time: Timestamp) -> String {
        match self.format {
            BoundFormat::Date => time.to_chrono().format("%Y-%m-%d").to_string(),
            BoundFormat::DateTime => time.to_chrono().format("%Y-%m-%dT%H:%M:%SZ").to_string(),
            BoundFormat::UnixSeconds => time.as_micros().div_euclid(1_000_000).to_string(),
            BoundFormat::UnixMillis => time.as_micros().div_euclid(1_000).to_string(),
        }
    }
}

/// A recent window that is read again, since records change after they were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Lookback {
    /// How far back: `3 days`.
    #[serde(deserialize_with = "duration::read")]
    #[schemars(with = "LengthOfTime")]
    pub reach: Duration,
    /// At most this often; every run if left out.
    #[serde(default, deserialize_with = "duration::read")]
    #[schemars(with = "LengthOfTime")]
    pub every: Option<Duration>,
}

/// Rechecking single records by key: those that are not final, and those that a list no longer shows.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Reread {
    /// One column, and its values that are not final. If left out, single records are requested only to confirm deletions.
    #[serde(default, rename = "where", deserialize_with = "unfinished")]
    #[schemars(with = "IndexMap<String, OneOrMany<Scalar>>", extend("maxProperties" = 1))]
    pub unfinished: Option<Unfinished>,
    /// Where one record is read; `${record.KEY}` is the value of the key column.
    pub path: Template,
    /// Where in the response the record is, with dots between names; left out if the response is the record.
    #[serde(default, deserialize_with = "written::path")]
    #[schemars(with = "String")]
    pub record: Vec<String>,
    /// The most requests of a run; 100 if left out.
    #[serde(default = "hundred")]
    #[schemars(range(min = 1))]
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

fn unfinished<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Unfinished>, D::Error> {
    #[derive(Deserialize)]
    struct Values(#[serde(deserialize_with = "written::texts")] Vec<String>);
    let columns = IndexMap::<TableName, Values>::deserialize(deserializer)?;
    let first = columns.into_iter().next();
    Ok(first.map(|(column, Values(values))| Unfinished { column, values }))
}

/// Finding rows whose window column is empty, by reading the list without a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Undated {
    /// The whole list is read this often: `30 days`. If `order` is `newest_first`, each run also reads the newest pages.
    #[serde(deserialize_with = "duration::read")]
    #[schemars(with = "LengthOfTime")]
    pub every: Duration,
    /// The most pages of the whole list that one run reads; 100 if left out.
    #[serde(default = "hundred")]
    #[schemars(range(min = 1))]
    pub pages: u32,
}

const fn hundred() -> u32 {
    100
}
