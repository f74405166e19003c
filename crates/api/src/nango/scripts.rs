//! `GET /scripts/config`: the functions of all integrations in one response.

use actix_web::web;
use gateway::integrations;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use utoipa::{IntoParams, ToSchema};

use crate::caller::{Authorized, scope};
use crate::error::{ApiError, InvalidQuery};
use crate::functions::{Function, FunctionType};
use crate::query::Query;

/// The format of the overview.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ConfigQuery {
    /// `nango`, which is the default, or `openai`: a list of tools for a language model.
    #[param(inline)]
    format: Option<ConfigFormat>,
}

/// A format of the overview.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ConfigFormat {
    Nango,
    Openai,
}

/// The functions of an integration.
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

/// The overview in one of its formats.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum ScriptsConfig {
    Nango(Vec<IntegrationFunctions>),
    Openai(Tools),
}

/// Shows the syncs and actions of every integration of the environment.
#[utoipa::path(
    get, path = "/scripts/config", operation_id = "scripts_config", tag = "integrations", security(("api_key" = ["environment:functions:list"])),
    params(ConfigQuery),
    responses((status = 200, description = "The functions", body = ScriptsConfig), InvalidQuery)
)]
pub(crate) async fn config(
    Authorized { gateway, caller, .. }: Authorized<scope::FunctionsList>,
    query: Query<ConfigQuery>,
) -> Result<web::Json<ScriptsConfig>, ApiError> {
    let mut all = Vec::new();
    for made in integrations::list(&gateway, caller.environment).await? {
        let Some(provider) = made.provider else { continue };
        let functions = Function::of(&provider, made.row.key.as_str());
        let (syncs, actions) = functions
            .into_iter()
            .partition(|function| function.r#type == FunctionType::Sync);
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
