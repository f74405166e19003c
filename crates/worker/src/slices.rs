//! Reads slices to their end, page by page, several at once, and cuts long ones so that no reader is idle.
//!
//! While a page is written the next one is fetched. A cut costs nothing: the list is newest first, so the reader of a slice
//! that loses its older half goes on in the same chain of pages and stops where the other half begins.

use std::sync::Arc;

use domain::{Record, Timestamp, Value};
use store::records::SliceChange;
use store::slices::{NewSlice, SliceRow};
use tokio::task::JoinSet;
use tracing::Instrument;
use upstream::{Answer, Call, Doubt, End};

use crate::context::{Batch, Beside, Context, Fetched};
use crate::failure::Failure;
use crate::list::{Following, Walk, key_hash};
use crate::page::Page;
use crate::plan::{self, Range};
use crate::pool::{Pool, SliceWork, width};

/// The word under which slices of the first reading are stored.
pub(crate) const BACKFILL: &str = "backfill";
/// The word under which the rest of a whole list is stored that one run could not read.
pub(crate) const REST: &str = "rest";

/// A slice that this process read from its first page to its proven end.
#[derive(Debug)]
pub(crate) struct ReadSlice {
    /// What it covered at its end; `None` for the whole list.
    pub(crate) range: Option<Range>,
    /// The last change number before its first page was requested.
    pub(crate) began: i64,
    /// Hashes of the keys that it showed.
    pub(crate) seen: Vec<u64>,
    /// Records that could not be read: any row may be one of them.
    pub(crate) unreadable: u64,
}

/// Why slices are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To write what they show.
    Fill,
    /// The same, and the keys are remembered, so that missing rows are found.
    Compare,
    /// The same once more within a run: what is missing must be missing twice.
    Confirm,
}

/// Reads all slices of `pool`; gives those that were read whole, if they are compared.
pub(crate) async fn read_all(
    context: &Arc<Context>,
    pool: Pool,
    purpose: Purpose,
) -> Result<Vec<ReadSlice>, Failure> {
    let pool = Arc::new(pool);
    let mut readers = JoinSet::new();
    for _ in 0..pool.parallel() {
        let (context, pool) = (Arc::clone(context), Arc::clone(&pool));
        let reader = async move {
            let mut read = Vec::new();
            loop {
                let work = tokio::select! {
                    biased;
                    () = context.stopping.cancelled() => return Err(Failure::Stopping),
                    work = pool.take() => work,
                };
                let Some(work) = work else { return Ok(read) };
                read.extend(Reader::new(&context, &pool, work, purpose).read().await?);
                pool.done();
            }
        };
        // A task of its own does not inherit the span, which says whose run it is.
        readers.spawn(reader.in_current_span());
    }
    let (mut read, mut failed) = (Vec::new(), None);
    while let Some(reader) = readers.join_next().await {
        match reader.map_err(Failure::Task)? {
            Ok(slices) => read.extend(slices),
            // The first one says why. The others stop by themselves once they have written the page that they have.
            Err(failure) => {
                context.stopping.cancel();
                failed.get_or_insert(failure);
            }
        }
    }
    failed.map_or(Ok(read), Err)
}

/// Reads one slice.
pub(crate) struct Reader<'a> {
    pub(crate) context: &'a Arc<Context>,
    pub(crate) pool: &'a Pool,
    pub(crate) work: SliceWork,
    pub(crate) now: Timestamp,
    /// How far down the range is read.
    pub(crate) reached: Option<Timestamp>,
    pub(crate) pages: u32,
    began: i64,
    seen: Option<Vec<u64>>,
    unreadable: u64,
    again: bool,
}

impl<'a> Reader<'a> {
    fn new(context: &'a Arc<Context>, pool: &'a Pool, work: SliceWork, purpose: Purpose) -> Self {
        let now = context.now();
        let reached = work.range.map(|range| range.to.unwrap_or(now));
        let seen = (purpose != Purpose::Fill && work.next.is_none()).then(Vec::new);
        Self {
            context,
            pool,
            work,
            now,
            reached,
            pages: 0,
            began: 0,
            seen,
            unreadable: 0,
            again: purpose == Purpose::Confirm,
        }
    }

