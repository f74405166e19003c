//! The loop for every kind of leased work: it claims due work, runs it, and drains at shutdown.

use std::time::Duration;

use domain::Timestamp;
use gateway::Gateway;
use store::{DbConn, StoreError, lease};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::options::WorkerOptions;

/// How often the loop checks for due times that a wrong clock wrote.
const RELEASE_EVERY: Duration = Duration::from_mins(1);
/// Work that falls due within this time is claimed together, since a claim costs the database as much as the work of a short run.
const GATHER: Duration = Duration::from_millis(100);

/// Claims items that are due at a time, until a time, for a holder, up to a limit.
pub(crate) type Claim<T> = fn(&mut DbConn, Timestamp, Timestamp, &str, i64) -> Result<Vec<T>, StoreError>;

/// A kind of leased work.
pub(crate) trait Work: Send + Sync {
    /// The stored work.
    type Stored: lease::Leased;
    /// A claimed item.
    type Claimed: Send + 'static;
    /// The name of the work in logs.
    const NAME: &'static str;
    /// Claims due items.
    const CLAIM: Claim<Self::Claimed>;

    /// Resolves when this process has made work due.
    fn became_due(&self) -> impl Future<Output = ()> + Send;

    /// Does a claimed item and stores its end. Returns whether more may be due immediately.
    fn carry_out(
        &self,
        claimed: Self::Claimed,
        holder: &str,
        stopping: &CancellationToken,
    ) -> impl Future<Output = bool> + Send + 'static;
}

/// Claims and runs work until `stopping` is cancelled, up to `concurrency` items at a time. Then claims nothing more, waits for the running
/// items, and aborts items that do not stop in time.
pub(crate) async fn run<W: Work>(
    gateway: &Gateway,
    work: W,
    worker: &str,
    concurrency: usize,
    options: &WorkerOptions,
    stopping: &CancellationToken,
) {
    let mut tasks = JoinSet::new();
    let mut claims = 0_u64;
    let mut released = None;
    let mut look_again = Instant::now();
    while !stopping.is_cancelled() {
        let free = concurrency.saturating_sub(tasks.len());
        if free > 0 && look_again <= Instant::now() {
            release_misdated::<W>(gateway, &mut released).await;
            claims += 1;
            let holder = format!("{worker}-{claims}");
            let (claimed, pause) = claim::<W>(gateway, options, &holder, free).await;
            for claimed in claimed {
                tasks.spawn(work.carry_out(claimed, &holder, stopping));
            }
            look_again = Instant::now() + pause;
            continue;
        }
        tokio::select! {
            () = stopping.cancelled() => {}
            Some(ended) = tasks.join_next(), if !tasks.is_empty() => {
                if log_panic::<W>(ended) {
                    look_again = Instant::now();
                }
            }
            () = work.became_due(), if free > 0 => look_again = Instant::now(),
            () = tokio::time::sleep_until(look_again), if free > 0 => {}
        }
    }
    let drained = tokio::time::timeout(options.drain, async {
        while let Some(ended) = tasks.join_next().await {
            let _: bool = log_panic::<W>(ended);
        }
    });
    if drained.await.is_err() {
        tracing::warn!(
            work = W::NAME,
            left = tasks.len(),
            "work did not stop in time; another worker continues it when its lease expires"
        );
        tasks.shutdown().await;
    }
}

/// Claims up to `free` items. Returns them and how long to wait before the next claim.
async fn claim<W: Work>(
    gateway: &Gateway,
    options: &WorkerOptions,
    holder: &str,
    free: usize,
) -> (Vec<W::Claimed>, Duration) {
    let (now, holder) = (gateway.clock.now(), holder.to_owned());
    let until = now.plus(options.lease);
    let limit = i64::try_from(free).unwrap_or(i64::MAX);
    let claimed = gateway.store.write(move |c| {
        let claimed = (W::CLAIM)(c, now, until, &holder, limit)?;
        Ok((claimed, lease::next_due::<W::Stored>(c)?))
    });
    let (claimed, next_due) = claimed.await.unwrap_or_else(|error| {
        error.log_retry("no work could be claimed; the worker tries again");
        (Vec::new(), None)
    });
    let pause = match next_due {
        // All are taken, so more may be due: the next claim is when one has ended.
        _ if claimed.len() == free => Duration::ZERO,
        // Due items that were not claimed wait for others, or another worker is claiming them.
        Some(due) if due > now => due.since(gateway.clock.now()).max(GATHER).min(options.poll),
        _ => options.poll,
    };
    (claimed, pause)
}

/// Makes items due that a wrong clock, of this process or another, has set too far in the future.
async fn release_misdated<W: Work>(gateway: &Gateway, last: &mut Option<Timestamp>) {
    let now = gateway.clock.now();
    if last.is_some_and(|last| !now.has_elapsed(RELEASE_EVERY, last)) {
        return;
    }
    *last = Some(now);
    let released = gateway
        .store
        .write(move |c| lease::release_misdated::<W::Stored>(c, now));
    match released.await {
        Ok(0) => {}
        Ok(rows) => tracing::warn!(
            work = W::NAME,
            rows,
            "due times were further ahead than they can be: the clock was wrong when they were written, so they are due now"
        ),
        Err(error) => error.log_retry("due times could not be checked; the worker tries again in a minute"),
    }
}

/// Returns the result of an item, or logs its panic.
fn log_panic<W: Work>(ended: Result<bool, JoinError>) -> bool {
    ended.unwrap_or_else(|error| {
        if error.is_panic() {
            tracing::error!(work = W::NAME, %error, "work ended with a panic; it is claimed again when its lease expires");
        }
        false
    })
}
