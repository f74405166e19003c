//! Whether the credentials of a connection still work, as requests of syncs, actions and the proxy show.
//!
//! A provider may refuse a valid key at times, so a refusal counts only once the verification confirms it.

use domain::{Connection, Problem};
use store::connections;
use store::{StoreError, credentials, integrations};
use upstream::{Target, VerifyError};

use crate::error::{GatewayError, Result};
use crate::events;
use crate::gateway::{Gateway, Names};
use crate::secrets::Secrets;

/// The kind of a connection's problem with its credentials.
pub const AUTH_PROBLEM: &str = "auth";

/// Verifies stored credentials after a request with them was refused. The inner result is the verification's, the outer error Trunkline's
/// own.
///
/// If the provider refuses them again, or a check of the file fails, stores the connection's problem. Stores nothing if the connection was
/// deleted, or if its credentials, its configuration or its integration changed since.
pub async fn check_credentials(
    gateway: &Gateway,
    connection: &Connection,
    target: &Target,
) -> Result<Result<(), VerifyError>> {
    let Err(error) = gateway.upstream.verify(target).await else {
        return Ok(Ok(()));
    };
    let (code, message) = match &error {
        VerifyError::Refused(response) if response.unauthorized => {
            let hint = response.hint.as_ref().map(|hint| format!(". {hint}"));
            let message = format!("{response}{}", hint.unwrap_or_default());
            (response.code.clone(), message)
        }
        VerifyError::Check(message) => (None, message.clone()),
        VerifyError::Refused(_) | VerifyError::Request(_) => return Ok(Err(error)),
    };
    let problem = Problem {
        kind: AUTH_PROBLEM.to_owned(),
        code,
        message,
        at: gateway.clock.now(),
    };
    if store_problem(gateway, connection, target, problem).await? {
        gateway.event_written.notify_one();
        problem_changed(gateway, connection);
    }
    Ok(Err(error))
}

/// Stores the problem unless the connection was deleted, or its credentials, its configuration or its integration changed since the
/// verification. Returns whether it was stored.
async fn store_problem(
    gateway: &Gateway,
    connection: &Connection,
    target: &Target,
    problem: Problem,
) -> Result<bool> {
    let id = connection.id;
    let read = gateway
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
    let mut stored = match gateway.open_secrets(connection, &sealed).await {
        Err(GatewayError::CredentialsLost(_)) => return Ok(false),
        stored => stored?,
    };
    stored.take_from(&target.provider, &mut connection.connection_config.clone());
    let checked = Secrets {
        credentials: target.variables.credentials.clone(),
        config: target.variables.secret_config.clone(),
    };
    let in_force = match gateway.integration_config(&integration).await {
        Err(GatewayError::IntegrationSecretsLost(_)) => return Ok(false),
        in_force => in_force?,
    };
    if !stored.same_as(&checked) || in_force != target.variables.integration_config {
        return Ok(false);
    }
    let checked = connection.clone();
    let stored = gateway.store.write(move |c| {
        if integrations::keep(c, checked.environment, &checked.integration)? != integration.row {
            return Ok(false);
        }
        let row = connections::lock(c, checked.environment, &checked.integration, &checked.name)?;
        let same = row.id == checked.id
            && row.connection_config == checked.connection_config
            && credentials::get(c, row.id)? == sealed;
        if same {
            connections::set_problem(c, row.id, Some(&problem))?;
            // Only a new problem is an event.
            if row
                .problem
                .as_ref()
                .is_none_or(|known| known.kind != AUTH_PROBLEM)
            {
                events::refused(c, &row, &problem, problem.at)?;
            }
        }
        Ok(same)
    });
    match stored.await {
        Err(StoreError::NotFound { .. }) => Ok(false),
        stored => Ok(stored?),
    }
}

/// Clears the problem with the connection's credentials after a request with them succeeded.
pub async fn clear_problem(gateway: &Gateway, connection: &Connection) -> Result<()> {
    // Cleared only if it is still stored: another process may have stored a problem of newer credentials.
    let problem = connection.problem.clone();
    if let Some(problem) = problem.filter(|problem| problem.kind == AUTH_PROBLEM) {
        let (id, now) = (connection.id, gateway.clock.now());
        let cleared = gateway.store.write(move |c| {
            if connections::clear_problem(c, id, &problem)?
                && let Some(row) = connections::get_any_environment(c, id)?
            {
                events::recovered(c, &row, &problem, now)?;
            }
            Ok(())
        });
        cleared.await?;
        gateway.event_written.notify_one();
        problem_changed(gateway, connection);
    }
    Ok(())
}

/// Makes the proxy read the connection again, and lets it check the credentials again at once.
fn problem_changed(gateway: &Gateway, connection: &Connection) {
    gateway.caches.opened.clear();
    gateway.caches.checked.remove(&connection.id);
}
