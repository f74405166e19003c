//! Matches the body of a connect request to one of the provider's forms.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use registry::{AuthMode, ConnectForm, Field, Provider, RenderError, Template};
use secrecy::SecretString;
use serde_json::{Map, Value as Json};

use crate::credentials::Secrets;
use crate::import::CONFIG;
use crate::{FieldError, GatewayError, given};

/// What a form gives: the secrets to seal and the configuration to store.
pub(crate) struct Filled {
    pub(crate) secrets: Secrets,
    /// The keys that the provider's file knows and that are not secret.
    pub(crate) connection_config: BTreeMap<String, String>,
    /// Keys that it does not know, kept as they were given.
    pub(crate) undeclared: Map<String, Json>,
}

impl Filled {
    /// The configuration as it is stored.
    pub(crate) fn stored_config(&self) -> Map<String, Json> {
        let declared = self.connection_config.iter();
        let declared = declared.map(|(name, value)| (name.clone(), value.as_str().into()));
        declared.chain(self.undeclared.clone()).collect()
    }

    /// The configuration as it fills holes.
    pub(crate) fn holes(&self) -> BTreeMap<String, String> {
        given::holes(&self.stored_config())
    }

    /// What was given, with what the auth mode takes for granted.
    pub(crate) fn new(
        provider: &Provider,
        mut credentials: BTreeMap<String, SecretString>,
        (connection_config, undeclared): given::Config,
    ) -> Self {
        if provider.auth == AuthMode::Basic {
            // A provider that does without one of the two takes it for empty.
            for name in ["username", "password"] {
                credentials.entry(name.to_owned()).or_default();
            }
        }
        let mut secrets = Secrets {
            credentials,
            config: BTreeMap::new(),
        };
        let mut public = BTreeMap::new();
        for (name, value) in connection_config {
            if provider.is_secret_config(&name) {
                secrets.config.insert(name, value.into());
            } else {
                public.insert(name, value);
            }
        }
        Self {
            secrets,
            connection_config: public,
            undeclared,
        }
    }
}

/// Words by which one recognises somebody who tries an OAuth flow.
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

