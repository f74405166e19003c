//! Connect sessions: for half an hour, whoever holds a session's token may connect what the session allows, and nothing else.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use domain::{Connection, EnvironmentId, IntegrationKey, Timestamp};
use registry::AuthMode;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value as Json};
use store::StoreError;
use store::connect_sessions::{self, ConnectSession, NewConnectSession};
use store::connections;
use store::integrations::{self, NewIntegration};
use upstream::Target;
use vault::session_token;

use crate::connect::random_name;
use crate::establish::{Authority, Draft};
use crate::gateway::{Inner, Integration};
use crate::given::Given;
use crate::labels::{self, Labels};
use crate::patch::config_over;
use crate::trial::needs_config;
use crate::{Caller, Connected, FieldError, GatewayError, given};

/// How long a session lasts, as in Nango's API.
const LASTS: Duration = Duration::from_mins(30);
/// Query parameters of a front end that are no configuration of the connection, as in Nango's API.
const NO_CONFIG: &str = "webhook_url";
/// Where a front end gives the configuration.
const PARAMS: &[&str] = &["params"];

/// A session to be made, its inner fields not looked at yet.
#[derive(Default)]
pub struct NewSession {
    /// The app's user; needed unless there are tags.
    pub end_user: Option<Json>,
    /// The user's organization.
    pub organization: Option<Json>,
    /// The app's labels.
    pub tags: Option<Json>,
    /// Keys of the integrations that may be connected; `None` for all.
    pub allowed_integrations: Option<Vec<String>>,
    /// By integration, what is set for a connection; only `connection_config` has a meaning here.
    pub defaults: Map<String, Json>,
    /// By integration, what a connect page shows otherwise.
    pub overrides: Map<String, Json>,
    /// Where events of the connections made go.
    pub webhook_url_override: Option<String>,
}

/// A session to be made that replaces the credentials of one connection.
pub struct Reconnection {
    /// The connection.
    pub connection: String,
    /// Its integration's key.
    pub integration: String,
    /// The rest; `allowed_integrations` is ignored, and a missing user or missing tags keep those that are there.
    pub session: NewSession,
}

/// The token of a session just made: the only time that it is there to be shown.
pub struct NewSessionToken {
    /// The token.
    pub token: SecretString,
    /// When the session ends.
    pub expires_at: Timestamp,
}

/// A session that has not ended.
#[derive(Clone)]
pub struct Session(Arc<ConnectSession>);

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Session").field(&self.0.id).finish()
    }
}

impl Session {
    /// Whether `text` is meant as the token of a session, rather than as an API key.
    pub fn is_token(text: &str) -> bool {
        session_token::has_prefix(text)
    }

    /// The environment in which it lets connect.
    pub fn environment(&self) -> EnvironmentId {
        self.0.environment
    }

    /// Whether the integration of that key may be connected.
    pub fn allows(&self, key: &IntegrationKey) -> bool {
        let allowed = self.0.allowed_integrations.as_ref();
        allowed.is_none_or(|allowed| allowed.contains(key))
    }

    /// The integrations that may be connected; `None` for all.
    pub fn allowed_integrations(&self) -> Option<&[IntegrationKey]> {
        self.0.allowed_integrations.as_deref()
    }

    /// The app's user.
    pub fn end_user(&self) -> Option<&Json> {
        self.0.end_user.as_ref()
    }

    /// By integration, what is set for a connection, as it was given.
    pub fn defaults(&self) -> &Map<String, Json> {
        &self.0.defaults
    }

    /// By integration, what a connect page shows otherwise, as it was given.
    pub fn overrides(&self) -> &Map<String, Json> {
        &self.0.overrides
    }

    /// Whether it replaces the credentials of a connection.
    pub fn reconnects(&self) -> bool {
        self.0.connection().is_some()
    }
}

/// The use cases of connect sessions.
pub struct Sessions<'a>(pub(crate) &'a Inner);

