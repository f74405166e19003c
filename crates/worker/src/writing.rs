//! Writes a run's pages: one transaction after the other, each with the pages that wait by then.
//!
//! A page's transaction waits for the disk, and locks what the next one needs. So whoever writes takes along what others have ready.

use std::sync::Arc;
use std::time::Duration;

use domain::Record;
use store::records::{self, PageCommit, PageCounts, SliceChange};
use store::slices::NewSlice;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::checkpoint::Checkpoint;
use crate::context::{Batch, Beside, Context};
use crate::failure::Failure;
use crate::ordering::{Asked, Writings};

/// Pages of one transaction.
const PAGES: usize = 4;
/// Records of one transaction, unless a page alone has more.
const RECORDS: usize = 4_000;
/// After a transaction that took longer the next one writes a single page, so that none comes near its deadline.
const SLOW: Duration = Duration::from_millis(500);

/// A page to be written.
#[derive(Debug)]
struct Job {
    records: Vec<Record>,
    asked: Asked,
    pages: u32,
    skipped: u32,
    again: bool,
    slice: Option<SliceChange>,
    new_slices: Vec<NewSlice>,
    checkpoint: Option<Checkpoint>,
    progress: Option<f64>,
}

/// What became of a page that another took along.
#[derive(Debug)]
enum Told {
    Written(PageCounts),
    /// Nothing: of the pages that were to be written together one could not be, so each is tried alone.
    Alone,
}

#[derive(Debug)]
struct Waiting {
    job: Arc<Job>,
    told: oneshot::Sender<Told>,
}

/// The pages that are ready to be written.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: Vec<Waiting>,
    slow: bool,
}

impl Queue {
    /// Takes `job` out, and of the others as many as go with it.
    fn take(&mut self, job: &Arc<Job>) -> Vec<Waiting> {
        self.waiting.retain(|waiting| !Arc::ptr_eq(&waiting.job, job));
        if self.slow {
            return Vec::new();
        }
        let mut records = job.records.len();
        let fits = |waiting: &&Waiting| {
            records = records.saturating_add(waiting.job.records.len());
            records <= RECORDS
        };
        let others = self.waiting.iter().take(PAGES - 1).take_while(fits).count();
        self.waiting.drain(..others).collect()
    }
}

impl Context {
    /// Writes records and what goes with them, if the lease is still ours.
    pub(crate) async fn write(&self, batch: Batch, beside: Beside) -> Result<PageCounts, Failure> {
        let job = Arc::new(Job {
            records: batch.records,
            asked: batch.asked,
            pages: beside.pages,
            skipped: beside.skipped,
            again: beside.again,
            slice: beside.slice,
            new_slices: beside.new_slices,
            checkpoint: beside.checkpoint,
            progress: beside.progress,
        });
        let (told, mut written) = oneshot::channel();
        self.unwritten().queue.waiting.push(Waiting {
            job: Arc::clone(&job),
            told,
        });
        let mut writings = self.ordering.writings().await;
        let others = match written.try_recv() {
            Ok(Told::Written(counts)) => return Ok(counts),
            Ok(Told::Alone) => Vec::new(),
            Err(_) => self.unwritten().queue.take(&job),
        };
        let counts = if others.is_empty() {
            self.transaction(&mut writings, &[job]).await?
        } else {
            self.write_together(&mut writings, job, others).await?
        };
        // The records' part of the memory budget is given back.
        drop(batch.permit);
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
                for waiting in others {
                    // Whoever is gone needs no word.
                    drop(waiting.told.send(Told::Alone));
                }
                if matches!(failure, Failure::LeaseLost) || failure.database_is_away() {
                    return Err(failure);
                }
                jobs.truncate(1);
                return self.transaction(writings, &jobs).await;
            }
        };
        for (waiting, counts) in others.into_iter().zip(counts.iter().skip(1)) {
            drop(waiting.told.send(Told::Written(counts.clone())));
        }
        Ok(counts)
    }

    /// Writes pages in one transaction, in their order; gives the counts of each.
    async fn transaction(
        &self,
        writings: &mut Writings,
        jobs: &[Arc<Job>],
    ) -> Result<Vec<PageCounts>, Failure> {
        let mut notes = self.take_notes();
        for job in jobs {
            notes.progress = job.progress.or(notes.progress);
        }
        let unless_written = notes.clone();
        let (table, lease, run) = (Arc::clone(&self.table), self.lease.clone(), self.run);
        let (connection, now) = (self.connection.id, self.now());
        let (pages, mut after) = (jobs.to_vec(), writings.clone());
        let began = Instant::now();
        let written = self.gateway.store().write_long(move |c| {
            let mut notes = Some(notes);
            let mut all = Vec::with_capacity(pages.len());
            for page in &pages {
                let commit = PageCommit {
                    table: &table.sql,
                    model: &table.model,
                    lease: &lease,
                    run,
                    connection,
                    records: &page.records,
                    pages: page.pages,
                    skipped: page.skipped,
                    again: page.again,
                    slice: page.slice.as_ref(),
                    new_slices: &page.new_slices,
                    checkpoint: page.checkpoint.as_ref().map(Checkpoint::store),
                    notes: notes.take().unwrap_or_default(),
                    requested: after.requested(page.asked),
                    now,
                };
                let counts = records::commit_page(c, &commit)?;
                after.note(page.asked, counts.written.clone());
                all.push(counts);
            }
            Ok((all, after))
        });
        let (counts, after) = match written.await {
            Ok(written) => written,
            Err(error) => {
                self.note_before(unless_written);
                return Err(error.into());
            }
        };
        *writings = after;
        self.unwritten().queue.slow = began.elapsed() > SLOW;
        if let Some(counts) = counts.last() {
            self.learn_number(counts.last_number);
        }
        if let Some(checkpoint) = jobs.iter().rev().find_map(|job| job.checkpoint.clone()) {
            *self.checkpoint() = checkpoint;
        }
        Ok(counts)
    }
}
