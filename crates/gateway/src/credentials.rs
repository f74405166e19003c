//! Checks, verifies and stores credentials; every route that accepts credentials uses this module. [`Filled`] is checked input.

mod config;
mod fields;
mod form;
mod named;
mod save;
mod session_limits;
mod verify;

use std::collections::BTreeMap;

use domain::{Connection, ConnectionName};
use registry::{AuthMode, ConnectForm, Provider};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value as Json};
use upstream::Target;

pub(crate) use self::config::{ConnectionConfig, read_config};
pub(crate) use self::form::{how_to_connect, refuse_oauth};
pub use self::save::Connected;
pub(crate) use self::save::{Authority, PendingConnection, save};
pub(crate) use self::verify::{lacking_config_message, verify_stored};
use crate::error::FieldError;
use crate::gateway::template_values;
use crate::secrets::Secrets;

/// The path of the configuration in bodies that create or change a connection, and in a front end's request.
const CONFIG: &[&str] = &["connection_config"];
const PARAMS: &[&str] = &["params"];

/// The credentials of a request.
pub(crate) enum CredentialInput<'a> {
    /// The fields of one of these forms.
    Form(&'a [ConnectForm], &'a Map<String, Json>),
    /// `apiKey`, or `username` and `password`, as the outermost fields of a front end's request.
    Named(&'a Map<String, Json>),
    /// The same beside their `type`, in the field `credentials`.
    Typed(Json),
}

impl CredentialInput<'_> {
    /// The values to store, checked by the rules of the provider's fields. `config` is the request's configuration by the names under
    /// which it is stored.
    pub(crate) fn fill(
        self,
        provider: &Provider,
        config: &Map<String, Json>,
    ) -> Result<Filled, Vec<FieldError>> {
        let ((credentials, config), path) = match self {
            // A form's configuration comes from its fields, which are at the top level of the body.
            Self::Form(forms, fields) => (form::fill(provider, forms, fields, config, CONFIG)?, &[][..]),
            Self::Named(values) => (named::fill(provider, (values, &[]), config, PARAMS)?, PARAMS),
            Self::Typed(values) => {
                let values = named::of_type(provider, values).map_err(|error| vec![error])?;
                let values = (&values, &["credentials"][..]);
                (named::fill(provider, values, config, CONFIG)?, CONFIG)
            }
        };
        Ok(Filled::new(provider, credentials, config, path))
    }
}

/// Returns the name of the connection that a request creates or replaces: the one in its `field`, or a random one.
pub(crate) fn requested_name(
    given: Option<&str>,
    field: &str,
    errors: &mut Vec<FieldError>,
) -> Option<ConnectionName> {
    let Some(name) = given else {
        return Some(ConnectionName::random());
    };
    ConnectionName::new(name)
        .map_err(|rule| errors.push(FieldError::at("invalid", field, rule.to_string())))
        .ok()
}

/// Secrets to seal and configuration to store.
pub(crate) struct Filled {
    pub(crate) secrets: Secrets,
    /// The configuration without its secret fields.
    pub(crate) config: ConnectionConfig,
    /// Path of the configuration in the request, for errors.
    pub(crate) config_path: &'static [&'static str],
}

impl Filled {
    fn new(
        provider: &Provider,
        credentials: BTreeMap<String, String>,
        mut config: ConnectionConfig,
        config_path: &'static [&'static str],
    ) -> Self {
        for (name, field) in &provider.connection_config {
            if let Some(value) = &field.default_value {
                let values = &mut config.declared;
                values.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        let seal = |(name, value): (String, String)| (name, SecretString::from(value));
        let mut credentials: BTreeMap<_, _> = credentials.into_iter().map(seal).collect();
        if provider.auth == AuthMode::Basic {
            // If a provider needs only one of the two, the other is empty.
            for name in ["username", "password"] {
                credentials.entry(name.to_owned()).or_default();
            }
        }
        let (secret, declared): (BTreeMap<_, _>, _) = config
            .declared
            .into_iter()
            .partition(|(name, _)| provider.is_secret_config(name));
        Self {
            secrets: Secrets {
                credentials,
                config: secret.into_iter().map(seal).collect(),
            },
            config: ConnectionConfig {
                declared,
                undeclared: config.undeclared,
            },
            config_path,
        }
    }

    /// Returns the configuration to store, without secrets.
    fn stored_config(&self) -> Map<String, Json> {
        let declared = self.config.declared.iter();
        let declared = declared.map(|(name, value)| (name.clone(), value.as_str().into()));
        declared.chain(self.config.undeclared.clone()).collect()
    }

    /// Returns the stored configuration as values for templates.
    fn template_values(&self) -> BTreeMap<String, String> {
        template_values(&self.stored_config())
    }
}

/// Returns secrets as a JSON object in plain text.
pub(crate) fn in_plain(secrets: &BTreeMap<String, SecretString>) -> Map<String, Json> {
    secrets
        .iter()
        .map(|(name, value)| (name.clone(), value.expose_secret().into()))
        .collect()
}

/// Returns the connection's configuration, with its secret fields, after `given` has replaced entries.
pub(crate) fn config_over(
    connection: &Connection,
    target: &Target,
    given: Map<String, Json>,
) -> Map<String, Json> {
    let mut config = connection.connection_config.clone();
    config.extend(in_plain(&target.variables.secret_config));
    config.extend(given);
    config
}
