//! What all parts of a run share: whose run it is, how pages are requested, how they are committed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::{Record, RunId, Timestamp};
use gateway::{Gateway, ModelTable};
use registry::{Sync, Window};
use store::connections::ConnectionRow;
use store::records::{self, DeleteCommit, Lease, PageCommit, PageCounts, SliceChange};
use store::runs;
use store::slices::NewSlice;
use store::syncs::SyncRow;
use tokio_util::sync::CancellationToken;
use upstream::{Answer, BodyPermit, Call, Target};

use crate::checkpoint::Checkpoint;
use crate::failure::Failure;
use crate::ordering::{Asked, Ordering};
use crate::page::{self, Layout, Page, PageError};
use crate::worker::ListBounds;

/// Bytes from which a page is parsed on a blocking thread, since it takes longer than a task may hold up others.
const LARGE: usize = 64 << 10;

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

    /// Returns where a request that is sent from now on stands among the writings of rows.
    pub(crate) async fn asked(&self) -> Result<Asked, Failure> {
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

    /// Writes records and what goes with them, in one transaction, if the lease is still ours.
    pub(crate) async fn commit(&self, batch: Batch, beside: Beside) -> Result<PageCounts, Failure> {
        let Batch {
            records,
            asked,
            permit,
        } = batch;
        let (table, lease, run) = (Arc::clone(&self.table), self.lease.clone(), self.run);
        let (connection, now) = (self.connection.id, self.now());
        let remembered = beside.checkpoint.clone();
        // The lease's row is locked by each transaction, so a run's pages are written one by one anyway.
        let mut writings = self.ordering.writings().await;
        let requested = writings.requested(asked);
        let counts = self
            .gateway
            .store()
            .write_long(move |c| {
                let page = PageCommit {
                    table: &table.sql,
                    model: &table.model,
                    lease: &lease,
                    run,
                    connection,
                    records,
                    pages: beside.pages,
                    skipped: beside.skipped,
                    again: beside.again,
                    slice: beside.slice,
                    new_slices: beside.new_slices,
                    checkpoint: beside.checkpoint.map(|checkpoint| checkpoint.store()),
                    progress: beside.progress,
                    requested,
                    now,
                };
                records::commit_page(c, page)
            })
            .await?;
        writings.note(asked, counts.written.clone());
        drop(writings);
        drop(permit);
        if let Some(checkpoint) = remembered {
            *self.checkpoint() = checkpoint;
        }
        Ok(counts)
    }

    /// Remembers the checkpoint as `change` leaves it.
    pub(crate) async fn remember(&self, change: impl FnOnce(&mut Checkpoint)) -> Result<(), Failure> {
        let mut checkpoint = self.checkpoint().clone();
        change(&mut checkpoint);
        let beside = Beside {
            checkpoint: Some(checkpoint),
            ..Beside::default()
        };
        self.commit(Batch::default(), beside).await?;
        Ok(())
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
    pub(crate) async fn note_incomplete(&self, reason: String) -> Result<(), Failure> {
        tracing::warn!(
            run.id = %self.run, sync = %self.sync.name, connection.id = %self.connection.id, %reason,
            "a list may not have been read to its end"
        );
        let run = self.run;
        let noted = self
            .gateway
            .store()
            .write(move |c| runs::set_incomplete(c, run, &reason));
        Ok(noted.await?)
    }
}
