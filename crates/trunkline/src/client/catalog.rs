//! The integrations of the gateway: connect forms, syncs with their tables, actions. Commands read no provider files.

use serde::Deserialize;
use serde_json::Value as Json;

use super::{Client, ClientError, resolve, response};

/// The most functions that the API returns in a page.
const PAGE: usize = 100;

/// A sync or an action of an integration, with the fields that commands use.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) r#type: String,
    #[serde(default)]
    pub(crate) description: String,
    input: Option<String>,
    #[serde(default)]
    json_schema: Json,
    /// The table of a sync.
    pub(crate) table: Option<ModelTable>,
}

/// The table that a sync fills.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ModelTable {
    pub(crate) plural: String,
    pub(crate) key: String,
    pub(crate) columns: Vec<ModelColumn>,
    pub(crate) filters: Vec<String>,
    pub(crate) newest_by: Vec<String>,
}

/// A column of such a table.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ModelColumn {
    pub(crate) name: String,
    pub(crate) r#type: String,
}

impl Function {
    /// Returns the inputs of an action in order, the optional ones in brackets.
    pub(crate) fn inputs(&self) -> Vec<String> {
        let schema = self
            .input
            .as_ref()
            .and_then(|name| self.json_schema.get("definitions")?.get(name));
        let required = schema
            .map(|schema| response::list(schema, "required"))
            .unwrap_or_default();
        let properties = schema.and_then(|schema| schema.get("properties")?.as_object());
        let names = properties.into_iter().flat_map(serde_json::Map::keys);
        names
            .map(|name| {
                if required.iter().any(|known| known == name) {
                    name.clone()
                } else {
                    format!("[{name}]")
                }
            })
            .collect()
    }
}

/// The forms of an integration, one of which must be filled to connect it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ConnectForms {
    pub(crate) display_name: String,
    /// A text to read before connecting.
    pub(crate) notice: Option<String>,
    pub(crate) forms: Vec<ConnectForm>,
}

/// A form.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ConnectForm {
    pub(crate) title: String,
    pub(crate) fields: Vec<FormField>,
}

/// A field of a form.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct FormField {
    pub(crate) name: String,
    pub(crate) title: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) example: Option<String>,
    pub(crate) required: bool,
    pub(crate) secret: bool,
    pub(crate) hidden: bool,
    #[serde(default)]
    pub(crate) allowed: Vec<String>,
    pub(crate) visible_when: Option<Condition>,
    env: Option<String>,
}

/// The condition under which a field is shown.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Condition {
    pub(crate) field: String,
    pub(crate) equals: Vec<String>,
}

impl FormField {
    /// Returns the variable that may hold the field's value.
    ///
    /// Since the gateway names it, it must not be one of this program's own: those hold keys that no provider may see.
    pub(crate) fn variable(&self) -> Option<&str> {
        let name = self.env.as_deref()?;
        let plain = name
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        (plain && !name.is_empty() && !name.starts_with(crate::config::VARIABLE_PREFIX)).then_some(name)
    }
}

impl Client {
    /// Returns the forms of an integration.
    pub(crate) async fn connect_forms(&self, integration: &str) -> Result<ConnectForms, ClientError> {
        let mut response = self.get(&[integration, "connect"], &[]).await?;
        let data = response.get_mut("data").map(Json::take).unwrap_or_default();
        serde_json::from_value(data).map_err(ClientError::Unexpected)
    }

    /// Returns the syncs and actions of an integration, or of a provider to which nothing is connected yet.
    pub(crate) async fn functions(&self, integration: &str) -> Result<Vec<Function>, ClientError> {
        let mut functions = Vec::new();
        for page in 0_usize.. {
            let (limit, page) = (PAGE.to_string(), page.to_string());
            let query = [("limit", limit.as_str()), ("page", page.as_str())];
            let response = match self
                .get(&["integrations", integration, "functions"], &query)
                .await
            {
                Err(error) if error.status() == Some(404) => {
                    let templates = self.get(&["providers", integration, "templates"], &[]).await;
                    // If there is no such provider either, the error is about the integration.
                    return read(&templates.map_err(|_| error)?);
                }
                response => response?,
            };
            let read = read(&response)?;
            let last = read.len() < PAGE;
            functions.extend(read);
            if last {
                break;
            }
        }
        Ok(functions)
    }

    /// Returns the table of the integration's model whose plural is `name`.
    pub(crate) async fn model(&self, integration: &str, name: &str) -> anyhow::Result<ModelTable> {
        let functions = self.functions(integration).await?;
        let tables = || functions.iter().filter_map(|function| function.table.as_ref());
        let found = tables().find(|table| table.plural == name);
        found.cloned().ok_or_else(|| {
            let known: Vec<&str> = tables().map(|table| table.plural.as_str()).collect();
            resolve::unknown("model", integration, name, &known)
        })
    }

    /// Returns the names of all integrations and providers.
    pub(crate) async fn integration_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for (list, name) in [("integrations", "/unique_key"), ("providers", "/name")] {
            // The names only serve a hint, and the key may lack the scope to list them.
            let response = self.get(&[list], &[]).await.unwrap_or_default();
            let listed = response::list(&response, "data").iter();
            names.extend(listed.map(|one| response::text(one, name).to_owned()));
        }
        names.sort();
        names.dedup();
        names
    }
}

fn read(response: &Json) -> Result<Vec<Function>, ClientError> {
    let functions = response::list(response, "data")
        .iter()
        .cloned()
        .map(serde_json::from_value);
    functions
        .collect::<Result<_, _>>()
        .map_err(ClientError::Unexpected)
}
