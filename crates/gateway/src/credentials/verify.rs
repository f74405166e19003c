//! Verifies credentials with their provider: before they are stored, and when a caller requests it.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use domain::Connection;
use registry::{Provider, RenderError};
use serde_json::{Map, Value as Json};
use upstream::{Priority, RequestError, Target, Variables, VerifyError};

use super::Filled;
use crate::error::{FieldError, GatewayError, Refusal, Result, missing_message};
use crate::gateway::{Gateway, ResolvedIntegration};
use crate::health;
use crate::integration_config::Config;

/// How long to wait before trying again if the provider does not say.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// Verifies credentials with their provider, and returns the target of requests with them. A missing or invalid value is
/// an error before any request is made.
pub(super) async fn verify(
    gateway: &Gateway,
    integration: &ResolvedIntegration,
    filled: &Filled,
    metadata: Option<&Map<String, Json>>,
) -> Result<Target> {
    let integration_config = gateway.integration_config(integration).await?;
    let provider = &integration.provider;
    if let Some(message) = lacking_config_message(gateway, integration, &integration_config) {
        return Err(GatewayError::Uncallable(message));
    }
    let variables = Variables {
        credentials: filled.secrets.credentials.clone(),
        secret_config: filled.secrets.config.clone(),
        connection_config: filled.template_values(),
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
    let missing = gateway.upstream.missing_values(&target);
    if !missing.is_empty() {
        let errors = missing
            .iter()
            .map(|name| missing_value(provider, name, filled.config_path));
        return Err(GatewayError::InvalidBody(errors.collect()));
    }
    let Err(error) = gateway.upstream.verify(&target).await else {
        return Ok(target);
    };
    if let VerifyError::Request(RequestError::Template(RenderError::Unfit { placeholder, rule })) = &error
        && let Some(name) = placeholder.strip_prefix("connectionConfig.")
    {
        let error = FieldError::within("invalid", filled.config_path, name, *rule);
        return Err(GatewayError::InvalidBody(vec![error]));
    }
    let refusal = refusal(&target, error, ", and nothing was stored")?;
    Err(GatewayError::CredentialsRefused(refusal))
}

/// Verifies stored credentials now, and stores the result on the connection, as after any request.
pub(crate) async fn verify_stored(gateway: &Gateway, connection: &Connection, target: &Target) -> Result<()> {
    let Err(error) = health::check_credentials(gateway, connection, target).await? else {
        return health::clear_problem(gateway, connection).await;
    };
    Err(GatewayError::InvalidCredentials {
        refusal: refusal(target, error, "")?,
        connection: connection.name.clone(),
    })
}

/// The message for an integration that lacks values in `config`, without which no request can be made; `None` if it lacks none.
pub(crate) fn lacking_config_message(
    gateway: &Gateway,
    integration: &ResolvedIntegration,
    config: &Config,
) -> Option<String> {
    let (key, provider) = (&integration.key, &integration.provider);
    let lacking = provider.lacking_integration_config(config);
    if lacking.is_empty() || gateway.upstream.overrides_base_url(&provider.name) {
        return None;
    }
    let way_out = if integration.row.is_some() {
        format!("set it with PATCH /integrations/{key}")
    } else {
        let provider = &provider.name;
        format!("make an integration of {provider} with POST /integrations, and give it there")
    };
    Some(format!(
        "the integration {key:?} lacks integration_config.{}, so no request can be sent: {way_out}",
        lacking.join(" and integration_config.")
    ))
}

/// The error for a value that verification needs.
fn missing_value(provider: &Provider, placeholder: &str, config_path: &[&str]) -> FieldError {
    match placeholder.strip_prefix("connectionConfig.") {
        Some(name) => {
            let message = missing_message(provider.connection_config.get(name));
            FieldError::within("missing", config_path, name, message)
        }
        None => FieldError::new("missing", placeholder.split('.'), missing_message(None)),
    }
}

/// How the provider refused the credentials, or the error of a verification without a result, with `consequence` in its message.
fn refusal(target: &Target, error: VerifyError, consequence: &str) -> Result<Refusal> {
    let name = &target.provider.display_name;
    let error = match error {
        VerifyError::Refused(response) => {
            let hint = response.hint.as_deref();
            let hint = hint.unwrap_or("Check the credentials and what they may read.");
            let summary = response.summary();
            return Ok(Refusal {
                message: format!("{name} refused the credentials with {summary}. {hint}"),
                code: response.code,
                status: Some(response.status),
            });
        }
        VerifyError::Check(message) => {
            return Ok(Refusal {
                message,
                code: None,
                status: None,
            });
        }
        VerifyError::Request(error) => error,
    };
    let what = format!("{name} could not check the credentials{consequence}");
    if error.is_transient() {
        return Err(GatewayError::ProviderUnavailable {
            message: format!("{what}: {error}. Try again later."),
            retry_after: error.retry_after().unwrap_or(RETRY_AFTER),
        });
    }
    // Waiting does not help: the cause is in the request, such as an address that may not be called, or a value that no header can hold.
    let cause = error.source().map(|cause| format!(": {cause}"));
    let why = target.without_secrets(&format!("{error}{}", cause.unwrap_or_default()));
    Err(GatewayError::Uncallable(format!("{what}: {why}")))
}
