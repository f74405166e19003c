//! Whether a connection's credentials still work, as its calls show it: by syncs, actions and the proxy alike.
//!
//! A provider refuses a good key now and then, so a refusal counts only once the verification call confirms it.

use domain::{Connection, Problem};
use store::connections;
use store::{StoreError, credentials, integrations};
use upstream::{Target, VerifyError};

use crate::GatewayError;
use crate::credentials::Secrets;
use crate::gateway::Inner;

/// The kind under which a connection's problem with its credentials is noted.
pub const AUTH_PROBLEM: &str = "auth";

/// What the verification call says of credentials that a call was refused with.
#[derive(Debug)]
pub enum Health {
    /// They are good: the refusal was of the moment, or of that one call.
    Good,
    /// They are refused, which is noted on the connection now.
    Refused(VerifyError),
    /// The verification call came to no answer, or the connection got other credentials meanwhile; nothing is noted.
    Unknown(VerifyError),
}

impl Inner {
    pub(crate) async fn check_health(
        &self,
        connection: &Connection,
        target: &Target,
    ) -> Result<Health, GatewayError> {
        let Err(error) = self.upstream.verify(target).await else {
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
            at: self.clock.now(),
        };
        if self.note_refusal(connection, target, problem).await? {
            Ok(Health::Refused(error))
        } else {
            Ok(Health::Unknown(error))
        }
    }

    /// Notes the problem, unless the connection or its integration has other secrets by now than those that were tried, or is gone.
    async fn note_refusal(
        &self,
        connection: &Connection,
        target: &Target,
        problem: Problem,
    ) -> Result<bool, GatewayError> {
        let sealed = match self.sealed(connection.id).await {
            Err(GatewayError::Store(StoreError::NotFound { .. })) => return Ok(false),
            sealed => sealed?,
        };
        let mut stored = match self.open(connection, &sealed).await {
            Err(GatewayError::CredentialsLost(_)) => return Ok(false),
            stored => stored?,
        };
        stored.take_from(&target.provider, &mut connection.connection_config.clone());
        let tried = Secrets {
            credentials: target.variables.credentials.clone(),
            config: target.variables.secret_config.clone(),
        };
        if !stored.same_as(&tried) {
            return Ok(false);
        }
        let key = connection.integration.as_str();
        let integration = match self.integration(connection.environment, key).await {
            Err(GatewayError::UnknownIntegration(_)) => return Ok(false),
            found => found?,
        };
        let in_force = match self.integration_config(&integration).await {
            Err(GatewayError::IntegrationSecretsLost(_)) => return Ok(false),
            in_force => in_force?,
        };
        if in_force != target.variables.integration_config {
            return Ok(false);
        }
        let tried = connection.clone();
        let noted = self.store.write(move |c| {
            if integrations::keep(c, tried.environment, &tried.integration)? != integration.row {
                return Ok(false);
            }
            let row = connections::lock(c, tried.environment, &tried.integration, &tried.name)?;
            let same = row.id == tried.id
                && row.connection_config == tried.connection_config
                && credentials::get(c, row.id)? == sealed;
            if same {
                connections::set_problem(c, row.id, Some(&problem))?;
            }
            Ok(same)
        });
        match noted.await {
            Err(StoreError::NotFound { .. }) => Ok(false),
            noted => Ok(noted?),
        }
    }

    pub(crate) async fn note_success(&self, connection: &Connection) -> Result<(), GatewayError> {
        // Compared, since another process may have noted a problem of new credentials meanwhile.
        if let Some(noted) = connection
            .problem
            .as_ref()
            .filter(|problem| problem.kind == AUTH_PROBLEM)
        {
            let (id, noted) = (connection.id, noted.clone());
            self.store
                .write(move |c| connections::clear_problem(c, id, &noted))
                .await?;
        }
        Ok(())
    }
}
