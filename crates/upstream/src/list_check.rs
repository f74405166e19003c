//! Checks whether credentials may read the lists of syncs, by one small request for each.

use std::sync::Arc;

use domain::SyncName;
use futures::StreamExt;
use futures::stream;
use registry::Sync;
use tokio::time::{Instant, sleep, timeout_at};

use crate::{ProviderError, Request, RequestError, Target, Upstream, first_page};

/// Requests of one check that are in flight at once.
const PARALLEL: usize = 4;

/// How many requests in a row must end with 401 for a list to count as refused. The wait before each grows.
const LASTING_401: u32 = 3;

impl Upstream {
    /// Requests the first page of each sync's list and returns the lists that the provider refuses to show, in the order of the
    /// provider's file.
    ///
    /// The pages are as small as the file allows, a few requests run side by side under the provider's limits, and
    /// [`crate::UpstreamOptions::list_check`] limits their time. A list is not returned if the response is no such refusal (a rate limit,
    /// an error of the server, none in time).
    pub async fn refused_lists(&self, target: &Target) -> Vec<(SyncName, ProviderError)> {
        let time = self.0.options.list_check;
        if time.is_zero() {
            return Vec::new();
        }
        let deadline = Instant::now() + time;
        let limit = usize::try_from(target.provider.limits.concurrency).unwrap_or(PARALLEL);
        let syncs = target.provider.syncs.values().enumerate();
        let checks = syncs
            .map(|(index, sync)| async move { (index, &sync.name, self.refused_list(target, sync).await) });
        let mut checks = stream::iter(checks).buffer_unordered(PARALLEL.min(limit).max(1));
        let mut refused = Vec::new();
        while let Ok(Some((index, name, refusal))) = timeout_at(deadline, checks.next()).await {
            refused.extend(refusal.map(|refusal| (index, name.clone(), refusal)));
        }
        refused.sort_by_key(|(index, ..)| *index);
        refused
            .into_iter()
            .map(|(_, name, refusal)| (name, refusal))
            .collect()
    }

    /// Returns the provider's refusal to show the list, if it refuses.
    async fn refused_list(&self, target: &Target, sync: &Arc<Sync>) -> Option<ProviderError> {
        let request = self.smallest_page(target, sync).ok()?;
        let options = self.check_options(1, None);
        let refusal = async || match self.send(target, &request, &options, Ok).await.err()?.error {
            RequestError::Provider(refusal) if refusal.denies_access() => Some(refusal),
            _ => None,
        };
        let mut refused = refusal().await?;
        // Providers refuse a valid key now and then, and a new one more than once: only lasting refusals count.
        for failures in 1..LASTING_401 {
            if refused.status != 401 {
                break;
            }
            sleep(self.0.driver.backoff.after(failures)).await;
            refused = refusal().await?;
        }
        Some(refused)
    }

    /// Returns the request for the first page of the sync's list: one record if the file names the page size's parameter, and the window's
    /// newest range.
    fn smallest_page(&self, target: &Target, sync: &Sync) -> Result<Request, RequestError> {
        let newest = sync.window.as_ref().map(|window| {
            let width = window.longest.unwrap_or(window.step).min(window.step);
            let from = self.0.clock.now().minus(width).floor_to(window.granularity());
            window.bounds(from, None)
        });
        let request = target.list_request(&sync.request, &newest.unwrap_or_default())?;
        let mut request = first_page(&sync.paginate, request);
        if let Some(size) = &sync.request.size_parameter {
            request.query.retain(|(name, _)| name != size);
            request.query.push((size.clone(), "1".to_owned()));
        }
        Ok(request)
    }
}
