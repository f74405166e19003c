//! `POST /{integration}/connect`: the fields of the provider's forms become a connection.

use domain::{ConnectionName, IntegrationKey, NameError};
use registry::Provider;
use serde_json::{Map, Value as Json};

use crate::establish::{Authority, Draft, Established};
use crate::form;
use crate::gateway::{Inner, Integration};
use crate::labels::Labels;
use crate::permissions::UnreadableSync;
use crate::{Caller, FieldError, GatewayError};

/// The body of `POST /{integration}/connect`, before the provider's own fields are looked at.
pub struct ConnectRequest {
    name: ConnectionName,
    metadata: Option<Map<String, Json>>,
    labels: Labels,
    config: Map<String, Json>,
    fields: Map<String, Json>,
}

/// A connection made or renewed.
#[derive(Debug)]
pub struct Connected {
    /// What the app calls it.
    pub name: ConnectionName,
    /// Its integration.
    pub integration: IntegrationKey,
    /// The provider's name for people.
    pub display_name: String,
    /// What the provider's file says that people must know.
    pub notice: Option<String>,
    /// False if the connection was there and has new credentials now.
    pub created: bool,
    /// The syncs that the credentials may not read.
    pub unreadable: Vec<UnreadableSync>,
}

impl Connected {
    pub(crate) fn new(established: Established, provider: &Provider) -> Self {
        let Established {
            row,
            created,
            unreadable,
        } = established;
        Self {
            name: row.name,
            integration: row.integration,
            display_name: provider.display_name.clone(),
            notice: provider.notice.clone(),
            created,
            unreadable,
        }
    }
}

impl ConnectRequest {
    /// Takes the names that all providers share out of a body; a missing `connectionId` becomes a random UUID.
    pub fn parse(mut body: Map<String, Json>) -> Result<Self, GatewayError> {
        let mut errors = Vec::new();
        let name = match (body.remove("connectionId"), body.remove("connection_id")) {
            (None | Some(Json::Null), None | Some(Json::Null)) => {
                random_name().map_err(|rule| errors.push(rule)).ok()
            }
            (Some(Json::String(name)), None | Some(Json::Null))
            | (None | Some(Json::Null), Some(Json::String(name))) => {
                let wrong = |rule: NameError| {
                    errors.push(FieldError::at("invalid", "connectionId", rule.to_string()));
                };
                ConnectionName::new(&name).map_err(wrong).ok()
            }
            _ => {
                errors.push(FieldError::at(
                    "invalid",
                    "connectionId",
                    "must be text, given once",
                ));
                None
            }
        };
        let metadata = object(body.remove("metadata"), "metadata", &mut errors);
        let config = object(body.remove("connection_config"), "connection_config", &mut errors);
        let (tags, end_user) = (body.remove("tags"), body.remove("end_user"));
        // Some providers ask for an organization of theirs, which is text and goes into the form.
        let organization = match body.remove("organization") {
            Some(Json::String(theirs)) => {
                body.insert("organization".to_owned(), Json::String(theirs));
                None
            }
            ours => ours,
        };
        let labels = Labels::parse(tags, end_user, organization, &mut errors);
        match name {
            Some(name) if errors.is_empty() => Ok(Self {
                name,
                metadata,
                labels,
                config: config.unwrap_or_default(),
                fields: body,
            }),
            _ => Err(GatewayError::InvalidBody(errors)),
        }
    }
}

fn object(value: Option<Json>, field: &str, errors: &mut Vec<FieldError>) -> Option<Map<String, Json>> {
    match value {
        None | Some(Json::Null) => None,
        Some(Json::Object(object)) => Some(object),
        Some(_) => {
            errors.push(FieldError::at("invalid", field, "must be an object"));
            None
        }
    }
}

/// A name for a connection that was given none.
pub(crate) fn random_name() -> Result<ConnectionName, FieldError> {
    let name = ConnectionName::new(&uuid::Uuid::new_v4().to_string());
    name.map_err(|rule: NameError| FieldError::at("invalid", "connection_id", rule.to_string()))
}

impl Inner {
    pub(crate) async fn connect(
        &self,
        caller: &Caller,
        integration: &Integration,
        request: ConnectRequest,
    ) -> Result<Connected, GatewayError> {
        let draft = Draft {
            filled: form::fill(&integration.provider, &request.fields, &request.config)?,
            name: request.name,
            renews: None,
            based_on: None,
            config_at: &[],
            metadata: request.metadata,
            labels: request.labels,
            webhook_url_override: None,
            by: Authority::Key(caller.key),
        };
        let established = self.establish(caller.environment, integration, draft).await?;
        Ok(Connected::new(established, &integration.provider))
    }
}
