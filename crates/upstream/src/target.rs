//! The provider and the connection that a request is for, and the values of the placeholders in the provider's file.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::{ConnectionId, Variant};
use registry::Provider;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use crate::json::plain;

/// The values of the placeholders `${…}` of a provider's file for one connection. Holds the plain credentials, so keep it no longer than
/// needed.
#[derive(Clone, Default)]
pub struct Variables {
    /// `apiKey`, or `username` and `password`.
    pub credentials: BTreeMap<String, SecretString>,
    /// The connection's configuration; not secret.
    pub connection_config: BTreeMap<String, String>,
    /// The fields of the connection's configuration that the provider's file calls secret.
    pub secret_config: BTreeMap<String, SecretString>,
    /// The integration's own configuration, its secret fields among it.
    pub integration_config: BTreeMap<String, String>,
    /// The app's own data about the connection.
    pub metadata: Map<String, Value>,
    /// The variant of the sync that makes the request; `None` if no sync does.
    pub variant: Option<Variant>,
    /// The address at which the provider reaches the connection, with the secret at its end. `None` where no request needs it.
    pub webhook_url: Option<SecretString>,
    /// What a subscription has kept of the provider's responses, and its secret.
    pub subscription: Kept,
}

/// What a subscription has kept.
#[derive(Clone, Default)]
pub struct Kept {
    /// The values by name, without `secret`.
    pub values: Map<String, Value>,
    /// The secret with which the provider signs.
    pub secret: Option<SecretString>,
    /// The address that the provider was given.
    pub url: Option<SecretString>,
    /// A UUID of the request that is being sent, the same if it is sent again; not kept.
    pub request_id: Option<String>,
}

impl fmt::Debug for Kept {
    /// Shows the names: a value may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

impl Variables {
    /// The value of `apiKey`, `username`, `password`, `credentials.…`, `connectionConfig.…`, `integrationConfig.…`, `metadata.…`,
    /// `variant`, `webhook.url` or `subscription.…`. Metadata may be nested; only texts, numbers and booleans fill a placeholder.
    pub fn lookup(&self, name: &str) -> Option<String> {
        match name.split_once('.') {
            None if name == "variant" => self.variant.as_ref().map(ToString::to_string),
            None => self.credential(name),
            Some(("credentials", field)) => self.credential(field),
            Some(("connectionConfig", field)) => {
                let secret = || Some(self.secret_config.get(field)?.expose_secret().to_owned());
                self.connection_config.get(field).cloned().or_else(secret)
            }
            Some(("integrationConfig", field)) => self.integration_config.get(field).cloned(),
            Some(("webhook", "url")) => exposed(self.webhook_url.as_ref()),
            Some(("subscription", "secret")) => exposed(self.subscription.secret.as_ref()),
            Some(("subscription", "request_id")) => self.subscription.request_id.clone(),
            Some(("subscription", field)) => plain(self.subscription.values.get(field)?),
            Some(("metadata", path)) => {
                let mut fields = path.split('.');
                let first = self.metadata.get(fields.next()?)?;
                plain(fields.try_fold(first, |value, field| value.get(field))?)
            }
            Some(_) => None,
        }
    }

    /// Like [`Self::lookup`] for a template of the caller: only fields of the connection's configuration that are not secret.
    pub(crate) fn lookup_public_config(&self, name: &str) -> Option<String> {
        let (_, field) = name
            .split_once('.')
            .filter(|(kind, _)| *kind == "connectionConfig")?;
        self.connection_config.get(field).cloned()
    }

    pub(crate) fn credential(&self, name: &str) -> Option<String> {
        self.credentials
            .get(name)
            .map(|secret| secret.expose_secret().to_owned())
    }
}

fn exposed(secret: Option<&SecretString>) -> Option<String> {
    secret.map(|secret| secret.expose_secret().to_owned())
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Variables")
            .field("credentials", &self.credentials.keys())
            .field("connection_config", &self.connection_config.keys())
            .field("secret_config", &self.secret_config.keys())
            .field("integration_config", &self.integration_config.keys())
            .field("metadata", &self.metadata.keys())
            .field("variant", &self.variant)
            .field("webhook_url", &self.webhook_url.is_some())
            .field("subscription", &self.subscription)
            .finish()
    }
}

/// How urgent a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Priority {
    /// A client waits for the response.
    #[default]
    Interactive,
    /// A sync makes it, which has time.
    Background,
}

/// The provider and the connection that a request is for.
#[derive(Debug, Clone)]
pub struct Target {
    /// The provider.
    pub provider: Arc<Provider>,
    /// The connection whose limits apply; `None` while connecting, when there is no connection yet.
    pub connection: Option<ConnectionId>,
    /// The values of the file's placeholders.
    pub variables: Arc<Variables>,
    /// How urgent its requests are.
    pub priority: Priority,
}

impl Target {
    /// User name and password as the `Basic` scheme writes them (RFC 7617); a provider may leave one of them empty.
    pub(crate) fn basic_auth(&self) -> Option<String> {
        let credential = |name| self.variables.credential(name);
        match (credential("username"), credential("password")) {
            (None, None) => None,
            (user, password) => Some(STANDARD.encode(format!(
                "{}:{}",
                user.unwrap_or_default(),
                password.unwrap_or_default()
            ))),
        }
    }
}
