//! The open database: reads, writes in transactions, and the time that they may take.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::connector::{Connector, StoreOptions};
use crate::dialect::{checkpoint, takes_writes};
use crate::migrations::{self, SchemaState};
use crate::pool::{Patience, Pool};
use crate::{DatabaseUrl, DbConn, Dialect, StoreError};

/// The open database; clones share it.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    dialect: Dialect,
    pooler: bool,
    pool: Pool,
    /// SQLite's one writer; callers wait for it in turn.
    writer: Option<Pool>,
    writes: Proof,
}

/// When an empty transaction last showed that SQLite takes writes.
#[derive(Default)]
struct Proof(Mutex<Option<Instant>>);

impl Proof {
    /// How long it counts.
    const FRESH: Duration = Duration::from_secs(1);

    async fn prove(&self, writer: &Pool) -> Result<(), StoreError> {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| last.elapsed() < Self::FRESH) {
            return Ok(());
        }
        writer.run(Patience::Short, true, |_| Ok(())).await?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        Ok(())
    }
}

impl Store {
    /// Opens the database; makes SQLite's file, readable by its owner alone, if there is none.
    ///
    /// [`StoreError::Unavailable`] if it cannot be reached.
    pub async fn open(url: &DatabaseUrl, options: StoreOptions) -> Result<Store, StoreError> {
        let size = usize::try_from(options.readers.max(1)).unwrap_or(1);
        let pool = |writer, size| Pool::new(Connector::new(url, writer, &options), size, options.timeout);
        let dialect = url.dialect();
        let inner = Inner {
            dialect,
            pooler: options.pooler,
            pool: pool(false, size),
            writer: (dialect == Dialect::Sqlite).then(|| pool(true, 1)),
            writes: Proof::default(),
        };
        // The first connection is the writer's, which makes SQLite's file and turns WAL on before anybody reads.
        inner.writing().run(Patience::Long, false, |_| Ok(())).await?;
        Ok(Self(Arc::new(inner)))
    }

    /// Brings the tables up to date; gives the names of the migrations applied. Many processes may do it at once.
    ///
    /// [`StoreError::Refused`] if a newer version has changed them.
    pub async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        self.maintain(migrations::run).await
    }

    /// Which migrations are still to be applied; nothing is written.
    ///
    /// [`StoreError::Refused`] if a newer version has changed the tables.
    pub async fn pending_migrations(&self) -> Result<Vec<String>, StoreError> {
        self.read(migrations::state).await.and_then(SchemaState::pending)
    }

    /// Whether the database answers, and takes writes. Nothing is written.
    ///
    /// SQLite takes no writes while another process holds its lock. So an empty transaction waits there among the writes, in turn and for
    /// as long as they do. A success within the last second is reused, so that frequent probes do not delay writes.
    pub async fn ping(&self) -> Result<(), StoreError> {
        if let Some(writer) = &self.0.writer {
            return self.0.writes.prove(writer).await;
        }
        self.read(|c| {
            if takes_writes(c)? {
                Ok(())
            } else {
                Err(StoreError::Busy(
                    "the server accepts no writes: it is a standby, or read-only".into(),
                ))
            }
        })
        .await
    }

    /// Which database it is.
    pub fn dialect(&self) -> Dialect {
        self.0.dialect
    }

    /// Runs `body` on a connection for reading.
    pub async fn read<T: Send + 'static>(
        &self,
        body: impl FnOnce(&mut DbConn) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.0.pool.run(Patience::Short, false, body).await
    }

    /// [`Store::read`] for what may take longer than a request's other reads: pages of records.
    pub async fn read_long<T: Send + 'static>(
        &self,
        body: impl FnOnce(&mut DbConn) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.0.pool.run(Patience::Long, false, body).await
    }

    /// Runs `body` in one transaction: committed if it gives `Ok`, rolled back otherwise.
    ///
    /// Immediate on SQLite, where writers come one after another in the order of their calls; READ COMMITTED on PostgreSQL. After
    /// [`StoreError::Unavailable`] the transaction may have been committed all the same.
    pub async fn write<T: Send + 'static>(
        &self,
        body: impl FnOnce(&mut DbConn) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.0.writing().run(Patience::Short, true, body).await
    }

    /// [`Store::write`] for what may take longer than a request's other writes: pages of records, deletions in batches.
    pub async fn write_long<T: Send + 'static>(
        &self,
        body: impl FnOnce(&mut DbConn) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.0.writing().run(Patience::Long, true, body).await
    }

    /// [`Store::write`] for credentials: on SQLite the commit is moved from the write-ahead log into the file itself, so that what
    /// cannot be read again from a provider is on the disk.
    pub async fn write_durably<T: Send + 'static>(
        &self,
        body: impl FnOnce(&mut DbConn) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let written = self.write(body).await?;
        self.checkpoint().await;
        Ok(written)
    }

    /// [`Store::write`] without any limit on time, for changes of tables, which take as long as the tables are large.
    pub async fn maintain<T: Send + 'static>(
        &self,
        body: impl FnOnce(&mut DbConn) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.0.writing().run(Patience::Unbounded, true, body).await
    }

    /// PostgreSQL's connections, and how many processes of Trunkline use some; `None` on SQLite, and behind a pooler, which has limits
    /// of its own.
    pub async fn connection_budget(&self) -> Result<Option<(i64, i64)>, StoreError> {
        if self.0.pooler {
            return Ok(None);
        }
        self.read(crate::dialect::connection_budget).await
    }

    /// Raises all change numbers above any that was ever handed out, so that readers of the feed miss nothing after a restore.
    /// PostgreSQL notices most restores by itself; SQLite's file none, so its counters are to be raised at every start.
    pub async fn raise_change_numbers(&self) -> Result<(), StoreError> {
        self.maintain(|c| crate::dialect::raise_counters(c).map(drop))
            .await
    }

    /// Ends the use of the store: leaves SQLite's file whole, without a write-ahead log beside it unless another process uses it. Calls after
    /// it fail.
    pub async fn close(&self) {
        let Some(writer) = &self.0.writer else { return };
        self.0.pool.close();
        self.checkpoint().await;
        writer.close();
    }

    /// Moves SQLite's write-ahead log into its file. What readers still need is left for the next time.
    async fn checkpoint(&self) {
        let Some(writer) = &self.0.writer else { return };
        if let Err(error) = writer.run(Patience::Short, false, checkpoint).await {
            tracing::warn!(%error, "the write-ahead log of SQLite could not be moved into the database's file");
        }
    }
}

impl Inner {
    fn writing(&self) -> &Pool {
        self.writer.as_ref().unwrap_or(&self.pool)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The last connection that is closed leaves SQLite's file whole: not to be cut off by the end of the process.
        if let Some(writer) = &self.writer {
            self.pool.close();
            writer.close();
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Store").field(&self.0.dialect).finish()
    }
}
