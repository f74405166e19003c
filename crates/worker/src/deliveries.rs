//! Sends the deliveries of a claimed webhook endpoint.
//!
//! One worker at a time has the lease of an endpoint. It makes deliveries of new events, sends those that are due, and stores the results, in
//! one transaction after another: so order, rate and breaker need no other state than the endpoint's row. A delivery that was sent when the
//! process died is sent again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use domain::{Delivery, Endpoint, EndpointHealth, Event, RowId, Timestamp};
use gateway::Gateway;
use gateway::webhooks::{Attempted, DEFAULT_CONCURRENCY, Effect, Sender};
use store::deliveries::{self, DueDelivery};
use store::{DbConn, Lease, StoreError, endpoints, events};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use upstream::{Backoff, RateLimiter};

use crate::options::WorkerOptions;

/// How many events one transaction considers for an endpoint.
const EVENTS: i64 = 200;
/// After this many failures in a row, attempts are made one at a time, each after a wait.
const BREAKER: i64 = 5;
/// The waits of the breaker.
const PAUSES: Backoff = Backoff {
    first: Duration::from_secs(5),
    longest: Duration::from_mins(10),
};
/// An endpoint at which every attempt failed for this long is disabled.
const GIVE_UP: Duration = Duration::from_hours(5 * 24);
/// How long to wait before storing results again while the database is unavailable.
const STORE_AGAIN: Duration = Duration::from_secs(1);
/// How long one worker works on an endpoint before it gives it back.
const LONGEST_TURN: Duration = Duration::from_secs(30);
/// Results that arrive within this time are stored together.
const GATHER: Duration = Duration::from_millis(5);

/// Works on an endpoint until nothing is due, and gives it back.
pub(crate) async fn deliver(
    gateway: Arc<Gateway>,
    claimed: Endpoint,
    lease: Lease<Endpoint>,
    options: WorkerOptions,
    stopping: CancellationToken,
) {
    let id = claimed.id;
    let mut owner = Owner {
        gateway: &gateway,
        lease,
        length: options.lease,
        in_flight: BTreeSet::new(),
        rate: RateLimiter::new(rate_of(&claimed)),
        rate_per_second: claimed.settings.rate_per_second,
        sender: None,
    };
    if let Err(error) = owner
        .run(claimed, options.poll.min(options.lease / 3), &stopping)
        .await
    {
        match error {
            gateway::GatewayError::Store(StoreError::LeaseLost) => {
                tracing::debug!(endpoint.id = %id, "another worker has the endpoint now");
            }
            gateway::GatewayError::Store(error) if error.is_transient() => {
                error.log_retry(
                    "deliveries of an endpoint could not be stored; they go on when its lease expires",
                );
            }
            error => {
                tracing::error!(endpoint.id = %id, %error, "deliveries of an endpoint stopped; they go on when its lease expires");
            }
        }
    }
}

struct Owner<'a> {
    gateway: &'a Arc<Gateway>,
    lease: Lease<Endpoint>,
    /// How long the lease lasts after each turn.
    length: Duration,
    /// Deliveries that are being sent.
    in_flight: BTreeSet<RowId<Delivery>>,
    rate: RateLimiter,
    rate_per_second: Option<i64>,
    /// Sends with the endpoint's secrets; made again when the app changes the endpoint.
    sender: Option<Arc<Sender>>,
}

/// What a transaction found.
struct Turn {
    endpoint: Endpoint,
    due: Vec<DueDelivery>,
    /// When to look again, if nothing ends before.
    next: Option<Timestamp>,
    /// Whether the endpoint was given back.
    finished: bool,
}

