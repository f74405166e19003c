//! Functions, as Nango calls syncs and actions in one: what a provider's file makes of an integration.

mod function;

use actix_web::{get, web};
use gateway::Gateway;
use registry::Provider;
use serde::Serialize;
use serde_json::{Value as Json, json};
use utoipa::{IntoParams, ToSchema};

use crate::caller::{Caller, scope};
use crate::error::{ApiError, ErrorBody, KeyErrors};
use crate::query::{FromParameters, NoParameters, Parameters, Query};

pub(crate) use self::function::Function;

/// Functions of a page that names no size, and the most that one may name: as Nango has it.
const DEFAULT_LIMIT: i64 = 20;
const MAX_LIMIT: i64 = 100;

/// Which functions to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FunctionsQuery {
    /// `sync`, `action` or `on-event`, of which there are none.
    #[param(rename = "type", value_type = Option<FunctionType>, inline)]
    kind: Option<FunctionType>,
    /// Text that the name holds, in any case.
    search: Option<String>,
    /// At most so many; 20 if left out.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// Pages of `limit` to skip, from 0.
    #[param(minimum = 0)]
    page: Option<i64>,
}

/// A kind of function.
#[derive(Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "kebab-case")]
pub(crate) enum FunctionType {
    Sync,
    Action,
    OnEvent,
}

impl FunctionType {
    fn as_str(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Action => "action",
            Self::OnEvent => "on-event",
        }
    }
}

impl std::str::FromStr for FunctionType {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Sync, Self::Action, Self::OnEvent]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or("must be sync, action or on-event")
    }
}

impl FromParameters for FunctionsQuery {
    fn read(parameters: &mut Parameters) -> Self {
        Self {
            kind: parameters.parsed("type"),
            search: parameters.text("search"),
            limit: parameters.number("limit", 1..=MAX_LIMIT),
            page: parameters.number("page", 0..=i64::MAX / MAX_LIMIT),
        }
    }
}

/// Which of two functions of one name.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FunctionQuery {
    /// `sync`, `action` or `on-event`.
    #[param(rename = "type", value_type = Option<FunctionType>, inline)]
    kind: Option<FunctionType>,
}

impl FromParameters for FunctionQuery {
    fn read(parameters: &mut Parameters) -> Self {
        Self {
            kind: parameters.parsed("type"),
        }
    }
}

/// A page of functions.
#[derive(Serialize, ToSchema)]
pub(crate) struct FunctionList {
    data: Vec<Function>,
    pagination: Pagination,
}

/// Where a page stands.
#[derive(Serialize, ToSchema)]
struct Pagination {
    /// Functions in all pages.
    total: usize,
    /// From 0.
    page: i64,
    /// Functions of a page at most.
    limit: i64,
}

/// One function.
#[derive(Serialize, ToSchema)]
pub(crate) struct FunctionAnswer {
    data: Function,
}

/// What declares a function.
#[derive(Serialize, ToSchema)]
pub(crate) struct FunctionCode {
    /// `sync` or `action`.
    #[schema(example = "sync")]
    r#type: &'static str,
    /// Its entry in the provider's file, written as JSON.
    #[schema(example = "{\"model\": \"Message\"}")]
    code: String,
}

