//! Credentials in the fields of one of the provider's forms, as in a connect request.

use std::collections::BTreeMap;

use indexmap::{IndexMap, IndexSet};
use registry::{ConnectForm, Field, Provider, RenderError, Template};
use serde_json::{Map, Value as Json};

use super::config::{ConnectionConfig, read_config};
use super::fields;
use crate::error::{FieldError, GatewayError, Result, missing_message};

/// Fields that only an OAuth request has.
const OAUTH_WORDS: [&str; 8] = [
    "code",
    "redirect_uri",
    "client_id",
    "client_secret",
    "access_token",
    "refresh_token",
    "oauth_scopes",
    "authorization_params",
];

/// Fills the first of `forms`, which are some of the provider's, that `fields` complete.
///
/// `fields` are those of the body that no request of all providers has. `config` is configuration by the names under which it is stored,
/// for what no form asks.
pub(super) fn fill(
    provider: &Provider,
    forms: &[ConnectForm],
    fields: &Map<String, Json>,
    config: &Map<String, Json>,
    config_path: &[&str],
) -> Result<(BTreeMap<String, String>, ConnectionConfig), Vec<FieldError>> {
    let mut errors = Vec::new();
    let given = texts(forms, fields, &mut errors);
    let mut config = read_config(provider, config, config_path, &mut errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    let Some(form) = forms.iter().find(|form| missing(form, &given).next().is_none()) else {
        return Err(explain_missing(forms, &given));
    };
    let mut values: BTreeMap<&str, String> = BTreeMap::new();
    for (name, field) in &form.fields {
        let value = given.get(name.as_str()).map(|value| field.bare(value));
        let default = || {
            field
                .default_value
                .as_deref()
                .filter(|_| is_asked_for(form, field, &given))
        };
        let Some(value) = value.or_else(default) else {
            continue;
        };
        if let Err(message) = field.check(value) {
            errors.push(FieldError::at("invalid", name, message));
        }
        values.insert(name, value.to_owned());
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let lookup = |name: &str| values.get(name).cloned();
    let credentials = rendered(&form.credentials, &lookup)?;
    // The form wins over the rest of the body.
    config
        .declared
        .extend(rendered(&form.connection_config, &lookup)?);
    Ok((credentials, config))
}

/// Fills the templates, and omits those whose optional field is missing.
fn rendered(
    templates: &IndexMap<String, Template>,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, String>, Vec<FieldError>> {
    let mut values = BTreeMap::new();
    for (name, template) in templates {
        let value = template.render_if_filled(lookup).map_err(|error| {
            let field = match &error {
                RenderError::TooLong { placeholder } => placeholder.as_str(),
                _ => template
                    .placeholders()
                    .first()
                    .map_or(name.as_str(), |name| *name),
            };
            vec![FieldError::at(
                "invalid",
                field,
                format!("cannot be used: {error}"),
            )]
        })?;
        values.extend(value.map(|value| (name.clone(), value)));
    }
    Ok(values)
}

/// Refuses a request that tries an OAuth flow, and says how the provider is connected.
pub(crate) fn refuse_oauth(provider: &Provider, fields: &Map<String, Json>) -> Result<()> {
    let known = |word: &str| provider.connect.iter().any(|form| form.fields.contains_key(word));
    let mode = fields
        .get("auth_mode")
        .and_then(Json::as_str)
        .is_some_and(|mode| mode.to_ascii_uppercase().contains("OAUTH"));
    if mode
        || OAUTH_WORDS
            .iter()
            .any(|word| fields.contains_key(*word) && !known(word))
    {
        return Err(GatewayError::OauthNotSupported(how_to_connect(provider)));
    }
    Ok(())
}

/// Says how the provider is connected, for callers that tried OAuth.
pub(crate) fn how_to_connect(provider: &Provider) -> String {
    let required = |field: &Field| !field.optional && field.visible_when.is_none();
    let forms = provider.connect.iter().map(|form| summary(form, required));
    let forms: Vec<String> = forms.collect();
    format!(
        "{} is connected with keys, not by OAuth: there is no flow to start and no redirect to wait for. Send POST /{}/connect with {}.",
        provider.display_name,
        provider.name,
        forms.join(", or with ")
    )
}

/// The fields of the body as text, without blank ones. A value that is no text, or the field of no form, is an error.
fn texts<'a>(
    forms: &[ConnectForm],
    fields: &'a Map<String, Json>,
    errors: &mut Vec<FieldError>,
) -> BTreeMap<&'a str, &'a str> {
    let mut given = BTreeMap::new();
    for (name, value) in fields {
        if !forms.iter().any(|form| form.fields.contains_key(name)) {
            errors.push(FieldError::at(
                "unknown",
                name,
                format!(
                    "is not a field of this body; its fields are {}",
                    known_fields(forms)
                ),
            ));
            continue;
        }
        match fields::trimmed_text(value) {
            Ok(text) => given.extend(text.map(|text| (name.as_str(), text))),
            Err(rule) => errors.push(FieldError::at("invalid", name, rule)),
        }
    }
    given
}

fn known_fields(forms: &[ConnectForm]) -> String {
    let shared = [
        "connectionId",
        "metadata",
        "tags",
        "end_user",
        "organization",
        "connection_config",
    ];
    let fields = forms.iter().flat_map(|form| form.fields.keys());
    let names: IndexSet<&str> = shared.into_iter().chain(fields.map(String::as_str)).collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// The names of a form's fields, and its title.
fn summary(form: &ConnectForm, includes: impl Fn(&Field) -> bool) -> String {
    let fields = form.fields.iter().filter(|(_, field)| includes(field));
    let names: Vec<&str> = fields.map(|(name, _)| name.as_str()).collect();
    format!("{} ({})", names.join(", "), form.title)
}

fn missing<'a>(form: &'a ConnectForm, given: &'a BTreeMap<&str, &str>) -> impl Iterator<Item = &'a String> {
    form.fields
        .iter()
        .filter(|(name, field)| {
            let needed = !field.optional && field.default_value.is_none();
            needed && !given.contains_key(name.as_str()) && is_asked_for(form, field, given)
        })
        .map(|(name, _)| name)
}

/// Whether the form asks for the field, which depends on the other fields and their defaults.
fn is_asked_for(form: &ConnectForm, field: &Field, given: &BTreeMap<&str, &str>) -> bool {
    let default = |name: &str| form.fields.get(name)?.default_value.as_deref();
    field.visible(|name| given.get(name).copied().or_else(|| default(name)))
}

/// Returns the missing and invalid fields of the form with the most given fields.
fn explain_missing(forms: &[ConnectForm], given: &BTreeMap<&str, &str>) -> Vec<FieldError> {
    let filled = |form: &&ConnectForm| {
        form.fields
            .keys()
            .filter(|name| given.contains_key(name.as_str()))
            .count()
    };
    // `max_by_key` takes the last of equals; the first form is the recommended one.
    let Some(form) = forms.iter().rev().max_by_key(filled) else {
        return Vec::new();
    };
    let others = forms.iter().filter(|other| other.title != form.title);
    let others: Vec<String> = others.map(|other| summary(other, |_| true)).collect();
    let instead = if others.is_empty() {
        String::new()
    } else {
        format!("; or give {}", others.join(", or "))
    };
    let mut errors: Vec<FieldError> = missing(form, given)
        .map(|name| {
            let needed = missing_message(form.fields.get(name));
            FieldError::at("missing", name, format!("{needed}{instead}"))
        })
        .collect();
    for (name, value) in given {
        let field = forms.iter().find_map(|form| form.fields.get(*name));
        if let Some(Err(message)) = field.map(|field| field.check(field.bare(value))) {
            errors.push(FieldError::at("invalid", *name, message));
        }
    }
    errors
}
