//! Processes events that providers sent: from the stored request to the rows, and to the app.
//!
//! A claim brings events in groups of one connection. One transaction applies what a group says by itself; then records are read again where
//! the events do not say enough, and a second transaction stores these. An event ends in the transaction that stores the last of its
//! changes, so a killed process repeats events and loses none; applying one twice changes nothing.

mod apply;
mod plan;
mod reread;
mod work;

use std::sync::Arc;
use std::time::Duration;

use domain::{IncomingEvent, IncomingStatus, Timestamp};
use gateway::Gateway;
use gateway::webhooks::{Rematch, rematch};
use store::incoming::{self, IncomingEnd, LeasedIncoming};
use store::{DbConn, StoreError, connections, integrations};
use upstream::Backoff;

use self::plan::Plan;
pub(crate) use self::reread::Reads;
use self::work::Work;
use crate::failure::Failure;

/// After so many attempts an event has failed.
const MOST_ATTEMPTS: i64 = 10;
/// The waits between attempts.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_secs(10),
    longest: Duration::from_hours(1),
};
/// The most characters of an error that is stored.
const LONGEST_ERROR: usize = 500;

/// Events of one connection that one claim leased together.
pub(crate) struct Group {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) reads: Arc<Reads>,
    pub(crate) holder: String,
    pub(crate) events: Arc<Vec<LeasedIncoming>>,
}

/// Processes a group while its leases of `length` are renewed.
pub(crate) async fn process(group: Group, length: Duration) {
    let last = group.events.iter().map(|leased| leased.event.number.raw()).max();
    group.reads.claimed(last.unwrap_or_default());
    let worked = tokio::select! {
        worked = group.work() => worked,
        () = group.keep(length) => Err(Failure::LeaseLost),
    };
    match worked {
        Ok(()) => {}
        Err(Failure::LeaseLost) => tracing::debug!("events were claimed by another worker, or erased"),
        Err(failure) if failure.database_is_away() => {
            tracing::info!("events could not be processed; they are claimed again when their lease expires");
        }
        // One event must not keep the others back.
        Err(_) if group.events.len() > 1 => {
            for leased in group.events.iter() {
                let one = Group {
                    gateway: Arc::clone(&group.gateway),
                    reads: Arc::clone(&group.reads),
                    holder: group.holder.clone(),
                    events: Arc::new(vec![leased.clone()]),
                };
                Box::pin(process(one, length)).await;
            }
        }
        Err(failure) => {
            tracing::warn!(error = %failure, "events could not be processed; the worker tries again later");
            group.fail(&failure).await;
        }
    }
}

impl Group {
    async fn work(&self) -> Result<(), Failure> {
        let Some(first) = self.events.first().map(|leased| &leased.event) else {
            return Ok(());
        };
        let Some(id) = first.connection_id else {
            for leased in self.events.iter() {
                self.match_again(leased).await?;
            }
            return Ok(());
        };
        let store = &self.gateway.store;
        let read = store.read(move |c| connections::get_any_environment(c, id));
        let Some(connection) = read.await? else {
            // It arrived while its connection was deleted.
            let now = self.gateway.clock.now();
            store
                .write(move |c| incoming::erase(c, id, i64::MAX, now))
                .await?;
            return Ok(());
        };
        let provider = self.gateway.registry.get(first.provider.as_str());
        let provider = Arc::clone(provider.ok_or(Failure::NotDeclared)?);
        let tables = plan::tables(&self.gateway, &provider).await?;
        let plan = |leased: &LeasedIncoming| plan::plan(&provider, &tables, &leased.request);
        let plans: Vec<Plan> = self.events.iter().map(plan).collect();
        let work = Work {
            now: self.gateway.clock.now(),
            connection,
            provider,
            tables,
            plans,
            events: Arc::clone(&self.events),
            holder: self.holder.clone(),
        };
        self.carry_out(Arc::new(work)).await
    }

    async fn carry_out(&self, work: Arc<Work>) -> Result<(), Failure> {
        let shared = Arc::clone(&work);
        let store = &self.gateway.store;
        let pending = store.write_long(move |c| shared.apply(c)).await?;
        if !pending.unsure.is_empty() {
            // By itself, as a page locks its sync before its rows.
            let (shared, names) = (Arc::clone(&work), pending.unsure.clone());
            store
                .write(move |c| shared.start_runs(c, &names.iter().collect()))
                .await?;
        }
        self.gateway.event_written.notify_one();
        self.gateway.sync_due.notify_one();
        if pending.events.is_empty() {
            return Ok(());
        }
        let wanted = pending.wanted(&work);
        let found = reread::read(
            &self.gateway,
            &self.reads,
            &work.connection,
            &work.tables,
            &wanted,
        );
        let found = Arc::new(found.await?);
        let (shared, stored, now) = (Arc::clone(&work), Arc::clone(&found), self.gateway.clock.now());
        let passed_over = store
            .write_long(move |c| shared.store_found(c, &pending, &stored, now))
            .await?;
        self.gateway.event_written.notify_one();
        self.gateway.incoming_due.notify_one();
        for (sync, found) in found.iter() {
            found.remember(&self.reads, passed_over.get(sync));
        }
        Ok(())
    }

