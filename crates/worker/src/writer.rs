//! What all parts of a run share: whose run it is, how pages are requested, how they are committed.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use domain::{Model, Record, RunId, Timestamp};
use gateway::{Gateway, ModelTable};
use registry::{Sync, Window};
use store::connections::ConnectionRow;
use store::records::{self, DeleteCommit, Lease, PageCounts, Rows, SliceChange, WrittenKeys};
use store::runs::RunNotes;
use store::slices::NewSlice;
use store::syncs::SyncRow;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use upstream::{Answer, BodyPermit, Call, Target};

use crate::checkpoint::Checkpoint;
use crate::failure::Failure;
use crate::ordering::{Asked, Ordering};
use crate::page::{self, Layout, Page, PageError};
use crate::worker::ListBounds;
use crate::writing::Queue;

/// Bytes from which a page is parsed on a blocking thread, since it takes longer than a task may hold up others.
const LARGE: usize = 64 << 10;

/// Records that are held back at most, to be compared with the table together, and bytes of the bodies that they came in.
const HELD_RECORDS: usize = 500;
const HELD_BYTES: usize = 256 << 10;
/// Progress that is older than this is written with the next page.
const TELL: Duration = Duration::from_secs(2);
/// How long a change number may be used for requests after it was read. An older number is safe: the page yields to more rows, and those
/// are read again by the next run.
const FRESH: Duration = Duration::from_millis(500);

/// One run at work.
pub(crate) struct Context {
    pub(crate) gateway: Gateway,
    pub(crate) sync: SyncRow,
    pub(crate) connection: ConnectionRow,
    pub(crate) declared: Arc<Sync>,
    pub(crate) table: Arc<ModelTable>,
    pub(crate) target: Target,
    pub(crate) lease: Lease,
    pub(crate) run: RunId,
    /// Cancelled when the process wants to end, or a reader has failed: the run stops between two pages.
    pub(crate) stopping: CancellationToken,
    pub(crate) checkpoint: Mutex<Checkpoint>,
    pub(crate) ordering: Ordering,
    pub(crate) bounds: ListBounds,
    pub(crate) unwritten: Mutex<Unwritten>,
    /// The keys that the run has written, if the table held no row of the connection when it began; empty until that is known.
    pub(crate) written: OnceLock<Option<Arc<WrittenKeys>>>,
}

/// What a run has still to write.
#[derive(Debug)]
pub(crate) struct Unwritten {
    notes: RunNotes,
    /// Pages that most likely hold nothing new.
    held: Vec<(Batch, Beside)>,
    /// Whether records that the run has read could not be written.
    lost: bool,
    /// When notes were last written.
    told: Instant,
    /// A change number, and when it was read.
    number: Option<(i64, Instant)>,
    pub(crate) queue: Queue,
}

impl Default for Unwritten {
    fn default() -> Self {
        Self {
            notes: RunNotes::default(),
            held: Vec::new(),
            lost: false,
            told: Instant::now(),
            number: None,
            queue: Queue::default(),
        }
    }
}

/// What a transaction of a run writes beside records; empty by default.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    pub(crate) pages: u32,
    pub(crate) skipped: u32,
    /// Whether the run has read these records before, so that unchanged ones are not counted twice.
    pub(crate) again: bool,
    pub(crate) slice: Option<SliceChange>,
    pub(crate) new_slices: Vec<NewSlice>,
    pub(crate) checkpoint: Option<Checkpoint>,
    pub(crate) progress: Option<f64>,
    /// Whether the values that do not fit their columns are noted already.
    pub(crate) noted: bool,
}

/// A response of the provider, and when it was requested.
pub(crate) struct Fetched {
    pub(crate) answer: Answer,
    pub(crate) asked: Asked,
}

/// Records of one page, or that were requested one by one.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) records: Vec<Record>,
    /// When the first of them was requested.
    pub(crate) asked: Asked,
    /// Their part of the memory budget, given back when they are written or held back.
    pub(crate) permit: BodyPermit,
    /// Bytes of the body that they came in.
    pub(crate) bytes: usize,
}

impl Beside {
    /// What is to be noted of a page but for what its writing does.
    pub(crate) fn notes(&self, model: &Model, records: &[Record]) -> RunNotes {
        let mut notes = RunNotes {
            pages: u64::from(self.pages),
            skipped: u64::from(self.skipped),
            progress: self.progress,
            ..RunNotes::default()
        };
        if !self.noted {
            notes.count_misfits(model, records);
        }
        notes
    }

    /// Whether nothing must be stored together with the records.
    fn is_notes_alone(&self) -> bool {
        self.slice.is_none() && self.new_slices.is_empty() && self.checkpoint.is_none()
    }
}

impl Context {
    pub(crate) fn now(&self) -> Timestamp {
        self.gateway.clock().now()
    }