    async fn read(mut self) -> Result<Option<ReadSlice>, Failure> {
        if self.begins_too_early() {
            return self.narrow().await.map(|()| None);
        }
        let mut walk = self.walk(self.work.next.as_deref())?;
        let Some(mut fetched) = self.first_page(&mut walk).await? else {
            return self.narrow().await.map(|()| None);
        };
        self.began = fetched.asked.number;
        loop {
            let Fetched { answer, asked } = fetched;
            let page = self.context.read_page(&answer).await?;
            let following = self.step(&mut walk, &answer, &page);
            let too_long = walk.pages() == 1 && self.exceeds_capacity(&page);
            self.note(&page);
            let skipped = u32::try_from(page.skipped.len()).unwrap_or(u32::MAX);
            // The body is dropped before the next page is read; the records keep its part of the memory budget.
            let bytes = answer.body.len();
            let permit = answer.into_permit();
            let (batch, beside) = (
                Batch {
                    records: page.records,
                    asked,
                    permit,
                    bytes,
                },
                Beside {
                    pages: 1,
                    skipped,
                    again: self.again,
                    ..Beside::default()
                },
            );
            match following {
                // The records are good, whatever stands beside them.
                Err(failure) => {
                    self.context.commit(batch, beside).await?;
                    return Err(failure);
                }
                Ok(Following::Bound { cursor, failure }) => {
                    self.store_place(batch, beside, cursor, &failure).await?;
                    return Err(failure);
                }
                Ok(Following::Page { .. }) if too_long => {
                    return self.split(batch, beside, walk.pages()).await.map(|()| None);
                }
                Ok(Following::End(end)) => return self.finish(batch, beside, end).await,
                Ok(Following::Page { cursor, call }) => {
                    let (committed, next) =
                        tokio::join!(self.advance(batch, beside, cursor), self.context.fetch(*call));
                    self.work.range = committed?;
                    fetched = next?;
                }
            }
        }
    }

    pub(crate) fn walk(&self, from: Option<&str>) -> Result<Walk, Failure> {
        let query = match (self.context.window(), self.work.range) {
            (Some(window), Some(range)) => plan::bounds(window, range),
            _ => Vec::new(),
        };
        Walk::new(self.context, &query, from)
    }

    /// Fetches the slice's first page; `None` if the provider keeps nothing from where the slice begins.
    async fn first_page(&mut self, walk: &mut Walk) -> Result<Option<Fetched>, Failure> {
        let call: Call = walk.call();
        let failure = match self.context.fetch(call.clone()).await {
            Ok(fetched) => return Ok(Some(fetched)),
            Err(failure) => failure,
        };
        if self.work.next.is_none() {
            return self.fetch_unless_too_early(call, failure).await;
        }
        // A stored place may be gone: the record that it names was deleted. The slice is read from its beginning instead.
        if !failure.refused() {
            return Err(failure);
        }
        self.work.next = None;
        *walk = self.walk(None)?;
        let call = walk.call();
        match self.context.fetch(call.clone()).await {
            Ok(fetched) => Ok(Some(fetched)),
            Err(failure) => self.fetch_unless_too_early(call, failure).await,
        }
    }

    /// What comes after `page`: its next page, or the end, also where what follows is another slice's.
    fn step(&mut self, walk: &mut Walk, answer: &Answer, page: &Page) -> Result<Following, Failure> {
        self.pages = self.pages.saturating_add(1);
        let following = walk.step(self.context, answer, page);
        let dates = self.dates(&page.records);
        if let (Some(range), Some(last)) = (self.work.range, dates.last()) {
            // The list is in order: what follows an earlier record is earlier still, and another slice's. A page that is not in
            // order proves nothing, unless all of it is earlier.
            let ordered = dates.is_sorted_by(|one, other| one >= other);
            let passed = *last < range.from && (ordered || dates.iter().all(|date| *date < range.from));
            if self.context.declared.newest_first && passed {
                return Ok(Following::End(End::Proved));
            }
            self.reached = self
                .reached
                .min(dates.iter().min().copied())
                .max(Some(range.from));
        }
        following
    }

    fn dates(&self, records: &[Record]) -> Vec<Timestamp> {
        let Some(index) = self
            .context
            .window()
            .and_then(|window| self.context.table.model.columns.get_index_of(&window.column))
        else {
            return Vec::new();
        };
        let date = |record: &Record| match record.values.get(index) {
            Some(Value::Timestamp(time)) => Some(*time),
            _ => None,
        };
        records.iter().filter_map(date).collect()
    }

    fn note(&mut self, page: &Page) {
        if let Some(seen) = &mut self.seen {
            seen.extend(page.records.iter().map(|record| key_hash(&record.key)));
        }
        let unreadable = u64::try_from(page.skipped.len()).unwrap_or(u64::MAX);
        self.unreadable = self.unreadable.saturating_add(unreadable);
    }

