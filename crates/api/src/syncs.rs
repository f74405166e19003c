//! Syncs: trigger, pause, start, status. The shapes are those of Nango's API, with the runs added.

pub(crate) mod frequency;
mod request;
mod state;
pub(crate) mod variants;

use actix_web::{HttpRequest, web};
use gateway::{TriggeredRun, syncs};
use serde::Serialize;
use utoipa::ToSchema;

use self::request::{SelectBody, StatusQuery, TriggerSyncBody};
use self::state::StatusList;
use crate::body::Body;
use crate::caller::{Authorized, scope};
use crate::error::ApiError;
use crate::query::Query;
use crate::response::Success;

/// The runs that a trigger created or found.
#[derive(Serialize, ToSchema)]
pub(crate) struct TriggerAnswer {
    success: bool,
    /// One for each sync of each connection.
    runs: Vec<StartedRun>,
    /// Set if a sync had an active run already.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// The run that a trigger created or found.
#[derive(Serialize, ToSchema)]
struct StartedRun {
    /// For `GET /sync/runs/{id}`.
    #[schema(example = "run_0198f0c8a2b37d5ea6a2d4c1b0f3e921")]
    id: String,
    #[schema(example = "acme-messages")]
    sync: String,
    #[schema(example = "base")]
    variant: String,
    #[schema(example = "my-acme")]
    connection_id: String,
    /// Whether this run was queued or running before the trigger, which then created none.
    already_active: bool,
}

impl From<Vec<TriggeredRun>> for TriggerAnswer {
    fn from(runs: Vec<TriggeredRun>) -> Self {
        let active = runs.iter().filter(|run| run.already_active).count();
        let message = (active > 0).then(|| {
            format!("{active} of {} syncs had a queued or running run already: its id is returned, and no other was created", runs.len())
        });
        let started = |triggered: TriggeredRun| StartedRun {
            id: triggered.run.id.to_string(),
            sync: triggered.sync.name.to_string(),
            variant: triggered.sync.variant.to_string(),
            connection_id: triggered.sync.connection_name.to_string(),
            already_active: triggered.already_active,
        };
        Self {
            success: true,
            runs: runs.into_iter().map(started).collect(),
            message,
        }
    }
}

/// Runs syncs once now, paused ones too.
///
/// A sync that has a queued or running run keeps it, and the response has its id. With `reset` everything is read again; with `emptyCache`
/// the rows are deleted first as well.
#[utoipa::path(
    post, path = "/sync/trigger", operation_id = "trigger_syncs", tag = "syncs", security(("api_key" = ["environment:syncs:execute"])),
    request_body = TriggerSyncBody,
    responses(
        (status = 200, description = "The runs", body = TriggerAnswer),
        (status = 400, description = "`invalid_body`, `missing_provider_config_key`, `no_syncs_found`, `unknown_sync` or `unknown_provider_config`"),
        (status = 404, description = "`unknown_connection`")
    )
)]
pub(crate) async fn trigger(
    Authorized { gateway, caller, .. }: Authorized<scope::SyncsExecute>,
    request: HttpRequest,
    body: Body<TriggerSyncBody>,
) -> Result<web::Json<TriggerAnswer>, ApiError> {
    let (selection, options) = body.0.read(request.headers())?;
    let runs = syncs::trigger(&gateway, &caller, &selection, options).await;
    let runs = runs.map_err(ApiError::integration_unknown)?;
    Ok(web::Json(runs.into()))
}

/// Stops syncs from running on their schedule. An active run continues to its end.
#[utoipa::path(
    post, path = "/sync/pause", operation_id = "pause_syncs", tag = "syncs", security(("api_key" = ["environment:syncs:execute"])),
    request_body = SelectBody,
    responses(
        (status = 200, description = "Done", body = Success),
        (status = 400, description = "`invalid_body`, `missing_provider_config_key`, `unknown_sync` or `unknown_provider_config`"),
        (status = 404, description = "`unknown_connection`")
    )
)]
pub(crate) async fn pause(
    Authorized { gateway, caller, .. }: Authorized<scope::SyncsExecute>,
    request: HttpRequest,
    body: Body<SelectBody>,
) -> Result<web::Json<Success>, ApiError> {
    let selection = body.0.read(request.headers())?;
    let paused = syncs::set_paused(&gateway, &caller, &selection, true).await;
    paused.map_err(ApiError::integration_unknown)?;
    Ok(web::Json(Success::new()))
}

/// Starts the schedules of syncs again, from now on.
#[utoipa::path(
    post, path = "/sync/start", operation_id = "start_syncs", tag = "syncs", security(("api_key" = ["environment:syncs:execute"])),
    request_body = SelectBody,
    responses(
        (status = 200, description = "Done", body = Success),
        (status = 400, description = "`invalid_body`, `missing_provider_config_key`, `unknown_sync` or `unknown_provider_config`"),
        (status = 404, description = "`unknown_connection`")
    )
)]
pub(crate) async fn start(
    Authorized { gateway, caller, .. }: Authorized<scope::SyncsExecute>,
    request: HttpRequest,
    body: Body<SelectBody>,
) -> Result<web::Json<Success>, ApiError> {
    let selection = body.0.read(request.headers())?;
    let started = syncs::set_paused(&gateway, &caller, &selection, false).await;
    started.map_err(ApiError::integration_unknown)?;
    Ok(web::Json(Success::new()))
}

/// Shows the status of syncs: whether they run, when they next run, what the last run did, and how many records they have.
#[utoipa::path(
    get, path = "/sync/status", operation_id = "sync_status", tag = "syncs", security(("api_key" = ["environment:syncs:read"])),
    params(StatusQuery),
    responses(
        (status = 200, description = "The states", body = StatusList),
        (status = 400, description = "`invalid_query_params`, `unknown_sync`, `unknown_provider_config`, or `invalid_body` if the connection does not exist")
    )
)]
pub(crate) async fn status(
    Authorized { gateway, caller, .. }: Authorized<scope::SyncsRead>,
    query: Query<StatusQuery>,
) -> Result<web::Json<StatusList>, ApiError> {
    let states = syncs::status(&gateway, &caller, &query.0.selection()).await;
    Ok(web::Json(states.map_err(ApiError::sync_status)?.into()))
}
