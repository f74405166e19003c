//! The databases that are measured: a file, or one of a PostgreSQL server of our own.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use tempfile::TempDir;

use crate::postgres::Server;

/// A database that is gone with the value.
pub(crate) enum Database {
    Sqlite {
        address: String,
        folder: TempDir,
    },
    Postgres {
        address: String,
        name: String,
        server: Arc<Server>,
    },
}

/// Where databases are made.
#[derive(Clone)]
pub(crate) enum Place {
    /// A folder for SQLite's files.
    Sqlite(PathBuf),
    /// A server.
    Postgres(Arc<Server>),
}

impl Place {
    /// What people call it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
        }
    }

    /// A new database without any table.
    pub(crate) fn database(&self) -> anyhow::Result<Database> {
        match self {
            Self::Sqlite(parent) => {
                let folder = TempDir::new_in(parent).context("making a folder for a database")?;
                let address = format!("sqlite://{}", folder.path().join("bench.db").display());
                Ok(Database::Sqlite { address, folder })
            }
            Self::Postgres(server) => {
                let name = server.create()?;
                Ok(Database::Postgres {
                    address: server.address(&name),
                    name,
                    server: Arc::clone(server),
                })
            }
        }
    }
}

impl Database {
    /// Its address as a setting of Trunkline.
    pub(crate) fn address(&self) -> &str {
        match self {
            Self::Sqlite { address, .. } | Self::Postgres { address, .. } => address,
        }
    }

    /// SQLite's file.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        match self {
            Self::Sqlite { folder, .. } => Some(folder.path().join("bench.db")),
            Self::Postgres { .. } => None,
        }
    }

    /// Processor time of PostgreSQL's processes so far.
    pub(crate) fn cpu(&self) -> anyhow::Result<Option<f64>> {
        match self {
            Self::Sqlite { .. } => Ok(None),
            Self::Postgres { server, .. } => server.cpu().map(Some),
        }
    }

    /// Does what a server otherwise does by itself whenever it likes: `VACUUM ANALYZE` and `CHECKPOINT`.
    pub(crate) async fn settle(&self) -> anyhow::Result<()> {
        if let Self::Postgres { address, server, .. } = self {
            let (address, server) = (address.clone(), Arc::clone(server));
            tokio::task::spawn_blocking(move || server.run(&address, "VACUUM ANALYZE; CHECKPOINT;"))
                .await??;
        }
        Ok(())
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Self::Postgres { name, server, .. } = self {
            // The folder of the server is removed at the end in any case.
            let _ = server.remove(name);
        }
    }
}

/// A folder for everything that a run makes.
pub(crate) fn folder() -> anyhow::Result<TempDir> {
    tempfile::Builder::new()
        .prefix("trunkline-bench-")
        .tempdir()
        .context("making a temporary folder")
}
