//! The integration and connection of a request, for its log lines.
//!
//! Callers write names in paths, headers, queries and bodies, and sometimes put other things there by mistake. Only names that were found
//! in the database are logged.

use std::cell::RefCell;

use domain::{ConnectionName, IntegrationKey};

tokio::task_local! {
    static CONTEXT: RefCell<LogContext>;
}

/// The integration and the connection that a request is about.
#[derive(Debug, Clone, Default)]
pub struct LogContext {
    integration: Option<IntegrationKey>,
    connection: Option<ConnectionName>,
}

impl LogContext {
    /// Runs `work` and returns its output with the names that it found.
    pub async fn collect<F: Future>(work: F) -> (F::Output, Self) {
        let work = async {
            let output = work.await;
            (output, CONTEXT.with(RefCell::take))
        };
        CONTEXT.scope(RefCell::default(), work).await
    }

    /// The integration's key.
    pub fn integration(&self) -> Option<&str> {
        self.integration.as_ref().map(IntegrationKey::as_str)
    }

    /// The connection's name.
    pub fn connection(&self) -> Option<&str> {
        self.connection.as_ref().map(ConnectionName::as_str)
    }

    /// Records the integration, and the connection if there is one; does nothing outside [`LogContext::collect`].
    pub(crate) fn record(integration: &IntegrationKey, connection: Option<&ConnectionName>) {
        // Background work has no context.
        let _ = CONTEXT.try_with(|context| {
            let mut context = context.borrow_mut();
            context.integration = Some(integration.clone());
            if connection.is_some() {
                context.connection = connection.cloned();
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_recorded_within_are_returned_and_others_are_not() {
        let (acme, mine) = ("acme".parse().unwrap(), "mine".parse().unwrap());
        LogContext::record(&acme, Some(&mine));
        let (output, context) = LogContext::collect(async {
            LogContext::record(&acme, Some(&mine));
            7
        })
        .await;
        assert_eq!(output, 7);
        assert_eq!(
            (context.integration(), context.connection()),
            (Some("acme"), Some("mine"))
        );
        assert_eq!(LogContext::collect(async {}).await.1.integration(), None);
    }
}