    /// Writes a page that another follows; cuts the slice if a reader is idle or it has proved long. Gives what it covers then.
    async fn advance(&self, batch: Batch, beside: Beside, cursor: String) -> Result<Option<Range>, Failure> {
        let cut = self.cut();
        let kept = match (self.work.range, cut) {
            (Some(range), Some(at)) => Some(Range {
                from: at,
                to: range.to,
            }),
            (range, _) => range,
        };
        let lost = self.work.range.zip(cut).map(|(range, at)| Range {
            from: range.from,
            to: Some(at),
        });
        let slice = self.work.id.map(|id| SliceChange::Advance {
            id,
            next: Some(cursor),
            from_at: cut,
        });
        let beside = Beside {
            slice,
            progress: self.progress(),
            ..beside
        };
        self.commit_with_parts(batch, beside, lost.into_iter().collect())
            .await?;
        Ok(kept)
    }

    /// Where to cut, if it is time to.
    fn cut(&self) -> Option<Timestamp> {
        let window = self.context.window()?;
        let long = self.pages > 0 && self.pages.checked_rem(window.split_after.max(1)) == Some(0);
        let wanted = self.context.declared.newest_first && (self.pool.hungry() || long);
        if !wanted {
            return None;
        }
        plan::cut(window, self.work.range?.from, self.reached?)
    }

    fn progress(&self) -> Option<f64> {
        // What this slice covers beyond where it stands is counted when it is finished.
        self.work.id.and_then(|_| self.pool.covered(0))
    }

    /// Writes the last page of the slice; gives the slice if its end is proved and it is compared.
    async fn finish(mut self, batch: Batch, beside: Beside, end: End) -> Result<Option<ReadSlice>, Failure> {
        match end {
            End::Unproved(Doubt::Cap { pages }) => {
                let kept = self.split_at_cap(batch, beside, pages).await?;
                self.work.range = kept;
                if kept.is_none() {
                    return Ok(None);
                }
            }
            End::Unproved(doubt) => {
                self.finish_whole(batch, beside).await?;
                self.context.note_incomplete(doubt.to_string());
                return Ok(None);
            }
            End::Proved => self.finish_whole(batch, beside).await?,
        }
        Ok(self.seen.map(|seen| ReadSlice {
            range: self.work.range,
            began: self.began,
            seen,
            unreadable: self.unreadable,
        }))
    }

    /// Writes a page after which nothing of the slice is left to read.
    pub(crate) async fn finish_whole(&self, batch: Batch, beside: Beside) -> Result<(), Failure> {
        let covered = self.work.range.map_or(0, |range| width(range, self.now));
        let beside = Beside {
            slice: self.work.id.map(|id| SliceChange::Done { id }),
            progress: self.work.id.and_then(|_| self.pool.covered(covered)),
            ..beside
        };
        self.context.commit(batch, beside).await?;
        Ok(())
    }

    /// Writes a page behind which a later run goes on, since this one has reached a bound.
    async fn store_place(
        &self,
        batch: Batch,
        beside: Beside,
        cursor: String,
        bound: &Failure,
    ) -> Result<(), Failure> {
        let (slice, new_slices) = match self.work {
            SliceWork { id: Some(id), .. } => {
                let next = Some(cursor);
                (
                    Some(SliceChange::Advance {
                        id,
                        next,
                        from_at: None,
                    }),
                    Vec::new(),
                )
            }
            // A list that is read whole each time has no slices, and yet must come to its end at some time.
            SliceWork { range: None, .. } if matches!(bound, Failure::TooManyPages { .. }) => {
                let rest = NewSlice {
                    kind: REST.to_owned(),
                    from_at: None,
                    to_at: None,
                    next: Some(cursor),
                };
                (None, vec![rest])
            }
            _ => (None, Vec::new()),
        };
        let beside = Beside {
            slice,
            new_slices,
            ..beside
        };
        self.context.commit(batch, beside).await?;
        Ok(())
    }

    /// Commits, and hands new slices of these ranges to the readers; they are stored if this slice is.
    pub(crate) async fn commit_with_parts(
        &self,
        batch: Batch,
        beside: Beside,
        parts: Vec<Range>,
    ) -> Result<(), Failure> {
        let stored = self.work.id.is_some();
        let new_slices = if stored {
            parts.iter().copied().map(new_slice).collect()
        } else {
            Vec::new()
        };
        let counts = self
            .context
            .commit(batch, Beside { new_slices, ..beside })
            .await?;
        let works: Vec<_> = if stored {
            counts.new_slices.into_iter().map(stored_work).collect()
        } else {
            parts.into_iter().map(SliceWork::of).collect()
        };
        if !works.is_empty() {
            self.pool.add(works);
        }
        Ok(())
    }
}

pub(crate) fn new_slice(range: Range) -> NewSlice {
    NewSlice {
        kind: BACKFILL.to_owned(),
        from_at: Some(range.from),
        to_at: range.to,
        next: None,
    }
}

pub(crate) fn stored_work(row: SliceRow) -> SliceWork {
    let range = row.from_at.map(|from| Range { from, to: row.to_at });
    SliceWork {
        id: Some(row.id),
        range,
        next: row.next,
    }
}