/// Lists the syncs and actions of an integration.
#[utoipa::path(
    operation_id = "list_functions", tag = "integrations", security(("api_key" = ["environment:functions:list"])),
    params(("unique_key" = String, Path, description = "The integration's key", example = "acme"), FunctionsQuery),
    responses(
        (status = 200, description = "The functions", body = FunctionList),
        (status = 400, description = "`invalid_query_params`", body = ErrorBody),
        (status = 404, description = "`not_found`", body = ErrorBody),
        KeyErrors
    )
)]
#[get("/integrations/{unique_key}/functions")]
pub(crate) async fn list(
    caller: Caller<scope::FunctionsList>,
    gateway: web::Data<Gateway>,
    key: web::Path<String>,
    query: Query<FunctionsQuery>,
) -> Result<web::Json<FunctionList>, ApiError> {
    let FunctionsQuery {
        kind,
        search,
        limit,
        page,
    } = query.0;
    let search = search.map(|search| search.to_ascii_lowercase());
    let wanted = |function: &Function| {
        kind.is_none_or(|kind| kind.as_str() == function.r#type)
            && search
                .as_ref()
                .is_none_or(|search| function.name.to_ascii_lowercase().contains(search))
    };
    let mut all = functions(&caller, &gateway, &key).await?;
    all.retain(wanted);
    let (limit, page) = (limit.unwrap_or(DEFAULT_LIMIT), page.unwrap_or(0));
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
    operation_id = "get_function", tag = "integrations", security(("api_key" = ["environment:functions:list"])),
    params(
        ("unique_key" = String, Path, description = "The integration's key", example = "acme"),
        ("name" = String, Path, description = "The function's name", example = "acme-messages"),
        FunctionQuery
    ),
    responses(
        (status = 200, description = "The function", body = FunctionAnswer),
        (status = 400, description = "`invalid_query_params`", body = ErrorBody),
        (status = 404, description = "`not_found`", body = ErrorBody),
        KeyErrors
    )
)]
#[get("/integrations/{unique_key}/functions/{name}")]
pub(crate) async fn get(
    caller: Caller<scope::FunctionsList>,
    gateway: web::Data<Gateway>,
    path: web::Path<(String, String)>,
    query: Query<FunctionQuery>,
) -> Result<web::Json<FunctionAnswer>, ApiError> {
    let data = function(&caller, &gateway, path.into_inner(), query.0).await?;
    Ok(web::Json(FunctionAnswer { data }))
}

/// Shows what declares a sync or an action: its entry in the provider's file.
#[utoipa::path(
    operation_id = "get_function_code", tag = "integrations", security(("api_key" = ["environment:functions:list"])),
    params(
        ("unique_key" = String, Path, description = "The integration's key", example = "acme"),
        ("name" = String, Path, description = "The function's name", example = "acme-messages"),
        FunctionQuery
    ),
    responses(
        (status = 200, description = "The declaration", body = FunctionCode),
        (status = 400, description = "`invalid_query_params`", body = ErrorBody),
        (status = 404, description = "`not_found`", body = ErrorBody),
        KeyErrors
    )
)]
#[get("/integrations/{unique_key}/functions/{name}/code")]
pub(crate) async fn code(
    caller: Caller<scope::FunctionsList>,
    gateway: web::Data<Gateway>,
    path: web::Path<(String, String)>,
    query: Query<FunctionQuery>,
) -> Result<web::Json<FunctionCode>, ApiError> {
    let (key, name) = path.into_inner();
    let function = function(&caller, &gateway, (key.clone(), name), query.0).await?;
    let provider = provider(&caller, &gateway, &key).await?;
    let entry = provider
        .document
        .get(format!("{}s", function.r#type))
        .and_then(|all| all.get(&function.name))
        .unwrap_or(&Json::Null);
    Ok(web::Json(FunctionCode {
        r#type: function.r#type,
        code: format!("{entry:#}"),
    }))
}

async fn provider(
    caller: &gateway::Caller,
    gateway: &Gateway,
    key: &str,
) -> Result<std::sync::Arc<Provider>, ApiError> {
    let found = gateway.integrations().find(caller.environment, key).await;
    let found = found.map_err(ApiError::integration)?;
    Ok(gateway.providers().find(found.row.provider.as_str())?)
}

async fn functions(
    caller: &gateway::Caller,
    gateway: &Gateway,
    key: &str,
) -> Result<Vec<Function>, ApiError> {
    Ok(Function::of(&*provider(caller, gateway, key).await?, key))
}

async fn function(
    caller: &gateway::Caller,
    gateway: &Gateway,
    (key, name): (String, String),
    query: FunctionQuery,
) -> Result<Function, ApiError> {
    let mut all = functions(caller, gateway, &key).await?;
    let matches = |function: &Function| {
        function.name == name && query.kind.is_none_or(|kind| kind.as_str() == function.r#type)
    };
    // A name stands for one function: the registry refuses an action of a sync's name.
    match all.iter().position(matches) {
        Some(index) => Ok(all.swap_remove(index)),
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

/// Which form the overview has.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ConfigQuery {
    /// `nango`, which is the default, or `openai`: a list of tools for a language model.
    #[param(value_type = Option<ConfigFormat>, inline)]
    format: Option<ConfigFormat>,
}

/// A form of the overview.
#[derive(Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum ConfigFormat {
    Nango,
    Openai,
}

impl std::str::FromStr for ConfigFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "nango" => Ok(Self::Nango),
            "openai" => Ok(Self::Openai),
            _ => Err("must be nango or openai"),
        }
    }
}

