//! Where the database is: `sqlite://path` or `postgres://…`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Which database stands behind a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// SQLite in a file.
    Sqlite,
    /// PostgreSQL 15 or later.
    Postgres,
}

/// Where the database is. Neither `Debug` nor `Display` shows the password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(Place);

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Sqlite(PathBuf),
    Postgres(url::Url),
}

/// The text names no database that Trunkline can use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlError {
    /// Another scheme.
    #[error("must begin with sqlite:// or postgres://")]
    Scheme,
    /// SQLite without a file.
    #[error(
        "a database in memory is gone when the process ends and cannot be shared: name a file, such as sqlite://trunkline.db"
    )]
    InMemory,
    /// No address as RFC 3986 has it.
    #[error("is no address of the form postgres://user:password@host:port/database")]
    Malformed,
}

impl DatabaseUrl {
    /// Which database it names.
    pub fn dialect(&self) -> Dialect {
        match self.0 {
            Place::Sqlite(_) => Dialect::Sqlite,
            Place::Postgres(_) => Dialect::Postgres,
        }
    }

    /// The file, if it is SQLite's.
    pub fn sqlite_path(&self) -> Option<&Path> {
        match &self.0 {
            Place::Sqlite(path) => Some(path),
            Place::Postgres(_) => None,
        }
    }

    pub(crate) fn place(&self) -> &Place {
        &self.0
    }
}

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(rest) = text.strip_prefix("sqlite:") {
            if rest.contains(":memory:") || rest.contains("mode=memory") {
                return Err(DatabaseUrlError::InMemory);
            }
            let path = rest.strip_prefix("//").ok_or(DatabaseUrlError::Scheme)?;
            return if path.is_empty() {
                Err(DatabaseUrlError::InMemory)
            } else {
                Ok(Self(Place::Sqlite(path.into())))
            };
        }
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(DatabaseUrlError::Scheme);
        }
        url::Url::parse(text)
            .map(|url| Self(Place::Postgres(url)))
            .map_err(|_| DatabaseUrlError::Malformed)
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Place::Postgres(url) => {
                // libpq takes a password among the parameters too, so none of these is shown.
                let mut shown = url.clone();
                shown.set_query(None);
                if shown.password().is_some() && shown.set_password(Some("***")).is_err() {
                    return f.write_str("postgres://***");
                }
                shown.fmt(f)
            }
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
    fn a_shown_address_holds_no_password() {
        for text in [
            "postgres://me:hunter2@db:5432/trunkline",
            "postgresql://db/x?user=me&password=hunter2",
        ] {
            let url: DatabaseUrl = text.parse().unwrap();
            assert!(!format!("{url} {url:?}").contains("hunter2"), "{url}");
        }
    }

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