    pub(crate) fn window(&self) -> Option<&Window> {
        self.declared.window.as_ref()
    }

    /// Calls and connections under way at once.
    pub(crate) fn parallel(&self) -> usize {
        let wanted = self.window().map_or(1, |window| window.parallel);
        usize::try_from(wanted.min(self.target.provider.limits.concurrency))
            .unwrap_or(1)
            .max(1)
    }

    pub(crate) fn checkpoint(&self) -> MutexGuard<'_, Checkpoint> {
        self.checkpoint.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn unwritten(&self) -> MutexGuard<'_, Unwritten> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what goes into the run's row with the next transaction.
    pub(crate) fn note(&self, notes: RunNotes) {
        self.unwritten().notes.merge(notes);
    }

    /// What was noted and is not written yet; it is the caller's to write.
    pub(crate) fn take_notes(&self) -> RunNotes {
        let mut unwritten = self.unwritten();
        unwritten.told = Instant::now();
        std::mem::take(&mut unwritten.notes)
    }

    /// Puts back notes whose transaction failed, before those made since.
    pub(crate) fn note_before(&self, mut notes: RunNotes) {
        let mut unwritten = self.unwritten();
        notes.merge(std::mem::take(&mut unwritten.notes));
        unwritten.notes = notes;
    }

    /// The checkpoint to be stored at the end of the run; `None` leaves the stored one, since records that this one covers were lost.
    pub(crate) fn last_checkpoint(&self) -> Option<Checkpoint> {
        let lost = self.unwritten().lost;
        (!lost).then(|| self.checkpoint().clone())
    }

    /// Remembers the last change number of the connection's rows, as it was just now.
    pub(crate) fn learn_number(&self, number: i64) {
        self.unwritten().number = Some((number, Instant::now()));
        // No number was ever given out.
        self.written
            .get_or_init(|| (number == 0).then(|| Arc::new(WrittenKeys::default())));
    }

    /// Returns where a request that is sent from now on stands among the writings of rows.
    pub(crate) async fn asked(&self) -> Result<Asked, Failure> {
        let known = self.unwritten().number;
        if let Some((number, _)) = known.filter(|(_, read)| read.elapsed() < FRESH) {
            return Ok(self.ordering.asked(number));
        }
        let (table, connection) = (Arc::clone(&self.table), self.connection.id);
        let read = self
            .gateway
            .store()
            .read(move |c| records::last_number(c, &table.sql, connection));
        let number = read.await?;
        self.learn_number(number);
        Ok(self.ordering.asked(number))
    }

    /// Fetches a page, unless the process wants to end.
    pub(crate) async fn fetch(&self, call: Call) -> Result<Fetched, Failure> {
        let asked = self.asked().await?;
        let answer = self.call(call).await?;
        Ok(Fetched { answer, asked })
    }

