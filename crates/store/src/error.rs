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
    /// The database cannot be reached or is too busy; the same call may pass later.
    #[error("the database cannot be reached or is busy")]
    Unavailable(#[source] BoxError),
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
    /// Maps a missing or a double row to its noun.
    pub(crate) fn about(what: &'static str) -> impl Fn(DieselError) -> Self {
        move |error| match error {
            DieselError::NotFound => Self::NotFound { what },
            DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => Self::Conflict { what },
            other => other.into(),
        }
    }
}

impl From<DieselError> for StoreError {
    fn from(error: DieselError) -> Self {
        if passing(&error) {
            Self::Unavailable(error.into())
        } else {
            Self::Query(error)
        }
    }
}

/// Whether the same statement may pass when repeated.
///
/// SQLite's busy error and PostgreSQL's deadlock arrive as unknown kinds; only their texts tell.
fn passing(error: &DieselError) -> bool {
    match error {
        DieselError::DatabaseError(
            DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::SerializationFailure,
            _,
        )
        | DieselError::BrokenTransactionManager => true,
        DieselError::DatabaseError(_, details) => {
            let message = details.message();
            [
                "database is locked",
                "database table is locked",
                "deadlock detected",
                "the database system is",
                "terminating connection",
            ]
            .iter()
            .any(|text| message.contains(text))
        }
        _ => false,
    }
}
