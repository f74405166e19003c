//! What all parts of a run share: whose run it is, how pages are fetched, how they are committed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::{Record, RunId, Timestamp};
use gateway::{Gateway, ModelTable};
use registry::{Sync, Window};
use store::connections::ConnectionRow;
use store::records::{self, DeleteCommit, Lease, PageCommit, PageCounts, SliceChange};
use store::slices::NewSlice;
use store::syncs::SyncRow;
use tokio_util::sync::CancellationToken;
use upstream::{Answer, BodyPermit, Call, Target};

use crate::checkpoint::Checkpoint;
use crate::failure::Failure;
use crate::page::{self, Page};

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
}

/// What a transaction of a run writes beside records; empty by default.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    pub(crate) pages: u32,
    pub(crate) skipped: u32,
    pub(crate) slice: Option<SliceChange>,
    pub(crate) new_slices: Vec<NewSlice>,
    pub(crate) checkpoint: Option<Checkpoint>,
    pub(crate) progress: Option<f64>,
}

/// An answer of the provider, and when it was asked.
pub(crate) struct Fetched {
    pub(crate) answer: Answer,
    pub(crate) asked: Timestamp,
}

/// Records of one page, or that were asked for one by one.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) records: Vec<Record>,
    /// When the first of them was asked for.
    pub(crate) asked: Timestamp,
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

    /// Fetches a page, unless the process wants to end.
    pub(crate) async fn fetch(&self, call: Call) -> Result<Fetched, Failure> {
        let asked = self.now();
        let answer = tokio::select! {
            biased;
            () = self.stopping.cancelled() => return Err(Failure::Stopping),
            answer = self.gateway.upstream().fetch(&self.target, call) => answer?,
        };
        Ok(Fetched { answer, asked })
    }

    /// Reads a page of the sync's list.
    pub(crate) fn read_page(&self, answer: &Answer) -> Result<Page, Failure> {
        let page = page::parse(&answer.body, &self.declared.records, &self.table.reader)
            .map_err(Failure::Unreadable)?;
        for error in &page.skipped {
            tracing::warn!(%error, "a record was skipped");
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
                    slice: beside.slice,
                    new_slices: beside.new_slices,
                    checkpoint: beside.checkpoint.map(|checkpoint| checkpoint.store()),
                    progress: beside.progress,
                    asked,
                    now,
                };
                records::commit_page(c, page)
            })
            .await?;
        drop(permit);
        if let Some(checkpoint) = remembered {
            *self.checkpoint() = checkpoint;
        }
        Ok(counts)
    }

    /// No records, for what is written beside.
    pub(crate) fn nothing(&self) -> Batch {
        Batch {
            records: Vec::new(),
            asked: self.now(),
            permit: BodyPermit::default(),
        }
    }

    /// Remembers the checkpoint as `change` leaves it.
    pub(crate) async fn remember(&self, change: impl FnOnce(&mut Checkpoint)) -> Result<(), Failure> {
        let mut checkpoint = self.checkpoint().clone();
        change(&mut checkpoint);
        self.commit(
            self.nothing(),
            Beside {
                checkpoint: Some(checkpoint),
                ..Beside::default()
            },
        )
        .await?;
        Ok(())
    }

    /// Marks rows deleted.
    pub(crate) async fn mark_deleted(&self, keys: Vec<String>) -> Result<u64, Failure> {
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
                now,
            };
            records::mark_deleted(c, &delete)
        });
        Ok(marked.await?)
    }
}
