//! The open database: readers, the writer, transactions.

use std::sync::Arc;

use diesel::connection::{AnsiTransactionManager, TransactionManager};
use diesel::prelude::*;
use diesel::{PgConnection, SqliteConnection};
use tokio::sync::{Mutex, Semaphore};

use crate::dialect::{Statement, begin, on_db};
use crate::pool::{Connector, Pool};
use crate::{DatabaseUrl, Dialect, StoreError};

/// A connection to either database.
#[derive(diesel::MultiConnection)]
pub enum DbConn {
    /// PostgreSQL.
    Pg(PgConnection),
    /// SQLite.
    Sqlite(SqliteConnection),
}

/// How a store is opened.
#[derive(Debug, Clone, Copy)]
pub struct StoreOptions {
    /// Connections for reading beside SQLite's one writer; on PostgreSQL all connections.
    pub readers: u32,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { readers: 8 }
    }
}

/// The open database; clones share it.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    dialect: Dialect,
    pool: Pool,
    /// As many as the pool has connections: who waits does so here, in turn and without a thread.
    turns: Arc<Semaphore>,
    /// SQLite's one writer and how to open it; its lock is fair. Empty before the first write and after a panic in one.
    writer: Option<(Connector, Arc<Mutex<Option<DbConn>>>)>,
}

impl Store {
    /// Opens the database; makes SQLite's file, readable by its owner alone, if there is none.
    ///
    /// [`StoreError::Unavailable`] if it cannot be reached.
    pub async fn open(url: &DatabaseUrl, options: StoreOptions) -> Result<Store, StoreError> {
        let size = options.readers.max(1);
        let url = url.clone();
        let inner = blocking(move || {
            let dialect = url.dialect();
            // The first connection is the writer's, which makes SQLite's file and turns WAL on before anybody reads.
            let connector = Connector::new(&url, true);
            let first = connector.open()?;
            let writer = (dialect == Dialect::Sqlite).then(|| (connector, Arc::new(Mutex::new(Some(first)))));
            let pool = Connector::new(&url, false).pool(size)?;
            let turns = Arc::new(Semaphore::new(usize::try_from(size).unwrap_or(1)));
            Ok(Inner {
                dialect,
                pool,
                turns,
                writer,
            })
        });
        Ok(Self(Arc::new(inner.await?)))
    }

    /// Brings the tables up to date; gives the names of the migrations applied. Many processes may do it at once.
    pub async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        self.write(crate::migrations::run).await
    }

    /// The names of the migrations that are still to be applied.
    pub async fn pending_migrations(&self) -> Result<Vec<String>, StoreError> {
        // Asking makes the table of migrations if it is missing, so a reader will not do.
        self.write(crate::migrations::pending).await
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.read(|c| {
            Statement::new("SELECT 1", Vec::new())
                .load(c, |_| Ok(()))
                .map(drop)
        })
        .await
    }

    /// Which database it is.
    pub fn dialect(&self) -> Dialect {
        self.0.dialect
    }

    /// Runs `body` on a connection for reading, outside any transaction.
    pub async fn read<T: Send + 'static>(
        &self,
        body: impl FnOnce(&mut DbConn) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let turn = Arc::clone(&self.0.turns)
            .acquire_owned()
            .await
            .map_err(|closed| StoreError::Unavailable(closed.into()))?;
        let pool = self.0.pool.clone();
        blocking(move || {
            let mut pooled = pool
                .get()
                .map_err(|error| StoreError::Unavailable(error.into()))?;
            let result = body(pooled.use_now());
            drop((pooled, turn));
            result
        })
        .await
    }

    /// Runs `body` in one transaction: committed if it gives `Ok`, rolled back otherwise.
    ///
    /// Immediate on SQLite, where writers come one after another in the order of their calls; READ COMMITTED on PostgreSQL.
    pub async fn write<T: Send + 'static>(
        &self,
        body: impl FnOnce(&mut DbConn) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let Some((connector, writer)) = &self.0.writer else {
            return self.read(|c| transaction(c, body)).await;
        };
        let mut slot = Arc::clone(writer).lock_owned().await;
        let connector = connector.clone();
        blocking(move || {
            // Taken out for the while: if the body panics, the connection goes with its open transaction.
            let mut connection = match slot.take() {
                Some(connection) => connection,
                None => connector.open()?,
            };
            let result = transaction(&mut connection, body);
            if !is_broken(&mut connection) {
                *slot = Some(connection);
            }
            result
        })
        .await
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Store").field(&self.0.dialect).finish()
    }
}

async fn blocking<T: Send + 'static>(
    body: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(body).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(cancelled) => Err(StoreError::Unavailable(cancelled.into())),
        },
    }
}

fn transaction<T>(
    connection: &mut DbConn,
    body: impl FnOnce(&mut DbConn) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let sql = begin(connection.dialect());
    on_db!(&mut *connection, c => AnsiTransactionManager::begin_transaction_sql(c, sql))?;
    let result = body(connection);
    let end = match result {
        Ok(_) => on_db!(connection, c => AnsiTransactionManager::commit_transaction(c)),
        Err(_) => on_db!(connection, c => AnsiTransactionManager::rollback_transaction(c)),
    };
    match (result, end) {
        (Ok(value), end) => end.map(|()| value).map_err(StoreError::from),
        // The first error tells more than that of the rollback; a connection that could not roll back is not used again.
        (Err(error), _) => Err(error),
    }
}

/// Whether the connection must not be used again: it is lost, or a transaction stands open.
pub(crate) fn is_broken(connection: &mut DbConn) -> bool {
    on_db!(connection, c => AnsiTransactionManager::is_broken_transaction_manager(c))
}
