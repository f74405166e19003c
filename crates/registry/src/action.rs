//! A checked action: one request that an app runs by name.

use domain::{ActionName, SyncName};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::input::{Input, InputError};
use crate::method::Method;
use crate::template::{JsonTemplate, Template};
use crate::wording::list;
use crate::written::{self, OneOrMany, Scalar};

/// An action.
#[derive(Debug, Clone)]
pub struct Action {
    /// Its name.
    pub name: ActionName,
    /// What it does.
    pub description: String,
    /// Its inputs, by name.
    pub inputs: IndexMap<String, Input>,
    /// Groups of inputs. Of each group at least one input must be given.
    pub needs: Vec<Vec<String>>,
    /// The request.
    pub request: ActionRequest,
    /// Where in the provider's response the action's result is, outermost name first; empty for the whole response.
    pub answer: Vec<String>,
    /// Whether running it twice has the same effect as once.
    pub repeatable: bool,
    /// Into which table the returned record is written.
    pub writes: Option<Writes>,
    /// The record that it deletes.
    pub deletes: Option<Deletes>,
    /// A short route for apps.
    pub route: Option<ActionRoute>,
}

/// The request of an action; `${input.NAME}` is an input. Parts with a missing input are omitted.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "ActionRequestFile")]
pub struct ActionRequest {
    /// The method.
    pub method: Method,
    /// A name from `servers`; the base URL by default.
    pub server: Option<String>,
    /// The path below the server.
    pub path: Template,
    /// Query parameters; a list becomes a repeated one.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, ParameterFile>")]
    pub query: IndexMap<String, Parameter>,
    /// Headers in addition to the provider's.
    #[serde(default, deserialize_with = "written::pairs")]
    #[schemars(with = "IndexMap<String, Scalar>")]
    pub headers: Vec<(String, Template)>,
    /// The body as a form; a list becomes a repeated parameter. Either this or `json`.
    #[schemars(with = "Option<IndexMap<String, ParameterFile>>")]
    pub form: Option<IndexMap<String, Parameter>>,
    /// The body as JSON. A text that is a single placeholder becomes the input's value with its type.
    pub json: Option<JsonTemplate>,
}

impl ActionRequest {
    /// Returns the placeholders of all its parts.
    pub fn placeholders(&self) -> Vec<&str> {
        let form = self.form.iter().flat_map(IndexMap::values);
        let parameters = self.query.values().chain(form).flat_map(Parameter::templates);
        let headers = self.headers.iter().map(|(_, value)| value);
        let texts = std::iter::once(&self.path).chain(parameters).chain(headers);
        texts
            .flat_map(Template::placeholders)
            .chain(self.json.iter().flat_map(JsonTemplate::placeholders))
            .collect()
    }
}

/// A parameter of a query or a form: its values, for each of which it is repeated.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(from = "ParameterFile")]
pub struct Parameter(pub Vec<ParameterValue>);

/// A value of a parameter. If it is a single placeholder that contains a list, the parameter is repeated for each text.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "ParameterItem")]
pub struct ParameterValue {
    /// The value. One with an unfilled placeholder is left out.
    pub value: Template,
    /// Sent only if this input is present.
    pub with: Option<String>,
    /// Sent only if none of these inputs is present.
    pub unless: Vec<String>,
}

/// A parameter as a file writes it: a value, or several.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum ParameterFile {
    // First, because a struct can be read from a list.
    /// Several values, for each of which the parameter is repeated.
    Many(#[schemars(with = "Vec<ParameterItem>", length(min = 1))] Vec<ParameterValue>),
    /// One value.
    One(#[schemars(with = "ParameterItem")] ParameterValue),
}

/// A value as a file writes it: the value, or the value and when it is sent.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum ParameterItem {
    /// The value alone.
    Short(#[schemars(with = "Scalar")] Template),
    /// The value and when it is sent.
    Long(ParameterSpec),
}

/// A value that is sent under a condition.
#[derive(Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ParameterSpec {
    /// The value.
    #[schemars(with = "Scalar")]
    value: Template,
    /// Sent only if this input is present.
    with: Option<String>,
    /// Sent only if none of these inputs is present.
    #[serde(default, deserialize_with = "written::one_or_many")]
    #[schemars(with = "OneOrMany<String>")]
    unless: Vec<String>,
}

impl From<ParameterFile> for Parameter {
    fn from(file: ParameterFile) -> Self {
        match file {
            ParameterFile::One(value) => Self(vec![value]),
            ParameterFile::Many(values) => Self(values),
        }
    }
}

impl From<ParameterItem> for ParameterValue {
    fn from(item: ParameterItem) -> Self {
        match item {
            ParameterItem::Short(value) => Self::always(value),
            ParameterItem::Long(ParameterSpec { value, with, unless }) => Self { value, with, unless },
        }
    }
}

