//! Inputs of actions: how a file declares them, and which values they accept.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

use crate::field::{matches, shape};
use crate::format::{FieldFormat, lost_plus};
use crate::wording::{list, nearest};
use crate::written::{self, Scalar};

/// An input of an action.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Input {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: InputKind,
    /// Its description.
    #[serde(default)]
    pub description: String,
    /// Required.
    #[serde(default)]
    pub required: bool,
    /// An example of a valid value.
    #[serde(default, deserialize_with = "written::optional_text")]
    #[schemars(with = "Scalar")]
    pub example: Option<Json>,
    /// Used if the input is missing.
    #[serde(default, deserialize_with = "written::optional_text")]
    #[schemars(with = "Scalar")]
    pub default_value: Option<Json>,
    /// A regular expression that the whole text, or each text of a list, must match.
    pub pattern: Option<String>,
    /// What the pattern requires, in words that continue "must be": `two capital letters`.
    pub pattern_description: Option<String>,
    /// What kind of text it must be.
    pub format: Option<FieldFormat>,
    /// The allowed values; any by default.
    #[serde(default, rename = "enum", deserialize_with = "written::texts")]
    #[schemars(with = "Vec<Scalar>")]
    pub allowed: Vec<String>,
    /// The maximum characters of a text, or texts in a list.
    #[schemars(with = "Option<u32>", range(min = 1))]
    pub max_length: Option<usize>,
    /// The minimum of an integer.
    pub minimum: Option<i64>,
    /// The maximum of an integer.
    pub maximum: Option<i64>,
}

/// The type of an input. A list contains texts; `json` accepts anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum InputKind {
    /// Text. A number is an error, since it may have lost leading zeros.
    #[default]
    Text,
    /// A whole number, also as text.
    Integer,
    /// True or false, also as text.
    Boolean,
    /// A list of texts; a single text becomes a list of one.
    List,
    /// Any JSON.
    Json,
}

/// An input: its type, or its type and more.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum InputFile {
    /// The type alone.
    Short(InputKind),
    /// The type and more.
    Long(Box<Input>),
}

impl From<InputFile> for Input {
    fn from(file: InputFile) -> Self {
        match file {
            InputFile::Long(input) => *input,
            InputFile::Short(kind) => Self {
                kind,
                ..Self::default()
            },
        }
    }
}

/// An error about one input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputError {
    /// `missing`, `invalid` or `unknown`.
    pub code: &'static str,
    /// The input's name, as the app spelled it.
    pub name: String,
    /// The end of a sentence that begins with the name. It says what would be right, and never contains the value.
    pub message: String,
}

impl InputError {
    pub(crate) fn new(code: &'static str, name: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code,
            name: name.into(),
            message: message.into(),
        }
    }

    pub(crate) fn unknown(name: String, what: &str, inputs: &IndexMap<String, Input>) -> Self {
        let message = match nearest(&name, inputs.keys().map(String::as_str)) {
            Some(known) => format!("is not an input of {what}; did you mean {known:?}?"),
            None if inputs.is_empty() => format!("is not an input of {what}, which takes none"),
            None => format!(
                "is not an input of {what}; it takes {}",
                list(inputs.keys(), "and")
            ),
        };
        Self::new("unknown", name, message)
    }
}

impl Input {
    /// Converts a valid value to the input's type. The error is the end of a sentence that begins with the input's name.
    pub fn check(&self, value: Json) -> Result<Json, String> {
        match (self.kind, value) {
            (InputKind::Json, value) => Ok(value),
            (InputKind::Text, Json::String(text)) => self.text(text).map(Json::String),
            (InputKind::Text, _) => Err(self.wanted("text")),
            (InputKind::Integer, value) => self.integer(&value).map(Json::from),
            (InputKind::Boolean, value) => {
                let boolean = value
                    .as_bool()
                    .or_else(|| value.as_str().and_then(|text| text.parse().ok()));
                boolean
                    .map(Json::Bool)
                    .ok_or_else(|| self.wanted("true or false"))
            }
            (InputKind::List, Json::String(text)) => self.list(vec![Json::String(text)]),
            (InputKind::List, Json::Array(items)) => self.list(items),
            (InputKind::List, _) => Err(self.wanted("a list of texts")),
        }
    }

    fn wanted(&self, what: &str) -> String {
        match self.format {
            Some(format) => format!("must be {}", format.words()),
            None => format!("must be {what}"),
        }
    }

    fn list(&self, items: Vec<Json>) -> Result<Json, String> {
        if let Some(most) = self.max_length.filter(|most| items.len() > *most) {
            return Err(format!("must have {most} elements at most"));
        }
        let texts = items.into_iter().map(|item| match item {
            Json::String(text) => self.rules(&text).map(|()| Json::String(text)),
            _ => Err(self.wanted("a list of texts")),
        });
        texts.collect::<Result<_, _>>().map(Json::Array)
    }

    fn text(&self, text: String) -> Result<String, String> {
        if self.required && text.is_empty() {
            return Err("must not be empty".to_owned());
        }
        if let Some(most) = self.max_length.filter(|most| text.chars().count() > *most) {
            return Err(format!("must have {most} characters at most"));
        }
        self.rules(&text).map(|()| text)
    }

    /// Checks the rules for a text, or for each text of a list.
    fn rules(&self, text: &str) -> Result<(), String> {
        if text.contains('\0') {
            return Err("must not hold the character U+0000".to_owned());
        }
        if !self.allowed.is_empty() && !self.allowed.iter().any(|allowed| allowed == text) {
            return Err(format!("must be {}", list(&self.allowed, "or")));
        }
        if let Some(format) = self.format.filter(|format| !format.holds(text)) {
            return Err(format!("must be {}{}", format.words(), lost_plus(text)));
        }
        match &self.pattern {
            Some(pattern) if !matches(pattern, false, text) => {
                let example = self.example.as_ref().and_then(Json::as_str);
                Err(shape(self.pattern_description.as_deref(), example))
            }
            _ => Ok(()),
        }
    }

    fn integer(&self, value: &Json) -> Result<i64, String> {
        let number = value
            .as_i64()
            .or_else(|| value.as_str().and_then(|text| text.parse().ok()));
        let (least, most) = (self.minimum.unwrap_or(i64::MIN), self.maximum.unwrap_or(i64::MAX));
        number
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| match (self.minimum, self.maximum) {
                (Some(least), Some(most)) => format!("must be a whole number from {least} to {most}"),
                (Some(least), None) => format!("must be a whole number, {least} or more"),
                (None, Some(most)) => format!("must be a whole number, {most} or less"),
                (None, None) => "must be a whole number".to_owned(),
            })
    }
}
