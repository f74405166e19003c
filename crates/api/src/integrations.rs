//! Integrations: list, get, create, change, delete. The shapes are those of Nango's public API.

use std::collections::BTreeMap;

use actix_web::web;
use gateway::{FullIntegration, IntegrationChangeRequest, NewIntegrationRequest, integrations, webhooks};
use registry::placement::KEY_LABEL;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use utoipa::{IntoParams, ToSchema};

use crate::body::Body;
use crate::caller::{Authorized, AuthorizedOrSession, scope};
use crate::error::{ApiError, InvalidQuery, NotFound};
use crate::parameters::at_most;
use crate::providers::PublicUrl;
use crate::query::{NoParameters, Query};
use crate::response::Success;

/// An integration.
#[derive(Serialize, ToSchema)]
pub(crate) struct IntegrationView {
    /// Your key for it.
    #[schema(example = "acme")]
    unique_key: String,
    /// The provider's name.
    #[schema(example = "acme")]
    provider: String,
    /// The name for people; the provider's name if you gave none.
    #[schema(example = "Acme")]
    display_name: String,
    /// A picture of the provider.
    #[schema(example = "https://trunkline.example.org/images/template-logos/acme.svg")]
    logo: String,
    /// Whether the provider's events are forwarded to you.
    forward_webhooks: bool,
    /// The values of `integrationConfig` for the provider's file, without the fields that the file marks as secret. Empty for a connect session.
    integration_config: BTreeMap<String, String>,
    /// Your own values. Empty for a connect session.
    custom: BTreeMap<String, String>,
    /// When it was created.
    #[schema(format = DateTime, example = "2026-11-21T10:00:00.000Z")]
    created_at: String,
    /// When it was last changed.
    #[schema(format = DateTime, example = "2026-11-21T10:00:00.000Z")]
    updated_at: String,
    /// The labels of credential fields, by field name, if the integration's configuration has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = json!({ "apiKey": "Access token" }))]
    credentials_label: Option<BTreeMap<String, String>>,
    /// Credentials that a connect page need not ask for: none, since credentials belong to connections.
    #[schema(example = json!([]))]
    preconfigured_credentials: Vec<String>,
    /// Configuration that a connect page need not ask for: what the provider's file sets.
    #[schema(example = json!([]))]
    preconfigured_connection_config: Vec<String>,
    /// Where the provider sends its events; null if it sends none, or only to the address of a connection. Only if `include` names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "https://trunkline.example.org/webhook/dev/acme")]
    webhook_url: Option<Json>,
    /// Null: credentials belong to connections. Only if `include` names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    credentials: Option<Json>,
}

impl IntegrationView {
    fn new(made: FullIntegration, url: &PublicUrl) -> Self {
        let config = made.shown_config();
        let FullIntegration { row, provider } = made;
        let label = provider.as_ref().and_then(|provider| {
            let label = config.get(KEY_LABEL).cloned();
            let label = label.or_else(|| provider.integration_defaults().remove(KEY_LABEL))?;
            Some(BTreeMap::from([("apiKey".to_owned(), label)]))
        });
        let preset = provider.iter().flat_map(|provider| &provider.connection_config);
        let preset = preset.filter(|(_, field)| field.hidden && field.default_value.is_some());
        let preset = preset.map(|(name, _)| name.clone()).collect();
        let named = provider.map_or_else(
            || row.provider.to_string(),
            |provider| provider.display_name.clone(),
        );
        Self {
            unique_key: row.key.to_string(),
            logo: url.logo(row.provider.as_str()),
            provider: row.provider.to_string(),
            display_name: row.display_name.unwrap_or(named),
            forward_webhooks: row.forward_webhooks,
            integration_config: config,
            custom: row.custom,
            created_at: row.created_at.to_string(),
            updated_at: row.updated_at.to_string(),
            credentials_label: label,
            preconfigured_credentials: Vec::new(),
            preconfigured_connection_config: preset,
            webhook_url: None,
            credentials: None,
        }
    }

    /// Returns the view for front ends, without what the app keeps for itself.
    fn for_a_session(self) -> Self {
        Self {
            integration_config: BTreeMap::new(),
            custom: BTreeMap::new(),
            ..self
        }
    }
}

/// The integrations of the environment, oldest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct IntegrationList {
    data: Vec<IntegrationView>,
}

/// One integration.
#[derive(Serialize, ToSchema)]
pub(crate) struct IntegrationAnswer {
    data: IntegrationView,
}

/// What to include in the response.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct IncludeQuery {
    /// `webhook` or `credentials`; may be given several times.
    #[serde(default, deserialize_with = "at_most::<_, _, 100>")]
    #[param(value_type = Vec<Include>, inline, required = false, style = Form, explode, max_items = 100)]
    include: Vec<Include>,
}

/// What a response can include.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Include {
    Webhook,
    Credentials,
}

