//! Whether the process lives, and whether it can serve.

use actix_web::web;
use gateway::{Gateway, GatewayError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;

/// All is well.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    #[schema(example = "ok")]
    result: &'static str,
}

/// Whether the process lives.
#[utoipa::path(
    get, path = "/health", operation_id = "health", tag = "service", security(()), responses((status = 200, description = "All is well", body = Health))
)]
pub(crate) async fn health() -> web::Json<Health> {
    web::Json(Health { result: "ok" })
}

/// Whether requests can be served: the database answers and takes writes, and its tables are up to date.
///
/// Nothing is written. While another process holds SQLite's lock, the answer is 503, after as long as a write waits for it.
#[utoipa::path(
    get, path = "/ready", operation_id = "ready", tag = "service", security(()),
    responses(
        (status = 200, description = "All is well", body = Health),
        (status = 503, description = "The database is away or takes no writes (`unavailable`), or has migrations to go (`migrations_pending`); see `Retry-After`")
    )
)]
pub(crate) async fn ready(gateway: web::Data<Gateway>) -> Result<web::Json<Health>, ApiError> {
    let store = gateway.store();
    store.ping().await.map_err(GatewayError::from)?;
    let pending = store.pending_migrations().await;
    match pending.map_err(GatewayError::from)?.len() {
        0 => Ok(web::Json(Health { result: "ok" })),
        pending => Err(ApiError::Migrating(pending)),
    }
}
