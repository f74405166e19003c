//! Tracks whether a connection's credentials still work, from the responses to syncs, actions and the proxy.
//!
//! Providers sometimes refuse valid keys, so a refusal counts only if the verification confirms it.

use domain::{Connection, Problem};
use store::connections;
use store::{StoreError, credentials, integrations};
use upstream::{Target, VerifyError};

use crate::error::GatewayError;
use crate::secrets::Secrets;
use crate::services::{Names, Services};

/// The kind of a connection's problem with its credentials.
pub const AUTH_PROBLEM: &str = "auth";

/// The result of verifying credentials after the provider refused them.
#[derive(Debug)]
pub enum Health {
    /// They are valid: the refusal was temporary, or concerned only one request.
    Good,
    /// They are refused, and the connection has the problem now.
    Refused(VerifyError),
    /// The verification had no result, or the connection has new credentials; nothing was stored.
    Unknown(VerifyError),
}

pub(crate) async fn check_health(
    services: &Services,
    connection: &Connection,
    target: &Target,
) -> Result<Health, GatewayError> {
    let Err(error) = services.upstream.verify(target).await else {
        return Ok(Health::Good);
    };
    let (code, message) = match &error {
        VerifyError::Refused(answer) if answer.unauthorized => {
            let hint = answer.hint.as_ref().map(|hint| format!(". {hint}"));
            (
                answer.code.clone(),
                format!("{answer}{}", hint.unwrap_or_default()),
            )
        }
        VerifyError::Check { message } => (None, message.clone()),
        VerifyError::Refused(_) | VerifyError::Request(_) => return Ok(Health::Unknown(error)),
    };
    let problem = Problem {
        kind: AUTH_PROBLEM.to_owned(),
        code,
        message,
        at: services.clock.now(),
    };
    if store_problem(services, connection, target, problem).await? {
        Ok(Health::Refused(error))
    } else {
        Ok(Health::Unknown(error))
    }
}

/// Stores the problem, unless the connection was deleted, or the secrets of the connection or its integration have changed since the check.
async fn store_problem(
    services: &Services,
    connection: &Connection,
    target: &Target,
    problem: Problem,
) -> Result<bool, GatewayError> {
    let id = connection.id;
    let read = services
        .resolve_and_read(Names::of_integration(connection), move |c, _, _| {
            credentials::get(c, id)
        })
        .await;
    let (integration, _, sealed) = match read {
        Err(GatewayError::Store(StoreError::NotFound { .. }) | GatewayError::UnknownIntegration(_)) => {
            return Ok(false);
        }
        read => read?,
    };
    let mut stored = match services.open_secrets(connection, &sealed).await {
        Err(GatewayError::CredentialsLost(_)) => return Ok(false),
        stored => stored?,
    };
    stored.take_from(&target.provider, &mut connection.connection_config.clone());
    let checked = Secrets {
        credentials: target.variables.credentials.clone(),
        config: target.variables.secret_config.clone(),
    };
    let in_force = match services.integration_config(&integration).await {
        Err(GatewayError::IntegrationSecretsLost(_)) => return Ok(false),
        in_force => in_force?,
    };
    if !stored.same_as(&checked) || in_force != target.variables.integration_config {
        return Ok(false);
    }
    let checked = connection.clone();
    let stored = services.store.write(move |c| {
        if integrations::keep(c, checked.environment, &checked.integration)? != integration.row {
            return Ok(false);
        }
        let row = connections::lock(c, checked.environment, &checked.integration, &checked.name)?;
        let same = row.id == checked.id
            && row.connection_config == checked.connection_config
            && credentials::get(c, row.id)? == sealed;
        if same {
            connections::set_problem(c, row.id, Some(&problem))?;
        }
        Ok(same)
    });
    match stored.await {
        Err(StoreError::NotFound { .. }) => Ok(false),
        stored => Ok(stored?),
    }
}

pub(crate) async fn note_success(services: &Services, connection: &Connection) -> Result<(), GatewayError> {
    // Compared, since another process may have noted a problem of new credentials meanwhile.
    if let Some(noted) = connection
        .problem
        .as_ref()
        .filter(|problem| problem.kind == AUTH_PROBLEM)
    {
        let (id, noted) = (connection.id, noted.clone());
        let store = &services.store;
        let write = store.write(move |c| connections::clear_problem(c, id, &noted));
        write.await?;
    }
    Ok(())
}
