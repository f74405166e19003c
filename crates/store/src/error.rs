//! The errors of the store, as far as callers handle them differently.

use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// The error of another crate.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such row, or it belongs to another environment.
    #[error("the {what} does not exist")]
    NotFound {
        /// What was looked for or stored.
        what: &'static str,
    },
    /// A row of that name exists.
    #[error("there is already such a {what}")]
    Conflict {
        /// What was looked for or stored.
        what: &'static str,
    },
    /// What the row belongs to was deleted.
    #[error("what this belongs to was deleted in the meantime")]
    Orphan,
    /// The database cannot be reached, does not respond in time, or is locked by another process. The store logs when that begins and ends,
    /// so callers need not.
    #[error("the database cannot be reached")]
    Unavailable(#[source] BoxError),
    /// The database refused the statement because of other transactions or a lack of resources. The same call may succeed later.
    #[error("the database is busy")]
    Busy(#[source] BoxError),
    /// Another worker has the lease, and nothing was written.
    #[error("another worker has the lease")]
    LeaseLost,
    /// A change would lose data; the text says what to do.
    #[error("{0}")]
    Refused(String),
    /// The database refused a statement, or a row holds what this version does not know.
    #[error("a query failed")]
    Query(#[source] DieselError),
    /// A migration failed.
    #[error("cannot migrate the tables")]
    Migration(#[source] BoxError),
}

impl StoreError {
    /// Returns whether the same call may succeed later.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Busy(_))
    }

    /// Logs that work is postponed by this error. The store itself logs when the database cannot be reached, so that is only a debug line.
    pub fn log_retry(&self, what: &'static str) {
        if matches!(self, Self::Unavailable(_)) {
            tracing::debug!(error = %self, "{what}");
        } else {
            tracing::warn!(error = %self, "{what}");
        }
    }

    /// Converts the error of a missing or a duplicate row.
    pub(crate) fn about<E: Into<Self>>(what: &'static str) -> impl Fn(E) -> Self {
        move |error| match error.into() {
            Self::Query(DieselError::NotFound) => Self::NotFound { what },
            Self::Query(DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => {
                Self::Conflict { what }
            }
            other => other,
        }
    }

    /// Returns whether the connection must be replaced: it is lost, or its server has become read-only.
    pub(crate) fn is_lost(&self) -> bool {
        match self {
            Self::Unavailable(source) => source
                .downcast_ref::<DieselError>()
                .is_none_or(|error| class(error) == Class::Lost),
            Self::Busy(source) => matches!(
                source.downcast_ref(),
                Some(DieselError::DatabaseError(
                    DatabaseErrorKind::ReadOnlyTransaction,
                    _
                ))
            ),
            _ => false,
        }
    }
}

impl From<DieselError> for StoreError {
    fn from(error: DieselError) -> Self {
        if matches!(
            error,
            DieselError::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, _)
        ) {
            return Self::Orphan;
        }
        match class(&error) {
            Class::Lost | Class::Locked => Self::Unavailable(error.into()),
            Class::Passing => Self::Busy(error.into()),
            Class::Lasting => Self::Query(error),
        }
    }
}

/// The kind of a statement's error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// The connection is lost.
    Lost,
    /// Another process keeps SQLite's file locked.
    Locked,
    /// The statement may succeed when it is repeated.
    Passing,
    /// A retry would fail again.
    Lasting,
}

/// The beginnings of transient errors' messages, of those SQLSTATEs that diesel does not distinguish.
///
/// Diesel maps 40001, 25006, 08000, 08001, 08004 and 08006 to kinds, and reports [`DatabaseErrorKind::ClosedConnection`] whenever libpq
/// says that the connection is lost, which covers 57P01 to 57P05 and whatever a pooler sends before it disconnects. Statements never get the
/// errors of opening a connection (53300, 57P03, 28xxx). Of the rest diesel keeps only the message, in the server's language. A session
/// therefore sets `lc_messages = C` if its role may (see `connector`). These are the messages of PostgreSQL's source (`src/backend`),
/// unchanged since 9.6.
const PASSING: [&str; 8] = [
    // 40P01
    "deadlock detected",
    // 55P03
    "could not obtain lock on",
    // 57014 and 55P03: by a timeout, or by an operator
    "canceling statement due to",
    // 53200
    "out of memory",
    "out of shared memory",
    // 53100
    "could not extend file",
    "could not write to file",
    "could not write block",
];

/// SQLite's messages are constants of its source and never translated (`sqlite3ErrStr`).
const SQLITE_LOCKED: [&str; 2] = ["database is locked", "database table is locked"];
const SQLITE_PASSING: [&str; 2] = ["database or disk is full", "disk I/O error"];

fn class(error: &DieselError) -> Class {
    match error {
        DieselError::BrokenTransactionManager
        | DieselError::DatabaseError(
            DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand,
            _,
        ) => Class::Lost,
        DieselError::DatabaseError(
            DatabaseErrorKind::SerializationFailure | DatabaseErrorKind::ReadOnlyTransaction,
            _,
        ) => Class::Passing,
        DieselError::DatabaseError(DatabaseErrorKind::Unknown, details) => {
            let message = details.message();
            let begins = |texts: &[&str]| texts.iter().any(|text| message.starts_with(text));
            if begins(&SQLITE_LOCKED) {
                Class::Locked
            } else if begins(&SQLITE_PASSING) || begins(&PASSING) {
                Class::Passing
            } else {
                Class::Lasting
            }
        }
        DieselError::RollbackErrorOnCommit {
            rollback_error,
            commit_error,
        } => match (class(commit_error), class(rollback_error)) {
            (Class::Lost, _) | (_, Class::Lost) => Class::Lost,
            (of_commit, _) => of_commit,
        },
        _ => Class::Lasting,
    }
}
