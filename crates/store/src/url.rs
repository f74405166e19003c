//! The URL of the database: `sqlite://path`, or a `postgres://…` URL of libpq.

mod postgres;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

pub use postgres::PostgresUrl;

/// The kind of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// SQLite in a file.
    Sqlite,
    /// PostgreSQL 15 or later.
    Postgres,
}

/// The URL of a database. Neither `Debug` nor `Display` shows a password.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// SQLite's file.
    Sqlite(PathBuf),
    /// A database of a PostgreSQL server.
    Postgres(PostgresUrl),
}

/// The text is not a database URL. No message repeats the text, which may contain a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlError {
    /// Another scheme.
    #[error("must begin with sqlite:// or postgres://")]
    Scheme,
    /// SQLite without a file.
    #[error(
        "an in-memory database ends with its process and cannot be shared: name a file, such as sqlite://trunkline.db"
    )]
    InMemory,
    /// A `%` that does not begin a percent-encoded character.
    #[error("has a % that is not followed by two hexadecimal digits, or %00: write a % as %25")]
    Percent,
    /// An `@` or a port which shows that user or password contain reserved characters.
    #[error(
        "must have the form postgres://user:password@host:port/database; within user and password write @ as %40, / as %2F and : as %3A"
    )]
    Authority,
    /// A parameter that is not `name=value`.
    #[error("has a parameter after ? that is not name=value: write & as %26 and = as %3D within a value")]
    Parameter,
}

impl DatabaseUrl {
    /// Returns the kind of the database.
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Returns the file, if it is SQLite.
    pub fn sqlite_path(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(path) => Some(path),
            Self::Postgres(_) => None,
        }
    }
}

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some(rest) = text.strip_prefix("sqlite:") else {
            return Ok(Self::Postgres(text.parse()?));
        };
        if rest.contains(":memory:") || rest.contains("mode=memory") {
            return Err(DatabaseUrlError::InMemory);
        }
        let path = rest.strip_prefix("//").ok_or(DatabaseUrlError::Scheme)?;
        if path.is_empty() {
            Err(DatabaseUrlError::InMemory)
        } else {
            Ok(Self::Sqlite(path.into()))
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_relative_or_absolute_and_memory_is_refused() {
        let path = |text: &str| {
            text.parse::<DatabaseUrl>()
                .map(|url| url.sqlite_path().map(Path::to_owned))
        };
        assert_eq!(path("sqlite://trunkline.db"), Ok(Some("trunkline.db".into())));
        assert_eq!(path("sqlite:///var/lib/t.db"), Ok(Some("/var/lib/t.db".into())));
        for text in [
            "sqlite::memory:",
            "sqlite://:memory:",
            "sqlite://",
            "sqlite://x?mode=memory",
        ] {
            assert_eq!(path(text), Err(DatabaseUrlError::InMemory), "{text}");
        }
        assert_eq!(path("mysql://x"), Err(DatabaseUrlError::Scheme));
    }
}
