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
use upstream::{Answer, Call, Next};

use crate::context::{Batch, Beside, Context, Fetched};
use crate::failure::Failure;
use crate::list::{LoopGuard, key_hash, next_page};
use crate::page::Page;
use crate::plan::{self, Range};
use crate::pool::{Pool, SliceWork, width};

/// The word under which slices of the first reading are stored.
pub(crate) const BACKFILL: &str = "backfill";

/// A slice that was read from its first page to its last by this process.
#[derive(Debug)]
pub(crate) struct ReadSlice {
    /// What it covered at its end; `None` for the whole list.
    pub(crate) range: Option<Range>,
    /// When its first page was asked for.
    pub(crate) began: Timestamp,
    /// Hashes of the keys that it showed.
    pub(crate) seen: Vec<u64>,
}

/// Reads all slices of `pool`; with `track`, remembers the keys of those read whole.
pub(crate) async fn read_all(
    context: &Arc<Context>,
    pool: Pool,
    track: bool,
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
                read.extend(Reader::new(&context, &pool, work, track).read().await?);
                pool.done();
            }
        };
        // A task of its own does not inherit the span, which says whose run it is.
        readers.spawn(reader.in_current_span());
    }
    let (mut read, mut stopped) = (Vec::new(), false);
    while let Some(reader) = readers.join_next().await {
        match reader.map_err(Failure::Task)? {
            Ok(slices) => read.extend(slices),
            // Each reader stops by itself once it has written the page that it has.
            Err(Failure::Stopping) => stopped = true,
            // Any other failure ends the others: the set aborts them when it is dropped.
            Err(failure) => return Err(failure),
        }
    }
    if stopped { Err(Failure::Stopping) } else { Ok(read) }
}

struct Reader<'a> {
    context: &'a Arc<Context>,
    pool: &'a Pool,
    work: SliceWork,
    began: Timestamp,
    /// How far down the range is read.
    reached: Option<Timestamp>,
    pages: u32,
    seen: Option<Vec<u64>>,
    loops: LoopGuard,
}

impl<'a> Reader<'a> {
    fn new(context: &'a Arc<Context>, pool: &'a Pool, work: SliceWork, track: bool) -> Self {
        let began = context.now();
        let reached = work.range.map(|range| range.to.unwrap_or(began));
        let seen = (track && work.next.is_none()).then(Vec::new);
        Self {
            context,
            pool,
            work,
            began,
            reached,
            pages: 0,
            seen,
            loops: LoopGuard::default(),
        }
    }

    async fn read(mut self) -> Result<Option<ReadSlice>, Failure> {
        if self.begins_too_early() {
            return self.clamp().await.map(|()| None);
        }
        let first = self.first_call()?;
        let call = match &self.work.next {
            Some(cursor) => self.resume(&first, cursor)?,
            None => first.clone(),
        };
        let mut at = call.clone();
        let mut fetched = match self.context.fetch(call).await {
            Ok(fetched) => fetched,
            Err(failure) if self.beyond_retention(&failure) => {
                self.note_floor();
                return self.clamp().await.map(|()| None);
            }
            // A stored place may be gone: the record that it names was deleted. The slice is read from its beginning instead.
            Err(failure) if failure.refused() && self.work.next.take().is_some() => {
                at = first.clone();
                self.context.fetch(first.clone()).await?
            }
            Err(failure) => return Err(failure),
        };
        loop {
            let Fetched { answer, asked } = fetched;
            let page = self.context.read_page(&answer)?;
            let next = self.next(&at, &answer, &page)?;
            let Page { records, skipped, .. } = page;
            self.note(&records);
            // The body is dropped before the next page is read; the records keep its part of the memory budget.
            let permit = answer.into_permit();
            let batch = Batch {
                records,
                asked,
                permit,
            };
            if !skipped.is_empty() {
                // Which rows the records left out are is not known: none is marked deleted for not being seen.
                self.seen = None;
            }
            let skipped = u32::try_from(skipped.len()).unwrap_or(u32::MAX);
            let Next::Page(cursor) = next else {
                self.finish(batch, skipped).await?;
                let Self {
                    work, began, seen, ..
                } = self;
                return Ok(seen.map(|seen| ReadSlice {
                    range: work.range,
                    began,
                    seen,
                }));
            };
            at = self.resume(&first, &cursor)?;
            let (committed, following) = tokio::join!(
                self.advance(batch, skipped, cursor),
                self.context.fetch(at.clone())
            );
            let range = committed?;
            self.work.range = range;
            fetched = following?;
        }
    }

    fn first_call(&self) -> Result<Call, Failure> {
        let query = match (self.context.window(), self.work.range) {
            (Some(window), Some(range)) => plan::bounds(window, range),
            _ => Vec::new(),
        };
        let call = self
            .context
            .target
            .list_call(&self.context.declared.request, &query)?;
        Ok(upstream::first_page(&self.context.declared.paginate, call))
    }