impl ParameterValue {
    /// A value that is sent whatever the inputs are.
    pub const fn always(value: Template) -> Self {
        Self {
            value,
            with: None,
            unless: Vec::new(),
        }
    }
}

impl Parameter {
    /// Returns the templates of its values.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        self.0.iter().map(|value| &value.value)
    }
}

/// Where the returned record is written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Writes {
    /// The sync whose table it is.
    #[schemars(with = "String")]
    pub sync: SyncName,
    /// Where in the provider's response the record, or the list of records, is; the whole response if left out.
    #[serde(default, deserialize_with = "written::path")]
    #[schemars(with = "String")]
    pub record: Vec<String>,
}

/// Which record is marked as deleted.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Deletes {
    /// The sync whose table it is in.
    #[schemars(with = "String")]
    pub sync: SyncName,
    /// The record's key: `${input.messageSid}`.
    pub key: Template,
}

/// A short route, below the integration's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionRoute {
    /// The method.
    pub method: Method,
    /// The path's segments; never empty.
    pub steps: Vec<RouteStep>,
}

/// A segment of a short route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteStep {
    /// Fixed text.
    Fixed(String),
    /// An input.
    Input(String),
}

impl ActionRoute {
    /// Returns the inputs in a path's segments, if the path matches this route.
    pub(crate) fn matches(&self, method: &str, path: &[&str]) -> Option<Vec<(&str, String)>> {
        if self.method.as_str() != method || self.steps.len() != path.len() {
            return None;
        }
        let mut inputs = Vec::new();
        for (step, segment) in self.steps.iter().zip(path) {
            match step {
                RouteStep::Fixed(text) if text == segment => {}
                RouteStep::Fixed(_) => return None,
                RouteStep::Input(name) => inputs.push((name.as_str(), (*segment).to_owned())),
            }
        }
        Some(inputs)
    }
}

impl std::fmt::Display for ActionRoute {
    /// Writes `/messages/{messageSid}`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.steps.iter().try_for_each(|step| match step {
            RouteStep::Fixed(text) => write!(f, "/{text}"),
            RouteStep::Input(name) => write!(f, "/{{{name}}}"),
        })
    }
}

impl Action {
    /// Returns the inputs as the request needs them: names as the file spells them, values of their types, and defaults.
    ///
    /// Names are accepted in any spelling: `mediaUrl`, `MediaUrl`, `media_url`. `null` means that an input is not given. All errors are
    /// returned at once.
    pub fn check(&self, given: Map<String, Json>) -> Result<Map<String, Json>, Vec<InputError>> {
        check_inputs(self.name.as_str(), &self.inputs, &self.needs, given)
    }
}

/// [`Action::check`] for anything with inputs. `what` is its name, for errors. At least one input of each group in `needs` is required.
pub(crate) fn check_inputs(
    what: &str,
    inputs: &IndexMap<String, Input>,
    needs: &[Vec<String>],
    given: Map<String, Json>,
) -> Result<Map<String, Json>, Vec<InputError>> {
    let mut errors = Vec::new();
    let mut taken = Map::new();
    for (name, value) in given {
        match inputs.iter().find(|(known, _)| same_name(known, &name)) {
            None => errors.push(InputError::unknown(name, what, inputs)),
            Some(_) if value.is_null() => {}
            Some((known, _)) if taken.contains_key(known) => {
                errors.push(InputError::new("invalid", name, "is given twice"));
            }
            Some((known, input)) => match input.check(value) {
                Ok(value) => drop(taken.insert(known.clone(), value)),
                Err(message) => {
                    taken.insert(known.clone(), Json::Null);
                    errors.push(InputError::new("invalid", name, message));
                }
            },
        }
    }
    for (name, input) in inputs {
        match &input.default_value {
            _ if taken.contains_key(name) => {}
            Some(value) => drop(taken.insert(name.clone(), value.clone())),
            None if input.required => {
                errors.push(InputError::new("missing", name, "is required"));
            }
            None => {}
        }
    }
    for group in needs {
        if !group.iter().any(|name| taken.contains_key(name)) {
            let message = format!("is required, or another of {}", list(group, "and"));
            errors.push(InputError::new(
                "missing",
                group.first().cloned().unwrap_or_default(),
                message,
            ));
        }
    }
    if errors.is_empty() {
        // In the order of the file, so that equal inputs serialize to equal text.
        let mut ordered = Map::new();
        for name in inputs.keys() {
            ordered.extend(taken.remove_entry(name));
        }
        Ok(ordered)
    } else {
        Err(errors)
    }
}

/// Whether two spellings mean the same name: case, `_` and `-` are ignored.
pub(crate) fn same_name(one: &str, other: &str) -> bool {
    let plain = |text: &str| -> String {
        text.chars()
            .filter(|c| !matches!(c, '_' | '-'))
            .map(|c| c.to_ascii_lowercase())
            .collect()
    };
    plain(one) == plain(other)
}
