//! How often a single connection's sync runs, where that is not as the provider's file says.

use std::sync::Arc;

use domain::{SyncName, Variant};
use registry::Schedule;
use store::{StoreError, lease, runs, syncs};

use crate::syncs::{Syncs, next_due, no_such_variant};
use crate::{Caller, FieldError, GatewayError};

impl Syncs<'_> {
    /// Sets how often a connection's sync runs, or with `None` has it run as the provider's file says; gives what is in force.
    ///
    /// The next run moves at once. One that waits or is under way goes on, and the schedule counts from its end.
    pub async fn set_frequency(
        &self,
        caller: &Caller,
        integration: &str,
        connection: &str,
        (name, variant): (&SyncName, &Variant),
        frequency: Option<&str>,
    ) -> Result<Schedule, GatewayError> {
        let wrong = |message: String| {
            GatewayError::InvalidBody(vec![FieldError::at("invalid", "frequency", message)])
        };
        let own = frequency.map(Schedule::parse_every).transpose();
        let own = own.map_err(|error| wrong(error.to_string()))?;
        let connection = self.0.connection(caller, integration, connection).await?;
        let declared = self.0.declared(&connection, name)?.schedule.clone();
        let unknown = || no_such_variant(name, connection.name.as_str(), variant);
        let found = self.0.find_sync(&connection, name, variant).await?;
        let sync = found.ok_or_else(unknown)?;
        let (id, now, text) = (sync.id, self.0.clock.now(), own.as_ref().map(ToString::to_string));
        let provider = Arc::clone(self.0.provider(&connection.provider)?);
        let moved = self.0.store.write(move |c| {
            lease::lock(c, id)?;
            syncs::set_frequency(c, id, text.as_deref())?;
            let active = runs::latest(c, id)?.is_some_and(|run| run.finished_at.is_none());
            match syncs::get_any_environment(c, id)? {
                Some(sync) if !active => lease::reschedule(c, id, next_due(&provider, &sync, now), now),
                _ => Ok(()),
            }
        });
        moved.await.map_err(|error| match error {
            // It was deleted since it was found.
            StoreError::NotFound { .. } => unknown(),
            other => other.into(),
        })?;
        self.0.due.notify_one();
        Ok(own.unwrap_or(declared))
    }
}
