//! Credentials in their stored names, as in an import or a front end's request.

use std::collections::BTreeMap;

use registry::{ConnectForm, Provider};
use serde_json::{Map, Value as Json};

use super::config::{ConnectionConfig, read_config};
use super::fields;
use crate::error::FieldError;

/// Reads credentials that have a path in the request, with a configuration that has the path `config_path`.
///
/// A missing configuration value is taken from the first form of the provider's file that yields these
/// credentials: if a form fills two values from one field, the request needs the field only once. A value that is still missing is
/// an error only if the verification needs it.
pub(super) fn fill(
    provider: &Provider,
    (credentials, path): (&Map<String, Json>, &[&str]),
    config: &Map<String, Json>,
    config_path: &[&str],
) -> Result<(BTreeMap<String, String>, ConnectionConfig), Vec<FieldError>> {
    let mut errors = Vec::new();
    let credentials = fields::read(&provider.credentials, credentials, path, &mut errors);
    let mut config = read_config(provider, config, config_path, &mut errors);
    let declared = &mut config.declared;
    fields::require(&provider.credentials, &credentials, declared, path, &mut errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    let by_form = provider
        .connect
        .iter()
        .find_map(|form| config_of_form(form, &credentials, declared));
    for (name, value) in by_form.into_iter().flatten() {
        declared.entry(name).or_insert(value);
    }
    Ok((credentials, config))
}

/// Takes the `type` from a request's `credentials`; it must be the provider's.
pub(super) fn of_type(provider: &Provider, credentials: Json) -> Result<Map<String, Json>, FieldError> {
    let Json::Object(mut credentials) = credentials else {
        return Err(FieldError::at("invalid", "credentials", "must be an object"));
    };
    let mode = provider.auth.as_str();
    if credentials.remove("type").as_ref().and_then(Json::as_str) == Some(mode) {
        return Ok(credentials);
    }
    let name = &provider.display_name;
    let message = format!("must be {mode}: those are the credentials that {name} takes");
    Err(FieldError::new("invalid", ["credentials", "type"], message))
}

/// The configuration that the form gives, if its fields can be derived from the values and follow their rules.
///
/// A field can be derived only from a template with nothing else.
fn config_of_form(
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
            let (Some(field), Some(value)) = (template.only_placeholder(), values.get(name)) else {
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
    let mut derived = BTreeMap::new();
    for (name, template) in &form.connection_config {
        // A value whose text would be too long cannot be derived.
        let value = template.render_if_filled(&lookup).ok()?;
        derived.extend(value.map(|value| (name.clone(), value)));
    }
    Some(derived)
}
