//! The open database: reads, writes in transactions, and their time limits.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::connector::{Connector, StoreOptions};
use crate::dialect::{checkpoint, takes_writes};
use crate::migrations;
use crate::pool::{Pool, TimeLimit};
use crate::{DatabaseUrl, DbConn, Dialect, StoreError};

/// The open database. Clones share it.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    dialect: Dialect,
    pooler: bool,
    pool: Pool,
    /// SQLite's single writer, for which callers wait in turn.
    writer: Option<Pool>,
    /// When a ping last found that SQLite takes writes.
    last_ping: Mutex<Option<Instant>>,
}

/// How long the success of a ping is reused.
const PING_REUSED: Duration = Duration::from_secs(1);

impl Store {
    /// Opens the database. Creates SQLite's file, readable only by its owner, if there is none.
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
            last_ping: Mutex::default(),
        };
        // The first connection is the writer's, which creates SQLite's file and enables WAL before any read.
        inner.writing().run(TimeLimit::Long, false, |_| Ok(())).await?;
        Ok(Self(Arc::new(inner)))
    }

    /// Applies the missing migrations, and returns their names. Several processes may do so at once.
    ///
    /// [`StoreError::Refused`] if a newer version has changed the tables.
    pub async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        self.maintain(migrations::run).await
    }

    /// Returns the migrations that are not applied. Nothing is written.
    ///
    /// [`StoreError::Refused`] if a newer version has changed the tables.
    pub async fn pending_migrations(&self) -> Result<Vec<String>, StoreError> {
        self.read(migrations::pending).await
    }

    /// Checks that the database responds and takes writes. Nothing is written.
    ///
    /// SQLite takes no writes while another process has it locked, so the check is an empty transaction, which waits in turn and as long as
    /// a write. A success within the last second is reused, so that frequent checks do not delay writes.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let Some(writer) = &self.0.writer else {
            return self
                .read(|c| {
                    if takes_writes(c)? {
                        Ok(())
                    } else {
                        Err(StoreError::Busy(
                            "the server accepts no writes: it is a standby, or read-only".into(),
                        ))
                    }
                })
                .await;
        };
        let last = || self.0.last_ping.lock().unwrap_or_else(PoisonError::into_inner);
        if last().is_some_and(|last| last.elapsed() < PING_REUSED) {
            return Ok(());
        }
        writer.run(TimeLimit::Short, true, |_| Ok(())).await?;
        *last() = Some(Instant::now());
        Ok(())
    }

    /// Returns which database it is.
    pub fn dialect(&self) -> Dialect {
        self.0.dialect
    }

    /// Runs `body` on a connection for reading.
    pub async fn read<T: Send + 'static>(
        &self,
        body: impl FnOnce(&mut DbConn) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.0.pool.run(TimeLimit::Short, false, body).await
    }

    /// [`Store::read`] for what may take longer, such as pages of records.
    pub async fn read_long<T: Send + 'static>(
        &self,
        body: impl FnOnce(&mut DbConn) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.0.pool.run(TimeLimit::Long, false, body).await
    }

    /// Runs `body` in one transaction, which is committed if it returns `Ok`, and rolled back otherwise.
    ///
    /// The transaction is immediate on SQLite, where writes run one after another in the order of the calls, and READ COMMITTED on
    /// PostgreSQL. After [`StoreError::Unavailable`] it may still have been committed.
    pub async fn write<T: Send + 'static>(
        &self,
        body: impl FnOnce(&mut DbConn) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.0.writing().run(TimeLimit::Short, true, body).await
    }

    /// [`Store::write`] for what may take longer, such as pages of records and deletions in batches.
    pub async fn write_long<T: Send + 'static>(
        &self,
        body: impl FnOnce(&mut DbConn) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.0.writing().run(TimeLimit::Long, true, body).await
    }

    /// [`Store::write`] for credentials, which cannot be read again from a provider: on SQLite the commit is moved from the write-ahead log
    /// into the file and synced to disk.
    pub async fn write_durably<T: Send + 'static>(
        &self,
        body: impl FnOnce(&mut DbConn) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let written = self.write(body).await?;
        self.checkpoint().await;
        Ok(written)
    }

    /// [`Store::write`] without a time limit, for changes of tables, whose time depends on the size of the tables.
    pub async fn maintain<T: Send + 'static>(
        &self,
        body: impl FnOnce(&mut DbConn) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.0.writing().run(TimeLimit::Unlimited, true, body).await
    }

    /// Returns the number of PostgreSQL's connections, and how many processes of Trunkline use some. `None` on SQLite, and behind a pooler,
    /// which has its own limits.
    pub async fn connection_budget(&self) -> Result<Option<(i64, i64)>, StoreError> {
        if self.0.pooler {
            return Ok(None);
        }
        self.read(crate::dialect::connection_budget).await
    }

    /// Raises all change numbers above any that was ever assigned, so that readers of the feed miss nothing after a restore. The store
    /// notices most restores of PostgreSQL, and none of SQLite, where this is called at every start.
    pub async fn raise_change_numbers(&self) -> Result<(), StoreError> {
        self.maintain(|c| crate::dialect::raise_counters(c).map(drop))
            .await
    }

    /// Closes the store. SQLite's file is then complete without its write-ahead log, unless another process uses it. Later calls fail.
    pub async fn close(&self) {
        let Some(writer) = &self.0.writer else { return };
        self.0.pool.close();
        self.checkpoint().await;
        writer.close();
    }

    /// Moves SQLite's write-ahead log into its file, except what readers still need.
    async fn checkpoint(&self) {
        let Some(writer) = &self.0.writer else { return };
        if let Err(error) = writer.run(TimeLimit::Short, false, checkpoint).await {
            tracing::warn!(%error, "cannot move SQLite's write-ahead log into the database file; the next write tries again");
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
        // Closing the last connection completes SQLite's file, which the end of the process must not interrupt.
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