/// Fills the first form of `provider` that `fields` complete.
///
/// `fields` are what is left of the body once the names that all providers share are taken out. White space around values is
/// cut off, and an empty value is none. `config` is configuration by the names under which it is stored, for what no form asks.
pub(crate) fn fill(
    provider: &Provider,
    fields: &Map<String, Json>,
    config: &Map<String, Json>,
) -> Result<Filled, GatewayError> {
    refuse_oauth(provider, fields)?;
    let mut errors = Vec::new();
    let given = texts(provider, fields, &mut errors);
    let (of_body, undeclared) = given::config(provider, config, CONFIG, &mut errors);
    if !errors.is_empty() {
        return Err(GatewayError::InvalidBody(errors));
    }
    let Some(form) = provider
        .connect
        .iter()
        .find(|form| missing(form, &given).next().is_none())
    else {
        return Err(GatewayError::InvalidBody(explain_missing(provider, &given)));
    };
    let mut values: BTreeMap<&str, String> = BTreeMap::new();
    for (name, field) in &form.fields {
        let value = given.get(name.as_str()).map(|value| field.bare(value));
        let default = || {
            field
                .default_value
                .as_deref()
                .filter(|_| asked_for(form, field, &given))
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
        return Err(GatewayError::InvalidBody(errors));
    }
    let lookup = |name: &str| values.get(name).cloned();
    let defaults = provider
        .connection_config
        .iter()
        .filter_map(|(name, field)| Some((name.clone(), field.default_value.clone()?)));
    let credentials = rendered(&form.credentials, &lookup)?;
    let credentials = credentials.into_iter().map(|(name, value)| (name, value.into()));
    // What the form gives stands over what the file takes by default.
    let connection_config = defaults
        .chain(of_body)
        .chain(rendered(&form.connection_config, &lookup)?);
    Ok(Filled::new(
        provider,
        credentials.collect(),
        (connection_config.collect(), undeclared),
    ))
}

/// The templates with their holes filled; one whose optional field was left out is left out too.
fn rendered(
    templates: &IndexMap<String, Template>,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<(String, String)>, GatewayError> {
    let mut values = Vec::new();
    for (name, template) in templates {
        let value = template.render_if_filled(lookup).map_err(|error| {
            let field = match &error {
                RenderError::TooLong { hole } => hole.as_str(),
                _ => template.holes().first().map_or(name.as_str(), |hole| *hole),
            };
            GatewayError::InvalidBody(vec![FieldError::at(
                "invalid",
                field,
                format!("cannot be used: {error}"),
            )])
        })?;
        values.extend(value.map(|value| (name.clone(), value)));
    }
    Ok(values)
}

fn refuse_oauth(provider: &Provider, fields: &Map<String, Json>) -> Result<(), GatewayError> {
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

/// How to connect a provider, for somebody who tried otherwise.
pub(crate) fn how_to_connect(provider: &Provider) -> String {
    let forms: Vec<String> = provider
        .connect
        .iter()
        .map(|form| {
            let names: Vec<&str> = form
                .fields
                .iter()
                .filter(|(_, field)| !field.optional && field.visible_when.is_none())
                .map(|(name, _)| name.as_str())
                .collect();
            format!("{} ({})", names.join(", "), form.title)
        })
        .collect();
    format!(
        "{} is connected with keys, not by OAuth: there is no flow to start and no redirect to wait for. Send POST /{}/connect with {}.",
        provider.display_name,
        provider.name,
        forms.join(", or with ")
    )
}

/// The body's fields as trimmed text, empty ones left out; what is no text or no field of any form is an error.
fn texts<'a>(
    provider: &Provider,
    fields: &'a Map<String, Json>,
    errors: &mut Vec<FieldError>,
) -> BTreeMap<&'a str, &'a str> {
    let mut given = BTreeMap::new();
    for (name, value) in fields {
        if !provider.connect.iter().any(|form| form.fields.contains_key(name)) {
            errors.push(FieldError::at(
                "unknown",
                name,
                format!("is no field of this body; it takes {}", known_fields(provider)),
            ));
            continue;
        }
        match value {
            Json::Null => {}
            Json::String(text) if text.trim().is_empty() => {}
            Json::String(text) if text.len() > 1024 => {
                errors.push(FieldError::at("invalid", name, "must be 1024 bytes at most"));
            }
            Json::String(text) => drop(given.insert(name.as_str(), text.trim())),
            _ => errors.push(FieldError::at("invalid", name, "must be text")),
        }
    }
    given
}

fn known_fields(provider: &Provider) -> String {
    let mut names: Vec<&str> = vec![
        "connectionId",
        "metadata",
        "tags",
        "end_user",
        "organization",
        "connection_config",
    ];
    for name in provider.connect.iter().flat_map(|form| form.fields.keys()) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names.join(", ")
}

fn missing<'a>(form: &'a ConnectForm, given: &'a BTreeMap<&str, &str>) -> impl Iterator<Item = &'a String> {
    form.fields
        .iter()
        .filter(|(name, field)| {
            let needed = !field.optional && field.default_value.is_none();
            needed && !given.contains_key(name.as_str()) && asked_for(form, field, given)
        })
        .map(|(name, _)| name)
}

/// Whether the field is one to fill in, by what else is given or taken by default.
fn asked_for(form: &ConnectForm, field: &Field, given: &BTreeMap<&str, &str>) -> bool {
    let default = |name: &str| form.fields.get(name)?.default_value.as_deref();
    field.visible(|name| given.get(name).copied().or_else(|| default(name)))
}

/// What is missing, seen from the form that was begun furthest, with the shapes of what is there.
fn explain_missing(provider: &Provider, given: &BTreeMap<&str, &str>) -> Vec<FieldError> {
    let begun = |form: &&ConnectForm| {
        form.fields
            .keys()
            .filter(|name| given.contains_key(name.as_str()))
            .count()
    };
    // `max_by_key` takes the last of equals; the first form is the recommended one.
    let Some(form) = provider.connect.iter().rev().max_by_key(begun) else {
        return Vec::new();
    };
    let others: Vec<String> = provider
        .connect
        .iter()
        .filter(|other| other.title != form.title)
        .map(|other| {
            format!(
                "{} ({})",
                other
                    .fields
                    .keys()
                    .map(String::as_str)
                    .collect::<Vec<_>>()
                    .join(", "),
                other.title
            )
        })
        .collect();
    let instead = if others.is_empty() {
        String::new()
    } else {
        format!("; or give {}", others.join(", or "))
    };
    let mut errors: Vec<FieldError> = missing(form, given)
        .map(|name| {
            let what = form
                .fields
                .get(name)
                .and_then(|field| field.description.clone().or_else(|| field.title.clone()));
            let what = what
                .map(|what| format!(" ({})", what.trim_end_matches('.')))
                .unwrap_or_default();
            FieldError::at("missing", name, format!("is needed{what}{instead}"))
        })
        .collect();
    for (name, value) in given {
        let field = provider.connect.iter().find_map(|form| form.fields.get(*name));
        if let Some(Err(message)) = field.map(|field| field.check(field.bare(value))) {
            errors.push(FieldError::at("invalid", *name, message));
        }
    }
    errors
}
