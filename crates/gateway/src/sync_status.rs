//! What a sync looks like from outside: its schedule, its last run, its rows.

use domain::{Run, Sync, Timestamp};
use store::records;
use store::runs;
use store::schedule::{self, ScheduleState};

use crate::syncs::Syncs;
use crate::{Caller, GatewayError, SyncSelection};

/// A sync with what there is to know of it.
#[derive(Debug, Clone)]
pub struct SyncStatus {
    /// The sync.
    pub sync: Sync,
    /// Its model.
    pub model: String,
    /// How often it runs, as people write it.
    pub frequency: String,
    /// When it next runs; `None` while it is paused or runs.
    pub next_run_at: Option<Timestamp>,
    /// Whether a run waits or is under way.
    pub running: bool,
    /// The newest run.
    pub latest: Option<Run>,
    /// The newest run that ended.
    pub latest_finished: Option<Run>,
    /// Live rows.
    pub records: u64,
}

impl Syncs<'_> {
    /// The state of the selected syncs.
    pub async fn status(
        &self,
        caller: &Caller,
        selection: &SyncSelection,
    ) -> Result<Vec<SyncStatus>, GatewayError> {
        let found = self
            .0
            .integration(caller.environment, &selection.integration)
            .await;
        let provider = found?.provider;
        let mut states = Vec::new();
        for sync in self.0.select(caller, selection).await? {
            // A sync that the file no longer declares keeps its rows, but has no state worth telling.
            let Some(declared) = provider.syncs.get(&sync.name) else {
                continue;
            };
            let Some(table) = self.0.table(&provider.name, &sync.name, &sync.variant).await? else {
                continue;
            };
            let (id, connection) = (sync.id, sync.connection);
            let read = self.0.store.read(move |c| {
                let live = records::count_live(c, &table.sql, connection)?;
                Ok((
                    schedule::state(c, id)?,
                    runs::latest(c, id)?,
                    runs::latest_finished(c, id)?,
                    live,
                ))
            });
            let (state, latest, latest_finished, records) = read.await?;
            let running = is_active(&state, latest.as_ref());
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
}

fn is_active(state: &ScheduleState, latest: Option<&Run>) -> bool {
    state.holder.is_some() || latest.is_some_and(|run| run.finished_at.is_none())
}
