//! Writes the records of a run, its notes, and its checkpoint.
//!
//! Most runs find nothing changed. So the writer buffers a page that has only records, and compares several pages with the table in one
//! query. `group_commit` has the transaction that writes.

mod group_commit;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use domain::{ConnectionId, Record, Run, RunId, Sync};
use gateway::{Gateway, ModelTable};
use parking_lot::Mutex;
use store::Lease;
use store::records::{self, PageCounts, SliceChange, WrittenKeys};
use store::runs::RunNotes;
use store::slices::NewSlice;
use tokio::time::Instant;
use upstream::BodyMemory;

use self::group_commit::Queue;
use crate::checkpoint::Checkpoint;
use crate::failure::Failure;
use crate::write_order::{RequestPosition, RequestPositions, WrittenPages};

/// The buffer is flushed above this many records.
const BUFFERED_RECORDS: usize = 500;
/// The buffer is flushed above this many bytes of response bodies.
const BUFFERED_BYTES: usize = 256 << 10;
/// Once the last stored notes are older than this, new ones are stored with the next page, so that the run's row shows its progress.
const STORE_NOTES_EVERY: Duration = Duration::from_secs(2);
/// How long a change number is reused for requests after it was read. Reusing a number is safe: the page skips rows that changed
/// since, and the next run re-reads them.
const FRESH: Duration = Duration::from_millis(500);

/// Records to write, usually of a page, and changes to store in the same transaction.
#[derive(Debug, Default)]
pub(crate) struct PageWrite {
    pub(crate) records: Vec<Record>,
    /// The position of the first request for them.
    pub(crate) requested: RequestPosition,
    /// Their share of the memory budget, returned when they are written or buffered.
    pub(crate) memory: BodyMemory,
    /// Bytes of the body that they came in.
    pub(crate) bytes: usize,
    /// What the run's row gets from these pages, besides the counts of rows that the transaction finds.
    pub(crate) notes: RunNotes,
    /// Whether this run has read these records before. Unchanged ones are then not counted again.
    pub(crate) again: bool,
    pub(crate) slice: Option<SliceChange>,
    pub(crate) new_slices: Vec<NewSlice>,
    pub(crate) checkpoint: Option<Checkpoint>,
}

impl PageWrite {
    /// Whether it has only records, without a slice or a checkpoint.
    fn can_be_buffered(&self) -> bool {
        self.slice.is_none() && self.new_slices.is_empty() && self.checkpoint.is_none()
    }
}

/// The writer of one run. It writes only while the run has its lease.
pub(crate) struct Writer {
    gateway: Arc<Gateway>,
    table: Arc<ModelTable>,
    connection: ConnectionId,
    run: RunId,
    lease: Lease<Sync>,
    positions: RequestPositions,
    /// Locked while a transaction runs, so that one runs at a time.
    writes: tokio::sync::Mutex<WrittenPages>,
    state: Mutex<State>,
    /// The keys that the run has written. `None` if the connection had rows before; unset until the first change number is read.
    written: OnceLock<Option<Arc<WrittenKeys>>>,
}

#[derive(Debug)]
struct State {
    checkpoint: Checkpoint,
    notes: RunNotes,
    notes_stored_at: Instant,
    /// Buffered pages, which are probably unchanged.
    buffered: Vec<PageWrite>,
    /// Whether some records that the run has read could not be written.
    lost: bool,
    /// Whether the run has changed a row.
    changed: bool,
    /// The last change number of the connection's rows, and when it was read.
    last_change_number: Option<(i64, Instant)>,
    queue: Queue,
}

/// The notes and the checkpoint to store at the end of a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct FinalUpdate {
    pub(crate) notes: RunNotes,
    /// `None` keeps the stored checkpoint, since some records that the new one covers were not written.
    pub(crate) checkpoint: Option<Checkpoint>,
    /// Whether the run has changed a row, in this process or in one that it was cut off in.
    pub(crate) changed: bool,
}

impl Writer {
    /// Creates a writer for a run with its lease.
    pub(crate) fn new(
        gateway: Arc<Gateway>,
        table: Arc<ModelTable>,
        connection: ConnectionId,
        run: &Run,
        lease: Lease<Sync>,
        checkpoint: Checkpoint,
    ) -> Self {
        let state = State {
            checkpoint,
            notes: RunNotes::default(),
            notes_stored_at: Instant::now(),
            buffered: Vec::new(),
            lost: false,
            // A run that was cut off may have changed rows before.
            changed: run.added + run.updated + run.deleted > 0,
            last_change_number: None,
            queue: Queue::default(),
        };
        Self {
            gateway,
            table,
            connection,
            run: run.id,
            lease,
            positions: RequestPositions::default(),
            writes: tokio::sync::Mutex::default(),
            state: Mutex::new(state),
            written: OnceLock::new(),
        }
    }

    /// The checkpoint as the run has changed it so far.
    pub(crate) fn checkpoint(&self) -> Checkpoint {
        self.state.lock().checkpoint.clone()
    }

    /// Changes the checkpoint in memory. It is stored with a later page or at the end of the run, after the records that it covers.
    pub(crate) fn update_checkpoint(&self, change: impl FnOnce(&mut Checkpoint)) {
        change(&mut self.state.lock().checkpoint);
    }

