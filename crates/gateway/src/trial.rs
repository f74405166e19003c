//! Credentials tried at their provider: before they are stored, and when somebody asks whether stored ones are still good.

use domain::Connection;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use registry::{Provider, RenderError};
use serde_json::{Map, Value as Json};
use upstream::{Priority, ProviderError, RequestError, Target, Variables, VerifyError};

use crate::form::Filled;
use crate::gateway::{Inner, Integration};
use crate::integration_config::Config;
use crate::{FieldError, GatewayError, Health};

/// How long to wait before trying again when the provider says nothing of it.
const RETRY_AFTER: Duration = Duration::from_secs(30);

impl Inner {
    /// Verifies credentials at their provider, and returns the target of calls with them. What is missing for that, or does not fit, is
    /// told before any call is made; `config_at` is where the configuration stood in the request.
    pub(crate) async fn try_credentials(
        &self,
        integration: &Integration,
        filled: &Filled,
        metadata: Option<&Map<String, Json>>,
        config_at: &[&str],
    ) -> Result<Target, GatewayError> {
        let integration_config = self.integration_config(integration).await?;
        let lacking = self.lacking_config(&integration.provider, &integration_config);
        if !lacking.is_empty() {
            return Err(GatewayError::Uncallable(needs_config(integration, &lacking)));
        }
        let provider = &integration.provider;
        let variables = Variables {
            credentials: filled.secrets.credentials.clone(),
            secret_config: filled.secrets.config.clone(),
            connection_config: filled.holes(),
            integration_config,
            metadata: metadata.cloned().unwrap_or_default(),
            variant: None,
        };
        let target = Target {
            provider: Arc::clone(provider),
            connection: None,
            variables: Arc::new(variables),
            priority: Priority::Interactive,
        };
        let missing = self.upstream.missing_values(&target);
        if !missing.is_empty() {
            let errors = missing
                .iter()
                .map(|hole| missing_value(provider, hole, config_at));
            return Err(GatewayError::InvalidBody(errors.collect()));
        }
        match self.upstream.verify(&target).await {
            Ok(()) => Ok(target),
            Err(error) => Err(refusal(&target, error, config_at)),
        }
    }

    /// The keys that `config`, with the file's defaults, lacks and without which an integration can make no call.
    pub(crate) fn lacking_config(&self, provider: &Provider, config: &Config) -> Vec<String> {
        if self.upstream.overrides_base_url(&provider.name) {
            return Vec::new();
        }
        provider.lacking_integration_config(config)
    }

    /// Tries stored credentials now; what comes of it is noted on the connection, as after a call.
    pub(crate) async fn try_stored(&self, row: &Connection, target: &Target) -> Result<(), GatewayError> {
        let name = &target.provider.display_name;
        let (message, code, status) = match self.check_health(row, target).await? {
            Health::Good => return self.note_success(row).await,
            Health::Refused(VerifyError::Refused(answer)) | Health::Unknown(VerifyError::Refused(answer)) => {
                (refused(name, &answer), answer.code, Some(answer.status))
            }
            Health::Refused(VerifyError::Check { message })
            | Health::Unknown(VerifyError::Check { message }) => (message, None, None),
            Health::Refused(VerifyError::Request(error)) | Health::Unknown(VerifyError::Request(error)) => {
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

/// What an integration needs before anything can be connected to it.
pub(crate) fn needs_config(integration: &Integration, lacking: &[String]) -> String {
    let (key, provider) = (&integration.key, &integration.provider.name);
    let way_out = if integration.row.is_some() {
        format!("set it with PATCH /integrations/{key}")
    } else {
        format!("make an integration of {provider} with POST /integrations, and give it there")
    };
    format!(
        "the integration {key:?} lacks integration_config.{}, so that no call can be made: {way_out}",
        lacking.join(" and integration_config.")
    )
}

/// A value that verification cannot do without.
fn missing_value(provider: &Provider, hole: &str, config_at: &[&str]) -> FieldError {
    let config = hole.strip_prefix("connectionConfig.");
    let field = config.and_then(|name| provider.connection_config.get(name));
    let what = field.and_then(|field| field.description.as_ref().or(field.title.as_ref()));
    let what = what.map(|what| format!(" ({})", what.trim_end_matches('.')));
    FieldError {
        code: "missing",
        path: match config {
            Some(name) => config_at
                .iter()
                .copied()
                .chain([name])
                .map(str::to_owned)
                .collect(),
            None => hole.split('.').map(str::to_owned).collect(),
        },
        message: format!("is needed{}", what.unwrap_or_default()),
    }
}

/// What somebody who connects must know of a failed verification.
fn refusal(target: &Target, error: VerifyError, config_at: &[&str]) -> GatewayError {
    let name = &target.provider.display_name;
    if let VerifyError::Request(RequestError::Template(RenderError::Unfit { hole, rule })) = &error
        && let Some(name) = hole.strip_prefix("connectionConfig.")
    {
        let path = config_at.iter().copied().chain([name]).map(str::to_owned);
        return GatewayError::InvalidBody(vec![FieldError {
            code: "invalid",
            path: path.collect(),
            message: (*rule).to_owned(),
        }]);
    }
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
        VerifyError::Request(error) => {
            let what = format!("{name} could not check the credentials, and nothing was stored");
            untried(&what, target, &error)
        }
    }
}

/// What somebody must know of a verification that came to no answer. What time does not mend lies in what was given: an address
/// that may not be called, a value that no header can hold.
fn untried(what: &str, target: &Target, error: &RequestError) -> GatewayError {
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
