//! JSON whose texts have holes.

use serde_json::Value as Json;

use super::{MissingValue, Template};

/// JSON in which every text is a template.
#[derive(Debug, Clone, PartialEq)]
pub enum JsonTemplate {
    /// Text, perhaps with holes.
    Text(Template),
    /// A list.
    List(Vec<JsonTemplate>),
    /// An object, its entries in the order of the file.
    Map(Vec<(String, JsonTemplate)>),
    /// A number, true, false or null.
    Plain(Json),
}

impl JsonTemplate {
    /// The JSON with every hole filled. What stands in a list or an object and has a hole that nothing fills is left out.
    pub fn render(&self, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Json, MissingValue> {
        Ok(match self {
            Self::Text(template) => Json::String(template.render(lookup)?),
            Self::List(items) => items.iter().filter_map(|item| item.render(lookup).ok()).collect(),
            Self::Map(entries) => entries
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), value.render(lookup).ok()?)))
                .collect(),
            Self::Plain(value) => value.clone(),
        })
    }

    /// The names of all holes.
    pub fn holes(&self) -> Vec<&str> {
        match self {
            Self::Text(template) => template.holes(),
            Self::List(items) => items.iter().flat_map(Self::holes).collect(),
            Self::Map(entries) => entries.iter().flat_map(|(_, value)| value.holes()).collect(),
            Self::Plain(_) => Vec::new(),
        }
    }
}
