//! `POST /{integration}/connect`: connects an account with the fields of one of the provider's forms.

use domain::ConnectionName;
use serde_json::{Map, Value as Json};

use super::{CONFIG, Connections};
use crate::caller::Caller;
use crate::credentials::{
    self, Authority, Connected, CredentialInput, Given, PendingConnection, random_name, refuse_oauth,
};
use crate::error::{FieldError, GatewayError};
use crate::labels::Labels;
use crate::services::Names;

/// The body of `POST /{integration}/connect`, before the provider's own fields are read.
struct ConnectRequest {
    name: ConnectionName,
    metadata: Option<Map<String, Json>>,
    labels: Labels,
    config: Map<String, Json>,
    fields: Map<String, Json>,
}

impl ConnectRequest {
    /// Removes the fields that all providers share from a body. A missing `connectionId` becomes a random UUID.
    fn parse(mut body: Map<String, Json>) -> Result<Self, GatewayError> {
        let mut errors = Vec::new();
        let given: Vec<Json> = ["connectionId", "connection_id"]
            .into_iter()
            .filter_map(|field| body.remove(field).filter(|name| !name.is_null()))
            .collect();
        let name = match given.as_slice() {
            [] => random_name(),
            [Json::String(name)] => ConnectionName::new(name)
                .map_err(|rule| FieldError::at("invalid", "connectionId", rule.to_string())),
            _ => Err(FieldError::at(
                "invalid",
                "connectionId",
                "must be text, given once",
            )),
        };
        let name = name.map_err(|error| errors.push(error)).ok();
        let metadata = object(body.remove("metadata"), "metadata", &mut errors);
        let config = object(body.remove("connection_config"), "connection_config", &mut errors);
        let (tags, end_user) = (body.remove("tags"), body.remove("end_user"));
        // For some providers, `organization` is a field of the form, and text.
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

impl Connections<'_> {
    /// Connects an account: verifies the credentials and stores them. If the name exists, the request replaces its credentials and
    /// keeps its rows.
    pub async fn connect(
        &self,
        caller: &Caller,
        integration: &str,
        body: Map<String, Json>,
    ) -> Result<Connected, GatewayError> {
        let request = ConnectRequest::parse(body);
        let names = Names::of(
            caller,
            integration,
            request.as_ref().map_or("", |request| request.name.as_str()),
        );
        let (integration, existing) = self.0.resolve_optional(names).await?;
        let request = request?;
        refuse_oauth(&integration.provider, &request.fields)?;
        let input = CredentialInput {
            credentials: Given::Form(&request.fields),
            config: &request.config,
            config_path: CONFIG,
        };
        let filled = input
            .fill(&integration.provider)
            .map_err(GatewayError::InvalidBody)?;
        let pending = PendingConnection {
            environment: caller.environment,
            integration,
            name: request.name,
            existing,
            based_on: None,
            filled,
            metadata: request.metadata,
            labels: request.labels,
            webhook_url_override: None,
            authority: Authority::ApiKey(caller.key),
        };
        credentials::save(self.0, pending).await
    }
}
