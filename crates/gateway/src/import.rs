//! Connections imported: given by their stored names, in one body, as `POST /connections` takes them.

use domain::ConnectionName;
use registry::Provider;
use serde_json::{Map, Value as Json};

use crate::connect::random_name;
use crate::connections::{Connections, Shown};
use crate::establish::{Authority, Draft};
use crate::form::Filled;
use crate::given::Given;
use crate::labels::{self, Labels};
use crate::{Caller, FieldError, GatewayError, Scope};

/// A connection to be imported, its inner fields not looked at yet.
pub struct Import {
    /// The integration's key.
    pub integration: String,
    /// What the app calls it; a random UUID if `None`.
    pub name: Option<String>,
    /// `type` beside `apiKey`, or beside `username` and `password`.
    pub credentials: Json,
    /// What else a call must know.
    pub connection_config: Map<String, Json>,
    /// The app's own notes.
    pub metadata: Option<Map<String, Json>>,
    /// The app's labels.
    pub tags: Option<Json>,
    /// The app's user.
    pub end_user: Option<Json>,
    /// Where its events go.
    pub webhook_url_override: Option<String>,
}

/// Where the configuration stands in the body of an import or a change.
pub(crate) const CONFIG: &[&str] = &["connection_config"];

impl Connections<'_> {
    /// Tries the credentials and stores them; the same name again replaces them and keeps the synced rows.
    ///
    /// The credentials are shown to who may see them.
    pub async fn import(&self, caller: &Caller, import: Import) -> Result<Shown, GatewayError> {
        let integration = self
            .0
            .integration(caller.environment, &import.integration)
            .await?;
        let mut errors = Vec::new();
        let name = match &import.name {
            None => random_name(),
            Some(name) => ConnectionName::new(name)
                .map_err(|rule| FieldError::at("invalid", "connection_id", rule.to_string())),
        };
        let name = name.map_err(|error| errors.push(error)).ok();
        let labels = Labels::parse(import.tags, import.end_user, None, &mut errors);
        labels::check_webhook_url(import.webhook_url_override.as_deref(), &mut errors);
        let filled = fill(
            &integration.provider,
            import.credentials,
            &import.connection_config,
            &mut errors,
        );
        let (Some(name), Some(filled), true) = (name, filled, errors.is_empty()) else {
            return Err(GatewayError::InvalidBody(errors));
        };
        let draft = Draft {
            name,
            renews: None,
            based_on: None,
            filled,
            config_at: CONFIG,
            metadata: import.metadata,
            labels,
            webhook_url_override: import.webhook_url_override,
            by: Authority::Key(caller.key),
        };
        let established = self.0.establish(caller.environment, &integration, draft).await?;
        let connection = established.row;
        let credentials = if caller.may(Scope::ConnectionsReadCredentials) {
            Some(self.0.opened(&connection).await?.1)
        } else {
            None
        };
        Ok(Shown {
            sync_problems: self.0.sync_problems_of(&connection).await?,
            connection: self.0.shown(connection),
            credentials,
        })
    }
}

/// What is to be stored of a body's `credentials` and `connection_config`.
pub(crate) fn fill(
    provider: &Provider,
    credentials: Json,
    config: &Map<String, Json>,
    errors: &mut Vec<FieldError>,
) -> Option<Filled> {
    let mut wrong = |path: &[&str], message: String| {
        errors.push(FieldError {
            code: "invalid",
            path: path.iter().map(|part| (*part).to_owned()).collect(),
            message,
        });
    };
    let Json::Object(mut credentials) = credentials else {
        wrong(&["credentials"], "must be an object".to_owned());
        return None;
    };
    let mode = provider.auth.as_str();
    if credentials.remove("type").as_ref().and_then(Json::as_str) != Some(mode) {
        let message = format!(
            "must be {mode}: those are the credentials that {} takes",
            provider.display_name
        );
        wrong(&["credentials", "type"], message);
        return None;
    }
    let given = Given {
        credentials: &credentials,
        credentials_at: &["credentials"],
        config,
        config_at: CONFIG,
    };
    given.fill(provider).map_err(|found| errors.extend(found)).ok()
}
