//! How responses show a connection, in the shapes of Nango's public API.

use std::collections::BTreeMap;

use domain::{Connection, Problem, Sync, Timestamp};
use gateway::EndUser;
use registry::AuthMode;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::{Map, Value as Json};
use utoipa::ToSchema;

/// A list of connections, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConnectionList {
    connections: Vec<ListedConnection>,
}

impl From<Vec<gateway::ConnectionDetails>> for ConnectionList {
    fn from(listed: Vec<gateway::ConnectionDetails>) -> Self {
        let listed = listed.into_iter().map(|listed| ListedConnection {
            created: listed.connection.created_at.to_string(),
            shared: SharedFields::new(listed.connection, listed.syncs_with_problem),
        });
        Self {
            connections: listed.collect(),
        }
    }
}

/// A connection as a list shows it.
#[derive(Serialize, ToSchema)]
struct ListedConnection {
    #[serde(flatten)]
    shared: SharedFields,
    /// When it was created.
    #[schema(format = DateTime, example = "2026-11-21T10:00:00.000Z")]
    created: String,
}

/// A connection.
#[derive(Serialize, ToSchema)]
pub(crate) struct FullConnection {
    #[serde(flatten)]
    shared: SharedFields,
    /// What else its requests need; not secret.
    connection_config: Map<String, Json>,
    /// Where its events go instead of the environment's addresses.
    webhook_url_override: Option<String>,
    /// When it was created.
    #[schema(format = DateTime, example = "2026-11-21T10:00:00+00:00")]
    created_at: String,
    /// When it was last changed.
    #[schema(format = DateTime, example = "2026-11-21T10:00:00+00:00")]
    updated_at: String,
    /// When its credentials were last shown.
    #[schema(format = DateTime)]
    last_fetched_at: Option<String>,
    /// In plain text for a key with the scope `environment:connections:read_credentials`, empty for others.
    credentials: ShownCredentials,
}

/// Credentials in plain text, or an empty object if the caller may not see them.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum ShownCredentials {
    /// One key
    ApiKey {
        #[schema(example = "API_KEY")]
        r#type: &'static str,
        #[serde(rename = "apiKey")]
        api_key: String,
    },
    /// User name and password
    Basic {
        #[schema(example = "BASIC")]
        r#type: &'static str,
        username: String,
        password: String,
    },
    /// Nothing
    Hidden {},
}

impl ShownCredentials {
    fn new(mode: AuthMode, values: &BTreeMap<String, SecretString>) -> Self {
        let plain = |name: &str| {
            values
                .get(name)
                .map_or("", ExposeSecret::expose_secret)
                .to_owned()
        };
        match mode {
            AuthMode::ApiKey => Self::ApiKey {
                r#type: mode.as_str(),
                api_key: plain("apiKey"),
            },
            // A provider may need only one of the two.
            AuthMode::Basic => Self::Basic {
                r#type: mode.as_str(),
                username: plain("username"),
                password: plain("password"),
            },
        }
    }
}

/// The fields that every view of a connection has.
#[derive(Serialize, ToSchema)]
struct SharedFields {
    /// Its number.
    id: i64,
    /// Your name for it.
    #[schema(example = "my-acme")]
    connection_id: String,
    /// The integration's key.
    #[schema(example = "acme")]
    provider_config_key: String,
    /// The provider's name.
    #[schema(example = "acme")]
    provider: String,
    /// What is wrong with it; empty if nothing is wrong.
    errors: Vec<ConnectionError>,
    /// Your user, if one was given.
    #[schema(value_type = Option<EndUser>)]
    end_user: Option<Json>,
    /// Your labels.
    tags: BTreeMap<String, String>,
    /// Your metadata.
    metadata: Option<Map<String, Json>>,
}

/// Something that is wrong with a connection.
#[derive(Serialize, ToSchema)]
struct ConnectionError {
    /// `auth` if the provider no longer accepts the credentials; `sync` if it accepts them and refuses the list of a sync.
    #[schema(example = "auth")]
    r#type: String,
    /// The id of this occurrence.
    #[schema(example = "12-1795255200000000")]
    log_id: String,
    /// What is wrong and what to do.
    #[schema(example = "Acme no longer accepts the key: connect again with a new one")]
    message: String,
    /// The provider's code.
    code: Option<String>,
    /// When it was first found.
    #[schema(format = DateTime)]
    at: String,
    /// The sync, for the type `sync`.
    #[serde(skip_serializing_if = "Option::is_none")]
    sync: Option<String>,
    /// Its variant, for the type `sync`.
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
}

impl ConnectionError {
    fn new(kind: String, log_id: &str, problem: Problem) -> Self {
        Self {
            r#type: kind,
            log_id: format!("{log_id}-{}", problem.at.as_micros()),
            message: problem.message,
            code: problem.code,
            at: problem.at.to_string(),
            sync: None,
            variant: None,
        }
    }

    /// The error of a sync that has a problem.
    fn of_sync(sync: Sync) -> Option<Self> {
        // Nango's word for an error of a sync.
        let log_id = format!("{}-{}", sync.connection, sync.id);
        Some(Self {
            sync: Some(sync.name.to_string()),
            variant: Some(sync.variant.to_string()),
            ..Self::new("sync".to_owned(), &log_id, sync.problem?)
        })
    }
}

impl SharedFields {
    fn new(row: Connection, syncs_with_problem: Vec<Sync>) -> Self {
        let id = row.id.raw();
        let own = row
            .problem
            .map(|problem| ConnectionError::new(problem.kind.clone(), &id.to_string(), problem));
        let of_syncs = syncs_with_problem
            .into_iter()
            .filter_map(ConnectionError::of_sync);
        Self {
            id,
            connection_id: row.name.to_string(),
            provider_config_key: row.integration.to_string(),
            provider: row.provider.to_string(),
            errors: own.into_iter().chain(of_syncs).collect(),
            end_user: row.end_user,
            tags: row.tags,
            metadata: row.metadata,
        }
    }
}

impl FullConnection {
    /// Makes the response; `written` writes its times.
    pub(super) fn new(shown: gateway::ConnectionDetails, written: fn(Timestamp) -> String) -> Self {
        let row = shown.connection;
        let credentials = shown.credentials;
        Self {
            connection_config: row.connection_config.clone(),
            webhook_url_override: row.webhook_url_override.clone(),
            created_at: written(row.created_at),
            updated_at: written(row.updated_at),
            last_fetched_at: row.last_fetched_at.map(written),
            credentials: credentials.map_or(ShownCredentials::Hidden {}, |(mode, values)| {
                ShownCredentials::new(mode, &values)
            }),
            shared: SharedFields::new(row, shown.syncs_with_problem),
        }
    }
}

/// Writes a time as Nango does in the response of `GET`: with `+00:00` at its end.
pub(super) fn with_offset(time: Timestamp) -> String {
    time.to_string().replace('Z', "+00:00")
}
