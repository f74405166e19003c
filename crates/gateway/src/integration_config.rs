//! What an integration's configuration may hold, by its provider's file, and what of it may change.

use std::collections::{BTreeMap, BTreeSet};

use registry::{Provider, Template};

use crate::{FieldError, given};

/// What configures an integration, by name.
type Config = BTreeMap<String, String>;

/// Names by which an entry for interfaces that its file does not know says where the key stands.
const KEY_NAME: &str = "keyName";
const KEY_PLACEMENT: &str = "keyPlacement";
const VALUE_TEMPLATE: &str = "valueTemplate";

/// Notes what does not follow the rules of the file's fields.
pub(crate) fn check(provider: &Provider, config: &Config, errors: &mut Vec<FieldError>) {
    let fields = &provider.integration_config;
    for (name, value) in config {
        let Some(field) = fields.get(name) else {
            errors.push(wrong("unknown", name, given::unknown(fields)));
            continue;
        };
        if let Err(rule) = field.check(value) {
            errors.push(wrong("invalid", name, rule));
        } else if name == VALUE_TEMPLATE && Template::parse(value).is_err() {
            errors.push(wrong(
                "invalid",
                name,
                "must be a template such as Bearer ${apiKey}".to_owned(),
            ));
        }
    }
    let in_force = over_defaults(provider, config);
    let in_query = in_force.get(KEY_PLACEMENT).is_some_and(|place| place == "query");
    let header = config.get(KEY_NAME).filter(|name| !in_query && !name.is_empty());
    if header.is_some_and(|name| fields.contains_key(KEY_NAME) && !upstream::may_be_set(name)) {
        let rule = "must be the name of a header, and none that belongs to the connection or to the HTTP client, such as Host";
        errors.push(wrong("invalid", KEY_NAME, rule.to_owned()));
    }
}

/// Notes what differs between two configurations and decides where credentials go: connections were made for what was there, and
/// who may change an integration need not be somebody who may see their keys.
pub(crate) fn refuse_moves(provider: &Provider, old: &Config, new: &Config, errors: &mut Vec<FieldError>) {
    let (old, new) = (over_defaults(provider, old), over_defaults(provider, new));
    for name in deciding(provider) {
        if old.get(name) != new.get(name) {
            let rule = "cannot be changed while the integration has connections, since their keys would go elsewhere: make another \
                        integration";
            errors.push(wrong("invalid", name, rule.to_owned()));
        }
    }
}

/// The values that servers and headers are made of.
fn deciding(provider: &Provider) -> BTreeSet<&str> {
    let verification = provider.verification.iter();
    let of_verification = verification.flat_map(|own| own.base_url.iter().chain(headers(&own.headers)));
    let placed = [KEY_NAME, KEY_PLACEMENT, VALUE_TEMPLATE];
    let placed = placed
        .into_iter()
        .filter(|name| provider.integration_config.contains_key(*name));
    std::iter::once(&provider.base_url)
        .chain(provider.servers.values())
        .chain(headers(&provider.headers))
        .chain(of_verification)
        .flat_map(Template::holes)
        .filter_map(|hole| hole.strip_prefix("integrationConfig."))
        .chain(placed)
        .collect()
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
    FieldError {
        code,
        path: vec!["integration_config".to_owned(), name.to_owned()],
        message,
    }
}
