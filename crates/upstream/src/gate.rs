//! What a provider bears, of calls at once and calls a second, from one connection and from all together; and whose turn it is.
//!
//! One lock over plain counts. A call that finds no place waits in its connection's line; when a place becomes free, connections
//! that wait take turns, so that one with a thousand calls does not hold up another with one. Of a connection's calls those that
//! somebody waits for go first; yet a sync that has no place at all gets the next one but one, so that neither kind starves.

mod line;
mod pace;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::{ConnectionId, ProviderName};
use registry::Provider;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::Target;
use line::{House, Whose};

/// What is told to somebody who found no place and does not know when there is one.
const SOON: Duration = Duration::from_secs(1);

/// Who waits for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Urgency {
    /// Somebody waits for the answer.
    #[default]
    Interactive,
    /// A sync, which has time.
    Background,
}

impl Urgency {
    fn other(self) -> Self {
        match self {
            Self::Interactive => Self::Background,
            Self::Background => Self::Interactive,
        }
    }
}

/// No place came free in time, or the provider asks for more patience than the caller has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Crowded {
    /// When it may be worth another try.
    pub(crate) retry_after: Duration,
}

/// Whose line a call stands in; `None` while connecting, when there is no connection yet.
type LaneKey = Option<ConnectionId>;

/// The limits of all providers, of this process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gates(Arc<Mutex<HashMap<ProviderName, House>>>);

/// Where a call belongs.
#[derive(Debug, Clone)]
struct Ticket {
    gates: Gates,
    provider: Arc<Provider>,
    lane: LaneKey,
    urgency: Urgency,
}

/// A place under the limits; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place(Ticket);

/// A place in a line; left when dropped, and a place that was granted and not taken goes to the next.
struct Waiting {
    ticket: Ticket,
    granted: oneshot::Receiver<()>,
    taken: bool,
}

impl Gates {
    /// A place for a call of `target`, as soon as it is its turn; `until` bounds the wait.
    pub(crate) async fn enter(&self, target: &Target, until: Instant) -> Result<Place, Crowded> {
        let ticket = self.ticket(target);
        // Who is told to rest stands in no line, so that it holds up nobody.
        while let Some(rest) = ticket.rests_until() {
            if rest > until {
                let retry_after = rest.saturating_duration_since(Instant::now());
                return Err(Crowded { retry_after });
            }
            sleep_until(rest).await;
        }
        let mut waiting = ticket.queue();
        waiting.taken = matches!(timeout_at(until, &mut waiting.granted).await, Ok(Ok(())));
        if waiting.taken {
            Ok(Place(ticket))
        } else {
            Err(Crowded { retry_after: SOON })
        }
    }

    /// The provider told the connection to wait so long: all its calls do. While connecting there is none, and what one person's key
    /// met must not hold up everybody who connects.
    pub(crate) fn rest(&self, target: &Target, time: Duration) {
        if target.connection.is_none() {
            return;
        }
        let ticket = self.ticket(target);
        ticket.with_house(|house| house.rest(ticket.lane, Instant::now() + time));
    }

    fn ticket(&self, target: &Target) -> Ticket {
        Ticket {
            gates: self.clone(),
            provider: Arc::clone(&target.provider),
            lane: target.connection,
            urgency: target.urgency,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ProviderName, House>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// Until when the connection is to rest, if it is to.
    fn rests_until(&self) -> Option<Instant> {
        let now = Instant::now();
        self.with_house(|house| house.rests_until(self.lane))
            .filter(|rest| *rest > now)
    }

    fn queue(&self) -> Waiting {
        let (grant, granted) = oneshot::channel();
        self.with_house(|house| house.queue(self.lane, self.urgency, grant));
        Waiting {
            ticket: self.clone(),
            granted,
            taken: false,
        }
    }

    fn with_house<T>(&self, then: impl FnOnce(&mut House) -> T) -> T {
        let mut houses = self.gates.lock();
        if let Some(house) = houses.get_mut(&self.provider.name) {
            return then(house);
        }
        let house = houses.entry(self.provider.name.clone());
        then(house.or_insert_with(|| House::new(self.provider.limits)))
    }
}

impl Place {
    /// Waits for the next moment that the rates allow, or says at once that it is later than `until`.
    pub(crate) async fn pace(&self, until: Instant) -> Result<(), Crowded> {
        // One after the other: a moment of the provider's that is kept for a call which its connection delays would be lost to all.
        for whose in [Whose::Connection, Whose::Provider] {
            let now = Instant::now();
            let booked = self
                .0
                .with_house(|house| house.book(whose, self.0.lane, now, until));
            let moment = booked.map_err(|moment| Crowded {
                retry_after: moment.saturating_duration_since(now),
            })?;
            if moment > now {
                sleep_until(moment).await;
            }
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0
            .with_house(|house| house.leave(self.0.lane, self.0.urgency));
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.taken {
            return;
        }
        self.granted.close();
        let granted = self.granted.try_recv().is_ok();
        let ticket = &self.ticket;
        ticket.with_house(|house| {
            if granted {
                house.leave(ticket.lane, ticket.urgency);
            } else {
                house.forget_who_left(ticket.lane, ticket.urgency);
            }
        });
    }
}
