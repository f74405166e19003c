//! What all parts of a run share: whose run it is, how pages are requested, how they are committed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::{Record, RunId, Timestamp};
use gateway::{Gateway, ModelTable};
use registry::{Sync, Window};
use store::connections::ConnectionRow;
use store::records::{self, DeleteCommit, Lease, PageCounts, Rows, SliceChange};
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

/// Records of small pages that are held back until they are compared with the table together.
const HELD_RECORDS: usize = 500;
/// Bytes of a page that is held back, at most.
const HELD_BYTES: usize = 64 << 10;
/// Progress that was not written for so long is written with the next page, so that people see it.
const TELL: Duration = Duration::from_secs(2);
/// A change number that a transaction of the run has read is good for a request that is sent within this time. A request may wait longer
/// than that for its place among others, after its number was read.
const FRESH: Duration = Duration::from_millis(50);

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
    /// Cancelled when the process wants to end: the run stops between two pages.
    pub(crate) stopping: CancellationToken,
    pub(crate) checkpoint: Mutex<Checkpoint>,
    pub(crate) ordering: Ordering,
    pub(crate) bounds: ListBounds,
    pub(crate) unwritten: Mutex<Unwritten>,
}

/// What a run has still to write.
#[derive(Debug)]
pub(crate) struct Unwritten {
    notes: RunNotes,
    /// Small pages that most likely hold nothing new.
    held: Vec<Held>,
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
            told: Instant::now(),
            number: None,
            queue: Queue::default(),
        }
    }
}

#[derive(Debug)]
struct Held {
    records: Vec<Record>,
    asked: Asked,
    again: bool,
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
    /// Their part of the memory budget, given back when they are written.
    pub(crate) permit: BodyPermit,
    /// Bytes of the body that they came in.
    pub(crate) bytes: usize,
}

impl Beside {
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

    /// The same for what was taken to be written and could not be: it is older than what was noted since.
    pub(crate) fn note_before(&self, mut notes: RunNotes) {
        let mut unwritten = self.unwritten();
        notes.merge(std::mem::take(&mut unwritten.notes));
        unwritten.notes = notes;
    }

    /// Remembers the last change number of the connection's rows, as it was just now.
    pub(crate) fn learn_number(&self, number: i64) {
        self.unwritten().number = Some((number, Instant::now()));
    }

    /// Returns where a request that is sent from now on stands among the writings of rows.
    pub(crate) async fn asked(&self) -> Result<Asked, Failure> {
        let known = self.unwritten().number.take();
        if let Some((number, _)) = known.filter(|(_, read)| read.elapsed() < FRESH) {
            return Ok(self.ordering.asked(number));
        }
        let (table, connection) = (Arc::clone(&self.table), self.connection.id);
        let read = self
            .gateway
            .store()
            .read(move |c| records::last_number(c, &table.sql, connection));
        Ok(self.ordering.asked(read.await?))
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
    /// Records of a small page with which nothing else is stored are held back instead: [`Context::settle`] compares several such pages
    /// with the table at once, and writes what differs.
    pub(crate) async fn commit(&self, batch: Batch, beside: Beside) -> Result<PageCounts, Failure> {
        let mut misfits = RunNotes::default();
        misfits.count_misfits(&self.table.model, &batch.records);
        self.note(misfits);
        if !beside.is_notes_alone() {
            return self.write(batch, beside).await;
        }
        let large = batch.bytes > HELD_BYTES;
        let enough = {
            let mut unwritten = self.unwritten();
            unwritten.notes.merge(RunNotes {
                pages: u64::from(beside.pages),
                skipped: u64::from(beside.skipped),
                progress: beside.progress,
                ..RunNotes::default()
            });
            unwritten.held.push(Held {
                records: batch.records,
                asked: batch.asked,
                again: beside.again,
            });
            let records: usize = unwritten.held.iter().map(|held| held.records.len()).sum();
            large || records > HELD_RECORDS
        };
        if enough {
            self.settle().await?;
        }
        drop(batch.permit);
        Ok(PageCounts::default())
    }

    /// Compares the records that are held back with the table, and writes those that differ.
    pub(crate) async fn settle(&self) -> Result<(), Failure> {
        let held = std::mem::take(&mut self.unwritten().held);
        if held.iter().any(|held| !held.records.is_empty()) {
            let (table, connection, now) = (Arc::clone(&self.table), self.connection.id, self.now());
            let (mut pages, asked): (Vec<_>, Vec<_>) = held
                .into_iter()
                .map(|held| (held.records, (held.asked, held.again)))
                .unzip();
            let compared = self.gateway.store().read_long(move |c| {
                let rows = Rows {
                    table: &table.sql,
                    model: &table.model,
                    connection,
                    now,
                };
                let unchanged = records::keep_differing(c, &rows, &mut pages)?;
                Ok((pages, unchanged))
            });
            let (pages, unchanged) = compared.await?;
            for ((records, unchanged), (asked, again)) in pages.into_iter().zip(unchanged).zip(asked) {
                if !again {
                    self.note(RunNotes {
                        unchanged,
                        ..RunNotes::default()
                    });
                }
                if records.is_empty() {
                    continue;
                }
                let batch = Batch {
                    records,
                    asked,
                    ..Batch::default()
                };
                let beside = Beside {
                    again,
                    ..Beside::default()
                };
                self.write(batch, beside).await?;
            }
        }
        let told = self.unwritten().told;
        if told.elapsed() > TELL {
            self.write(Batch::default(), Beside::default()).await?;
        }
        Ok(())
    }

    /// Changes the checkpoint, which is stored at the end of the run or with a page before that. A run that is cut off repeats what the
    /// change stands for.
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
