//! `POST /{integration}/connect`: connects an account with the fields of one of the provider's forms.

use domain::ConnectionName;
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::credentials::{
    self, Authority, Connected, CredentialInput, PendingConnection, refuse_oauth, requested_name,
};
use crate::error::{GatewayError, Result};
use crate::gateway::{Gateway, Names};
use crate::labels::{self, EndUser, Labels, Organization};

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
        let name = self.name.as_ref().map(ConnectionName::as_str);
        let name = requested_name(name, "connectionId", &mut errors);
        // For some providers, `organization` is a field of the form, and text.
        let organization = match self.organization.take() {
            Some(Json::String(theirs)) => {
                self.fields.insert("organization".to_owned(), theirs.into());
                None
            }
            ours => ours,
        };
        let (tags, end_user) = (self.tags.take(), self.end_user.take());
        let labels = labels::parse(tags, end_user, organization, None, &mut errors);
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
    let name = checked.as_ref().map_or("", |(name, _)| name.as_str());
    let names = Names::of(caller, integration, name);
    let (integration, existing) = gateway.resolve_optional(names).await?;
    let (name, labels) = checked?;
    refuse_oauth(&integration.provider, &request.fields)?;
    let config = request.connection_config.unwrap_or_default();
    let filled = CredentialInput::Form(&integration.provider.connect, &request.fields)
        .fill(&integration.provider, &config)
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
        authority: Authority::ApiKey(caller.key),
    };
    credentials::save(gateway, pending).await
}
