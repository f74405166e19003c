//! The measured databases: a SQLite file, or a database of the benchmark's PostgreSQL server.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use tempfile::TempDir;

use crate::postgres::Server;

/// A database that is deleted on drop.
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

/// The kind and location of databases.
#[derive(Clone)]
pub(crate) enum DatabaseKind {
    /// A folder for SQLite files.
    Sqlite(PathBuf),
    /// A server.
    Postgres(Arc<Server>),
}

impl DatabaseKind {
    /// Returns the display name.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
        }
    }

    /// Creates a database without tables.
    pub(crate) fn database(&self) -> anyhow::Result<Database> {
        match self {
            Self::Sqlite(parent) => {
                let folder = TempDir::new_in(parent).context("cannot create a folder for a database")?;
                let address = format!("sqlite://{}", folder.path().join("bench.db").display());
                Ok(Database::Sqlite { address, folder })
            }
            Self::Postgres(server) => {
                let name = server.create();
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
    /// Returns the URL as a setting of Trunkline.
    pub(crate) fn address(&self) -> &str {
        match self {
            Self::Sqlite { address, .. } | Self::Postgres { address, .. } => address,
        }
    }

    /// Returns the path of the SQLite file.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        match self {
            Self::Sqlite { folder, .. } => Some(folder.path().join("bench.db")),
            Self::Postgres { .. } => None,
        }
    }

    /// Returns the CPU time of PostgreSQL's processes so far.
    pub(crate) fn cpu(&self) -> anyhow::Result<Option<f64>> {
        match self {
            Self::Sqlite { .. } => Ok(None),
            Self::Postgres { server, .. } => server.cpu().map(Some),
        }
    }

    /// Runs `VACUUM ANALYZE` and `CHECKPOINT`, so that the server does not run them during a measurement.
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
            // An error is ignored, because the server's folder is removed at the end.
            let _ = server.remove(name);
        }
    }
}

/// Creates a folder for all files of a run.
pub(crate) fn folder() -> anyhow::Result<TempDir> {
    tempfile::Builder::new()
        .prefix("trunkline-bench-")
        .tempdir()
        .context("cannot create a temporary folder")
}
