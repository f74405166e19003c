//! Functions, which is Nango's word for syncs and actions: what a provider's file declares for its integrations.

mod function;

use std::sync::Arc;

use actix_web::web;
use gateway::{integrations, providers};
use registry::Provider;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use utoipa::{IntoParams, ToSchema};

use crate::caller::{Authorized, scope};
use crate::error::{ApiError, InvalidQuery, NotFound};
use crate::parameters::Bounded;
use crate::query::Query;

pub(crate) use self::function::{Function, FunctionType};

/// Functions of a page if the request has no `limit`, as in Nango.
const DEFAULT_LIMIT: i64 = 20;

/// The functions to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FunctionsQuery {
    /// `sync`, `action` or `on-event`, of which there are none.
    #[serde(rename = "type")]
    #[param(inline)]
    kind: Option<FunctionType>,
    /// Text that the name contains, in upper or lower case.
    search: Option<String>,
    /// The most functions to return; 20 if left out.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 100)]
    limit: Option<Bounded<1, 100>>,
    /// Pages of `limit` to skip, from 0.
    #[param(value_type = Option<i64>, minimum = 0)]
    page: Option<Bounded<0, { i64::MAX / 100 }>>,
}

/// The type of the function.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FunctionQuery {
    /// `sync`, `action` or `on-event`.
    #[serde(rename = "type")]
    #[param(inline)]
    kind: Option<FunctionType>,
}

/// A page of functions.
#[derive(Serialize, ToSchema)]
pub(crate) struct FunctionList {
    data: Vec<Function>,
    pagination: Pagination,
}

/// The position of a page.
#[derive(Serialize, ToSchema)]
struct Pagination {
    /// Functions in all pages.
    total: usize,
    /// From 0.
    page: i64,
    /// The most functions of a page.
    limit: i64,
}

/// One function.
#[derive(Serialize, ToSchema)]
pub(crate) struct FunctionAnswer {
    data: Function,
}

/// The declaration of a function.
#[derive(Serialize, ToSchema)]
pub(crate) struct FunctionCode {
    /// `sync` or `action`.
    #[schema(value_type = String, example = "sync")]
    r#type: FunctionType,
    /// Its entry in the provider's file, written as JSON.
    #[schema(example = "{\"model\": \"Message\"}")]
    code: String,
}

/// Lists the syncs and actions of an integration.
#[utoipa::path(
    get, path = "/integrations/{unique_key}/functions", operation_id = "list_functions", tag = "integrations", security(("api_key" = ["environment:functions:list"])),
    params(FunctionsQuery),
    responses((status = 200, description = "The functions", body = FunctionList), InvalidQuery, NotFound)
)]
pub(crate) async fn list(
    authorized: Authorized<scope::FunctionsList>,
    key: web::Path<String>,
    query: Query<FunctionsQuery>,
) -> Result<web::Json<FunctionList>, ApiError> {
    let query = query.0;
    let search = query.search.map(|search| search.to_ascii_lowercase());
    let wanted = |function: &Function| {
        query.kind.is_none_or(|kind| kind == function.r#type)
            && search
                .as_ref()
                .is_none_or(|search| function.name.to_ascii_lowercase().contains(search))
    };
    let provider = provider(&authorized, &key).await?;
    let mut all = Function::of(&provider, &key);
    all.retain(wanted);
    let limit = query.limit.map_or(DEFAULT_LIMIT, |limit| limit.0);
    let page = query.page.map_or(0, |page| page.0);
    let size = usize::try_from(limit).unwrap_or(usize::MAX);
    let skipped = usize::try_from(page).unwrap_or(usize::MAX).saturating_mul(size);
    Ok(web::Json(FunctionList {
        pagination: Pagination {
            total: all.len(),
            page,
            limit,
        },
        data: all.into_iter().skip(skipped).take(size).collect(),
    }))
}

/// Shows one sync or action of an integration.
#[utoipa::path(
    get, path = "/integrations/{unique_key}/functions/{name}", operation_id = "get_function", tag = "integrations", security(("api_key" = ["environment:functions:list"])),
    params(
        ("name" = String, Path, description = "The function's name", example = "acme-messages"),
        FunctionQuery
    ),
    responses((status = 200, description = "The function", body = FunctionAnswer), InvalidQuery, NotFound)
)]
pub(crate) async fn get(
    authorized: Authorized<scope::FunctionsList>,
    path: web::Path<(String, String)>,
    query: Query<FunctionQuery>,
) -> Result<web::Json<FunctionAnswer>, ApiError> {
    let (data, _) = find(&authorized, path.into_inner(), query.0).await?;
    Ok(web::Json(FunctionAnswer { data }))
}

/// Shows the declaration of a sync or an action: its entry in the provider's file.
#[utoipa::path(
    get, path = "/integrations/{unique_key}/functions/{name}/code", operation_id = "get_function_code", tag = "integrations", security(("api_key" = ["environment:functions:list"])),
    params(
        ("name" = String, Path, description = "The function's name", example = "acme-messages"),
        FunctionQuery
    ),
    responses((status = 200, description = "The declaration", body = FunctionCode), InvalidQuery, NotFound)
)]
pub(crate) async fn code(
    authorized: Authorized<scope::FunctionsList>,
    path: web::Path<(String, String)>,
    query: Query<FunctionQuery>,
) -> Result<web::Json<FunctionCode>, ApiError> {
    let (function, provider) = find(&authorized, path.into_inner(), query.0).await?;
    let section = match function.r#type {
        FunctionType::Sync => "syncs",
        FunctionType::Action | FunctionType::OnEvent => "actions",
    };
    let entries = provider.document.get(section);
    let entry = entries.and_then(|entries| entries.get(&function.name));
    Ok(web::Json(FunctionCode {
        r#type: function.r#type,
        code: format!("{:#}", entry.unwrap_or(&Json::Null)),
    }))
}

/// Returns the provider of an integration.
async fn provider(
    Authorized { gateway, caller, .. }: &Authorized<scope::FunctionsList>,
    key: &str,
) -> Result<Arc<Provider>, ApiError> {
    let found = integrations::find(gateway, caller.environment, key).await;
    let found = found.map_err(ApiError::integration_not_found)?;
    Ok(providers::find(gateway, found.row.provider.as_str())?)
}

/// Returns a function of an integration, and the provider.
async fn find(
    authorized: &Authorized<scope::FunctionsList>,
    (key, name): (String, String),
    query: FunctionQuery,
) -> Result<(Function, Arc<Provider>), ApiError> {
    let provider = provider(authorized, &key).await?;
    let mut all = Function::of(&provider, &key);
    let matches =
        |function: &Function| function.name == name && query.kind.is_none_or(|kind| kind == function.r#type);
    // A name belongs to one function: the registry refuses an action with the name of a sync.
    match all.iter().position(matches) {
        Some(index) => Ok((all.swap_remove(index), provider)),
        None => Err(ApiError::NoSuchFunction {
            integration: key,
            name,
            known: all
                .into_iter()
                .map(|function| function.name)
                .collect::<Vec<_>>()
                .join(", "),
        }),
    }
}
