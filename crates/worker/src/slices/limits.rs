//! Ranges that the provider does not give as a whole: those that begin before what it keeps, and those with more records than it
//! shows of one list.

use domain::Timestamp;
use store::records::SliceChange;
use upstream::{Call, Doubt};

use crate::context::{Batch, Beside, Fetched};
use crate::failure::Failure;
use crate::page::Page;
use crate::plan::{self, Range};
use crate::slice::Reader;

impl Reader<'_> {
    /// Whether the provider has refused this beginning or a later one already, so that there is no sense in asking.
    pub(crate) fn begins_too_early(&self) -> bool {
        let from = self.work.range.map(|range| range.from);
        self.work.next.is_none() && from.is_some() && from < self.pool.floor()
    }

    /// Looks into a refusal of the slice's first page. `None` if the slice begins before what the provider keeps.
    ///
    /// The file may name the code that says so. Any other 400 may mean the same, if the range begins before what the provider keeps
    /// in any case; it must come twice, since it costs the unit with which the range begins.
    pub(crate) async fn fetch_unless_too_early(
        &self,
        call: Call,
        failure: Failure,
    ) -> Result<Option<Fetched>, Failure> {
        if self.names_retention(&failure) {
            self.raise_floor();
            return Ok(None);
        }
        if !self.may_begin_too_early(&failure) {
            return Err(failure);
        }
        match self.context.fetch(call).await {
            Ok(fetched) => Ok(Some(fetched)),
            Err(again) if self.may_begin_too_early(&again) => {
                self.raise_floor();
                if let Some(range) = self.work.range {
                    let reason = format!(
                        "the provider refused a range that begins at {}, which is taken to be before what it keeps: {again}",
                        range.from
                    );
                    self.context.note_incomplete(reason);
                }
                Ok(None)
            }
            Err(again) => Err(again),
        }
    }

    fn names_retention(&self, failure: &Failure) -> bool {
        let Failure::Call(error) = failure else {
            return false;
        };
        let code = error.provider().and_then(|answer| answer.code.as_ref());
        let known = self
            .context
            .window()
            .and_then(|window| window.beyond_retention.as_ref());
        code.is_some() && code == known
    }

    fn may_begin_too_early(&self, failure: &Failure) -> bool {
        let Failure::Call(error) = failure else {
            return false;
        };
        let refused = error
            .provider()
            .is_some_and(|answer| answer.status == 400 && !answer.unauthorized && !answer.rate_limited);
        let Some((window, range)) = self.context.window().zip(self.work.range) else {
            return false;
        };
        refused && window.to.is_some() && range.from < plan::surely_kept(window, self.now)
    }

    /// A range that begins here is refused: the first unit of it is not kept.
    fn raise_floor(&self) {
        if let Some((window, range)) = self.context.window().zip(self.work.range) {
            self.pool.raise_floor(range.from.plus(window.granularity()));
        }
    }

    /// The provider keeps less than the file says: the slice is halved until the parts that it keeps remain. The older half
    /// begins where this one did and is halved in turn without being requested, so each refusal halves what is in doubt.
    pub(crate) async fn narrow(&self) -> Result<(), Failure> {
        let Some((window, range)) = self.context.window().zip(self.work.range) else {
            return Ok(());
        };
        let gone = self
            .pool
            .floor()
            .is_some_and(|floor| range.to.is_some_and(|to| to <= floor));
        let middle = if gone {
            None
        } else {
            plan::halve(window, range, self.now)
        };
        let parts = middle.map(|middle| range.cut_at(middle)).unwrap_or_default();
        self.commit_with_parts(Batch::default(), self.done(Beside::default()), parts)
            .await
    }

    /// Whether the list says that it has more records than the provider shows of one list.
    ///
    /// Of a list in order the rest is read behind the cap anyway; any other is better split before it is read for nothing.
    pub(crate) fn exceeds_capacity(&self, page: &Page) -> bool {
        let paginate = &self.context.declared.paginate;
        let total = upstream::total(paginate, &page.envelope);
        !self.context.declared.newest_first
            && total
                .zip(paginate.capacity())
                .is_some_and(|(total, capacity)| total > capacity)
            && self.middle().is_some()
    }

    /// Writes the page that showed that the slice does not fit, and reads its two halves instead.
    pub(crate) async fn split(&self, batch: Batch, beside: Beside, pages: u64) -> Result<(), Failure> {
        if let Some((range, middle)) = self.work.range.zip(self.middle()) {
            return self
                .commit_with_parts(batch, self.done(beside), range.cut_at(middle))
                .await;
        }
        self.finish_whole(batch, beside).await?;
        self.context.note_incomplete(Doubt::Cap { pages }.to_string());
        Ok(())
    }

    /// Writes the last page that the provider shows of the slice, and has the rest read as slices of their own. Gives what this
    /// slice has read whole, if there is such a part.
    pub(crate) async fn split_at_cap(
        &self,
        batch: Batch,
        beside: Beside,
        pages: u64,
    ) -> Result<Option<Range>, Failure> {
        let window = self.context.window().filter(|window| window.to.is_some());
        let (Some(window), Some(range), true) = (window, self.work.range, self.context.declared.newest_first)
        else {
            self.split(batch, beside, pages).await?;
            return Ok(None);
        };
        // All that is newer than the unit in which the reader stands is read.
        let at = self.reached.map(|reached| plan::unit_after(window, reached));
        let Some(at) = at.filter(|at| *at > range.from && range.to.is_none_or(|to| *at < to)) else {
            // The last unit alone has more records than the provider shows; what is older than it is read.
            self.split_off_full_unit(batch, beside, pages, range).await?;
            return Ok(None);
        };
        let rest = Range {
            from: range.from,
            to: Some(at),
        };
        self.commit_with_parts(batch, self.done(beside), vec![rest])
            .await?;
        Ok(Some(Range {
            from: at,
            to: range.to,
        }))
    }

    async fn split_off_full_unit(
        &self,
        batch: Batch,
        beside: Beside,
        pages: u64,
        range: Range,
    ) -> Result<(), Failure> {
        let window = self.context.window();
        let unit = window
            .zip(self.reached)
            .map(|(window, reached)| plan::unit_of(window, reached));
        let older = unit.filter(|unit| *unit > range.from).map(|unit| Range {
            from: range.from,
            to: Some(unit),
        });
        self.commit_with_parts(batch, self.done(beside), older.into_iter().collect())
            .await?;
        self.context.note_incomplete(Doubt::Cap { pages }.to_string());
        Ok(())
    }

    fn middle(&self) -> Option<Timestamp> {
        let window = self.context.window().filter(|window| window.to.is_some())?;
        plan::halve(window, self.work.range?, self.now)
    }

    /// `beside` with the end of this slice, if it is stored.
    fn done(&self, beside: Beside) -> Beside {
        Beside {
            slice: self.work.id.map(|id| SliceChange::Done { id }),
            ..beside
        }
    }
}
