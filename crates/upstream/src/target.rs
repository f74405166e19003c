//! Whom a call is for: a provider, a connection, and what fills the holes of the file.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use domain::{ConnectionId, Variant};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use registry::{ListRequest, Provider, Template};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use crate::json::plain;
use crate::{Call, CallError, Urgency};

/// What fills the holes `${…}` of a provider's file for one connection. Holds the plain credentials, so it lives for a request.
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
    /// The variant of the sync that calls; `None` if no sync does.
    pub variant: Option<Variant>,
}

impl Variables {
    /// The value of `apiKey`, `username`, `password`, `credentials.…`, `connectionConfig.…`, `integrationConfig.…`, `metadata.…` or
    /// `variant`. Metadata may be nested; only texts, numbers and booleans fill a hole.
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
            Some(("metadata", path)) => {
                let mut fields = path.split('.');
                let first = self.metadata.get(fields.next()?)?;
                plain(fields.try_fold(first, |value, field| value.get(field))?)
            }
            Some(_) => None,
        }
    }

    /// Like [`Self::lookup`] for a caller's text, in which no secret may stand: a secret field of the configuration is unknown.
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

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Variables")
            .field("credentials", &self.credentials.keys())
            .field("connection_config", &self.connection_config.keys())
            .field("secret_config", &self.secret_config.keys())
            .field("integration_config", &self.integration_config.keys())
            .field("metadata", &self.metadata.keys())
            .field("variant", &self.variant)
            .finish()
    }
}

/// Whom a call is for.
#[derive(Debug, Clone)]
pub struct Target {
    /// The provider.
    pub provider: Arc<Provider>,
    /// Whose limits count; `None` while connecting, when there is no connection yet.
    pub connection: Option<ConnectionId>,
    /// What fills the file's holes.
    pub variables: Arc<Variables>,
    /// Who waits for the calls.
    pub urgency: Urgency,
}

impl Target {
    /// The call that reads a list. `extra_query` follows the file's parameters; a header or parameter of the file whose hole
    /// nothing fills is left out.
    pub fn list_call(
        &self,
        request: &ListRequest,
        extra_query: &[(String, String)],
    ) -> Result<Call, CallError> {
        let lookup = |name: &str| self.variables.lookup(name);
        let mut call = Call::get(request.path.render_path(&lookup)?);
        call.server.clone_from(&request.server);
        call.query = filled(&request.query, &lookup)?;
        call.query.extend_from_slice(extra_query);
        add_headers(&mut call.headers, &request.headers, &lookup)?;
        Ok(call)
    }

    /// The call that reads one record again: `${record.…}` of the path is its key. `server` is that of the record's list.
    pub fn record_call(&self, server: Option<&str>, path: &Template, key: &str) -> Result<Call, CallError> {
        let lookup = |name: &str| {
            if name.starts_with("record.") {
                Some(key.to_owned())
            } else {
                self.variables.lookup(name)
            }
        };
        let mut call = Call::get(path.render_path(&lookup)?);
        call.server = server.map(str::to_owned);
        Ok(call)
    }
}

/// Query parameters of the file with their holes filled; one whose hole nothing fills is left out.
pub(crate) fn filled(
    templates: &[(String, Template)],
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<(String, String)>, CallError> {
    let mut pairs = Vec::new();
    for (name, template) in templates {
        let value = template.render_if_filled(lookup);
        let value = value.map_err(CallError::within(|| format!("the query parameter {name:?}")))?;
        pairs.extend(value.map(|value| (name.clone(), value)));
    }
    Ok(pairs)
}

/// Renders headers of the file into `headers`; one whose hole nothing fills is left out, and one that is empty takes away what
/// `headers` has under its name.
pub(crate) fn add_headers(
    headers: &mut HeaderMap,
    templates: &[(String, Template)],
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<(), CallError> {
    for (name, template) in templates {
        let value = template.render_if_filled(lookup);
        let value = value.map_err(CallError::within(|| format!("the header {name:?}")))?;
        if let Some(value) = value {
            let bad = |()| CallError::BadHeader { name: name.clone() };
            let header = HeaderName::try_from(name.as_str()).map_err(|_| bad(()))?;
            if value.is_empty() {
                headers.remove(header);
                continue;
            }
            let mut value = HeaderValue::from_str(&value).map_err(|_| bad(()))?;
            value.set_sensitive(template.literal().is_none());
            headers.insert(header, value);
        }
    }
    Ok(())
}