    /// Makes a call, unless the process wants to end.
    pub(crate) async fn call(&self, call: Call) -> Result<Answer, Failure> {
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => Err(Failure::Stopping),
            answer = self.gateway.upstream().fetch(&self.target, call) => Ok(answer?),
        }
    }

    /// Reads a page of the sync's list. A large one is read on a thread of its own, and no further once the process wants to end.
    pub(crate) async fn read_page(&self, answer: &Answer) -> Result<Page, Failure> {
        let (declared, table) = (Arc::clone(&self.declared), Arc::clone(&self.table));
        let (body, stopping) = (answer.body.clone(), self.stopping.clone());
        let parse = move || {
            let layout = Layout {
                records: &declared.records,
                kept: &declared.paginate.paths(),
            };
            page::parse(&body, layout, &table.reader, &|| stopping.is_cancelled())
        };
        let parsed = if answer.body.len() < LARGE {
            parse()
        } else {
            tokio::task::spawn_blocking(parse).await.map_err(Failure::Task)?
        };
        let page = parsed.map_err(|error| match error {
            PageError::Stopped => Failure::Stopping,
            other => Failure::Unreadable(other),
        })?;
        if let Some(reason) = &page.skipped.first {
            tracing::warn!(
                run.id = %self.run, skipped = page.skipped.len(), first = %reason,
                "records of a page cannot be stored and were skipped"
            );
        }
        Ok(page)
    }

    /// Writes records and what goes with them, together, if the lease is still ours.
    ///
    /// Records with which nothing else is stored are held back instead, up to a bound: [`Context::settle`] compares several pages with the
    /// table at once, and writes what differs.
    pub(crate) async fn commit(&self, mut batch: Batch, beside: Beside) -> Result<PageCounts, Failure> {
        if !beside.is_notes_alone() {
            if beside.checkpoint.is_some() {
                // It covers them.
                self.settle().await?;
            }
            return self.write(batch, beside).await;
        }
        // What is held back for longer is bounded, and so takes nothing from the budget that its run may wait for.
        let permit = std::mem::take(&mut batch.permit);
        let enough = {
            let mut unwritten = self.unwritten();
            unwritten.held.push((batch, beside));
            let (mut records, mut bytes) = (0, 0);
            for (batch, _) in &unwritten.held {
                records += batch.records.len();
                bytes += batch.bytes;
            }
            records > HELD_RECORDS || bytes > HELD_BYTES || unwritten.told.elapsed() > TELL
        };
        if enough {
            self.settle().await?;
        }
        drop(permit);
        Ok(PageCounts::default())
    }

    /// Compares the records that are held back with the table, and writes those that differ. If that fails, the checkpoint of the run is
    /// not stored, so that they are read again.
    pub(crate) async fn settle(&self) -> Result<(), Failure> {
        let held = std::mem::take(&mut self.unwritten().held);
        let settled = self.settle_pages(held).await;
        if settled.is_err() {
            self.unwritten().lost = true;
        }
        settled
    }

    async fn settle_pages(&self, held: Vec<(Batch, Beside)>) -> Result<(), Failure> {
        if held.iter().any(|(batch, _)| !batch.records.is_empty()) {
            let (table, connection, now) = (Arc::clone(&self.table), self.connection.id, self.now());
            let compared = self.gateway.store().read_long(move |c| {
                let rows = Rows {
                    table: &table.sql,
                    model: &table.model,
                    connection,
                    now,
                };
                let pages: Vec<&[Record]> = held.iter().map(|(batch, _)| batch.records.as_slice()).collect();
                let differing = records::differing(c, &rows, &pages)?;
                Ok((held, differing))
            });
            let (held, differing) = compared.await?;
            for ((batch, beside), differing) in held.into_iter().zip(differing) {
                self.settle_page(batch, beside, differing).await?;
            }
        } else {
            for (_, beside) in held {
                self.note(beside.notes(&self.table.model, &[]));
            }
        }
        let told = self.unwritten().told;
        if told.elapsed() > TELL {
            self.write(Batch::default(), Beside::default()).await?;
        }
        Ok(())
    }

    async fn settle_page(
        &self,
        mut batch: Batch,
        beside: Beside,
        differing: Vec<bool>,
    ) -> Result<(), Failure> {
        let mut notes = beside.notes(&self.table.model, &batch.records);
        let mut differing = differing.into_iter();
        let given = batch.records.len();
        batch.records.retain(|_| differing.next().unwrap_or(true));
        if !beside.again {
            notes.unchanged = u64::try_from(given - batch.records.len()).unwrap_or(u64::MAX);
        }
        self.note(notes);
        if batch.records.is_empty() {
            return Ok(());
        }
        let beside = Beside {
            again: beside.again,
            noted: true,
            ..Beside::default()
        };
        self.write(batch, beside).await?;
        Ok(())
    }

    /// Changes the checkpoint in memory. It is stored with a later page or at the end of the run, after the records that it covers.
    pub(crate) fn remember(&self, change: impl FnOnce(&mut Checkpoint)) {
        change(&mut self.checkpoint());
    }

    /// The key that the provider knows a row by.
    pub(crate) async fn sent_key(&self, key: &str) -> Result<String, Failure> {
        if !domain::is_shortened(key) {
            return Ok(key.to_owned());
        }
        let (table, connection, stored) = (Arc::clone(&self.table), self.connection.id, key.to_owned());
        let read = self
            .gateway
            .store()
            .read(move |c| records::long_key(c, &table.sql, connection, &stored));
        Ok(read.await?.unwrap_or_else(|| key.to_owned()))
    }

    /// Marks rows deleted that were last written at the change number `up_to` or before it.
    pub(crate) async fn mark_deleted(&self, keys: Vec<String>, up_to: i64) -> Result<u64, Failure> {
        let (table, lease, run) = (Arc::clone(&self.table), self.lease.clone(), self.run);
        let (connection, now) = (self.connection.id, self.now());
        let marked = self.gateway.store().write_long(move |c| {
            let delete = DeleteCommit {
                table: &table.sql,
                model: &table.model,
                lease: &lease,
                run,
                connection,
                keys: &keys,
                up_to,
                now,
            };
            records::mark_deleted(c, &delete)
        });
        Ok(marked.await?)
    }

    /// Notes on the run why a list may not have been read to its end.
    pub(crate) fn note_incomplete(&self, reason: String) {
        tracing::warn!(
            run.id = %self.run, sync = %self.sync.name, connection.id = %self.connection.id, %reason,
            "a list may not have been read to its end"
        );
        self.note(RunNotes {
            incomplete: Some(reason),
            ..RunNotes::default()
        });
    }
}
