//! `POST /{integration}/connect`: connects an account with the fields of one of the provider's forms.

use domain::ConnectionName;
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use utoipa::ToSchema;

use super::CONFIG;
use crate::caller::Caller;
use crate::credentials::{
    self, Authority, Connected, CredentialInput, Given, PendingConnection, random_name, refuse_oauth,
};
use crate::error::{FieldError, GatewayError, Result};
use crate::gateway::{Gateway, Names};
use crate::labels::{EndUser, Labels, Organization};

/// The fields of one of the provider's forms, and these, which all providers share. The routes of each provider list its forms.
#[derive(Deserialize, ToSchema)]
#[schema(as = ConnectBody)]
pub struct ConnectRequest {
    /// Your name for the connection, unique within the integration; a random UUID if left out. The name of an existing connection
    /// replaces its credentials and keeps its rows.
    #[serde(rename = "connectionId", alias = "connection_id")]
    #[schema(value_type = Option<String>, example = "my-acme")]
    name: Option<ConnectionName>,
    /// Further configuration by its stored names, for what no form asks: at most 50 keys that the provider does not know.
    connection_config: Option<Map<String, Json>>,
    /// Your metadata: any JSON object.
    metadata: Option<Map<String, Json>>,
    /// Your labels: at most 10, names in lower case, values of 1 to 255 characters.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    tags: Option<Json>,
    /// Your user, who also becomes labels.
    #[schema(value_type = Option<EndUser>)]
    end_user: Option<Json>,
    /// The user's organization.
    #[schema(value_type = Option<Organization>)]
    organization: Option<Json>,
    /// The fields of the provider's form.
    #[serde(flatten)]
    fields: Map<String, Json>,
}

impl ConnectRequest {
    /// Returns the name and the labels, checked.
    fn check(&mut self) -> Result<(ConnectionName, Labels)> {
        let mut errors = Vec::new();
        let name = match &self.name {
            None => random_name(),
            Some(name) => ConnectionName::new(name.as_str())
                .map_err(|rule| FieldError::at("invalid", "connectionId", rule.to_string())),
        };
        let name = name.map_err(|error| errors.push(error)).ok();
        // For some providers, `organization` is a field of the form, and text.
        let organization = self.organization.take();
        let organization = match organization {
            Some(Json::String(theirs)) => {
                self.fields.insert("organization".to_owned(), theirs.into());
                None
            }
            ours => ours,
        };
        let labels = Labels::parse(self.tags.take(), self.end_user.take(), organization, &mut errors);
        match name {
            Some(name) if errors.is_empty() => Ok((name, labels)),
            _ => Err(GatewayError::InvalidBody(errors)),
        }
    }
}

/// Connects an account: verifies the credentials and stores them. If the name exists, the request replaces its credentials and
/// keeps its rows.
pub async fn connect(
    gateway: &Gateway,
    caller: &Caller,
    integration: &str,
    mut request: ConnectRequest,
) -> Result<Connected> {
    let checked = request.check();
    let names = Names::of(
        caller,
        integration,
        checked.as_ref().map_or("", |(name, _)| name.as_str()),
    );
    let (integration, existing) = gateway.resolve_optional(names).await?;
    let (name, labels) = checked?;
    let config = request.connection_config.unwrap_or_default();
    refuse_oauth(&integration.provider, &request.fields)?;
    let input = CredentialInput {
        credentials: Given::Form(&request.fields),
        config: &config,
        config_path: CONFIG,
    };
    let filled = input
        .fill(&integration.provider)
        .map_err(GatewayError::InvalidBody)?;
    let pending = PendingConnection {
        environment: caller.environment,
        integration,
        name,
        existing,
        based_on: None,
        filled,
        metadata: request.metadata,
        labels,
        webhook_url_override: None,
        authority: Authority::ApiKey(caller.key),
    };
    credentials::save(gateway, pending).await
}