    /// Adds notes, which the next transaction writes into the run's row.
    pub(crate) fn note(&self, notes: RunNotes) {
        self.state.lock().notes.merge(notes);
    }

    /// Takes the notes and the checkpoint, for the caller to store.
    pub(crate) fn take_final_update(&self) -> FinalUpdate {
        let mut state = self.state.lock();
        FinalUpdate {
            notes: std::mem::take(&mut state.notes),
            checkpoint: (!state.lost).then(|| state.checkpoint.clone()),
            changed: state.changed,
        }
    }

    /// Sets the last change number of the connection's rows, which was read just now. The first one of a run decides whether the keys that
    /// it writes are remembered.
    pub(crate) fn set_last_change_number(&self, number: i64) {
        self.state.lock().last_change_number = Some((number, Instant::now()));
        // 0: the connection never had a row.
        self.written
            .get_or_init(|| (number == 0).then(|| Arc::new(WrittenKeys::default())));
    }

    /// Returns the position of a request that is sent next.
    pub(crate) async fn request_position(&self) -> Result<RequestPosition, Failure> {
        let known = self
            .state
            .lock()
            .last_change_number
            .filter(|(_, read)| read.elapsed() < FRESH);
        let number = if let Some((number, _)) = known {
            number
        } else {
            let (table, connection) = (Arc::clone(&self.table), self.connection);
            let store = &self.gateway.store;
            let read = store.read(move |c| records::last_number(c, &table.sql, connection));
            let number = read.await?;
            self.set_last_change_number(number);
            number
        };
        Ok(self.positions.give_out(number))
    }

    /// Submits a page. A page that has only records is buffered, up to a limit, until [`Writer::flush`]; the returned counts are then 0. Any
    /// other page is written with its changes in one transaction, if the run still has its lease.
    pub(crate) async fn submit(&self, mut write: PageWrite) -> Result<PageCounts, Failure> {
        write.notes.count_misfits(&self.table.model, &write.records);
        if !write.can_be_buffered() {
            if write.checkpoint.is_some() {
                // The checkpoint covers the buffered records.
                self.flush().await?;
            }
            return self.write(write).await;
        }
        // Buffered pages hold no share of the memory budget: the run could otherwise wait for memory that its own buffer holds.
        let memory = std::mem::take(&mut write.memory);
        let full = {
            let mut state = self.state.lock();
            state.buffered.push(write);
            let records: usize = state.buffered.iter().map(|write| write.records.len()).sum();
            let bytes: usize = state.buffered.iter().map(|write| write.bytes).sum();
            records > BUFFERED_RECORDS
                || bytes > BUFFERED_BYTES
                || state.notes_stored_at.elapsed() > STORE_NOTES_EVERY
        };
        if full {
            self.flush().await?;
        }
        drop(memory);
        Ok(PageCounts::default())
    }

    /// Compares the buffered records with the table, and writes the different ones. If that fails, the run's checkpoint is not stored, so
    /// that they are read again.
    pub(crate) async fn flush(&self) -> Result<(), Failure> {
        let buffered = std::mem::take(&mut self.state.lock().buffered);
        let flushed = self.write_buffered(buffered).await;
        if flushed.is_err() {
            self.state.lock().lost = true;
        }
        flushed
    }

    async fn write_buffered(&self, buffered: Vec<PageWrite>) -> Result<(), Failure> {
        if buffered.iter().any(|write| !write.records.is_empty()) {
            let (table, connection, now) =
                (Arc::clone(&self.table), self.connection, self.gateway.clock.now());
            let compared = self.gateway.store.read_long(move |c| {
                let rows = table.rows(connection, now);
                let pages: Vec<&[Record]> = buffered.iter().map(|write| write.records.as_slice()).collect();
                let differing = records::differing(c, &rows, &pages)?;
                Ok((buffered, differing))
            });
            let (buffered, differing) = compared.await?;
            for (write, differing) in buffered.into_iter().zip(differing) {
                self.write_differing(write, differing).await?;
            }
        } else {
            for write in buffered {
                self.note(write.notes);
            }
        }
        if self.state.lock().notes_stored_at.elapsed() > STORE_NOTES_EVERY {
            self.write(PageWrite::default()).await?;
        }
        Ok(())
    }

    async fn write_differing(&self, mut write: PageWrite, differing: Vec<bool>) -> Result<(), Failure> {
        let mut notes = std::mem::take(&mut write.notes);
        let (mut differing, read) = (differing.into_iter(), write.records.len());
        write.records.retain(|_| differing.next().unwrap_or(true));
        if !write.again {
            notes.unchanged = u64::try_from(read - write.records.len()).unwrap_or(u64::MAX);
        }
        self.note(notes);
        if !write.records.is_empty() {
            self.write(write).await?;
        }
        Ok(())
    }

    /// Marks the rows of `keys` as deleted, except rows with a change number above `up_to`.
    pub(crate) async fn mark_deleted(&self, keys: Vec<String>, up_to: i64) -> Result<u64, Failure> {
        let (table, lease, run) = (Arc::clone(&self.table), self.lease.clone(), self.run);
        let (connection, now) = (self.connection, self.gateway.clock.now());
        let marked = self.gateway.store.write_long(move |c| {
            records::mark_deleted(c, &table.rows(connection, now), &lease, run, &keys, up_to)
        });
        let marked = marked.await?;
        self.state.lock().changed |= marked > 0;
        Ok(marked)
    }
}
