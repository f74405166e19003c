//! Runs of syncs: at most one of a sync is queued or running.

use std::collections::BTreeMap;

use diesel::prelude::*;
use domain::{ConnectionName, EnvironmentId, IntegrationKey, RunId, SyncId, SyncName, Timestamp};
use serde::{Deserialize, Serialize};

use crate::column::{MaybeJson, MaybeMicros, Micros, Number, Word};
use crate::connections::ConnectionRow;
use crate::dialect::{delete_old_runs, forget_unchanged_runs, on_db};
pub use crate::run_notes::{Ending, RunNotes, note};
use crate::schedule::Claimed;
use crate::schema::{connections, credentials, runs, syncs};
use crate::syncs::SyncRow;
use crate::{DbConn, StoreError};

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunStatus {
    /// Waits for a worker.
    Queued,
    /// A worker has it.
    Running,
    /// Done.
    Succeeded,
    /// Ended by an error.
    Failed,
    /// Ended by somebody.
    Cancelled,
}

/// Why a run was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// The connection is new.
    Initial,
    /// It was due.
    Schedule,
    /// Somebody asked for it.
    Api,
}

/// A stored word that this version does not write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown word {0:?}")]
pub struct UnknownWord(pub(crate) String);

macro_rules! stored_words {
    ($name:ident: $($variant:ident = $word:literal),*) => {
        impl $name {
            /// The word for tables and answers; it never changes.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::runs::UnknownWord;

            fn from_str(word: &str) -> Result<Self, $crate::runs::UnknownWord> {
                match word {
                    $($word => Ok(Self::$variant),)*
                    _ => Err($crate::runs::UnknownWord(word.to_owned())),
                }
            }
        }
    };
}
pub(crate) use stored_words;

stored_words!(RunStatus: Queued = "queued", Running = "running", Succeeded = "succeeded", Failed = "failed", Cancelled = "cancelled");
stored_words!(Trigger: Initial = "initial", Schedule = "schedule", Api = "api");

/// The statuses of runs that have not ended.
pub(crate) const ACTIVE: [&str; 2] = [RunStatus::Queued.as_str(), RunStatus::Running.as_str()];

/// A run.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable)]
#[diesel(table_name = runs)]
pub struct RunRow {
    /// Its id.
    #[diesel(deserialize_as = Word)]
    pub id: RunId,
    /// The sync.
    #[diesel(deserialize_as = Number, column_name = sync_id)]
    pub sync: SyncId,
    /// How far it is.
    #[diesel(deserialize_as = Word)]
    pub status: RunStatus,
    /// Why it was made.
    #[diesel(deserialize_as = Word)]
    pub trigger: Trigger,
    /// `backfill`, `incremental` or `full`; `None` until it is known.
    pub kind: Option<String>,
    /// When it was made.
    #[diesel(deserialize_as = Micros)]
    pub created_at: Timestamp,
    /// When a worker first took it.
    #[diesel(deserialize_as = MaybeMicros)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[diesel(deserialize_as = MaybeMicros)]
    pub finished_at: Option<Timestamp>,
    /// How often another worker took it over.
    pub resumed: i64,
    /// Pages read.
    pub pages: i64,
    /// Records that were new.
    pub added: i64,
    /// Records that had changed.
    pub updated: i64,
    /// Records marked deleted.
    pub deleted: i64,
    /// Records as they were.
    pub unchanged: i64,
    /// Records that could not be kept.
    pub skipped: i64,
    /// Values that did not fit their column, by the column's name; `None` if there were none.
    #[diesel(deserialize_as = MaybeJson)]
    pub misfits: Option<BTreeMap<String, MisfitCount>>,
    /// From 0 to 1, if known.
    pub progress: Option<f64>,
    /// The error's stable code.
    pub error_code: Option<String>,
    /// The error for people.
    pub error_message: Option<String>,
    /// What to do about it.
    pub error_hint: Option<String>,
    /// Why a list may not have been read to its end, so that no deletions were looked for in it.
    pub incomplete: Option<String>,
}

/// The values of one column that did not fit it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MisfitCount {
    /// How many a run read.
    pub count: u64,
    /// What the first of them was, in words.
    pub first: String,
}

