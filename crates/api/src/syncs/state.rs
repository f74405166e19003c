//! The state of a sync in the shape of Nango's API.

use domain::{Problem, Run, RunStatus};
use std::collections::BTreeMap;

use gateway::SyncStatus;
use serde::Serialize;
use serde_json::Value as Json;
use utoipa::ToSchema;

/// The state of some syncs.
#[derive(Serialize, ToSchema)]
pub(crate) struct StatusList {
    syncs: Vec<SyncEntry>,
}

/// The state of a sync.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SyncStatus)]
struct SyncEntry {
    /// Its number.
    #[schema(example = "1")]
    id: String,
    #[serde(rename = "connection_id")]
    #[schema(example = "my-acme")]
    connection_id: String,
    #[schema(example = "acme-messages")]
    name: String,
    #[schema(example = "base")]
    variant: String,
    /// `INITIAL` until a run has succeeded.
    r#type: Kind,
    status: State,
    /// How often it runs.
    #[schema(example = "every 5 minutes")]
    frequency: String,
    /// When the newest run that ended did so.
    #[schema(format = DateTime)]
    finished_at: Option<String>,
    /// When it next runs; null while it runs or is paused.
    #[schema(format = DateTime)]
    next_scheduled_sync_at: Option<String>,
    /// What the newest run that ended did, by model.
    latest_result: BTreeMap<String, Counts>,
    /// How the newest run that ended did so.
    latest_execution_status: Option<State>,
    /// Why a list of that run may not have been read to its end, so that no deletions were looked for; left out if all were.
    #[serde(skip_serializing_if = "Option::is_none")]
    incomplete: Option<String>,
    /// Why the connection's key is not allowed to read what the sync needs; absent if it is allowed, or if that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<SyncProblem>,
    /// Live records by model.
    record_count: BTreeMap<String, u64>,
    /// How far it is, in its own words.
    #[schema(value_type = Option<Object>)]
    checkpoint: Option<Json>,
}

/// What keeps a sync from reading.
#[derive(Serialize, ToSchema)]
struct SyncProblem {
    /// The kind: `permission`.
    #[schema(example = "permission")]
    r#type: String,
    /// What the provider said, and what to do.
    #[schema(
        example = "the key may not read acme-messages: Acme refused with HTTP 403: \"Missing scope\". Give the key the permission to read it at the provider, or connect again with a key that has it."
    )]
    message: String,
    /// The provider's code.
    code: Option<String>,
    /// Since when.
    #[schema(format = DateTime)]
    at: String,
}

impl From<Problem> for SyncProblem {
    fn from(problem: Problem) -> Self {
        Self {
            r#type: problem.kind,
            message: problem.message,
            code: problem.code,
            at: problem.at.to_string(),
        }
    }
}

/// What a run did.
#[derive(Serialize, ToSchema)]
struct Counts {
    added: i64,
    updated: i64,
    deleted: i64,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Kind {
    Initial,
    Incremental,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum State {
    Running,
    Success,
    Error,
    Paused,
    Stopped,
}

impl From<Vec<SyncStatus>> for StatusList {
    fn from(states: Vec<SyncStatus>) -> Self {
        Self {
            syncs: states.into_iter().map(SyncEntry::from).collect(),
        }
    }
}

impl From<SyncStatus> for SyncEntry {
    fn from(state: SyncStatus) -> Self {
        let finished = state.latest_finished.as_ref();
        let counts = |run: &Run| Counts {
            added: run.added,
            updated: run.updated,
            deleted: run.deleted,
        };
        Self {
            status: overall(&state),
            r#type: kind(&state),
            id: state.sync.id.to_string(),
            connection_id: state.sync.connection_name.to_string(),
            name: state.sync.name.to_string(),
            variant: state.sync.variant.to_string(),
            frequency: state.frequency,
            finished_at: finished
                .and_then(|run| run.finished_at)
                .map(|time| time.to_string()),
            next_scheduled_sync_at: state.next_run_at.map(|time| time.to_string()),
            latest_execution_status: finished.map(|run| ended(run.status)),
            incomplete: finished.and_then(|run| run.incomplete.clone()),
            problem: state.sync.problem.map(SyncProblem::from),
            latest_result: finished
                .map(|run| (state.model.clone(), counts(run)))
                .into_iter()
                .collect(),
            record_count: BTreeMap::from([(state.model, state.records)]),
            checkpoint: Some(state.sync.checkpoint)
                .filter(|checkpoint| checkpoint.as_object().is_some_and(|map| !map.is_empty())),
        }
    }
}

/// Running before paused before how the last run ended; a sync that never ran has not failed, unless its key may not read.
fn overall(state: &SyncStatus) -> State {
    if state.running {
        State::Running
    } else if state.sync.paused {
        State::Paused
    } else if state.sync.problem.is_some() {
        State::Error
    } else {
        state
            .latest_finished
            .as_ref()
            .map_or(State::Success, |run| match run.status {
                RunStatus::Cancelled => State::Error,
                other => ended(other),
            })
    }
}

fn ended(status: RunStatus) -> State {
    match status {
        RunStatus::Queued | RunStatus::Running => State::Running,
        RunStatus::Succeeded => State::Success,
        RunStatus::Failed => State::Error,
        RunStatus::Cancelled => State::Stopped,
    }
}

/// A backfill is the first reading; what follows it is incremental.
fn kind(state: &SyncStatus) -> Kind {
    match state.latest.as_ref().and_then(|run| run.kind.as_deref()) {
        None | Some("backfill") => Kind::Initial,
        Some(_) => Kind::Incremental,
    }
}