impl FromParameters for ConfigQuery {
    fn read(parameters: &mut Parameters) -> Self {
        Self {
            format: parameters.parsed("format"),
        }
    }
}

/// What an integration has.
#[derive(Serialize, ToSchema)]
pub(crate) struct IntegrationFunctions {
    /// The integration's key.
    #[serde(rename = "providerConfigKey")]
    #[schema(example = "acme")]
    key: String,
    /// The provider's name.
    #[schema(example = "acme")]
    provider: String,
    syncs: Vec<Function>,
    actions: Vec<Function>,
    /// Always empty.
    #[serde(rename = "on-events")]
    on_events: Vec<Function>,
}

/// The actions as tools for a language model.
#[derive(Serialize, ToSchema)]
pub(crate) struct Tools {
    data: Vec<Tool>,
}

/// An action as a tool.
#[derive(Serialize, ToSchema)]
struct Tool {
    /// The action's name.
    #[schema(example = "send-message")]
    name: String,
    /// What it does.
    #[schema(example = "Sends a message")]
    description: String,
    /// The JSON Schema of its input.
    parameters: Json,
}

/// Either form of the overview.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum ScriptsConfig {
    Nango(Vec<IntegrationFunctions>),
    Openai(Tools),
}

/// Shows the syncs and actions of every integration of the environment.
#[utoipa::path(
    operation_id = "scripts_config", tag = "integrations", security(("api_key" = ["environment:functions:list"])),
    params(ConfigQuery),
    responses(
        (status = 200, description = "The functions", body = ScriptsConfig),
        (status = 400, description = "`invalid_query_params`", body = ErrorBody),
        KeyErrors
    )
)]
#[get("/scripts/config")]
pub(crate) async fn config(
    caller: Caller<scope::FunctionsList>,
    gateway: web::Data<Gateway>,
    query: Query<ConfigQuery>,
) -> Result<web::Json<ScriptsConfig>, ApiError> {
    let mut all = Vec::new();
    for made in gateway.integrations().list(caller.environment).await? {
        let Some(provider) = made.provider else { continue };
        let functions = Function::of(&provider, made.row.key.as_str());
        let (syncs, actions) = functions
            .into_iter()
            .partition(|function| function.r#type == "sync");
        all.push(IntegrationFunctions {
            key: made.row.key.to_string(),
            provider: provider.name.to_string(),
            syncs,
            actions,
            on_events: Vec::new(),
        });
    }
    Ok(web::Json(match query.0.format.unwrap_or(ConfigFormat::Nango) {
        ConfigFormat::Nango => ScriptsConfig::Nango(all),
        ConfigFormat::Openai => {
            let actions = all.into_iter().flat_map(|integration| integration.actions);
            ScriptsConfig::Openai(Tools {
                data: actions.map(Tool::of).collect(),
            })
        }
    }))
}

impl Tool {
    fn of(action: Function) -> Self {
        let input = action.input.as_deref().unwrap_or_default();
        let schema = action.json_schema.pointer(&format!("/definitions/{input}"));
        Self {
            parameters: schema
                .cloned()
                .unwrap_or_else(|| json!({ "type": "object", "properties": {} })),
            name: action.name,
            description: action.description,
        }
    }
}

/// A value of the environment.
#[derive(Serialize, ToSchema)]
pub(crate) struct Variable {
    name: String,
    value: String,
}

/// Lists the environment's variables, of which there are none: nothing here runs code that could read them.
#[utoipa::path(
    operation_id = "environment_variables", tag = "environments", security(("api_key" = ["environment:variables:read"])),
    responses(
        (status = 200, description = "Always empty", body = Vec<Variable>, example = json!([])),
        (status = 400, description = "`invalid_query_params`", body = ErrorBody),
        KeyErrors
    )
)]
#[get("/environment-variables")]
pub(crate) async fn variables(
    _: Caller<scope::VariablesRead>,
    _: Query<NoParameters>,
) -> web::Json<Vec<Variable>> {
    web::Json(Vec::new())
}
