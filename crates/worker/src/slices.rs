//! Reads slices to their end, page by page, several at once, and cuts long ones so that no reader is idle.
//!
//! The next page is fetched while a page is written. A cut costs nothing: the list is newest first, so the reader of a slice that loses
//! its older half continues in the same chain of pages and stops where the other half begins.

mod limits;
mod queue;

use std::sync::Arc;
use std::time::Duration;

use domain::{Record, Timestamp, Value};
use store::records::SliceChange;
use store::slices::{self, NewSlice};
use tokio::task::JoinSet;
use tracing::Instrument;
use upstream::{End, IncompleteReason};

pub(crate) use self::queue::{BACKFILL, SliceQueue, UnreadSlice};
use crate::context::{Context, Fetched};
use crate::failure::Failure;
use crate::pager::{ListPage, NextPage, Pager, key_hash};
use crate::plan::{self, Range};
use crate::writer::PageWrite;

/// The stored kind of the rest of a whole list that one run could not read.
pub(crate) const REST: &str = "rest";

/// A slice that this process read from its first page to its proven end.
#[derive(Debug, Default)]
pub(crate) struct ReadSlice {
    /// Its range when it ended; `None` for the whole list.
    pub(crate) range: Option<Range>,
    /// The last change number before its first page was requested.
    pub(crate) began: i64,
    /// Hashes of the keys that it showed.
    pub(crate) seen: Vec<u64>,
    /// Records that could not be read. Any row may be one of them.
    pub(crate) unreadable: u64,
}

/// Why slices are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To write their records.
    Fill,
    /// To write their records and remember their keys, so that missing rows are found.
    Compare,
    /// The same a second time within a run: a row must be missing twice.
    Confirm,
}

/// Returns the sync's stored slices of one kind.
pub(crate) async fn stored(context: &Context, kind: &'static str) -> Result<Vec<UnreadSlice>, Failure> {
    let id = context.sync.id;
    let rows = context.gateway.store.read(move |c| slices::list(c, id)).await?;
    let of_kind = rows.into_iter().filter(|row| row.kind == kind);
    Ok(of_kind.map(UnreadSlice::from).collect())
}

/// Reads all slices of `queue`. Returns the slices that were read whole, unless the purpose is [`Purpose::Fill`].
pub(crate) async fn read_all(
    context: &Arc<Context>,
    queue: SliceQueue,
    purpose: Purpose,
) -> Result<Vec<ReadSlice>, Failure> {
    let queue = Arc::new(queue);
    let mut readers = JoinSet::new();
    for _ in 0..queue.parallel() {
        let (context, queue) = (Arc::clone(context), Arc::clone(&queue));
        let reader = async move {
            let mut read = Vec::new();
            loop {
                let slice = tokio::select! {
                    biased;
                    () = context.stopping.cancelled() => return Err(Failure::Stopping),
                    slice = queue.take() => slice,
                };
                let Some(slice) = slice else { return Ok(read) };
                read.extend(Reader::new(&context, &queue, slice, purpose).read().await?);
                queue.done();
            }
        };
        // A spawned task does not inherit the span, which names the run.
        readers.spawn(reader.in_current_span());
    }
    let (mut read, mut failed) = (Vec::new(), None);
    while let Some(reader) = readers.join_next().await {
        match reader.map_err(Failure::Task)? {
            Ok(slices) => read.extend(slices),
            // The first failure says why. The other readers stop once they have written the page that they have.
            Err(failure) => {
                context.stopping.cancel();
                failed.get_or_insert(failure);
            }
        }
    }
    failed.map_or(Ok(read), Err)
}

/// Reads one slice.
struct Reader<'a> {
    context: &'a Arc<Context>,
    queue: &'a SliceQueue,
    slice: UnreadSlice,
    now: Timestamp,
    /// How far down the range has been read.
    reached: Option<Timestamp>,
    /// What it has read, for a comparison with the table.
    compared: Option<ReadSlice>,
    again: bool,
}

impl<'a> Reader<'a> {
    fn new(context: &'a Arc<Context>, queue: &'a SliceQueue, slice: UnreadSlice, purpose: Purpose) -> Self {
        let now = context.now();
        let reached = slice.range.map(|range| range.to.unwrap_or(now));
        let compared = (purpose != Purpose::Fill && slice.next.is_none()).then(ReadSlice::default);
        Self {
            context,
            queue,
            slice,
            now,
            reached,
            compared,
            again: purpose == Purpose::Confirm,
        }
    }

