//! The caller of a request: an environment and the scopes of its API key.

use std::fmt;
use std::sync::Arc;

use domain::{ApiKeyId, EnvironmentId};

macro_rules! scopes {
    ($($(#[$doc:meta])* $name:ident = $text:literal),* $(,)?) => {
        /// A permission of a key, in Nango's format: `environment:connections:read`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Scope {
            $($(#[$doc])* $name),*
        }

        impl Scope {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Returns the stored and shown text, which never changes.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text),*
                }
            }
        }

        /// Scopes as types, for signatures that name the scope that they need.
        pub mod scope {
            use super::Scope;

            /// A needed scope.
            pub trait Needed {
                /// The scope; `None` if any known key will do.
                const SCOPE: Option<Scope>;
            }

            /// No scope: what the request asks for decides which one it needs.
            #[derive(Debug)]
            pub enum Any {}

            impl Needed for Any {
                const SCOPE: Option<Scope> = None;
            }

            $(
                $(#[$doc])*
                #[derive(Debug)]
                pub enum $name {}

                impl Needed for $name {
                    const SCOPE: Option<Scope> = Some(Scope::$name);
                }
            )*
        }
    };
}
scopes! {
    /// See providers and integrations.
    IntegrationsList = "environment:integrations:list",
    /// See one integration.
    IntegrationsRead = "environment:integrations:read",
    /// Make integrations.
    IntegrationsCreate = "environment:integrations:create",
    /// Change integrations.
    IntegrationsUpdate = "environment:integrations:update",
    /// Delete an integration with its connections.
    IntegrationsDelete = "environment:integrations:delete",
    /// See which syncs and actions an integration has.
    FunctionsList = "environment:functions:list",
    /// List connections.
    ConnectionsList = "environment:connections:list",
    /// See one connection, without its credentials.
    ConnectionsRead = "environment:connections:read",
    /// See one connection with its credentials in plain.
    ConnectionsReadCredentials = "environment:connections:read_credentials",
    /// Connect, and import connections.
    ConnectionsCreate = "environment:connections:create",
    /// Change connections, and their credentials.
    ConnectionsUpdate = "environment:connections:update",
    /// Delete a connection with its rows.
    ConnectionsDelete = "environment:connections:delete",
    /// Make connect sessions for front ends.
    ConnectSessionsWrite = "environment:connect_sessions:write",
    /// See syncs and runs.
    SyncsRead = "environment:syncs:read",
    /// Trigger, pause and start syncs.
    SyncsExecute = "environment:syncs:execute",
    /// Set how often syncs run.
    SyncsUpdate = "environment:syncs:update",
    /// Make variants of syncs.
    SyncsVariantCreate = "environment:syncs:variant:create",
    /// Delete variants of syncs.
    SyncsVariantDelete = "environment:syncs:variant:delete",
    /// Read synced records.
    RecordsRead = "environment:records:read",
    /// Prune synced records.
    RecordsWrite = "environment:records:write",
    /// Run actions.
    ActionsExecute = "environment:actions:execute",
    /// Call providers through the proxy.
    Proxy = "environment:proxy",
    /// See webhook endpoints and deliveries.
    WebhooksRead = "environment:webhooks:read",
    /// Make, change and replay webhook endpoints, and see the signing key.
    WebhooksWrite = "environment:webhooks:write",
    /// Replace the environment's webhook signing key.
    SigningKeyRotate = "environment:webhook_signing_key:rotate",
    /// Read the feed of events.
    EventsRead = "environment:events:read",
    /// See environment variables.
    VariablesRead = "environment:variables:read",
    /// See the environments.
    EnvironmentsList = "account:environments:list",
    /// Make environments.
    EnvironmentsCreate = "account:environments:create",
    /// Delete environments.
    EnvironmentsDelete = "account:environments:delete",
    /// See the API keys of environments, never the keys themselves.
    ApiKeysList = "account:environments:api_keys:list",
    /// Make API keys.
    ApiKeysCreate = "account:environments:api_keys:create",
    /// Revoke API keys.
    ApiKeysDelete = "account:environments:api_keys:delete",
}

impl Scope {
    /// Returns whether a key with `held` has this scope: the same scope, one that includes it (`read_credentials` includes `read`), or all of
    /// its kind.
    pub(crate) fn is_in(self, held: &str) -> bool {
        let name = self.as_str();
        held == name
            || held
                .strip_suffix('*')
                .is_some_and(|kind| kind.ends_with(':') && name.starts_with(kind))
            || held.replace("_credentials", "") == name
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The holder of a valid key. A use case may access only this caller's environment.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The environment of the key.
    pub environment: EnvironmentId,
    pub(crate) key: ApiKeyId,
    pub(crate) scopes: Arc<[String]>,
}

impl Caller {
    /// Returns whether the key has `scope`.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.iter().any(|held| scope.is_in(held))
    }
}
