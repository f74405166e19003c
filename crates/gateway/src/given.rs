//! Credentials and configuration given by the names under which they are stored, as an import or a front end gives them.

use std::collections::BTreeMap;

use registry::{ConnectForm, Field, Provider, Template};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value as Json};

use crate::FieldError;
use crate::form::Filled;

/// Bytes of a value at most, as in Nango's API.
const LONGEST: usize = 1024;
/// Keys of a configuration that the provider's file does not know, and bytes of such a key and of its value as JSON, at most.
const MOST_UNDECLARED: usize = 50;
const LONGEST_KEY: usize = 255;
const LONGEST_UNDECLARED: usize = 8_192;

/// A configuration: what the provider's file knows, and what it does not know.
pub(crate) type Config = (BTreeMap<String, String>, Map<String, Json>);

/// What somebody gave, with where it stood in the request.
pub(crate) struct Given<'a> {
    /// `apiKey`, or `username` and `password`.
    pub(crate) credentials: &'a Map<String, Json>,
    /// Path of the object that held the credentials.
    pub(crate) credentials_at: &'a [&'a str],
    /// The configuration.
    pub(crate) config: &'a Map<String, Json>,
    /// Path of the object that held the configuration.
    pub(crate) config_at: &'a [&'a str],
}

impl Given<'_> {
    /// What is to be stored, by the rules of the provider's fields.
    ///
    /// A configuration that is needed and was not given is taken from the first form of the provider's file that yields just
    /// these credentials: a file whose form fills two places from one field needs it once here, too. What is missing even so is
    /// an error only if the verification cannot do without it.
    pub(crate) fn fill(&self, provider: &Provider) -> Result<Filled, Vec<FieldError>> {
        let mut errors = Vec::new();
        let credentials = read(
            &provider.credentials,
            self.credentials,
            self.credentials_at,
            &mut errors,
        );
        let (mut config, undeclared) = config(provider, self.config, self.config_at, &mut errors);
        require(
            &provider.credentials,
            [&credentials, &config],
            self.credentials_at,
            &mut errors,
        );
        if errors.is_empty() {
            let by_form = provider
                .connect
                .iter()
                .find_map(|form| yields(form, &credentials, &config));
            for (name, value) in by_form.into_iter().flatten() {
                config.entry(name).or_insert(value);
            }
            for (name, field) in &provider.connection_config {
                if let Some(value) = &field.default_value {
                    config.entry(name.clone()).or_insert_with(|| value.clone());
                }
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let credentials = credentials
            .into_iter()
            .map(|(name, value)| (name, SecretString::from(value)));
        Ok(Filled::new(provider, credentials.collect(), (config, undeclared)))
    }
}

/// Plain credentials as an object of JSON.
pub(crate) fn plain(credentials: &BTreeMap<String, SecretString>) -> Map<String, Json> {
    credentials
        .iter()
        .map(|(name, value)| (name.clone(), value.expose_secret().into()))
        .collect()
}

/// What is wrong with a name that is none of the fields.
pub(crate) fn unknown(fields: &indexmap::IndexMap<String, Field>) -> String {
    let known: Vec<&str> = fields.keys().map(String::as_str).collect();
    let known = if known.is_empty() {
        "nothing".to_owned()
    } else {
        known.join(", ")
    };
    format!("is not known here; there is {known}")
}

/// Reads a configuration. Keys that the provider's file declares, or one of its addresses is made of, are text and follow the rules
/// of their fields; others are kept as they are given, within bounds, since a template or the app may look for them.
pub(crate) fn config(
    provider: &Provider,
    values: &Map<String, Json>,
    at: &[&str],
    errors: &mut Vec<FieldError>,
) -> Config {
    let mut fields = provider.connection_config.clone();
    for hole in provider.addresses().flat_map(Template::holes) {
        if let Some(name) = hole.strip_prefix("connectionConfig.") {
            fields.entry(name.to_owned()).or_insert_with(Field::optional_text);
        }
    }
    let mut declared = Map::new();
    let mut undeclared = Map::new();
    for (name, value) in values.iter().filter(|(_, value)| !value.is_null()) {
        let side = if fields.contains_key(name) {
            &mut declared
        } else {
            &mut undeclared
        };
        side.insert(name.clone(), value.clone());
    }
    if undeclared.len() > MOST_UNDECLARED {
        let rule = format!("has more than {MOST_UNDECLARED} keys that the provider does not know");
        let path = at.iter().map(|part| (*part).to_owned()).collect();
        errors.push(FieldError {
            code: "invalid",
            path,
            message: rule,
        });
    }
    for (name, value) in &undeclared {
        let key_is_good = (1..=LONGEST_KEY).contains(&name.len()) && !name.contains(char::is_control);
        if !key_is_good || has_nul(value) || value.to_string().len() > LONGEST_UNDECLARED {
            let rule = format!(
                "must be a key of 1 to {LONGEST_KEY} bytes with a value of at most {LONGEST_UNDECLARED} bytes, without the character U+0000"
            );
            errors.push(wrong("invalid", at, name, rule));
        }
    }
    (read(&fields, &declared, at, errors), undeclared)
}

/// What of a stored configuration fills holes: texts, numbers, true and false.
pub(crate) fn holes(config: &Map<String, Json>) -> BTreeMap<String, String> {
    let text = |value: &Json| match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(flag) => Some(flag.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    };
    config
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), text(value)?)))
        .collect()
}

