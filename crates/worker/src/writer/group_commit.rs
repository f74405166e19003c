//! Writes a run's pages: one transaction after the other, each with the pages that wait by then.
//!
//! Each transaction waits for the disk and locks rows that the next one needs, so one writer also writes up to three pages that others have
//! ready.

use std::sync::Arc;
use std::time::Duration;

use store::StoreError;
use store::records::{self, PageCommit, PageCounts, WrittenKeys};
use store::runs::RunNotes;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::time::Instant;

use crate::checkpoint::Checkpoint;
use crate::context::{Batch, Beside, Context};
use crate::failure::Failure;
use crate::ordering::Writings;

/// Pages of one transaction.
const PAGES: usize = 4;
/// Records of one transaction, unless a page alone has more.
const RECORDS: usize = 4_000;
/// After a transaction that took longer the next one writes a single page, so that none comes near its deadline.
const SLOW: Duration = Duration::from_millis(500);

/// A page to be written.
#[derive(Debug)]
struct Job {
    batch: Batch,
    beside: Beside,
    /// Values that did not fit their columns.
    misfits: RunNotes,
}

#[derive(Debug)]
struct Waiting {
    job: Arc<Job>,
    /// Takes the counts if another writer wrote the page. Dropped if the joint transaction failed: each page is tried alone then.
    written: oneshot::Sender<PageCounts>,
}

/// The pages that are ready to be written.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: Vec<Waiting>,
    slow: bool,
}

impl Queue {
    /// Removes `job`, and gives other pages that fit into its transaction.
    fn take(&mut self, job: &Arc<Job>) -> Vec<Waiting> {
        self.waiting.retain(|waiting| !Arc::ptr_eq(&waiting.job, job));
        if self.slow {
            return Vec::new();
        }
        let mut records = job.batch.records.len();
        let fits = |waiting: &&Waiting| {
            records = records.saturating_add(waiting.job.batch.records.len());
            records <= RECORDS
        };
        let others = self.waiting.iter().take(PAGES - 1).take_while(fits).count();
        self.waiting.drain(..others).collect()
    }
}

impl Context {
    /// Writes records and what goes with them, if the lease is still ours.
    pub(crate) async fn write(&self, batch: Batch, beside: Beside) -> Result<PageCounts, Failure> {
        let mut misfits = RunNotes::default();
        if !beside.noted {
            misfits.count_misfits(&self.table.model, &batch.records);
        }
        let job = Arc::new(Job {
            batch,
            beside,
            misfits,
        });
        let (sender, mut written) = oneshot::channel();
        self.unwritten().queue.waiting.push(Waiting {
            job: Arc::clone(&job),
            written: sender,
        });
        let mut writings = self.ordering.writings().await;
        let others = match written.try_recv() {
            Ok(counts) => return Ok(counts),
            Err(TryRecvError::Closed) => Vec::new(),
            Err(TryRecvError::Empty) => self.unwritten().queue.take(&job),
        };
        let counts = if others.is_empty() {
            self.transaction(&mut writings, &[job]).await?
        } else {
            self.write_together(&mut writings, job, others).await?
        };
        Ok(counts.into_iter().next().unwrap_or_default())
    }

    async fn write_together(
        &self,
        writings: &mut Writings,
        job: Arc<Job>,
        others: Vec<Waiting>,
    ) -> Result<Vec<PageCounts>, Failure> {
        let mut jobs = vec![job];
        jobs.extend(others.iter().map(|waiting| Arc::clone(&waiting.job)));
        let written = self.transaction(writings, &jobs).await;
        let counts = match written {
            Ok(counts) => counts,
            Err(failure) => {
                drop(others);
                if matches!(failure, Failure::LeaseLost) || failure.database_is_away() {
                    return Err(failure);
                }
                jobs.truncate(1);
                return self.transaction(writings, &jobs).await;
            }
        };
        for (waiting, counts) in others.into_iter().zip(counts.iter().skip(1)) {
            // A reader that was cancelled takes no answer.
            drop(waiting.written.send(counts.clone()));
        }
        Ok(counts)
    }

    /// Writes pages in one transaction, in order, and gives the counts of each.
    async fn transaction(
        &self,
        writings: &mut Writings,
        jobs: &[Arc<Job>],
    ) -> Result<Vec<PageCounts>, Failure> {
        let notes = self.take_notes();
        let began = Instant::now();
        let keys = self.written.get().cloned().flatten();
        let optimistic = keys.is_some();
        let written = match self.try_pages(writings, jobs, &notes, keys).await {
            // Another writer has put one of the records there.
            Err(StoreError::Conflict { .. }) if optimistic => {
                self.try_pages(writings, jobs, &notes, None).await
            }
            written => written,
        };
        let (counts, after) = match written {
            Ok(written) => written,
            Err(error) => {
                self.note_before(notes);
                return Err(error.into());
            }
        };
        *writings = after;
        self.unwritten().queue.slow = began.elapsed() > SLOW;
        if let Some(counts) = counts.last() {
            self.learn_number(counts.last_number);
        }
        if let Some(checkpoint) = jobs.iter().rev().find_map(|job| job.beside.checkpoint.clone()) {
            *self.checkpoint() = checkpoint;
        }
        Ok(counts)
    }

    /// The transaction itself. Returns the counts, and the run's writings with these.
    async fn try_pages(
        &self,
        writings: &Writings,
        jobs: &[Arc<Job>],
        notes: &RunNotes,
        keys: Option<Arc<WrittenKeys>>,
    ) -> Result<(Vec<PageCounts>, Writings), StoreError> {
        let (table, lease, run) = (Arc::clone(&self.table), self.lease.clone(), self.run);
        let (connection, now) = (self.connection.id, self.now());
        let (pages, mut after, notes) = (jobs.to_vec(), writings.clone(), notes.clone());
        let written = self.gateway.store().write_long(move |c| {
            let mut before = Some(notes);
            let mut all = Vec::with_capacity(pages.len());
            for page in &pages {
                let Job {
                    batch,
                    beside,
                    misfits,
                } = page.as_ref();
                let mut notes = before.take().unwrap_or_default();
                notes.merge(misfits.clone());
                notes.progress = beside.progress.or(notes.progress);
                let commit = PageCommit {
                    table: &table.sql,
                    model: &table.model,
                    lease: &lease,
                    run,
                    connection,
                    records: &batch.records,
                    pages: beside.pages,
                    skipped: beside.skipped,
                    again: beside.again,
                    slice: beside.slice.as_ref(),
                    new_slices: &beside.new_slices,
                    checkpoint: beside.checkpoint.as_ref().map(Checkpoint::store),
                    notes,
                    requested: after.requested(batch.asked),
                    written: keys.as_deref(),
                    now,
                };
                let counts = records::commit_page(c, &commit)?;
                after.note(batch.asked, counts.written.clone());
                all.push(counts);
            }
            Ok((all, after))
        });
        written.await
    }
}
