//! Group commit: one transaction writes all pages that are ready.
//!
//! Each transaction waits for the disk and locks rows that the next one needs, so one reader also writes up to three pages that other
//! readers have ready.

use std::sync::Arc;
use std::time::Duration;

use store::StoreError;
use store::records::{self, PageCommit, PageCounts, WrittenKeys};
use store::runs::RunNotes;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::time::Instant;

use super::{PageWrite, Writer};
use crate::checkpoint::Checkpoint;
use crate::failure::Failure;
use crate::write_order::WrittenPages;

/// The most pages in one transaction.
const PAGES: usize = 4;
/// The most records in one transaction, unless a single page has more.
const RECORDS: usize = 4_000;
/// After a transaction that took longer, the next one writes a single page, so that none comes near its deadline.
const SLOW: Duration = Duration::from_millis(500);

#[derive(Debug)]
struct Waiting {
    write: Arc<PageWrite>,
    /// Receives the counts if another reader wrote the page. Dropped if the joint transaction failed: then each page gets its own.
    written: oneshot::Sender<PageCounts>,
}

/// The pages that are ready to be written.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Vec<Waiting>,
    slow: bool,
}

impl Queue {
    /// Removes `write`, and returns other pages that fit into its transaction.
    fn take(&mut self, write: &Arc<PageWrite>) -> Vec<Waiting> {
        self.waiting.retain(|waiting| !Arc::ptr_eq(&waiting.write, write));
        if self.slow {
            return Vec::new();
        }
        let mut records = write.records.len();
        let fits = |waiting: &&Waiting| {
            records = records.saturating_add(waiting.write.records.len());
            records <= RECORDS
        };
        let others = self.waiting.iter().take(PAGES - 1).take_while(fits).count();
        self.waiting.drain(..others).collect()
    }
}

impl Writer {
    /// Writes records and the changes with them, if the run still has its lease.
    pub(super) async fn write(&self, write: PageWrite) -> Result<PageCounts, Failure> {
        let write = Arc::new(write);
        let (sender, mut written) = oneshot::channel();
        self.state.lock().queue.waiting.push(Waiting {
            write: Arc::clone(&write),
            written: sender,
        });
        let mut done = self.writes.lock().await;
        let others = match written.try_recv() {
            Ok(counts) => return Ok(counts),
            Err(TryRecvError::Closed) => Vec::new(),
            Err(TryRecvError::Empty) => self.state.lock().queue.take(&write),
        };
        let counts = if others.is_empty() {
            self.transaction(&mut done, &[write]).await?
        } else {
            self.write_together(&mut done, write, others).await?
        };
        Ok(counts.into_iter().next().unwrap_or_default())
    }

    async fn write_together(
        &self,
        done: &mut WrittenPages,
        write: Arc<PageWrite>,
        others: Vec<Waiting>,
    ) -> Result<Vec<PageCounts>, Failure> {
        let mut writes = vec![write];
        writes.extend(others.iter().map(|waiting| Arc::clone(&waiting.write)));
        let counts = match self.transaction(done, &writes).await {
            Ok(counts) => counts,
            Err(failure) => {
                drop(others);
                if matches!(failure, Failure::LeaseLost) || failure.database_is_away() {
                    return Err(failure);
                }
                writes.truncate(1);
                return self.transaction(done, &writes).await;
            }
        };
        for (waiting, counts) in others.into_iter().zip(counts.iter().skip(1)) {
            // A cancelled reader no longer receives.
            drop(waiting.written.send(counts.clone()));
        }
        Ok(counts)
    }

    /// Writes pages in one transaction, in order, and returns the counts of each.
    async fn transaction(
        &self,
        done: &mut WrittenPages,
        writes: &[Arc<PageWrite>],
    ) -> Result<Vec<PageCounts>, Failure> {
        let notes = {
            let mut state = self.state.lock();
            state.notes_stored_at = Instant::now();
            std::mem::take(&mut state.notes)
        };
        let began = Instant::now();
        let keys = self.written.get().cloned().flatten();
        let optimistic = keys.is_some();
        let written = match self.try_pages(done, writes, &notes, keys).await {
            // Another writer has inserted one of the records.
            Err(StoreError::Conflict { .. }) if optimistic => {
                self.try_pages(done, writes, &notes, None).await
            }
            written => written,
        };
        let mut state = self.state.lock();
        let (counts, after) = match written {
            Ok(written) => written,
            Err(error) => {
                let since = std::mem::replace(&mut state.notes, notes);
                state.notes.merge(since);
                return Err(error.into());
            }
        };
        *done = after;
        state.changed |= counts.iter().any(|counts| counts.written.is_some());
        state.queue.slow = began.elapsed() > SLOW;
        if let Some(checkpoint) = writes.iter().rev().find_map(|write| write.checkpoint.clone()) {
            state.checkpoint = checkpoint;
        }
        drop(state);
        if let Some(counts) = counts.last() {
            self.set_last_change_number(counts.last_number);
        }
        Ok(counts)
    }

    /// Runs the transaction itself. Returns the counts, and the run's writes including these.
    async fn try_pages(
        &self,
        done: &WrittenPages,
        writes: &[Arc<PageWrite>],
        notes: &RunNotes,
        keys: Option<Arc<WrittenKeys>>,
    ) -> Result<(Vec<PageCounts>, WrittenPages), StoreError> {
        let (table, lease, run) = (Arc::clone(&self.table), self.lease.clone(), self.run);
        let (connection, now) = (self.connection, self.gateway.clock.now());
        let (writes, mut done, notes) = (writes.to_vec(), done.clone(), notes.clone());
        let written = self.gateway.store.write_long(move |c| {
            let mut earlier = Some(notes);
            let mut all = Vec::with_capacity(writes.len());
            for write in &writes {
                let mut notes = earlier.take().unwrap_or_default();
                notes.merge(write.notes.clone());
                let commit = PageCommit {
                    rows: table.rows(connection, now),
                    lease: &lease,
                    run,
                    records: &write.records,
                    pages: write.notes.pages,
                    again: write.again,
                    slice: write.slice.as_ref(),
                    new_slices: &write.new_slices,
                    checkpoint: write.checkpoint.as_ref().map(Checkpoint::to_json),
                    notes,
                    requested: done.requested(write.requested),
                    written: keys.as_deref(),
                };
                let counts = records::commit_page(c, &commit)?;
                done.note(write.requested, counts.written.clone());
                all.push(counts);
            }
            Ok((all, done))
        });
        written.await
    }
}
