//! The rules for an integration's configuration: what its provider's file allows, and what may change.

use std::collections::{BTreeMap, BTreeSet};

use registry::placement::{INTEGRATION_CONFIG, KEY_NAME, KEY_PLACEMENT, VALUE_TEMPLATE};
use registry::{Provider, RenderError, Template};

use crate::error::FieldError;

/// The configuration of an integration, by name.
pub(crate) type Config = BTreeMap<String, String>;
/// What a request changes of it; `None` removes a value.
pub(crate) type ConfigChange = BTreeMap<String, Option<String>>;

/// `old` with `sent` set over it.
pub(crate) fn merged(old: &Config, sent: &ConfigChange) -> Config {
    let mut merged = old.clone();
    for (name, value) in sent {
        match value {
            Some(value) => drop(merged.insert(name.clone(), value.clone())),
            None => drop(merged.remove(name)),
        }
    }
    merged
}

/// Adds errors for what of `sent` breaks the rules of the file's fields, and for what `merged`, which contains it, lacks.
///
/// `is_reachable` says that the operator's settings name the provider's server, so that none is needed here.
pub(crate) fn check(
    provider: &Provider,
    sent: &ConfigChange,
    merged: &Config,
    is_reachable: bool,
    errors: &mut Vec<FieldError>,
) {
    let before = errors.len();
    let fields = &provider.integration_config;
    for (name, value) in sent {
        let Some(value) = value else { continue };
        let Some(field) = fields.get(name) else {
            errors.push(FieldError::unknown(&["integration_config"], name, fields.keys()));
            continue;
        };
        if let Err(rule) = field.check(value) {
            errors.push(wrong("invalid", name, rule));
        } else if name == VALUE_TEMPLATE
            && let Err(error) = provider.value_template(value)
        {
            let rule = format!("must be text such as Bearer ${{apiKey}}: {error}");
            errors.push(wrong("invalid", name, rule));
        }
    }
    let in_force = over_defaults(provider, merged);
    let in_query = in_force.get(KEY_PLACEMENT).is_some_and(|place| place == "query");
    let header = in_force
        .get(KEY_NAME)
        .filter(|name| !in_query && !name.is_empty());
    if header.is_some_and(|name| fields.contains_key(KEY_NAME) && !upstream::may_set_header(name)) {
        let rule = "must be the name of a header, and none that belongs to the connection or to the HTTP client, such as Host";
        errors.push(wrong("invalid", KEY_NAME, rule.to_owned()));
    }
    if errors.len() > before || is_reachable {
        return;
    }
    for name in provider.lacking_integration_config(&in_force) {
        let what = fields.get(&name).and_then(|field| field.description.as_deref());
        let what = what.map(|what| format!(" ({})", what.trim_end_matches('.')));
        let rule = format!(
            "is required{}: without it no request can be sent",
            what.unwrap_or_default()
        );
        errors.push(wrong("missing", &name, rule));
    }
    if errors.len() == before {
        errors.extend(
            provider
                .addresses()
                .filter_map(|address| unfit(address, &in_force)),
        );
    }
}

/// The error of an address that the configuration alone fills, if it is not a usable one.
fn unfit(address: &Template, in_force: &Config) -> Option<FieldError> {
    let placeholders = address.placeholders();
    let first = placeholders.first()?.strip_prefix(INTEGRATION_CONFIG)?.to_owned();
    if !placeholders
        .iter()
        .all(|name| name.starts_with(INTEGRATION_CONFIG))
    {
        return None;
    }
    match address.render_address(&|name| in_force.get(name.strip_prefix(INTEGRATION_CONFIG)?).cloned()) {
        Ok(_) => None,
        Err(RenderError::Unfit { placeholder, rule }) => {
            let name = placeholder
                .strip_prefix(INTEGRATION_CONFIG)
                .unwrap_or(&placeholder);
            Some(wrong("invalid", name, rule.to_owned()))
        }
        Err(error) => Some(wrong("invalid", &first, format!("makes no address: {error}"))),
    }
}

/// Adds errors for what of `sent` would change where credentials are sent: connections were made for the old place, and a caller that may
/// change an integration need not be one that may see their keys.
///
/// A secret that only goes into a header or a parameter decides neither host nor account, so it may be rotated.
pub(crate) fn refuse_moves(
    provider: &Provider,
    old: &Config,
    sent: &ConfigChange,
    errors: &mut Vec<FieldError>,
) {
    let (before, after) = (
        over_defaults(provider, old),
        over_defaults(provider, &merged(old, sent)),
    );
    for name in deciding(provider)
        .into_iter()
        .filter(|name| sent.contains_key(*name))
    {
        if before.get(name) != after.get(name) {
            let rule = "cannot be changed while the integration has connections, since their keys would go elsewhere: make another \
                        integration";
            errors.push(wrong("invalid", name, rule.to_owned()));
        }
    }
}

/// The names of the values that servers are made of, of those that place the key in a request, and of public values in headers and
/// parameters, which may name an account.
fn deciding(provider: &Provider) -> BTreeSet<&str> {
    let verification = provider.verification.iter();
    let of_verification = verification.flat_map(|own| headers(&own.headers));
    let placed = [KEY_NAME, KEY_PLACEMENT, VALUE_TEMPLATE];
    let placed = placed
        .into_iter()
        .filter(|name| provider.integration_config.contains_key(*name));
    let in_headers = headers(&provider.headers)
        .chain(headers(&provider.query))
        .chain(of_verification);
    let in_headers = own_placeholders(in_headers).filter(|name| !provider.is_secret_integration_config(name));
    own_placeholders(provider.addresses())
        .chain(in_headers)
        .chain(placed)
        .collect()
}

/// The names of the integration's values that the templates use.
fn own_placeholders<'a>(templates: impl Iterator<Item = &'a Template>) -> impl Iterator<Item = &'a str> {
    let placeholders = templates.flat_map(Template::placeholders);
    placeholders.filter_map(|name| name.strip_prefix(INTEGRATION_CONFIG))
}

fn headers(headers: &[(String, Template)]) -> impl Iterator<Item = &Template> {
    headers.iter().map(|(_, value)| value)
}

fn over_defaults(provider: &Provider, config: &Config) -> Config {
    let mut all = provider.integration_defaults();
    all.extend(config.clone());
    all
}

fn wrong(code: &'static str, name: &str, message: String) -> FieldError {
    FieldError::within(code, &["integration_config"], name, message)
}
