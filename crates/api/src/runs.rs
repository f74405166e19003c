//! Runs of syncs: progress, counts and errors.

use actix_web::web;
use domain::{ConnectionName, IntegrationKey, MisfitCount, RunFilter, RunId, RunIdPrefix, Sync, SyncName};
use gateway::{Names, connections, syncs};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::caller::{Authorized, scope};
use crate::error::{ApiError, InvalidQuery, NotFound};
use crate::parameters::{Bounded, parsed};
use crate::query::Query;

/// Runs of a page if the request has no `limit`.
const DEFAULT_LIMIT: i64 = 100;

/// Which runs to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RunsQuery {
    /// The connection.
    #[serde(rename = "connection_id")]
    #[param(value_type = Option<String>, example = "my-acme")]
    connection: Option<ConnectionName>,
    /// The integration's key.
    #[serde(rename = "provider_config_key")]
    #[param(value_type = Option<String>, example = "acme")]
    integration: Option<IntegrationKey>,
    /// The sync.
    #[param(value_type = Option<String>, example = "acme-messages")]
    sync: Option<SyncName>,
    /// The beginning of the run's id.
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<String>, pattern = "^run_[0-9a-fA-F]{1,32}$", example = "run_0198f0c8a2b3")]
    id_prefix: Option<RunIdPrefix>,
    /// The most runs to return; 100 if left out.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 1000)]
    limit: Option<Bounded<1, 1_000>>,
    /// `next_cursor` of the page before, unchanged.
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<String>)]
    cursor: Option<RunId>,
}

/// A page of runs, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct RunList {
    runs: Vec<Run>,
    /// The cursor of the next page; null on the last page.
    next_cursor: Option<String>,
}

/// One run.
#[derive(Serialize, ToSchema)]
pub(crate) struct OneRun {
    run: Run,
}

/// A run of a sync.
#[derive(Serialize, ToSchema)]
struct Run {
    #[schema(example = "run_0198f0c8a2b37d5ea6a2d4c1b0f3e921")]
    id: String,
    #[schema(example = "acme-messages")]
    sync: String,
    #[schema(example = "base")]
    variant: String,
    #[schema(example = "my-acme")]
    connection_id: String,
    #[schema(example = "acme")]
    provider_config_key: String,
    /// `queued`, `running`, `succeeded` or `failed`.
    #[schema(example = "succeeded")]
    status: &'static str,
    /// Why it was created: `initial`, `schedule` or `api`.
    #[schema(example = "schedule")]
    trigger: &'static str,
    /// `backfill`, `incremental` or `full`; null until it is known.
    #[schema(example = "incremental")]
    kind: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    started_at: Option<String>,
    #[schema(format = DateTime)]
    finished_at: Option<String>,
    /// How often another worker resumed it.
    resumed: i64,
    /// Pages fetched.
    pages: i64,
    /// Records that were inserted.
    added: i64,
    /// Records that were updated.
    updated: i64,
    /// Records that were marked as deleted.
    deleted: i64,
    /// Records that were unchanged.
    unchanged: i64,
    /// Records that were skipped because they could not be stored.
    skipped: i64,
    /// Values that did not fit their column, by column. In these records the column is null, and the value is in `_extra`.
    misfits: Vec<Misfits>,
    /// From 0 to 1; null if it is not known.
    progress: Option<f64>,
    /// Why a list may not have been read to its end, so that the run marked none of its rows as deleted; null if every list was read to
    /// its proven end. What was read is stored in any case.
    incomplete: Option<String>,
    error: Option<RunError>,
}

/// Values of one column that did not fit it.
#[derive(Serialize, ToSchema)]
struct Misfits {
    #[schema(example = "price")]
    column: String,
    /// The number of values.
    #[schema(example = 3)]
    count: u64,
    /// What the first of them is.
    #[schema(example = "not a number")]
    first: String,
}

/// Why a run failed.
#[derive(Serialize, ToSchema)]
struct RunError {
    code: String,
    message: Option<String>,
    /// What to do about it.
    hint: Option<String>,
}

impl From<(domain::Run, Sync)> for Run {
    fn from((run, sync): (domain::Run, Sync)) -> Self {
        Self {
            id: run.id.to_string(),
            sync: sync.name.to_string(),
            variant: sync.variant.to_string(),
            connection_id: sync.connection_name.to_string(),
            provider_config_key: sync.integration.to_string(),
            status: run.status.as_str(),
            trigger: run.trigger.as_str(),
            kind: run.kind,
            created_at: run.created_at.to_string(),
            started_at: run.started_at.map(|time| time.to_string()),
            finished_at: run.finished_at.map(|time| time.to_string()),
            resumed: run.resumed,
            pages: run.pages,
            added: run.added,
            updated: run.updated,
            deleted: run.deleted,
            unchanged: run.unchanged,
            skipped: run.skipped,
            misfits: run
                .misfits
                .into_iter()
                .flatten()
                .map(|(column, MisfitCount { count, first })| Misfits { column, count, first })
                .collect(),
            progress: run.progress,
            incomplete: run.incomplete,
            error: run.error_code.map(|code| RunError {
                code,
                message: run.error_message,
                hint: run.error_hint,
            }),
        }
    }
}

/// Lists the runs of the environment, newest first.
#[utoipa::path(
    get, path = "/sync/runs", operation_id = "list_runs", tag = "syncs", security(("api_key" = ["environment:syncs:read"])),
    params(RunsQuery),
    responses(
        (status = 200, description = "The runs", body = RunList),
        InvalidQuery,
        (status = 404, description = "`unknown_connection` if the connection is named with its integration and is not there")
    )
)]
pub(crate) async fn list(
    Authorized { gateway, caller, .. }: Authorized<scope::SyncsRead>,
    query: Query<RunsQuery>,
) -> Result<web::Json<RunList>, ApiError> {
    let query = query.0;
    if let (Some(integration), Some(connection)) = (&query.integration, &query.connection) {
        let names = Names::of(&caller, integration.as_str(), connection.as_str());
        let found = connections::find(&gateway, names).await;
        found.map_err(ApiError::integration_unknown)?;
    }
    let wanted = query.limit.map_or(DEFAULT_LIMIT, |limit| limit.0);
    // Reads one run more than the page holds, to know whether there is a next page.
    let filter = RunFilter {
        integration: query.integration,
        connection_name: query.connection,
        sync: query.sync,
        limit: wanted + 1,
        before: query.cursor,
        id_prefix: query.id_prefix,
    };
    let mut found = syncs::runs(&gateway, &caller, filter).await?;
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    let more = found.len() > wanted;
    found.truncate(wanted);
    let next_cursor = found.last().filter(|_| more).map(|(run, _)| run.id.to_string());
    Ok(web::Json(RunList {
        runs: found.into_iter().map(Run::from).collect(),
        next_cursor,
    }))
}

/// Shows one run: its progress while it runs, its counts, and its error if it failed.
#[utoipa::path(
    get, path = "/sync/runs/{id}", operation_id = "get_run", tag = "syncs", security(("api_key" = ["environment:syncs:read"])),
    params(("id" = String, Path, description = "The run", example = "run_0198f0c8a2b37d5ea6a2d4c1b0f3e921")),
    responses((status = 200, description = "The run", body = OneRun), NotFound)
)]
pub(crate) async fn get(
    Authorized { gateway, caller, .. }: Authorized<scope::SyncsRead>,
    id: web::Path<String>,
) -> Result<web::Json<OneRun>, ApiError> {
    let found = syncs::run(&gateway, &caller, &id).await?;
    Ok(web::Json(OneRun { run: found.into() }))
}