/// Why a run failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunError {
    /// A stable code.
    pub code: String,
    /// For people.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Which runs to list.
#[derive(Debug, Clone)]
pub struct RunFilter {
    /// Of this integration.
    pub integration: Option<IntegrationKey>,
    /// Of the connection of this name.
    pub connection_name: Option<ConnectionName>,
    /// Of the sync of this name.
    pub sync: Option<SyncName>,
    /// At most so many.
    pub limit: i64,
    /// Only runs older than this one.
    pub before: Option<RunId>,
    /// Only runs whose id begins with this.
    pub id_prefix: Option<RunIdPrefix>,
}

/// The beginning of a run's id: `run_` and 1 to 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunIdPrefix(String);

/// Why a text is not a [`RunIdPrefix`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be `run_` and 1 to 32 hexadecimal digits")]
pub struct RunIdPrefixError;

impl std::str::FromStr for RunIdPrefix {
    type Err = RunIdPrefixError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("run_").unwrap_or_default();
        let right = (1..=32).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        right
            .then(|| Self(text.to_ascii_lowercase()))
            .ok_or(RunIdPrefixError)
    }
}

impl Default for RunFilter {
    fn default() -> Self {
        Self {
            integration: None,
            connection_name: None,
            sync: None,
            limit: 100,
            before: None,
            id_prefix: None,
        }
    }
}

/// The sync's queued or running run, and true; else a new queued one, and false.
pub fn enqueue(
    c: &mut DbConn,
    sync: SyncId,
    trigger: Trigger,
    now: Timestamp,
) -> Result<(RunRow, bool), StoreError> {
    let created = on_db!(&mut *c, c => diesel::insert_into(runs::table)
        .values((
            runs::id.eq(RunId::new(now).to_string()),
            runs::sync_id.eq(sync.raw()),
            runs::status.eq(RunStatus::Queued.as_str()),
            runs::trigger.eq(trigger.as_str()),
            runs::created_at.eq(now.as_micros()),
        ))
        .on_conflict_do_nothing()
        .execute(c))?;
    let row = runs::table
        .filter(runs::sync_id.eq(sync.raw()).and(runs::status.eq_any(ACTIVE)))
        .select(RunRow::as_select())
        .first(c)
        .map_err(StoreError::about("sync"))?;
    Ok((row, created == 0))
}

/// Starts the syncs' queued runs and counts a takeover of those that run already; syncs without either get a new run. In the order of
/// the syncs.
pub(crate) fn take_over(
    c: &mut DbConn,
    sync_ids: &[i64],
    now: Timestamp,
) -> Result<Vec<Claimed>, StoreError> {
    let mut with_run = Vec::new();
    for sync in sync_ids {
        let created = on_db!(&mut *c, c => diesel::insert_into(runs::table)
            .values((
                runs::id.eq(RunId::new(now).to_string()),
                runs::sync_id.eq(sync),
                runs::status.eq(RunStatus::Running.as_str()),
                runs::trigger.eq(Trigger::Schedule.as_str()),
                runs::created_at.eq(now.as_micros()),
                runs::started_at.eq(now.as_micros()),
            ))
            .on_conflict_do_nothing()
            .execute(c))?;
        if created == 0 {
            with_run.push(*sync);
        }
    }
    if !with_run.is_empty() {
        let theirs = |status: RunStatus| {
            runs::table.filter(
                runs::sync_id
                    .eq_any(&with_run)
                    .and(runs::status.eq(status.as_str())),
            )
        };
        diesel::update(theirs(RunStatus::Running))
            .set(runs::resumed.eq(runs::resumed + 1))
            .execute(c)?;
        diesel::update(theirs(RunStatus::Queued))
            .set((
                runs::status.eq(RunStatus::Running.as_str()),
                runs::started_at.eq(now.as_micros()),
            ))
            .execute(c)?;
    }
    // One after the other: PostgreSQL would plan the joins anew for each list of syncs, and keeps the plan for a single one.
    let mut claimed = Vec::with_capacity(sync_ids.len());
    for sync in sync_ids {
        let running = runs::table
            .inner_join(syncs::table.inner_join(connections::table.left_join(credentials::table)))
            .filter(runs::sync_id.eq(sync))
            .filter(runs::status.eq(RunStatus::Running.as_str()))
            .select((
                RunRow::as_select(),
                SyncRow::as_select(),
                ConnectionRow::as_select(),
                credentials::sealed.nullable(),
            ))
            .get_result(c)
            .optional()?;
        claimed.extend(running.map(|(run, sync, connection, sealed)| Claimed {
            sync,
            run,
            connection,
            sealed,
        }));
    }
    Ok(claimed)
}

