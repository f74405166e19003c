//! What can go wrong in the store, as far as a caller acts differently.

use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// A cause from outside this crate.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such row, or it is another environment's.
    #[error("there is no such {what}")]
    NotFound {
        /// The noun.
        what: &'static str,
    },
    /// A row of that name is there already.
    #[error("such a {what} is there already")]
    Conflict {
        /// The noun.
        what: &'static str,
    },
    /// What the row belongs to was deleted meanwhile.
    #[error("what this belongs to was deleted meanwhile")]
    Orphan,
    /// The database cannot be reached, does not answer in time, or is locked by another process. The store logs when that begins
    /// and ends, so callers need not.
    #[error("the database cannot be reached")]
    Unavailable(#[source] BoxError),
    /// The database refused this statement for what goes on beside it or for want of resources; the same call may pass later.
    #[error("the database is busy")]
    Busy(#[source] BoxError),
    /// Another worker holds the sync now; what was to be written is not.
    #[error("another worker has taken the sync over")]
    LeaseLost,
    /// A change of a model would lose data; the text says what to do.
    #[error("{0}")]
    Refused(String),
    /// The database refused a statement, or a row is not what this version writes.
    #[error("a query failed")]
    Query(#[source] DieselError),
    /// A migration failed.
    #[error("the tables could not be brought up to date")]
    Migration(#[source] BoxError),
}

impl StoreError {
    /// Whether the same call may pass later, without any change.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Busy(_))
    }

    /// Logs that work is put off because of this error. The store itself logs when the database goes away, so that is only a debug line.
    pub fn log_retry(&self, what: &'static str) {
        if matches!(self, Self::Unavailable(_)) {
            tracing::debug!(error = %self, "{what}");
        } else {
            tracing::warn!(error = %self, "{what}");
        }
    }

    /// Maps a missing or a double row to its noun.
    pub(crate) fn about(what: &'static str) -> impl Fn(DieselError) -> Self {
        move |error| match error {
            DieselError::NotFound => Self::NotFound { what },
            DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => Self::Conflict { what },
            other => other.into(),
        }
    }

    /// Maps a double row of a statement that was made at run time to its noun.
    pub(crate) fn conflict(what: &'static str) -> impl Fn(Self) -> Self {
        move |error| match error {
            Self::Query(DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => {
                Self::Conflict { what }
            }
            other => other,
        }
    }

    /// Whether the connection must be replaced: it is lost, or leads to a server that takes no writes any more.
    pub(crate) fn is_lost(&self) -> bool {
        match self {
            Self::Unavailable(source) => source
                .downcast_ref::<DieselError>()
                .is_none_or(|error| class(error) == Class::Lost),
            Self::Busy(source) => source.downcast_ref::<DieselError>().is_some_and(is_read_only),
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

/// What kind of failure a statement's error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// The connection is gone.
    Lost,
    /// Another process keeps SQLite's file locked.
    Locked,
    /// The statement may pass when it is repeated.
    Passing,
    /// It will fail again.
    Lasting,
}

/// Texts of errors that pass, of those SQLSTATEs that diesel does not tell apart.
///
/// Diesel maps 40001, 25006, 08000, 08001, 08004 and 08006 to kinds, and reports [`DatabaseErrorKind::ClosedConnection`] whenever libpq
/// says that the connection is gone, which covers 57P01 to 57P05 and whatever a pooler sends before it hangs up. Errors of opening a
/// connection (53300, 57P03, 28xxx) are never statements'. Of the rest it tells only the message, in the server's language; a
/// session therefore asks for `lc_messages = C` where its role may ([`crate::connector`]), in which these texts are the source's
/// own: `src/backend` of PostgreSQL, unchanged since 9.6.
const PASSING: [&str; 8] = [
    // 40P01
    "deadlock detected",
    // 55P03
    "could not obtain lock on",
    // 57014 and 55P03: by a limit on time, or by an operator
    "canceling statement due to",
    // 53200
    "out of memory",
    "out of shared memory",
    // 53100
    "could not extend file",
    "could not write to file",
    "could not write block",
];

/// SQLite's texts are constants of its source, never translated (`sqlite3ErrStr`).
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

fn is_read_only(error: &DieselError) -> bool {
    matches!(
        error,
        DieselError::DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, _)
    )
}
