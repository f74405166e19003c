//! Handles ranges that the provider does not return whole: ranges that begin before its retention, and ranges with more records than it
//! returns of one list.

use domain::Timestamp;
use upstream::{IncompleteReason, Request};

use super::Reader;
use crate::context::Fetched;
use crate::failure::Failure;
use crate::plan::{self, Range};
use crate::writer::PageWrite;

impl Reader<'_> {
    /// Whether the provider has already refused this beginning or a later one, so that a request would be useless.
    pub(super) fn begins_too_early(&self) -> bool {
        let from = self.slice.range.map(|range| range.from);
        self.slice.next.is_none() && from.is_some() && from < self.queue.floor()
    }

    /// Handles a refusal of the slice's first page. `None` if the slice begins before the provider's retention.
    ///
    /// The file may name the error code that says so. Any other 400 may mean the same if the range begins before the shortest retention.
    /// Such a 400 must come twice, since the first unit of the range is then never read.
    pub(super) async fn fetch_unless_too_early(
        &self,
        request: Request,
        failure: Failure,
    ) -> Result<Option<Fetched>, Failure> {
        if self.names_retention(&failure) {
            self.raise_floor();
            return Ok(None);
        }
        if !self.may_begin_too_early(&failure) {
            return Err(failure);
        }
        match self.context.fetch(request).await {
            Ok(response) => Ok(Some(response)),
            Err(again) if self.may_begin_too_early(&again) => {
                self.raise_floor();
                if let Some(range) = self.slice.range {
                    self.context.note_incomplete(format!(
                        "the provider refused a range that begins at {}, which is taken to be before what it keeps: {again}",
                        range.from
                    ));
                }
                Ok(None)
            }
            Err(again) => Err(again),
        }
    }

    fn names_retention(&self, failure: &Failure) -> bool {
        let code = failure.refusal().and_then(|error| error.code.as_ref());
        let window = self.context.window();
        let beyond = window.and_then(|window| window.beyond_retention.as_ref());
        code.is_some() && code == beyond.map(|beyond| &beyond.code)
    }

    fn may_begin_too_early(&self, failure: &Failure) -> bool {
        let refused = failure
            .refusal()
            .is_some_and(|error| error.status == 400 && !error.unauthorized && !error.rate_limited);
        let Some((window, range)) = self.context.window().zip(self.slice.range) else {
            return false;
        };
        refused && window.to.is_some() && range.from < plan::surely_kept(window, self.now)
    }

    /// Records that the provider refuses a range that begins here: it does not keep the first unit.
    fn raise_floor(&self) {
        if let Some((window, range)) = self.context.window().zip(self.slice.range) {
            self.queue.raise_floor(range.from.plus(window.granularity()));
        }
    }

    /// Halves a slice if the provider keeps less than the file says, until only the parts that it keeps remain. The older half begins where
    /// this slice did and is halved in turn without a request, so each refusal halves the uncertain range.
    pub(super) async fn narrow(&self) -> Result<(), Failure> {
        let Some((window, range)) = self.context.window().zip(self.slice.range) else {
            return Ok(());
        };
        let floor = self.queue.floor();
        let not_kept = floor.is_some_and(|floor| range.to.is_some_and(|to| to <= floor));
        let middle = plan::halve(window, range, self.now).filter(|_| !not_kept);
        self.split_into_halves(PageWrite::default(), range, middle).await
    }

    async fn split_into_halves(
        &self,
        write: PageWrite,
        range: Range,
        middle: Option<Timestamp>,
    ) -> Result<(), Failure> {
        let halves = middle.map(|middle| <[Range; 2]>::from(range.split_at(middle)));
        self.submit_with_parts(self.with_end(write), halves.into_iter().flatten())
            .await
    }

    /// Whether the list has more records than the provider shows of one list, by its own count.
    ///
    /// If the list is in order, the rest is read after the cap anyway. Any other list is better split before it is read for nothing.
    pub(super) fn exceeds_capacity(&self, total: Option<u64>) -> bool {
        let declared = &self.context.declared;
        let capacity = declared.paginate.capacity();
        let exceeds = total
            .zip(capacity)
            .is_some_and(|(total, capacity)| total > capacity);
        exceeds && !declared.newest_first && self.middle().is_some()
    }

    /// Writes the page that showed that the slice does not fit, and queues the slice's two halves instead.
    pub(super) async fn split(&self, write: PageWrite, pages: u64) -> Result<(), Failure> {
        if let Some((range, middle)) = self.slice.range.zip(self.middle()) {
            return self.split_into_halves(write, range, Some(middle)).await;
        }
        self.finish_whole(write).await?;
        self.context
            .note_incomplete(IncompleteReason::Cap { pages }.to_string());
        Ok(())
    }

    /// Writes the last page that the provider shows of the slice, and queues the rest as slices of their own. Returns the part that this
    /// slice has read whole, if there is one.
    pub(super) async fn split_at_cap(&self, write: PageWrite, pages: u64) -> Result<Option<Range>, Failure> {
        let window = self.context.window().filter(|window| window.to.is_some());
        let (Some(window), Some(range), true) =
            (window, self.slice.range, self.context.declared.newest_first)
        else {
            self.split(write, pages).await?;
            return Ok(None);
        };
        // All that is newer than the unit that the reader has reached is read.
        let at = self.reached.map(|reached| plan::unit_after(window, reached));
        let at = at.filter(|at| *at > range.from && range.to.is_none_or(|to| *at < to));
        if let Some((read, rest)) = at.map(|at| range.split_at(at)) {
            self.submit_with_parts(self.with_end(write), [rest]).await?;
            return Ok(Some(read));
        }
        // That single unit has more records than the provider returns. Older units are still read.
        let unit = self.reached.map(|reached| plan::unit_of(window, reached));
        let older = unit
            .filter(|unit| *unit > range.from)
            .map(|unit| range.split_at(unit).1);
        self.submit_with_parts(self.with_end(write), older).await?;
        self.context
            .note_incomplete(IncompleteReason::Cap { pages }.to_string());
        Ok(None)
    }

    fn middle(&self) -> Option<Timestamp> {
        let window = self.context.window().filter(|window| window.to.is_some())?;
        plan::halve(window, self.slice.range?, self.now)
    }
}
