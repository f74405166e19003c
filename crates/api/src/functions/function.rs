//! One function: a sync or an action of a provider's file, in Nango's shape.

use domain::Model;
use registry::{Action, Provider, Sync};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use utoipa::ToSchema;

use crate::schema::{action_schema, record_schema};

/// A type of function.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FunctionType {
    Sync,
    Action,
    OnEvent,
}

/// A sync or an action.
#[derive(Serialize, ToSchema)]
pub(crate) struct Function {
    /// Its name.
    #[schema(example = "acme-messages")]
    pub(crate) name: String,
    /// `sync` or `action`.
    #[schema(value_type = String, example = "sync")]
    pub(crate) r#type: FunctionType,
    /// What it does.
    #[schema(example = "Every message of the account, with its later changes")]
    pub(crate) description: String,
    /// Always empty: provider files declare no scopes.
    #[schema(example = json!([]))]
    scopes: Vec<String>,
    /// The name of its input in `json_schema`; null if it has none.
    pub(crate) input: Option<String>,
    /// The models of the records that it stores.
    #[schema(example = json!(["Message"]))]
    returns: Vec<String>,
    /// The JSON Schemas of its input and its models, under `definitions`.
    pub(crate) json_schema: Json,
    /// How often it runs; null for an action.
    #[schema(example = "every 5 minutes")]
    runs: Option<String>,
    /// Whether it starts by itself for a new connection; null for an action.
    auto_start: Option<bool>,
    /// Whether rows that the provider no longer has are marked as deleted; null for an action.
    track_deletes: Option<bool>,
    /// The table that it fills, and how to query it; null for an action.
    table: Option<FunctionTable>,
    /// Its id within the environment.
    #[schema(example = "acme/acme-messages")]
    id: String,
    /// Always true: what a provider's file declares is enabled.
    enabled: bool,
    /// Always null: functions are not deployed but come with the file.
    last_deployed: Option<String>,
    /// Always `catalog`: from the provider's file.
    #[schema(example = "catalog")]
    source: &'static str,
}

/// The table of a sync.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "name": "acme_messages", "plural": "messages", "key": "id", "columns": [{ "name": "id", "type": "text" }, { "name": "sent_at", "type": "timestamp" }],
    "filters": ["id"], "newest_by": ["sent_at"],
}))]
struct FunctionTable {
    /// Its name in the database.
    name: String,
    /// The last segment of the path of its list, `GET /{integration}/{plural}`.
    plural: String,
    /// The column that identifies a record within its connection.
    key: String,
    /// Its columns, in the order of the provider's file.
    columns: Vec<FunctionColumn>,
    /// Columns by whose exact value a query can filter.
    filters: Vec<String>,
    /// Timestamp columns that order the list, newest first; a query can bound them with `{column}_after` and `{column}_before`.
    newest_by: Vec<String>,
}

/// A column of a table.
#[derive(Serialize, ToSchema)]
struct FunctionColumn {
    name: String,
    /// Its kind, as in the provider's file: `text`, `timestamp` and so on.
    r#type: &'static str,
}

impl FunctionTable {
    fn new(model: &Model) -> Self {
        let names = |columns: &[domain::TableName]| columns.iter().map(ToString::to_string).collect();
        let columns = model.columns.iter().map(|(name, column)| FunctionColumn {
            name: name.to_string(),
            r#type: column.kind.name(),
        });
        Self {
            name: model.table.to_string(),
            plural: model.plural.clone(),
            key: model.key.to_string(),
            columns: columns.collect(),
            filters: names(&model.filters),
            newest_by: names(&model.newest_by),
        }
    }
}

impl Function {
    /// Returns the functions of a provider for the key of an integration.
    pub(crate) fn of(provider: &Provider, integration: &str) -> Vec<Self> {
        let syncs = provider.syncs.values();
        let syncs = syncs.map(|sync| Self::sync(sync, integration));
        let actions = provider.actions.values();
        let actions = actions.map(|action| Self::action(provider, action, integration));
        syncs.chain(actions).collect()
    }

    fn action(provider: &Provider, action: &Action, integration: &str) -> Self {
        let takes = !action.inputs.is_empty();
        let input = takes.then(|| format!("{}.{}", provider.name, action.name));
        let written = action
            .writes
            .as_ref()
            .and_then(|writes| provider.syncs.get(&writes.sync));
        let brought = written.map(|sync| (sync.model.name.to_string(), json!(record_schema(&sync.model))));
        let given = input
            .iter()
            .map(|name| (name.clone(), json!(action_schema(action))));
        let definitions: serde_json::Map<String, Json> = given.chain(brought.clone()).collect();
        Self {
            name: action.name.to_string(),
            r#type: FunctionType::Action,
            description: action.description.clone(),
            scopes: Vec::new(),
            input,
            returns: brought.into_iter().map(|(name, _)| name).collect(),
            json_schema: json!({ "definitions": definitions }),
            runs: None,
            auto_start: None,
            track_deletes: None,
            table: None,
            id: format!("{integration}/{}", action.name),
            enabled: true,
            last_deployed: None,
            source: "catalog",
        }
    }

    fn sync(sync: &Sync, integration: &str) -> Self {
        let model = sync.model.name.to_string();
        Self {
            name: sync.name.to_string(),
            r#type: FunctionType::Sync,
            description: sync.description.clone(),
            scopes: Vec::new(),
            input: None,
            json_schema: json!({ "definitions": { &model: record_schema(&sync.model) } }),
            returns: vec![model],
            runs: Some(sync.schedule.to_string()),
            auto_start: Some(sync.auto_start),
            track_deletes: Some(sync.track_deletes),
            table: Some(FunctionTable::new(&sync.model)),
            id: format!("{integration}/{}", sync.name),
            enabled: true,
            last_deployed: None,
            source: "catalog",
        }
    }
}