    /// Looks again for the connection of an event that fitted none.
    async fn match_again(&self, leased: &LeasedIncoming) -> Result<(), Failure> {
        let found = rematch(&self.gateway, leased).await?;
        let (number, holder, now) = (leased.event.number, self.holder.clone(), self.gateway.clock.now());
        let forward = match &found {
            Rematch::None if leased.event.verified => {
                let forward = plan::forward(&leased.request);
                Some((leased.event.clone(), forward))
            }
            _ => None,
        };
        let ended = self.gateway.store.write(move |c| {
            incoming::check(c, &holder, &[number.raw()])?;
            let mut end = IncomingEnd::Ended(IncomingStatus::Unmatched, Some(NO_CONNECTION.to_owned()));
            match found {
                Rematch::None => {}
                Rematch::Refused(reason) => end = IncomingEnd::Ended(IncomingStatus::Failed, Some(reason)),
                Rematch::Connections(connections, keys) => {
                    let mut connections = connections.iter();
                    if let Some(first) = connections.next() {
                        for other in connections {
                            let id = domain::IncomingEventId::new(now);
                            incoming::copy(c, number, id, (other.id, &other.name), &keys, now)?;
                        }
                        if incoming::assign(c, number, (first.id, &first.name), &keys)? {
                            return incoming::release(c, &holder, &[number.raw()], now);
                        }
                        end = IncomingEnd::Ended(IncomingStatus::Processed, None);
                    }
                }
            }
            if let Some((event, forward)) = &forward
                && wants_forward(c, event)?
            {
                gateway::events::provider_event(c, event, None, &forward.as_event(event), now)?;
            }
            incoming::finish(c, number, &end, now)
        });
        ended.await?;
        self.gateway.event_written.notify_one();
        self.gateway.incoming_due.notify_one();
        Ok(())
    }

    /// Renews the leases until none is left.
    async fn keep(&self, length: Duration) {
        let numbers: Vec<i64> = self
            .events
            .iter()
            .map(|leased| leased.event.number.raw())
            .collect();
        loop {
            tokio::time::sleep(length / 3).await;
            let (holder, numbers, now) = (self.holder.clone(), numbers.clone(), self.gateway.clock.now());
            let renewed = self
                .gateway
                .store
                .write(move |c| incoming::renew(c, &holder, &numbers, now.plus(length), now));
            match renewed.await {
                // Events that have ended are no longer held.
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => {
                    error.log_retry("the leases of events could not be renewed; the worker tries again");
                }
            }
        }
    }

    /// Has all events of the group that did not end tried again.
    async fn fail(&self, failure: &Failure) {
        let mut stored = Ok(());
        // What the app gets of an event may be what cannot be stored.
        for forwards in [true, false] {
            let (events, holder) = (Arc::clone(&self.events), self.holder.clone());
            let (error, now) = (failure.to_string(), self.gateway.clock.now());
            let store = &self.gateway.store;
            let write = store.write(move |c| {
                for leased in events.iter() {
                    let number = leased.event.number;
                    match incoming::check(c, &holder, &[number.raw()]) {
                        Ok(()) => {}
                        // It has ended already.
                        Err(StoreError::LeaseLost) => continue,
                        Err(error) => return Err(error),
                    }
                    let end = again(leased, &error, Duration::ZERO, now);
                    if forwards && matches!(end, IncomingEnd::Ended(..)) && wants_forward(c, &leased.event)? {
                        let id = leased.event.connection_id;
                        let connection = id.map(|id| connections::get_any_environment(c, id));
                        let connection = connection.transpose()?.flatten();
                        let sent = plan::forward(&leased.request).as_event(&leased.event);
                        gateway::events::provider_event(c, &leased.event, connection.as_ref(), &sent, now)?;
                    }
                    incoming::finish(c, number, &end, now)?;
                }
                Ok(())
            });
            stored = write.await;
            if stored.is_ok() {
                break;
            }
        }
        self.gateway.event_written.notify_one();
        if let Err(error) = stored {
            error.log_retry("events are claimed again when their lease expires");
        }
    }
}

const NO_CONNECTION: &str = "no connection of the integration has the account of the event";

/// Returns when a failed event is tried again, or that it has failed.
fn again(leased: &LeasedIncoming, error: &str, wait: Duration, now: Timestamp) -> IncomingEnd {
    let error = shown(error);
    let attempts = leased.event.attempts.saturating_add(1);
    if attempts >= MOST_ATTEMPTS {
        return IncomingEnd::Ended(IncomingStatus::Failed, Some(error));
    }
    let pause = BACKOFF.after(u32::try_from(attempts).unwrap_or(u32::MAX));
    IncomingEnd::Again(now.plus(pause.max(wait)), error)
}

/// Returns an error as it is stored.
fn shown(error: &str) -> String {
    let error = error.replace('\0', "\u{fffd}");
    error.chars().take(LONGEST_ERROR).collect()
}

/// Whether the app wants events of this integration as they came.
fn wants_forward(c: &mut DbConn, event: &IncomingEvent) -> Result<bool, StoreError> {
    let row = integrations::find(c, event.environment, &event.integration)?;
    Ok(row.is_none_or(|row| row.forward_webhooks))
}