impl Owner<'_> {
    async fn run(
        &mut self,
        claimed: Endpoint,
        poll: Duration,
        stopping: &CancellationToken,
    ) -> Result<(), gateway::GatewayError> {
        // Before the first turn, so that nothing is missed between two of them.
        let mut due = self.gateway.delivery_due.subscribe();
        let began = Instant::now();
        let mut tasks: JoinSet<Attempted> = JoinSet::new();
        let mut ended: Vec<Attempted> = Vec::new();
        let mut endpoint = claimed;
        loop {
            // Others wait for their turn, too.
            let stop = stopping.is_cancelled() || began.elapsed() > LONGEST_TURN;
            let wanted = if stop { 0 } else { self.wanted(&endpoint) };
            let turn = match self.turn(&ended, wanted, stop).await {
                Ok(turn) => turn,
                // While the lease lasts, what was sent need not be sent again.
                Err(gateway::GatewayError::Store(error)) if error.is_transient() && !stop => {
                    error.log_retry("deliveries of an endpoint could not be stored; the worker tries again");
                    tokio::time::sleep(STORE_AGAIN).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            ended.clear();
            if turn.finished {
                return Ok(());
            }
            endpoint = turn.endpoint;
            self.send(&endpoint, turn.due, &mut tasks).await?;
            // Each turn renews the lease.
            let now = self.gateway.clock.now();
            let pause = turn.next.map_or(poll, |next| next.since(now).min(poll));
            // All its deliveries are in flight, so a new event changes nothing. A turn for each event would only slow down other endpoints.
            let has_room = self.wanted(&endpoint) > 0;
            tokio::select! {
                Some(done) = tasks.join_next(), if !tasks.is_empty() => {
                    self.ended(done, &mut ended)?;
                    let until = Instant::now() + GATHER;
                    while let Ok(Some(done)) = tokio::time::timeout_at(until, tasks.join_next()).await {
                        self.ended(done, &mut ended)?;
                    }
                }
                _ = due.changed(), if !stop && has_room => {}
                () = stopping.cancelled(), if !stop => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn ended(
        &mut self,
        done: Result<Attempted, tokio::task::JoinError>,
        ended: &mut Vec<Attempted>,
    ) -> Result<(), gateway::GatewayError> {
        match done {
            Ok(attempted) => {
                self.in_flight.remove(&attempted.end.delivery);
                ended.push(attempted);
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, "a delivery ended with a panic; it is sent again when the endpoint's lease expires");
                Err(StoreError::LeaseLost.into())
            }
        }
    }

    /// How many more deliveries may be sent now.
    fn wanted(&self, endpoint: &Endpoint) -> usize {
        let most = if endpoint.health.failures >= BREAKER {
            1
        } else {
            let most = endpoint.settings.concurrency.unwrap_or(DEFAULT_CONCURRENCY);
            usize::try_from(most).unwrap_or(1)
        };
        most.saturating_sub(self.in_flight.len())
    }

    /// Starts to send deliveries.
    async fn send(
        &mut self,
        endpoint: &Endpoint,
        due: Vec<DueDelivery>,
        tasks: &mut JoinSet<Attempted>,
    ) -> Result<(), gateway::GatewayError> {
        if due.is_empty() {
            return Ok(());
        }
        if self.rate_per_second != endpoint.settings.rate_per_second {
            self.rate = RateLimiter::new(rate_of(endpoint));
            self.rate_per_second = endpoint.settings.rate_per_second;
        }
        let sender = match &self.sender {
            Some(sender) if sender.endpoint().updated_at == endpoint.updated_at => Arc::clone(sender),
            _ => {
                let made = Arc::new(Sender::open(Arc::clone(self.gateway), endpoint.clone()).await?);
                self.sender = Some(Arc::clone(&made));
                made
            }
        };
        let now = Instant::now();
        for delivery in due {
            // Those that would start late wait here, and take part of the concurrency.
            let start = self
                .rate
                .reserve(now, now + Duration::from_hours(1))
                .unwrap_or(now);
            self.in_flight.insert(delivery.number);
            let sender = Arc::clone(&sender);
            tasks.spawn(async move {
                tokio::time::sleep_until(start).await;
                sender.attempt(&delivery).await
            });
        }
        Ok(())
    }

    /// Stores what has ended, makes deliveries of new events, and takes up to `wanted` that are due. Gives the endpoint back if nothing is to
    /// do, or, once nothing is being sent, if the process stops.
    async fn turn(
        &self,
        ended: &[Attempted],
        wanted: usize,
        stop: bool,
    ) -> Result<Turn, gateway::GatewayError> {
        let (lease, now) = (self.lease.clone(), self.gateway.clock.now());
        let (in_flight, ended, length) = (self.in_flight.clone(), ended.to_vec(), self.length);
        let turn = self.gateway.store.write(move |c| {
            let mut endpoint = endpoints::leased(c, &lease)?;
            store_ended(c, &mut endpoint, &ended, now)?;
            let paused = endpoint.health.pause(now);
            let sends = endpoint.settings.enabled && !stop;
            let mut due = Vec::new();
            let mut more = false;
            if sends && wanted > 0 && paused.is_none() {
                due = deliveries::due(c, endpoint.number, &in_flight, wanted, now)?;
                if due.len() < wanted {
                    more = make_deliveries(c, &mut endpoint, now)?;
                    due = deliveries::due(c, endpoint.number, &in_flight, wanted, now)?;
                }
            }
            if due.is_empty() && in_flight.is_empty() && !more {
                let next = match (endpoint.settings.enabled, paused) {
                    (false, _) => None,
                    (true, Some(until)) => Some(until),
                    (true, None) => deliveries::next_due(c, endpoint.number)?,
                };
                let next = if stop && endpoint.settings.enabled {
                    Some(now)
                } else {
                    next
                };
                lease.finish(c, next, now)?;
                return Ok(Turn {
                    endpoint,
                    due,
                    next: None,
                    finished: true,
                });
            }
            lease.renew(c, now.plus(length), now)?;
            Ok(Turn {
                next: more.then_some(now),
                endpoint,
                due,
                finished: false,
            })
        });
        Ok(turn.await?)
    }
}

fn rate_of(endpoint: &Endpoint) -> Option<f64> {
    let rate = endpoint.settings.rate_per_second?;
    u32::try_from(rate).ok().map(f64::from)
}

/// Makes deliveries of the next events. Returns whether there may be more.
fn make_deliveries(c: &mut DbConn, endpoint: &mut Endpoint, now: Timestamp) -> Result<bool, StoreError> {
    let found = events::after(c, endpoint.environment, endpoint.position, &[], EVENTS)?;
    let position = found.through;
    if position == endpoint.position {
        return Ok(false);
    }
    let repeats = |event: &Event| endpoint.replay_to.is_some_and(|end| event.position <= end);
    let wanted: Vec<&Event> = found
        .events
        .iter()
        .filter(|event| endpoint.wants(event))
        .collect();
    let (again, new): (Vec<&Event>, Vec<&Event>) = wanted.into_iter().partition(|event| repeats(event));
    deliveries::make(c, endpoint, &again, true, now)?;
    deliveries::make(c, endpoint, &new, false, now)?;
    let replay_to = endpoint.replay_to.filter(|end| position < *end);
    endpoints::set_position(c, endpoint.number, position, replay_to)?;
    endpoint.position = position;
    endpoint.replay_to = replay_to;
    Ok(found.more)
}

/// Stores the ends of attempts, and what they say of the endpoint.
fn store_ended(
    c: &mut DbConn,
    endpoint: &mut Endpoint,
    ended: &[Attempted],
    now: Timestamp,
) -> Result<(), StoreError> {
    if ended.is_empty() {
        return Ok(());
    }
    let ends: Vec<_> = ended.iter().map(|attempted| attempted.end.clone()).collect();
    deliveries::store_ends(c, endpoint, &ends, now)?;
    let mut health = endpoint.health;
    let mut disable = None;
    let (mut works, mut fails, mut asked) = (false, false, None);
    // What an earlier address said does not count.
    let current = ended
        .iter()
        .filter(|attempted| attempted.sent_to == endpoint.updated_at);
    for attempted in current {
        match &attempted.effect {
            Effect::Nothing => {}
            Effect::Works => works = true,
            Effect::Disable(reason) => disable = Some(reason.clone()),
            Effect::Fails(wait) => {
                fails = true;
                asked = asked.max(*wait);
            }
        }
    }
    if works {
        health = EndpointHealth::default();
    } else if fails {
        // Those that were sent together count once.
        health.failures = health.failures.saturating_add(1);
        let since = *health.failing_since.get_or_insert(now);
        let count = u32::try_from(health.failures - BREAKER + 1).ok();
        let pause = count.filter(|count| *count > 0).map(|count| PAUSES.after(count));
        health.paused_until = pause.map(|pause| now.plus(pause));
        if now.has_elapsed(GIVE_UP, since) {
            disable = Some("every attempt failed for 5 days".to_owned());
        }
    }
    health.paused_until = health.paused_until.max(asked.map(|wait| now.plus(wait)));
    if health != endpoint.health {
        endpoints::set_health(c, endpoint.number, &health)?;
        endpoint.health = health;
    }
    if let Some(reason) = disable.filter(|_| endpoint.settings.enabled) {
        endpoints::disable(c, endpoint.number, &reason, now)?;
        gateway::events::endpoint_disabled(c, endpoint, &reason, now)?;
        endpoint.settings.enabled = false;
        tracing::warn!(endpoint.id = %endpoint.id, %reason, "a webhook endpoint is disabled: enable it once its receiver works");
    }
    Ok(())
}
