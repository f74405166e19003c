//! What a request turned out to be about, for its log lines.
//!
//! Callers write names in paths, headers, queries and bodies, and anything else by mistake. Only a name that was found is
//! noted, so that no log line shows what a caller merely wrote.

use std::cell::RefCell;

use domain::{ConnectionName, IntegrationKey};

tokio::task_local! {
    static SUBJECT: RefCell<Subject>;
}

/// The integration and the connection that a request found.
#[derive(Debug, Clone, Default)]
pub struct Subject {
    integration: Option<IntegrationKey>,
    connection: Option<ConnectionName>,
}

impl Subject {
    /// Runs `work` and returns its output with the subject that it found.
    pub async fn of<F: Future>(work: F) -> (F::Output, Self) {
        let work = async {
            let output = work.await;
            (output, SUBJECT.with(RefCell::take))
        };
        SUBJECT.scope(RefCell::default(), work).await
    }

    /// The integration's key.
    pub fn integration(&self) -> Option<&str> {
        self.integration.as_ref().map(IntegrationKey::as_str)
    }

    /// The connection's name.
    pub fn connection(&self) -> Option<&str> {
        self.connection.as_ref().map(ConnectionName::as_str)
    }

    /// Notes the integration; does nothing outside of [`Subject::of`].
    pub(crate) fn found_integration(key: &IntegrationKey) {
        Self::note(|subject| subject.integration = Some(key.clone()));
    }

    /// Notes the connection with its integration.
    pub(crate) fn found_connection(integration: &IntegrationKey, name: &ConnectionName) {
        Self::note(|subject| {
            subject.integration = Some(integration.clone());
            subject.connection = Some(name.clone());
        });
    }

    fn note(change: impl FnOnce(&mut Self)) {
        // Work that no request waits for has no subject.
        let _ = SUBJECT.try_with(|subject| change(&mut subject.borrow_mut()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_subject_is_reported_only_within_its_scope() {
        let (acme, mine) = ("acme".parse().unwrap(), "mine".parse().unwrap());
        Subject::found_connection(&acme, &mine);
        let (output, subject) = Subject::of(async {
            Subject::found_connection(&acme, &mine);
            7
        })
        .await;
        assert_eq!(output, 7);
        assert_eq!(
            (subject.integration(), subject.connection()),
            (Some("acme"), Some("mine"))
        );
        assert_eq!(Subject::of(async {}).await.1.integration(), None);
    }
}
