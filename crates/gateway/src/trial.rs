//! Credentials tried at their provider: before they are stored, and when somebody asks whether stored ones are still good.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value as Json};
use store::connections::ConnectionRow;
use upstream::{CallError, ProviderError, Target, Urgency, Variables, VerifyError};

use crate::form::Filled;
use crate::gateway::{Inner, Integration};
use crate::{GatewayError, Health};

/// How long to wait before trying again when the provider says nothing of it.
const RETRY_AFTER: Duration = Duration::from_secs(30);

impl Inner {
    pub(crate) async fn try_credentials(
        &self,
        integration: &Integration,
        filled: &Filled,
        metadata: Option<&Map<String, Json>>,
    ) -> Result<(), GatewayError> {
        let provider = &integration.provider;
        let variables = Variables {
            credentials: filled.secrets.credentials.clone(),
            secret_config: filled.secrets.config.clone(),
            connection_config: filled.connection_config.clone(),
            integration_config: integration.config(),
            metadata: metadata.cloned().unwrap_or_default(),
            variant: None,
        };
        let target = Target {
            provider: Arc::clone(provider),
            connection: None,
            variables: Arc::new(variables),
            urgency: Urgency::Interactive,
        };
        self.upstream
            .verify(&target)
            .await
            .map_err(|error| refusal(&target, error))
    }

    /// Tries stored credentials now; what comes of it is noted on the connection, as after a call.
    pub(crate) async fn try_stored(&self, row: &ConnectionRow, target: &Target) -> Result<(), GatewayError> {
        let name = &target.provider.display_name;
        let (message, code, status) = match self.check_health(row, target).await? {
            Health::Good => return self.note_success(row).await,
            Health::Refused(VerifyError::Refused(answer)) | Health::Unknown(VerifyError::Refused(answer)) => {
                (refused(name, &answer), answer.code, Some(answer.status))
            }
            Health::Refused(VerifyError::Check { message })
            | Health::Unknown(VerifyError::Check { message }) => (message, None, None),
            Health::Refused(VerifyError::Call(error)) | Health::Unknown(VerifyError::Call(error)) => {
                let what = format!("{name} could not check the credentials");
                return Err(untried(&what, target, &error));
            }
        };
        Err(GatewayError::InvalidCredentials {
            message,
            code,
            status,
            connection: row.name.clone(),
        })
    }
}

/// What somebody who connects must know of a failed verification.
fn refusal(target: &Target, error: VerifyError) -> GatewayError {
    let name = &target.provider.display_name;
    match error {
        VerifyError::Refused(answer) => GatewayError::CredentialsRefused {
            message: refused(name, &answer),
            status: Some(answer.status),
            code: answer.code,
        },
        VerifyError::Check { message } => GatewayError::CredentialsRefused {
            message,
            code: None,
            status: None,
        },
        VerifyError::Call(error) => {
            let what = format!("{name} could not check the credentials, and nothing was stored");
            untried(&what, target, &error)
        }
    }
}

/// What somebody must know of a verification that came to no answer. What time does not mend lies in what was given: an address
/// that may not be called, a value that no header can hold.
fn untried(what: &str, target: &Target, error: &CallError) -> GatewayError {
    if error.is_transient() {
        return GatewayError::ProviderUnavailable {
            message: format!("{what}: {error}. Try again later."),
            retry_after: error.retry_after().unwrap_or(RETRY_AFTER),
        };
    }
    let cause = error.source().map(|cause| format!(": {cause}"));
    let why = target.without_secrets(&format!("{error}{}", cause.unwrap_or_default()));
    GatewayError::Uncallable(format!("{what}: {why}"))
}

fn refused(name: &str, answer: &ProviderError) -> String {
    let code = answer
        .code
        .as_ref()
        .map(|code| format!(", code {code}"))
        .unwrap_or_default();
    let words = answer
        .message
        .as_ref()
        .map(|words| format!(": {words:?}"))
        .unwrap_or_default();
    let hint = answer
        .hint
        .as_deref()
        .unwrap_or("Check the credentials and what they may read.");
    format!(
        "{name} refused the credentials (HTTP {}{code}){words}. {hint}",
        answer.status
    )
}
