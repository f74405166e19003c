//! The sections of an action.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

use super::{FieldFormatName, MethodName, Scalar};

/// An action: one call that an app asks for by name.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActionFile {
    /// What it does.
    pub(crate) description: String,
    /// What an app gives it, by name in camelCase: a type, or a type and more.
    #[serde(default)]
    pub(crate) input: IndexMap<String, InputFile>,
    /// Groups of inputs; of each group at least one must be given.
    #[serde(default)]
    pub(crate) needs: Vec<Vec<String>>,
    /// The call.
    pub(crate) request: ActionRequestFile,
    /// Where in the provider's answer the action's answer stands, with dots between names; the whole answer if left out.
    pub(crate) answer: Option<String>,
    /// Whether doing it twice is the same as doing it once; true for GET, PUT and DELETE if left out, else false.
    pub(crate) repeatable: Option<bool>,
    /// The answered record is written into a sync's table at once.
    pub(crate) writes: Option<WritesFile>,
    /// A record is marked deleted in a sync's table at once.
    pub(crate) deletes: Option<DeletesRecordFile>,
    /// A short route for apps: `POST /messages`, below the integration's key. `{name}` is an input.
    pub(crate) route: Option<String>,
}

/// An input: its type, or its type and more.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum InputFile {
    /// The type alone.
    Short(InputType),
    /// The type and more.
    Long(Box<InputSpec>),
}

/// An input.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InputSpec {
    /// Its type.
    #[serde(rename = "type")]
    pub(crate) kind: InputType,
    /// What it means.
    #[serde(default)]
    pub(crate) description: String,
    /// Must be given.
    #[serde(default)]
    pub(crate) required: bool,
    /// A value of the right shape.
    pub(crate) example: Option<Scalar>,
    /// Taken if the input is left out.
    pub(crate) default_value: Option<Scalar>,
    /// A regular expression that the whole text, or each text of a list, must match.
    pub(crate) pattern: Option<String>,
    /// What the pattern asks for, in words that go on after "must be": `two capital letters`.
    pub(crate) pattern_description: Option<String>,
    /// What kind of text it must be.
    pub(crate) format: Option<FieldFormatName>,
    /// The values allowed.
    #[serde(default, rename = "enum")]
    pub(crate) allowed: Vec<Scalar>,
    /// Characters of a text, or texts of a list, at most.
    #[schemars(range(min = 1))]
    pub(crate) max_length: Option<u32>,
    /// The least that an integer may be.
    pub(crate) minimum: Option<i64>,
    /// The most that an integer may be.
    pub(crate) maximum: Option<i64>,
}

/// The type of an input. A list is one of texts; `json` takes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum InputType {
    Text,
    Integer,
    Boolean,
    List,
    Json,
}

/// The call of an action; `${input.NAME}` is what was given. What holds an input that was not given is left out.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActionRequestFile {
    /// The method.
    pub(crate) method: MethodName,
    /// A name of `servers`; the base URL if left out.
    pub(crate) server: Option<String>,
    /// The path below the server.
    pub(crate) path: String,
    /// Query parameters; a list becomes a repeated one.
    #[serde(default)]
    pub(crate) query: IndexMap<String, ParameterFile>,
    /// Headers beside the provider's.
    #[serde(default)]
    pub(crate) headers: IndexMap<String, Scalar>,
    /// The body as a form; a list becomes a repeated parameter. Either this or `json`.
    pub(crate) form: Option<IndexMap<String, ParameterFile>>,
    /// The body as JSON; a text that is one hole becomes the input as it is.
    pub(crate) json: Option<Json>,
}

/// A parameter: its value, or its value and when it is sent.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum ParameterFile {
    /// The value alone.
    Short(Scalar),
    /// The value and when it is sent.
    Long(ParameterSpec),
}

/// A parameter that is sent under a condition.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ParameterSpec {
    /// The value.
    pub(crate) value: Scalar,
    /// Sent only if this input was given.
    pub(crate) with: String,
}

/// Where the answered record is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WritesFile {
    /// The sync whose table it is.
    pub(crate) sync: String,
    /// Where in the provider's answer the record, or the list of them, stands; the whole answer if left out.
    pub(crate) record: Option<String>,
}

/// Which record is marked deleted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeletesRecordFile {
    /// The sync whose table it is in.
    pub(crate) sync: String,
    /// The record's key: `${input.messageSid}`.
    pub(crate) key: String,
}
