//! JSON whose texts may have placeholders.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

use super::render::{Budget, Lookup, if_filled};
use super::{RenderError, Template};

/// JSON in which each text is a template.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(from = "Json")]
pub enum JsonTemplate {
    /// A text, perhaps with placeholders.
    Text(Template),
    /// A list.
    List(Vec<JsonTemplate>),
    /// An object, its entries in the order of the file.
    Map(Vec<(String, JsonTemplate)>),
    /// A number, true, false or null.
    Plain(Json),
}

impl From<Json> for JsonTemplate {
    fn from(json: Json) -> Self {
        match json {
            Json::String(text) => Self::Text(text.into()),
            Json::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            Json::Object(entries) => Self::Map(
                entries
                    .into_iter()
                    .map(|(name, value)| (name, value.into()))
                    .collect(),
            ),
            other => Self::Plain(other),
        }
    }
}

impl JsonTemplate {
    /// Renders the JSON. Elements of lists and objects with an unfilled placeholder are left out.
    ///
    /// The limit on the length of a rendered template applies to all texts together.
    pub fn render(&self, lookup: &Lookup<'_>) -> Result<Json, RenderError> {
        self.render_within(lookup, &mut Budget::full())
    }

    /// Like [`JsonTemplate::render`], but returns `None` if the JSON is a single text with an unfilled placeholder.
    pub fn render_if_filled(&self, lookup: &Lookup<'_>) -> Result<Option<Json>, RenderError> {
        if_filled(self.render(lookup))
    }

    fn render_within(&self, lookup: &Lookup<'_>, budget: &mut Budget) -> Result<Json, RenderError> {
        Ok(match self {
            Self::Text(template) => {
                Json::String(template.render_with(lookup, &|_, value| Ok(value.to_owned()), budget)?)
            }
            Self::List(items) => {
                let mut list = Vec::new();
                for item in items {
                    list.extend(if_filled(item.render_within(lookup, budget))?);
                }
                Json::Array(list)
            }
            Self::Map(entries) => {
                let mut object = serde_json::Map::new();
                for (name, value) in entries {
                    if let Some(value) = if_filled(value.render_within(lookup, budget))? {
                        object.insert(name.clone(), value);
                    }
                }
                Json::Object(object)
            }
            Self::Plain(value) => value.clone(),
        })
    }

    /// Returns the names of all placeholders.
    pub fn placeholders(&self) -> Vec<&str> {
        match self {
            Self::Text(template) => template.placeholders(),
            Self::List(items) => items.iter().flat_map(Self::placeholders).collect(),
            Self::Map(entries) => entries
                .iter()
                .flat_map(|(_, value)| value.placeholders())
                .collect(),
            Self::Plain(_) => Vec::new(),
        }
    }
}