impl Sessions<'_> {
    /// Makes a session in which new connections are made.
    pub async fn create(
        &self,
        caller: &Caller,
        session: NewSession,
    ) -> Result<NewSessionToken, GatewayError> {
        let mut errors = Vec::new();
        if [&session.end_user, &session.tags]
            .iter()
            .all(|part| part.is_none())
        {
            let message =
                "is needed unless there are tags: an object with the id that your app gives the user";
            errors.push(FieldError::at("missing", "end_user", message));
        }
        if session.allowed_integrations.as_ref().is_some_and(Vec::is_empty) {
            let message = "must name one integration at least; leave it out for all";
            errors.push(FieldError::at("invalid", "allowed_integrations", message));
        }
        self.make(caller, session, None, errors).await
    }

    /// Makes a session in which the credentials of one connection are replaced.
    pub async fn reconnect(
        &self,
        caller: &Caller,
        reconnection: Reconnection,
    ) -> Result<NewSessionToken, GatewayError> {
        let (connection, integration) = (&reconnection.connection, &reconnection.integration);
        let row = match self.0.connection(caller, integration, connection).await {
            Ok(row) => row,
            Err(error @ GatewayError::UnknownConnection { .. }) => {
                let error = FieldError::at("invalid", "connection_id", error.to_string());
                return Err(GatewayError::InvalidBody(vec![error]));
            }
            Err(GatewayError::UnknownIntegration(_)) => {
                let error = FieldError::at("invalid", "integration_id", NO_INTEGRATION);
                return Err(GatewayError::InvalidBody(vec![error]));
            }
            Err(other) => return Err(other),
        };
        let session = NewSession {
            allowed_integrations: Some(vec![row.integration.to_string()]),
            ..reconnection.session
        };
        self.make(caller, session, Some(row.id), Vec::new()).await
    }

    async fn make(
        &self,
        caller: &Caller,
        session: NewSession,
        connection: Option<domain::ConnectionId>,
        mut errors: Vec<FieldError>,
    ) -> Result<NewSessionToken, GatewayError> {
        let labels = Labels::parse(session.tags, session.end_user, session.organization, &mut errors);
        labels::check_webhook_url(session.webhook_url_override.as_deref(), &mut errors);
        let mut allowed = Vec::new();
        for (place, key) in session.allowed_integrations.iter().flatten().enumerate() {
            let at = ["allowed_integrations".to_owned(), place.to_string()];
            if let Some(one) = self.known(caller, key, at.clone(), &mut errors).await? {
                let config = self.0.integration_config(&one).await?;
                let lacking = self.0.lacking_config(&one.provider, &config);
                if !lacking.is_empty() {
                    errors.push(FieldError {
                        code: "invalid",
                        path: at.to_vec(),
                        message: needs_config(&one, &lacking),
                    });
                }
                allowed.push(one);
            }
        }
        for (key, set) in &session.defaults {
            let at = ["integrations_config_defaults".to_owned(), key.clone()];
            if let Some(one) = self.known(caller, key, at, &mut errors).await? {
                refuse_secret_defaults(&one, &session.defaults, &mut errors);
                check_defaults(&one, set, &mut errors);
            }
        }
        for key in session.overrides.keys() {
            let at = ["overrides".to_owned(), key.clone()];
            self.known(caller, key, at, &mut errors).await?;
        }
        if !errors.is_empty() {
            return Err(GatewayError::InvalidBody(errors));
        }
        let now = self.0.clock.now();
        let token = session_token::generate();
        let new = NewConnectSession {
            environment: caller.environment,
            token_hash: session_token::hash(token.expose_secret()),
            connection,
            end_user: labels.end_user,
            tags: labels.tags.unwrap_or_default(),
            allowed_integrations: session
                .allowed_integrations
                .map(|_| allowed.iter().map(|one| one.key.clone()).collect()),
            defaults: session.defaults,
            overrides: session.overrides,
            webhook_url_override: session.webhook_url_override.and_then(labels::stored_webhook_url),
            created_at: now,
            expires_at: now.plus(LASTS),
        };
        let expires_at = new.expires_at;
        self.0
            .store
            .write(move |c| {
                // A provider that may be connected under its own name is listed to the session from now on.
                for one in allowed.iter().filter(|one| one.row.is_none()) {
                    let name = one.provider.name.clone();
                    let made = NewIntegration::plain(new.environment, one.key.clone(), name);
                    integrations::ensure(c, &made, now)?;
                }
                connect_sessions::insert(c, &new)
            })
            .await?;
        Ok(NewSessionToken { token, expires_at })
    }

    /// The integration, if the environment has it; else an error at `at`.
    async fn known(
        &self,
        caller: &Caller,
        key: &str,
        at: [String; 2],
        errors: &mut Vec<FieldError>,
    ) -> Result<Option<Integration>, GatewayError> {
        match self.0.integration(caller.environment, key).await {
            Ok(integration) => Ok(Some(integration)),
            Err(GatewayError::UnknownIntegration(_)) => {
                errors.push(FieldError {
                    code: "invalid",
                    path: at.to_vec(),
                    message: NO_INTEGRATION.to_owned(),
                });
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    /// Whose token `token` is.
    pub async fn authenticate(&self, token: &str) -> Result<Session, GatewayError> {
        if !session_token::is_well_formed(token) {
            return Err(GatewayError::MalformedSessionToken);
        }
        let (hash, now) = (session_token::hash(token), self.0.clock.now());
        let found = self
            .0
            .store
            .read(move |c| connect_sessions::by_hash(c, &hash, now));
        let row = found.await?.ok_or(GatewayError::UnknownSession)?;
        Ok(Session(Arc::new(row)))
    }

    /// Ends a session before its time.
    pub async fn end(&self, session: &Session) -> Result<(), GatewayError> {
        let (environment, id) = (session.0.environment, session.0.id);
        self.0
            .store
            .write(move |c| connect_sessions::delete(c, environment, id))
            .await?;
        Ok(())
    }

    /// Connects as the session allows, with `credentials` of the type `mode`. What the session sets wins over `params`.
    ///
    /// A session is not used up: until it ends, its holder may try again, and connect further accounts.
    pub async fn connect(
        &self,
        session: &Session,
        integration: &str,
        mode: AuthMode,
        credentials: &Map<String, Json>,
        mut params: Map<String, Json>,
    ) -> Result<Connected, GatewayError> {
        let integration = self.allowed(session, integration).await?;
        let provider = &integration.provider;
        if provider.auth != mode {
            return Err(GatewayError::InvalidAuthMode {
                wanted: provider.auth.as_str(),
                given: mode.as_str(),
                integration: integration.key,
            });
        }
        params.remove(NO_CONFIG);
        let set = session.0.defaults.get(integration.key.as_str());
        let set = set.and_then(|set| set.get("connection_config"));
        params.extend(set.and_then(Json::as_object).cloned().unwrap_or_default());
        let old = self.reconnected(session, &integration).await?;
        let (row, based_on, params) = match old {
            Some((row, sealed, target)) => {
                let params = config_over(&row, &target, params);
                (Some(row), Some(sealed), params)
            }
            None => (None, None, params),
        };
        let given = Given {
            credentials,
            credentials_at: &[],
            config: &params,
            config_at: PARAMS,
        };
        let filled = given.fill(provider).map_err(GatewayError::ConnectionInvalid)?;
        let name = match &row {
            Some(row) => row.name.clone(),
            None => random_name().map_err(|error| GatewayError::InvalidBody(vec![error]))?,
        };
        let of_session = ConnectSession::clone(&session.0);
        let draft = Draft {
            name,
            renews: row.map(|row| row.id),
            based_on,
            filled,
            config_at: PARAMS,
            metadata: None,
            labels: Labels {
                tags: (!of_session.tags.is_empty()).then_some(of_session.tags),
                end_user: of_session.end_user,
            },
            webhook_url_override: of_session.webhook_url_override,
            by: Authority::Session(of_session.id),
        };
        let environment = session.0.environment;
        let established = self.0.establish(environment, &integration, draft).await;
        let established = established.map_err(|error| match error {
            GatewayError::InvalidBody(errors) => GatewayError::ConnectionInvalid(errors),
            other => other,
        })?;
        Ok(Connected::new(established, provider))
    }

    /// Why nobody connects without credentials: every provider here takes some.
    pub async fn connect_without(&self, session: &Session, integration: &str) -> GatewayError {
        match self.allowed(session, integration).await {
            Ok(integration) => GatewayError::InvalidAuthMode {
                wanted: integration.provider.auth.as_str(),
                given: "NONE",
                integration: integration.key,
            },
            Err(error) => error,
        }
    }

    async fn allowed(&self, session: &Session, key: &str) -> Result<Integration, GatewayError> {
        let integration = self.0.integration(session.0.environment, key).await?;
        if session.allows(&integration.key) {
            Ok(integration)
        } else {
            Err(GatewayError::IntegrationNotAllowed(integration.key))
        }
    }

    /// The connection whose credentials the session replaces, with its sealed text and what it has now.
    async fn reconnected(
        &self,
        session: &Session,
        integration: &Integration,
    ) -> Result<Option<(Connection, String, Target)>, GatewayError> {
        let Some(id) = session.0.connection() else {
            return Ok(None);
        };
        // A session goes with its connection, so one that is not there went between two looks.
        let gone = |error| match error {
            GatewayError::Store(StoreError::NotFound { .. }) => GatewayError::UnknownSession,
            other => other,
        };
        // Before the row, so that it is not newer.
        let sealed = self.0.sealed(id).await.map_err(gone)?;
        let found = self
            .0
            .store
            .read(move |c| connections::get_any_environment(c, id))
            .await?;
        let row = found
            .filter(|row| row.environment == session.0.environment && row.integration == integration.key)
            .ok_or(GatewayError::UnknownSession)?;
        let target = self.0.target_to_renew(&row).await.map_err(gone)?;
        Ok(Some((row, sealed, target)))
    }
}

/// A session's defaults may hold no secret: they are stored as they are and shown to the front end.
fn refuse_secret_defaults(
    integration: &Integration,
    defaults: &Map<String, Json>,
    errors: &mut Vec<FieldError>,
) {
    let key = integration.key.as_str();
    let config = defaults.get(key).and_then(|set| set.get("connection_config"));
    for name in config.and_then(Json::as_object).into_iter().flat_map(Map::keys) {
        if integration.provider.is_secret_config(name) {
            let path = ["integrations_config_defaults", key, "connection_config", name];
            errors.push(FieldError {
                code: "invalid",
                path: path.map(str::to_owned).to_vec(),
                message: "is secret, and a session's front end would see it: let the user give it, or import the connection"
                    .to_owned(),
            });
        }
    }
}

/// Notes what of a session's defaults for an integration would be refused when somebody connects.
fn check_defaults(integration: &Integration, set: &Json, errors: &mut Vec<FieldError>) {
    let Some(config) = set.get("connection_config").and_then(Json::as_object) else {
        return;
    };
    let at = [
        "integrations_config_defaults",
        integration.key.as_str(),
        "connection_config",
    ];
    given::config(&integration.provider, config, &at, errors);
}

/// As Nango puts it.
const NO_INTEGRATION: &str = "Integration does not exist";
