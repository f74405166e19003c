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

/// The `Retry-After` that a client gets if the provider names none.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(30);

/// Verifies credentials with their provider, and returns the `Target` for further requests with these credentials. A value that the
/// verification needs and that is missing is an error before any request is made.
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
        ..Variables::default()
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
    let refusal = refusal_or_error(&target, error, ", and nothing was stored")?;
    Err(GatewayError::CredentialsRefused(refusal))
}

/// Verifies stored credentials. Clears the connection's problem on success, and stores one if the provider says that the credentials are
/// invalid.
pub(crate) async fn verify_stored(gateway: &Gateway, connection: &Connection, target: &Target) -> Result<()> {
    let Err(error) = health::check_credentials(gateway, connection, target).await? else {
        return health::clear_problem(gateway, connection).await;
    };
    Err(GatewayError::InvalidCredentials {
        refusal: refusal_or_error(target, error, "")?,
        connection: connection.name.clone(),
    })
}

/// Returns the message for an integration that lacks values in `config` that every request needs. `None` if it lacks none, or if the
/// operator set the provider's base URL.
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
    let pronoun = if lacking.len() == 1 { "it" } else { "them" };
    let way_out = if integration.row.is_some() {
        format!("set {pronoun} with PATCH /integrations/{key}")
    } else {
        let provider = &provider.name;
        format!("create an integration of {provider} with POST /integrations, and set {pronoun} in its body")
    };
    Some(format!(
        "the integration {key:?} needs integration_config.{}: {way_out}",
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

/// Returns the refusal if the provider refused the credentials, or if a check in its file failed. Otherwise returns the error that
/// stopped the verification, with `consequence` in its message.
fn refusal_or_error(target: &Target, error: VerifyError, consequence: &str) -> Result<Refusal> {
    let name = &target.provider.display_name;
    let error = match error {
        VerifyError::Refused(response) => {
            let hint = response.hint.as_deref();
            let hint = hint.unwrap_or("Check the credentials and their permissions.");
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
            retry_after: error.retry_after().unwrap_or(DEFAULT_RETRY_AFTER),
        });
    }
    // Waiting does not help: the cause is in the request, such as an address that may not be called, or a value that no header can hold.
    let cause = error.source().map(|cause| format!(": {cause}"));
    let why = target.without_secrets(&format!("{error}{}", cause.unwrap_or_default()));
    Err(GatewayError::Uncallable(format!("{what}: {why}")))
}