    async fn read(mut self) -> Result<Option<ReadSlice>, Failure> {
        if self.begins_too_early() {
            return self.narrow().await.map(|()| None);
        }
        let mut pager = self.pager(self.slice.next.as_deref())?;
        let Some(mut response) = self.first_page(&mut pager).await? else {
            return self.narrow().await.map(|()| None);
        };
        if let Some(compared) = &mut self.compared {
            compared.began = response.requested.number;
        }
        loop {
            let ListPage {
                mut write,
                total,
                next,
            } = pager.read(self.context, response).await?;
            write.again = self.again;
            let next = self.follow(next, &write.records);
            if let Some(compared) = &mut self.compared {
                let keys = write.records.iter().map(|record| key_hash(&record.key));
                compared.seen.extend(keys);
                compared.unreadable = compared.unreadable.saturating_add(write.notes.skipped);
            }
            match next {
                // The records are good, even if the link to the next page is not.
                Err(failure) => {
                    self.context.writer.submit(write).await?;
                    return Err(failure);
                }
                Ok(NextPage::Limit { cursor, failure }) => {
                    self.store_position(write, cursor, &failure).await?;
                    return Err(failure);
                }
                Ok(NextPage::Cursor(_)) if pager.pages() == 1 && self.exceeds_capacity(total) => {
                    return self.split(write, pager.pages()).await.map(|()| None);
                }
                Ok(NextPage::End(end)) => return self.finish(write, end).await,
                Ok(NextPage::Cursor(cursor)) => {
                    let (range, next) = tokio::join!(
                        self.advance(write, cursor, pager.pages()),
                        self.context.fetch(pager.request())
                    );
                    self.slice.range = range?;
                    response = next?;
                }
            }
        }
    }

    fn pager(&self, from: Option<&str>) -> Result<Pager, Failure> {
        let query = match (self.context.window(), self.slice.range) {
            (Some(window), Some(range)) => window.bounds(range.from, range.to),
            _ => Vec::new(),
        };
        Pager::new(self.context, &query, from)
    }

    /// Requests the slice's first page. `None` if the provider keeps nothing from where the slice begins.
    async fn first_page(&mut self, pager: &mut Pager) -> Result<Option<Fetched>, Failure> {
        let mut requested = self.context.fetch(pager.request()).await;
        if let Err(failure) = &requested
            && self.slice.next.is_some()
        {
            // The record that a stored cursor names may have been deleted. Then the slice is read from its beginning.
            if !failure.refused() {
                return requested.map(Some);
            }
            self.slice.next = None;
            *pager = self.pager(None)?;
            requested = self.context.fetch(pager.request()).await;
        }
        match requested {
            Ok(response) => Ok(Some(response)),
            Err(failure) => self.fetch_unless_too_early(pager.request(), failure).await,
        }
    }

    /// Returns what follows a page. It is the end, too, if the records that follow belong to another slice.
    fn follow(&mut self, next: Result<NextPage, Failure>, records: &[Record]) -> Result<NextPage, Failure> {
        let dates = self.dates(records);
        if let (Some(range), Some(last)) = (self.slice.range, dates.last()) {
            // The list is in order: what follows a record before the range is earlier still. A page that is not in order proves
            // nothing, unless all of it is before the range.
            let ordered = dates.is_sorted_by(|one, other| one >= other);
            let passed = *last < range.from && (ordered || dates.iter().all(|date| *date < range.from));
            if self.context.declared.newest_first && passed {
                return Ok(NextPage::End(End::Proved));
            }
            let earliest = dates.iter().min().copied();
            self.reached = self.reached.min(earliest).max(Some(range.from));
        }
        next
    }

    fn dates(&self, records: &[Record]) -> Vec<Timestamp> {
        let columns = &self.context.table.model.columns;
        let window = self.context.window();
        let Some(index) = window.and_then(|window| columns.get_index_of(&window.column)) else {
            return Vec::new();
        };
        let date = |record: &Record| match record.values.get(index) {
            Some(Value::Timestamp(time)) => Some(*time),
            _ => None,
        };
        records.iter().filter_map(date).collect()
    }

