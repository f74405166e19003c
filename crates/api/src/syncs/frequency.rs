//! How often a sync of a connection runs.

use actix_web::web;
use domain::{ConnectionName, IntegrationKey, SyncName, Variant};
use gateway::{Names, syncs};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::body::Body;
use crate::caller::{Authorized, scope};
use crate::error::ApiError;

/// A sync and how often it is to run.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FrequencyBody {
    /// The sync.
    #[schema(value_type = String, example = "acme-messages")]
    sync_name: SyncName,
    /// Its variant; `base` if left out.
    #[schema(value_type = Option<String>, example = "base")]
    sync_variant: Option<Variant>,
    /// The integration's key.
    #[schema(value_type = String, example = "acme")]
    provider_config_key: IntegrationKey,
    /// The connection.
    #[schema(value_type = String, example = "my-acme")]
    connection_id: ConnectionName,
    /// Such as `every 5 minutes`, at least 30 seconds; null for the frequency of the provider's file.
    #[serde(deserialize_with = "present")]
    #[schema(required = true, example = "every 5 minutes")]
    frequency: Option<String>,
}

/// Reads a field that may be null but not left out.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(deserializer)
}

/// How often the sync runs now.
#[derive(Serialize, ToSchema)]
pub(crate) struct FrequencyAnswer {
    /// Without `every`: `5 minutes`, `1h`; if null was sent, as in the provider's file.
    #[schema(example = "5 minutes")]
    frequency: String,
}

/// Sets how often a connection's sync runs. The next run is rescheduled at once.
#[utoipa::path(
    put, path = "/sync/update-connection-frequency", operation_id = "update_frequency", tag = "syncs", security(("api_key" = ["environment:syncs:update"])),
    request_body = FrequencyBody,
    responses(
        (status = 200, description = "The new frequency", body = FrequencyAnswer),
        (status = 400, description = "`invalid_body`, `unknown_sync`, `unknown_connection` or `unknown_provider_config`")
    )
)]
pub(crate) async fn update(
    Authorized { gateway, caller, .. }: Authorized<scope::SyncsUpdate>,
    body: Body<FrequencyBody>,
) -> Result<web::Json<FrequencyAnswer>, ApiError> {
    let body = body.0;
    let variant = body.sync_variant.unwrap_or_else(Variant::base);
    let names = Names::of(
        &caller,
        body.provider_config_key.as_str(),
        body.connection_id.as_str(),
    );
    let (sync, frequency) = ((&body.sync_name, &variant), body.frequency.as_deref());
    let schedule = syncs::set_frequency(&gateway, names, sync, frequency).await;
    let text = schedule.map_err(ApiError::connection_unknown)?.to_string();
    let frequency = match body.frequency {
        Some(_) => duration_of(&text).to_owned(),
        None => text,
    };
    Ok(web::Json(FrequencyAnswer { frequency }))
}

/// Returns the duration alone, as Nango writes it: a word without a number becomes a number with a unit.
fn duration_of(frequency: &str) -> &str {
    match frequency.strip_prefix("every ").unwrap_or(frequency) {
        "half day" => "12h",
        "half hour" => "30m",
        "quarter hour" => "15m",
        "hour" => "1h",
        "day" => "1d",
        "week" => "1w",
        "month" => "30d",
        duration => duration,
    }
}
