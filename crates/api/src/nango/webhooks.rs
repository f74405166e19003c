//! The webhook settings of an environment, as Nango has them.

use actix_web::web;
use gateway::webhooks::{self, NangoWebhooks};
use gateway::{Caller, Gateway, Scope};
use secrecy::ExposeSecret;
use serde::Serialize;
use utoipa::ToSchema;

use crate::body::Body;
use crate::caller::{Authorized, scope};
use crate::error::{ApiError, InvalidQuery};
use crate::query::{NoParameters, Query};

/// The webhook settings of the environment.
#[derive(Serialize, ToSchema)]
pub(crate) struct EnvironmentWebhooksAnswer {
    data: ShownWebhooks,
}

#[expect(clippy::struct_excessive_bools, reason = "Nango's API has these switches")]
#[derive(Serialize, ToSchema)]
#[schema(as = ShownEnvironmentWebhooks)]
struct ShownWebhooks {
    /// Where webhooks are sent; null for nowhere.
    #[schema(example = "https://app.acme.example/hooks/nango")]
    primary_url: Option<String>,
    /// A second address for the same webhooks.
    secondary_url: Option<String>,
    /// Send a webhook when a connection is created, or gets new credentials.
    on_auth_creation: bool,
    /// Send a webhook when a provider refuses the credentials of a connection.
    on_auth_refresh_error: bool,
    /// Send a webhook when a sync fails.
    on_sync_error: bool,
    /// Send a webhook for each run of a sync that succeeds; otherwise only for those that changed something.
    on_sync_completion_always: bool,
    /// Send a webhook when an asynchronous action ends.
    on_async_action_completion: bool,
    /// The key of the headers `X-Nango-Hmac-Sha256` and `X-Nango-Signature`; only for an API key with the scope
    /// `environment:webhooks:write`. It is not an API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_key: Option<String>,
}

async fn shown(gateway: &Gateway, caller: &Caller) -> Result<web::Json<EnvironmentWebhooksAnswer>, ApiError> {
    let (settings, key) = webhooks::nango_webhooks(gateway, caller).await?;
    let may = caller.may(Scope::WebhooksWrite);
    Ok(web::Json(EnvironmentWebhooksAnswer {
        data: ShownWebhooks {
            primary_url: settings.primary_url,
            secondary_url: settings.secondary_url,
            on_auth_creation: settings.on_auth_creation,
            on_auth_refresh_error: settings.on_auth_refresh_error,
            on_sync_error: settings.on_sync_error,
            on_sync_completion_always: settings.on_sync_completion_always,
            on_async_action_completion: settings.on_async_action_completion,
            signing_key: may.then(|| key.expose_secret().to_owned()),
        },
    }))
}

/// Shows the environment's two webhook addresses, their switches, and the signing key.
#[utoipa::path(
    get, path = "/environment/webhooks", operation_id = "get_environment_webhooks", tag = "webhooks", security(("api_key" = ["environment:webhooks:read"])),
    responses((status = 200, description = "The settings", body = EnvironmentWebhooksAnswer), InvalidQuery)
)]
pub(crate) async fn get(
    Authorized { gateway, caller, .. }: Authorized<scope::WebhooksRead>,
    _: Query<NoParameters>,
) -> Result<web::Json<EnvironmentWebhooksAnswer>, ApiError> {
    shown(&gateway, &caller).await
}

/// Sets the environment's two webhook addresses and their switches. Each address is also a webhook endpoint with the format `nango`.
#[utoipa::path(
    put, path = "/environment/webhooks", operation_id = "set_environment_webhooks", tag = "webhooks", security(("api_key" = ["environment:webhooks:write"])),
    request_body = NangoWebhooks,
    responses((status = 200, description = "Set", body = EnvironmentWebhooksAnswer), (status = 400, description = "`invalid_body`"))
)]
pub(crate) async fn set(
    Authorized { gateway, caller, .. }: Authorized<scope::WebhooksWrite>,
    body: Body<NangoWebhooks>,
) -> Result<web::Json<EnvironmentWebhooksAnswer>, ApiError> {
    webhooks::set_nango_webhooks(&gateway, &caller, &body.0).await?;
    shown(&gateway, &caller).await
}

/// A new signing key.
#[derive(Serialize, ToSchema)]
pub(crate) struct SigningKeyAnswer {
    data: SigningKey,
}

#[derive(Serialize, ToSchema)]
#[schema(as = WebhookSigningKey)]
struct SigningKey {
    /// The key of the headers `X-Nango-Hmac-Sha256` and `X-Nango-Signature`.
    #[schema(example = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")]
    signing_key: String,
}

/// Replaces the environment's signing key at once. Nango's headers have room for one signature, so there is no overlap.
#[utoipa::path(
    post, path = "/environment/webhook-signing-key/rotate", operation_id = "rotate_webhook_signing_key", tag = "webhooks", security(("api_key" = ["environment:webhook_signing_key:rotate"])),
    responses((status = 200, description = "The new key", body = SigningKeyAnswer), InvalidQuery)
)]
pub(crate) async fn rotate_signing_key(
    Authorized { gateway, caller, .. }: Authorized<scope::SigningKeyRotate>,
    _: Query<NoParameters>,
) -> Result<web::Json<SigningKeyAnswer>, ApiError> {
    let key = webhooks::rotate_signing_key(&gateway, &caller).await?;
    Ok(web::Json(SigningKeyAnswer {
        data: SigningKey {
            signing_key: key.expose_secret().to_owned(),
        },
    }))
}