    /// Writes a page that is not the last. Cuts the slice if a reader is idle or the slice has proved long, and returns its new range.
    async fn advance(
        &self,
        mut write: PageWrite,
        cursor: String,
        pages: u64,
    ) -> Result<Option<Range>, Failure> {
        let cut = self.cut(pages);
        let kept_and_lost = self.slice.range.zip(cut).map(|(range, at)| range.split_at(at));
        write.slice = self.slice.id.map(|id| SliceChange::Advance {
            id,
            next: Some(cursor),
            from_at: cut,
        });
        // The progress within this slice counts only once the slice is finished.
        write.notes.progress = self.slice.id.and_then(|_| self.queue.add_covered(Duration::ZERO));
        let lost = kept_and_lost.map(|(_, lost)| lost);
        self.submit_with_parts(write, lost).await?;
        Ok(kept_and_lost.map(|(kept, _)| kept).or(self.slice.range))
    }

    /// Returns where to cut, if it is time to.
    fn cut(&self, pages: u64) -> Option<Timestamp> {
        let window = self.context.window()?;
        let long = pages.is_multiple_of(window.split_after.max(1).into());
        let wanted = self.context.declared.newest_first && (self.queue.has_idle_reader() || long);
        if !wanted {
            return None;
        }
        plan::cut(window, self.slice.range?.from, self.reached?)
    }

    /// Writes the last page of the slice. Returns the slice if it is compared and its end is proved.
    async fn finish(mut self, write: PageWrite, end: End) -> Result<Option<ReadSlice>, Failure> {
        match end {
            End::Unproved(IncompleteReason::Cap { pages }) => {
                self.slice.range = self.split_at_cap(write, pages).await?;
                if self.slice.range.is_none() {
                    return Ok(None);
                }
            }
            End::Unproved(reason) => {
                self.finish_whole(write).await?;
                self.context.note_incomplete(reason.to_string());
                return Ok(None);
            }
            End::Proved => self.finish_whole(write).await?,
        }
        let range = self.slice.range;
        Ok(self.compared.map(|compared| ReadSlice { range, ..compared }))
    }

    /// Writes a page after which nothing of the slice is left to read.
    async fn finish_whole(&self, write: PageWrite) -> Result<(), Failure> {
        let covered = self
            .slice
            .range
            .map_or(Duration::ZERO, |range| range.width(self.now));
        let mut write = self.with_end(write);
        write.notes.progress = self.slice.id.and_then(|_| self.queue.add_covered(covered));
        self.context.writer.submit(write).await?;
        Ok(())
    }

    /// Adds to `write` that this slice has been read, if it is stored.
    fn with_end(&self, mut write: PageWrite) -> PageWrite {
        write.slice = self.slice.id.map(|id| SliceChange::Done { id });
        write
    }

    /// Writes a page after which a later run continues, since this one has reached a limit.
    async fn store_position(
        &self,
        mut write: PageWrite,
        cursor: String,
        limit: &Failure,
    ) -> Result<(), Failure> {
        let (next, from_at, to_at) = (Some(cursor), None, None);
        if let Some(id) = self.slice.id {
            write.slice = Some(SliceChange::Advance { id, next, from_at });
        } else if self.slice.range.is_none() && matches!(limit, Failure::TooManyPages { .. }) {
            // A list that is read whole each time has no slices, and yet must come to its end at some time.
            let kind = REST.to_owned();
            write.new_slices.push(NewSlice {
                kind,
                from_at,
                to_at,
                next,
            });
        }
        self.context.writer.submit(write).await?;
        Ok(())
    }

    /// Submits the page, and queues new slices of these ranges. They are stored if this slice is.
    async fn submit_with_parts(
        &self,
        mut write: PageWrite,
        parts: impl IntoIterator<Item = Range>,
    ) -> Result<(), Failure> {
        let parts = parts.into_iter();
        if self.slice.id.is_some() {
            write.new_slices = parts.map(NewSlice::from).collect();
            let counts = self.context.writer.submit(write).await?;
            self.queue
                .add(counts.new_slices.into_iter().map(UnreadSlice::from));
        } else {
            let parts: Vec<UnreadSlice> = parts.map(UnreadSlice::from).collect();
            self.context.writer.submit(write).await?;
            self.queue.add(parts);
        }
        Ok(())
    }
}