/// Lists the integrations of the environment, oldest first.
///
/// Every provider can be connected under its own name without creating an integration first; it is listed from then on.
#[utoipa::path(
    get, path = "/integrations", operation_id = "list_integrations", tag = "integrations", security(("api_key" = ["environment:integrations:list"]), ("connect_session" = [])),
    responses((status = 200, description = "The integrations", body = IntegrationList), InvalidQuery)
)]
pub(crate) async fn list(
    who: AuthorizedOrSession<scope::IntegrationsList>,
    url: web::Data<PublicUrl>,
    _: Query<NoParameters>,
) -> Result<web::Json<IntegrationList>, ApiError> {
    let mut listed = integrations::list(&who.gateway, who.environment).await?;
    if let Some(session) = &who.session {
        listed.retain(|made| session.allows(&made.row.key));
    }
    let views = listed.into_iter().map(|made| IntegrationView::new(made, &url));
    let data = match who.session {
        Some(_) => views.map(IntegrationView::for_a_session).collect(),
        None => views.collect(),
    };
    Ok(web::Json(IntegrationList { data }))
}

/// Shows one integration.
#[utoipa::path(
    get, path = "/integrations/{unique_key}", operation_id = "get_integration", tag = "integrations", security(("api_key" = ["environment:integrations:read"])),
    params(IncludeQuery),
    responses((status = 200, description = "The integration", body = IntegrationAnswer), InvalidQuery, NotFound)
)]
pub(crate) async fn get(
    Authorized { gateway, caller, .. }: Authorized<scope::IntegrationsRead>,
    url: web::Data<PublicUrl>,
    key: web::Path<String>,
    query: Query<IncludeQuery>,
) -> Result<web::Json<IntegrationAnswer>, ApiError> {
    let found = integrations::find(&gateway, caller.environment, &key).await;
    let found = found.map_err(ApiError::integration_not_found)?;
    let includes = |what| query.0.include.contains(&what);
    let null = |what| includes(what).then_some(Json::Null);
    let webhook_url = if includes(Include::Webhook) {
        let path = webhooks::integration_path(
            &gateway,
            caller.environment,
            &found.row.key,
            found.provider.as_deref(),
        )
        .await?;
        let address = path.map(|path| Json::String(format!("{}{path}", url.0)));
        Some(address.unwrap_or_default())
    } else {
        None
    };
    let mut data = IntegrationView::new(found, &url);
    data.webhook_url = webhook_url;
    data.credentials = null(Include::Credentials);
    Ok(web::Json(IntegrationAnswer { data }))
}

/// Creates an integration. A provider may have several.
#[utoipa::path(
    post, path = "/integrations", operation_id = "create_integration", tag = "integrations", security(("api_key" = ["environment:integrations:create"])),
    request_body = NewIntegrationRequest,
    responses(
        (status = 200, description = "Created", body = IntegrationAnswer),
        (status = 400, description = "`invalid_body`: the provider is not known, the key is taken, or another field is wrong")
    )
)]
pub(crate) async fn create(
    Authorized { gateway, caller, .. }: Authorized<scope::IntegrationsCreate>,
    url: web::Data<PublicUrl>,
    body: Body<NewIntegrationRequest>,
) -> Result<web::Json<IntegrationAnswer>, ApiError> {
    let made = integrations::create(&gateway, &caller, body.0).await?;
    let data = IntegrationView::new(made, &url);
    Ok(web::Json(IntegrationAnswer { data }))
}

/// Changes an integration.
#[utoipa::path(
    patch, path = "/integrations/{unique_key}", operation_id = "update_integration", tag = "integrations", security(("api_key" = ["environment:integrations:update"])),
    request_body = IntegrationChangeRequest,
    responses(
        (status = 200, description = "Changed", body = IntegrationAnswer),
        (status = 400, description = "`invalid_body`: the new key is taken, the integration has connections, or another field is wrong"),
        NotFound
    )
)]
pub(crate) async fn update(
    Authorized { gateway, caller, .. }: Authorized<scope::IntegrationsUpdate>,
    url: web::Data<PublicUrl>,
    key: web::Path<String>,
    body: Body<IntegrationChangeRequest>,
) -> Result<web::Json<IntegrationAnswer>, ApiError> {
    let changed = integrations::update(&gateway, &caller, &key, body.0).await;
    let data = IntegrationView::new(changed.map_err(ApiError::integration_not_found)?, &url);
    Ok(web::Json(IntegrationAnswer { data }))
}

/// Deletes an integration with its connections, their credentials and their synced rows.
#[utoipa::path(
    delete, path = "/integrations/{unique_key}", operation_id = "delete_integration", tag = "integrations", security(("api_key" = ["environment:integrations:delete"])),
    responses((status = 200, description = "Deleted", body = Success), InvalidQuery, NotFound)
)]
pub(crate) async fn delete(
    Authorized { gateway, caller, .. }: Authorized<scope::IntegrationsDelete>,
    key: web::Path<String>,
    _: Query<NoParameters>,
) -> Result<web::Json<Success>, ApiError> {
    let deleted = integrations::delete(&gateway, &caller, &key).await;
    deleted.map_err(ApiError::integration_not_found)?;
    Ok(web::Json(Success::new()))
}