    fn resume(&self, first: &Call, cursor: &str) -> Result<Call, Failure> {
        let Context {
            gateway,
            target,
            declared,
            ..
        } = self.context.as_ref();
        Ok(gateway
            .upstream()
            .resume(target, &declared.paginate, first, cursor)?)
    }

    /// What comes after `page`: its next page, or the end, also where what follows is another slice's.
    fn next(&mut self, at: &Call, answer: &Answer, page: &Page) -> Result<Next, Failure> {
        let next = next_page(self.context, at, answer, page)?;
        self.loops.check(&next, page)?;
        self.pages = self.pages.saturating_add(1);
        let dates = self.dates(&page.records);
        if let (Some(range), Some(last)) = (self.work.range, dates.last()) {
            // The list is in order: what follows an earlier record is earlier still, and another slice's.
            if self.context.declared.newest_first && *last < range.from {
                return Ok(Next::End);
            }
            self.reached = self
                .reached
                .min(dates.iter().min().copied())
                .max(Some(range.from));
        }
        Ok(next)
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

    fn note(&mut self, records: &[Record]) {
        if let Some(seen) = &mut self.seen {
            seen.extend(records.iter().map(|record| key_hash(&record.key)));
        }
    }

    /// Writes a page that another follows; cuts the slice if a reader is idle or it has proved long. Gives what it covers then.
    async fn advance(&self, batch: Batch, skipped: u32, cursor: String) -> Result<Option<Range>, Failure> {
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
        let stored = self.work.id.and(lost);
        let beside = Beside {
            pages: 1,
            skipped,
            slice,
            new_slices: stored.map(new_slice).into_iter().collect(),
            progress: self.progress(),
            ..Beside::default()
        };
        let counts = self.context.commit(batch, beside).await?;
        match (self.work.id, lost) {
            (Some(_), _) => self.pool.add(counts.new_slices.into_iter().map(stored_work)),
            (None, Some(range)) => self.pool.add([SliceWork {
                id: None,
                range: Some(range),
                next: None,
            }]),
            (None, None) => {}
        }
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

    /// Writes the last page of the slice.
    async fn finish(&self, batch: Batch, skipped: u32) -> Result<(), Failure> {
        let covered = self.work.range.map_or(0, |range| width(range, self.began));
        let progress = self.work.id.and_then(|_| self.pool.covered(covered));
        let slice = self.work.id.map(|id| SliceChange::Done { id });
        self.context
            .commit(
                batch,
                Beside {
                    pages: 1,
                    skipped,
                    slice,
                    progress,
                    ..Beside::default()
                },
            )
            .await?;
        Ok(())
    }

    fn beyond_retention(&self, failure: &Failure) -> bool {
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

    /// Whether the provider has refused this beginning or a later one already, so that there is no sense in asking.
    fn begins_too_early(&self) -> bool {
        let from = self.work.range.map(|range| range.from);
        self.work.next.is_none() && from.is_some() && from < self.pool.floor()
    }

    /// A range that begins here is refused: the first unit of it is not kept.
    fn note_floor(&self) {
        if let Some((window, range)) = self.context.window().zip(self.work.range) {
            self.pool.raise_floor(range.from.plus(plan::granularity(window)));
        }
    }

    /// The provider keeps less than the file says: the slice is halved until the parts that it keeps remain. The older half
    /// begins where this one did and is halved in turn without being asked for, so each refusal halves what is in doubt.
    async fn clamp(&self) -> Result<(), Failure> {
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
            plan::halve(window, range, self.began)
        };
        let parts = match middle {
            Some(middle) => vec![
                Range {
                    from: middle,
                    to: range.to,
                },
                Range {
                    from: range.from,
                    to: Some(middle),
                },
            ],
            None => Vec::new(),
        };
        let works = match self.work.id {
            Some(id) => {
                let new_slices = parts.into_iter().map(new_slice).collect();
                let beside = Beside {
                    slice: Some(SliceChange::Done { id }),
                    new_slices,
                    ..Beside::default()
                };
                self.context
                    .commit(self.context.nothing(), beside)
                    .await?
                    .new_slices
                    .into_iter()
                    .map(stored_work)
                    .collect()
            }
            None => parts
                .into_iter()
                .map(|range| SliceWork {
                    id: None,
                    range: Some(range),
                    next: None,
                })
                .collect::<Vec<_>>(),
        };
        self.pool.add(works);
        Ok(())
    }
}

pub(crate) fn new_slice(range: Range) -> NewSlice {
    NewSlice {
        kind: BACKFILL.to_owned(),
        from_at: Some(range.from),
        to_at: range.to,
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
