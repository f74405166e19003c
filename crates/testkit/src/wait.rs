//! Waiting for what other tasks and processes do.

use std::time::Duration;

/// Longer than anything that a test waits for.
const PATIENCE: Duration = Duration::from_mins(5);
const INTERVAL: Duration = Duration::from_millis(2);

/// Waits until `holds` returns true, and checks every few milliseconds. `what` is a sentence that the failure shows.
///
/// # Panics
/// After five minutes.
pub async fn wait_until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(INTERVAL).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, wait).await;
    assert!(
        waited.is_ok(),
        "waited for {PATIENCE:?}, but this did not come true: {what}"
    );
}