/// The environment's run of that id, with its sync.
pub fn find(c: &mut DbConn, environment: EnvironmentId, id: RunId) -> Result<(RunRow, SyncRow), StoreError> {
    runs::table
        .inner_join(syncs::table.inner_join(connections::table))
        .filter(
            runs::id
                .eq(id.to_string())
                .and(connections::environment_id.eq(environment.raw())),
        )
        .select((RunRow::as_select(), SyncRow::as_select()))
        .first(c)
        .map_err(StoreError::about("run"))
}

/// The environment's runs that pass the filter, newest first, with their syncs.
pub fn list(
    c: &mut DbConn,
    environment: EnvironmentId,
    filter: &RunFilter,
) -> Result<Vec<(RunRow, SyncRow)>, StoreError> {
    let mut query = runs::table
        .inner_join(syncs::table.inner_join(connections::table))
        .filter(connections::environment_id.eq(environment.raw()))
        .into_boxed();
    if let Some(integration) = &filter.integration {
        query = query.filter(connections::integration.eq(integration.as_str()));
    }
    if let Some(name) = &filter.connection_name {
        query = query.filter(connections::name.eq(name.as_str()));
    }
    if let Some(sync) = &filter.sync {
        query = query.filter(syncs::name.eq(sync.as_str()));
    }
    if let Some(RunIdPrefix(prefix)) = &filter.id_prefix {
        // A `g` sorts behind every hexadecimal digit in any collation, so a range of the index serves.
        query = query.filter(runs::id.ge(prefix.clone()).and(runs::id.lt(format!("{prefix}g"))));
    }
    if let Some(before) = filter.before {
        let number = runs::table
            .inner_join(syncs::table.inner_join(connections::table))
            .filter(connections::environment_id.eq(environment.raw()))
            .filter(runs::id.eq(before.to_string()))
            .select(runs::number)
            .first::<i64>(c);
        query = query.filter(runs::number.lt(number.map_err(StoreError::about("run"))?));
    }
    Ok(query
        .order(runs::number.desc())
        .limit(filter.limit)
        .select((RunRow::as_select(), SyncRow::as_select()))
        .load(c)?)
}

/// The sync's newest run.
pub fn latest(c: &mut DbConn, sync: SyncId) -> Result<Option<RunRow>, StoreError> {
    Ok(runs::table
        .filter(runs::sync_id.eq(sync.raw()))
        .order(runs::number.desc())
        .select(RunRow::as_select())
        .first(c)
        .optional()?)
}

/// The sync's newest run that has ended.
pub fn latest_finished(c: &mut DbConn, sync: SyncId) -> Result<Option<RunRow>, StoreError> {
    Ok(runs::table
        .filter(runs::sync_id.eq(sync.raw()).and(runs::status.ne_all(ACTIVE)))
        .order(runs::number.desc())
        .select(RunRow::as_select())
        .first(c)
        .optional()?)
}

/// Deletes runs of the sync just behind its newest `keep` that succeeded and changed nothing: they are most of a history. To be called at
/// the end of every run.
pub fn forget_unchanged(c: &mut DbConn, sync: SyncId, keep: i64) -> Result<(), StoreError> {
    forget_unchanged_runs(c, sync, keep)
}

/// Deletes up to `limit` ended runs made before `before`, but of each sync the newest `keep_per_sync` (at least one); gives how
/// many went. To be repeated until it gives less. A run from the future of `now` was made by a wrong clock: it counts as old.
pub fn prune(
    c: &mut DbConn,
    before: Timestamp,
    keep_per_sync: i64,
    limit: i64,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let future = now.plus(Timestamp::CLOCK_SKEW);
    let deleted = delete_old_runs(c, before, future, keep_per_sync, limit)?;
    Ok(i64::try_from(deleted).unwrap_or(i64::MAX))
}
