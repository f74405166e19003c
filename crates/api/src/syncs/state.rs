//! The status of a sync in the shape of Nango's API.

use std::collections::BTreeMap;

use domain::{Problem, Run, RunStatus, Timestamp};
use gateway::SyncStatus;
use serde::Serialize;
use serde_json::Value as Json;
use utoipa::ToSchema;

/// The status of syncs.
#[derive(Serialize, ToSchema)]
pub(crate) struct StatusList {
    syncs: Vec<SyncEntry>,
}

/// The status of a sync.
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
    /// When the latest finished run ended.
    #[schema(format = DateTime)]
    finished_at: Option<String>,
    /// When it next runs; null while it runs or is paused.
    #[schema(format = DateTime)]
    next_scheduled_sync_at: Option<String>,
    /// What the latest finished run changed, by model.
    latest_result: BTreeMap<String, Counts>,
    /// How the latest finished run ended.
    latest_execution_status: Option<State>,
    /// Why that run may not have read a list to its end, so that it marked no rows as deleted; absent if it read every list.
    #[serde(skip_serializing_if = "Option::is_none")]
    incomplete: Option<String>,
    /// Why the connection's key may not read what the sync needs; absent if it may, or if that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<SyncProblem>,
    /// Live records by model.
    record_count: BTreeMap<String, u64>,
    /// How far the sync has read, in a format of its own.
    #[schema(value_type = Option<Object>)]
    checkpoint: Option<Json>,
}

/// Why a sync cannot read.
#[derive(Serialize, ToSchema)]
struct SyncProblem {
    /// `permission`.
    #[schema(example = "permission")]
    r#type: String,
    /// What the provider said, and what to do.
    #[schema(
        example = "the key may not read acme-messages: Acme refused with HTTP 403: \"Missing scope\". At the provider, give the key permission to read this data, or connect again with a key that has it."
    )]
    message: String,
    /// The provider's code.
    code: Option<String>,
    /// When it was first found.
    #[schema(format = DateTime)]
    at: String,
}

/// What a run changed.
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
    #[expect(
        dead_code,
        reason = "a word of Nango's for runs that a client stopped, which ours cannot be"
    )]
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
        let problem = |problem: Problem| SyncProblem {
            r#type: problem.kind,
            message: problem.message,
            code: problem.code,
            at: problem.at.to_string(),
        };
        let text = |time: Timestamp| time.to_string();
        Self {
            status: overall(&state),
            r#type: kind(&state),
            id: state.sync.id.to_string(),
            connection_id: state.sync.connection_name.to_string(),
            name: state.sync.name.to_string(),
            variant: state.sync.variant.to_string(),
            frequency: state.frequency,
            finished_at: finished.and_then(|run| run.finished_at).map(text),
            next_scheduled_sync_at: state.next_run_at.map(text),
            latest_execution_status: finished.map(|run| state_of(run.status)),
            incomplete: finished.and_then(|run| run.incomplete.clone()),
            problem: state.sync.problem.map(problem),
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

/// Returns the status of a sync: running, else paused, else how the last run ended. A sync that never ran is fine unless its key may not
/// read.
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
            .map_or(State::Success, |run| state_of(run.status))
    }
}

fn state_of(status: RunStatus) -> State {
    match status {
        RunStatus::Queued | RunStatus::Running => State::Running,
        RunStatus::Succeeded => State::Success,
        RunStatus::Failed => State::Error,
    }
}

/// Returns whether the backfill is still to end, or runs are incremental.
fn kind(state: &SyncStatus) -> Kind {
    match state.latest.as_ref().and_then(|run| run.kind.as_deref()) {
        None | Some("backfill") => Kind::Initial,
        Some(_) => Kind::Incremental,
    }
}
