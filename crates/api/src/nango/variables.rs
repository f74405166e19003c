//! `GET /environment-variables`: the values that Nango's scripts read.

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use crate::caller::{Authorized, scope};
use crate::error::InvalidQuery;
use crate::query::{NoParameters, Query};

/// A variable of the environment.
#[derive(Serialize, ToSchema)]
pub(crate) struct Variable {
    name: String,
    value: String,
}

/// Lists the variables of the environment. There are none, since Trunkline runs no scripts that could read them.
#[utoipa::path(
    get, path = "/environment-variables", operation_id = "environment_variables", tag = "environments", security(("api_key" = ["environment:variables:read"])),
    responses((status = 200, description = "Always empty", body = Vec<Variable>, example = json!([])), InvalidQuery)
)]
pub(crate) async fn variables(
    _: Authorized<scope::VariablesRead>,
    _: Query<NoParameters>,
) -> web::Json<Vec<Variable>> {
    web::Json(Vec::new())
}
