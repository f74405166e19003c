//! Health checks: whether the process runs, and whether it can serve requests.

use actix_web::web;
use gateway::Gateway;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;

/// All is well.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    #[schema(example = "ok")]
    result: &'static str,
}

/// Reports that the process is running.
#[utoipa::path(
    get, path = "/health", operation_id = "health", tag = "service", security(()), responses((status = 200, description = "All is well", body = Health))
)]
pub(crate) async fn health() -> web::Json<Health> {
    web::Json(Health { result: "ok" })
}

/// Reports whether requests can be served: the database responds and accepts writes, and its tables are up to date.
///
/// Nothing is written. While another process holds SQLite's lock, the status is 503, after the time that a write waits for the lock.
#[utoipa::path(
    get, path = "/ready", operation_id = "ready", tag = "service", security(()),
    responses(
        (status = 200, description = "All is well", body = Health),
        (status = 503, description = "The database cannot be reached or accepts no writes (`unavailable`), or migrations are pending (`migrations_pending`); see `Retry-After`")
    )
)]
pub(crate) async fn ready(gateway: web::Data<Gateway>) -> Result<web::Json<Health>, ApiError> {
    match gateway.check_database().await? {
        0 => Ok(web::Json(Health { result: "ok" })),
        pending => Err(ApiError::Migrating(pending)),
    }
}