/// JSON is parsed with a bound on its depth, which bounds the recursion here.
fn has_nul(value: &Json) -> bool {
    match value {
        Json::String(text) => text.contains('\0'),
        Json::Array(items) => items.iter().any(has_nul),
        Json::Object(fields) => fields
            .iter()
            .any(|(name, value)| name.contains('\0') || has_nul(value)),
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    }
}

/// The values by the fields' rules, without white space around them; an empty value is none.
fn read(
    fields: &indexmap::IndexMap<String, Field>,
    values: &Map<String, Json>,
    at: &[&str],
    errors: &mut Vec<FieldError>,
) -> BTreeMap<String, String> {
    let mut read = BTreeMap::new();
    for (name, value) in values {
        let checked = match (fields.get(name), value) {
            (None, _) => {
                errors.push(wrong("unknown", at, name, unknown(fields)));
                continue;
            }
            (Some(_), Json::Null) => continue,
            (Some(_), Json::String(text)) if text.trim().is_empty() => continue,
            (Some(_), Json::String(text)) if text.len() > LONGEST => {
                Err(format!("must be {LONGEST} bytes at most"))
            }
            (Some(field), Json::String(text)) => {
                let bare = field.bare(text.trim());
                field.check(bare).map(|()| bare)
            }
            (Some(_), _) => Err("must be text".to_owned()),
        };
        match checked {
            Ok(text) => drop(read.insert(name.clone(), text.to_owned())),
            Err(rule) => errors.push(wrong("invalid", at, name, rule)),
        }
    }
    read
}

/// Names the fields that lack a value among the first of the `values`; whether they are asked for hangs on either.
fn require(
    fields: &indexmap::IndexMap<String, Field>,
    values: [&BTreeMap<String, String>; 2],
    at: &[&str],
    errors: &mut Vec<FieldError>,
) {
    let [own, _] = values;
    let of_either = |name: &str| {
        values
            .iter()
            .find_map(|values| values.get(name))
            .map(String::as_str)
    };
    for (name, field) in fields {
        let free = field.optional || field.hidden || field.default_value.is_some();
        let told = |error: &FieldError| error.path.last() == Some(name) && error.path.len() == at.len() + 1;
        if !free && field.visible(of_either) && !own.contains_key(name) && !errors.iter().any(told) {
            let what = field.description.as_ref().or(field.title.as_ref());
            let what = what
                .map(|what| format!(" ({})", what.trim_end_matches('.')))
                .unwrap_or_default();
            errors.push(wrong("missing", at, name, format!("is needed{what}")));
        }
    }
}

fn wrong(code: &'static str, at: &[&str], name: &str, message: String) -> FieldError {
    let path = at.iter().copied().chain([name]).map(str::to_owned).collect();
    FieldError { code, path, message }
}

/// The configuration of the form, if its fields can be read off what it gave and follow their rules.
///
/// Only a template that is one field and nothing else can be read backwards.
fn yields(
    form: &ConnectForm,
    credentials: &BTreeMap<String, String>,
    config: &BTreeMap<String, String>,
) -> Option<BTreeMap<String, String>> {
    let mut fields: BTreeMap<&str, String> = BTreeMap::new();
    for (templates, values) in [
        (&form.credentials, credentials),
        (&form.connection_config, config),
    ] {
        for (name, template) in templates {
            let (Some(field), Some(value)) = (sole_field(template), values.get(name)) else {
                continue;
            };
            if fields.entry(field).or_insert_with(|| value.clone()) != value {
                return None;
            }
        }
    }
    for (name, field) in &form.fields {
        match fields.get(name.as_str()) {
            Some(value) => field.check(value).ok()?,
            None if field.optional => {}
            None => drop(fields.insert(name, field.default_value.clone()?)),
        }
    }
    let lookup = |name: &str| fields.get(name).cloned();
    let mut read = BTreeMap::new();
    for (name, template) in &form.connection_config {
        // A value that makes too long a text cannot be read off.
        let value = template.render_if_filled(&lookup).ok()?;
        read.extend(value.map(|value| (name.clone(), value)));
    }
    Some(read)
}

fn sole_field(template: &Template) -> Option<&str> {
    match template.holes().as_slice() {
        [hole] if template.to_string() == format!("${{{hole}}}") => Some(*hole),
        _ => None,
    }
}
