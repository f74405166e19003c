//! Publishes events: gives them their places in the order that readers see.

use gateway::Gateway;
use store::{endpoints, events};
use tokio_util::sync::CancellationToken;

use crate::options::WorkerOptions;

/// How many events one transaction publishes.
const BATCH: i64 = 500;

/// Publishes events until `stopping` is cancelled: those of this process at once, those of other processes within a poll.
pub(crate) async fn run(gateway: &Gateway, options: &WorkerOptions, stopping: &CancellationToken) {
    loop {
        let published = publish(gateway).await;
        if published {
            gateway.delivery_due.send_replace(());
            continue;
        }
        tokio::select! {
            () = stopping.cancelled() => {
                // What this process has written last.
                publish(gateway).await;
                return;
            }
            () = gateway.event_written.notified() => {}
            () = tokio::time::sleep(options.poll) => {}
        }
    }
}

/// Publishes a batch. Returns whether there was something to publish.
async fn publish(gateway: &Gateway) -> bool {
    let store = &gateway.store;
    let now = gateway.clock.now();
    let published = async {
        // Most times there is nothing, which takes no lock.
        if !store.read(events::any_unpublished).await? {
            return Ok(0);
        }
        store.write(move |c| endpoints::publish(c, BATCH, now)).await
    };
    match published.await {
        Ok(count) => count > 0,
        Err(error) => {
            error.log_retry("events could not be published; the worker tries again");
            false
        }
    }
}
