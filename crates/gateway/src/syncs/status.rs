//! The status of syncs: schedule, last runs, number of rows.

use domain::{Run, Sync, Timestamp};
use store::records;
use store::runs;
use store::schedule;

use super::{SyncSelection, select};
use crate::caller::Caller;
use crate::error::Result;
use crate::gateway::Gateway;

/// A sync with its status.
#[derive(Debug, Clone)]
pub struct SyncStatus {
    /// The sync.
    pub sync: Sync,
    /// Its model.
    pub model: String,
    /// How often it runs, as the provider's file or the caller wrote it.
    pub frequency: String,
    /// When it next runs; `None` while it is paused or runs.
    pub next_run_at: Option<Timestamp>,
    /// Whether a run is queued or in progress.
    pub running: bool,
    /// The newest run.
    pub latest: Option<Run>,
    /// The newest finished run.
    pub latest_finished: Option<Run>,
    /// Number of live rows.
    pub records: u64,
}

/// The status of the selected syncs.
pub async fn status(
    gateway: &Gateway,
    caller: &Caller,
    selection: &SyncSelection,
) -> Result<Vec<SyncStatus>> {
    let (integration, selected) = select(gateway, caller, selection).await?;
    let provider = integration.provider;
    let mut states = Vec::new();
    for sync in selected {
        // A sync that the file no longer declares keeps its rows, but has no status.
        let Some(declared) = provider.syncs.get(&sync.name) else {
            continue;
        };
        let table = gateway.table(&provider.name, &sync.name, &sync.variant).await?;
        let Some(table) = table else { continue };
        let (id, connection) = (sync.id, sync.connection);
        let read = gateway.store.read(move |c| {
            let live = records::count_live(c, &table.sql, connection)?;
            Ok((
                schedule::state(c, id)?,
                runs::latest(c, id)?,
                runs::latest_finished(c, id)?,
                live,
            ))
        });
        let (state, latest, latest_finished, records) = read.await?;
        let unfinished = |run: &Run| run.finished_at.is_none();
        let running = state.holder.is_some() || latest.as_ref().is_some_and(unfinished);
        states.push(SyncStatus {
            model: declared.model.name.to_string(),
            frequency: sync
                .frequency
                .clone()
                .unwrap_or_else(|| declared.schedule.to_string()),
            next_run_at: state.due_at.filter(|_| !running),
            running,
            latest,
            latest_finished,
            records,
            sync,
        });
    }
    Ok(states)
}
