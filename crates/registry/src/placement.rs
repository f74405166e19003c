//! What an integration's own configuration decides: where its calls go, and where the key stands.
//!
//! Nango's entry for an API that its file does not know declares these keys under `integration_config`. Any provider file may.

use std::collections::BTreeMap;

use crate::field::Field;
use crate::provider::Provider;
use crate::template::{JsonTemplate, Template, TemplateError};

/// The address of the API, in place of the one in the file.
pub const BASE_URL: &str = "baseUrl";
/// The header or parameter that holds the key.
pub const KEY_NAME: &str = "keyName";
/// `header` or `query`.
pub const KEY_PLACEMENT: &str = "keyPlacement";
/// How the key is written, such as `Bearer ${apiKey}`.
pub const VALUE_TEMPLATE: &str = "valueTemplate";
/// What people read beside the field that asks for the key.
pub const KEY_LABEL: &str = "keyLabel";

/// The prefix of holes that an integration's configuration fills.
const HOLE: &str = "integrationConfig.";

/// The base address of a file, or the integration's own if the file lets the integration name one.
///
/// If the integration must name one, the file's address is a mere placeholder, and no key goes there.
pub(crate) fn base_url(
    of_the_file: Template,
    integration_config: &indexmap::IndexMap<String, Field>,
) -> Template {
    let hole = format!("{HOLE}{BASE_URL}");
    match integration_config.get(BASE_URL) {
        Some(field) if !of_the_file.holes().contains(&hole.as_str()) => {
            if field.optional && field.default_value.is_none() {
                format!("${{{hole}}} || {of_the_file}").into()
            } else {
                Template::hole(&hole)
            }
        }
        _ => of_the_file,
    }
}

/// Whether a hole is filled by the key of `auth_mode: API_KEY`.
pub(crate) fn is_key(hole: &str) -> bool {
    matches!(hole, "apiKey" | "credentials.apiKey")
}

impl Provider {
    /// The integration's configuration as far as the file brings it, by name.
    pub fn integration_defaults(&self) -> BTreeMap<String, String> {
        self.integration_config
            .iter()
            .filter_map(|(name, field)| Some((name.clone(), field.default_value.clone()?)))
            .collect()
    }

    /// Parses an integration's `valueTemplate`: it may hold the credentials and the configuration that the file declares, and
    /// functions that are not nested.
    pub fn value_template(&self, text: &str) -> Result<Template, TemplateError> {
        Template::parse_holes(text, true, |hole| match hole.split_once('.') {
            None => self.credentials.contains_key(hole),
            Some(("credentials", name)) => self.credentials.contains_key(name),
            Some(("connectionConfig", name)) => self.connection_config.contains_key(name),
            Some(("integrationConfig", name)) => self.integration_config.contains_key(name),
            Some(_) => false,
        })
    }

    /// Whether some form of the file gives this key of a connection's configuration the very value of a credential, so that it can
    /// be left out where that credential is given.
    pub fn is_in_a_credential(&self, name: &str) -> bool {
        self.connect.iter().any(|form| {
            let field = form.connection_config.get(name).and_then(Template::only_hole);
            field.is_some_and(|field| {
                let mut credentials = form.credentials.values();
                credentials.any(|credential| credential.only_hole() == Some(field))
            })
        })
    }

    /// The addresses that credentials go to: the base, the servers, and the one for verification.
    pub fn addresses(&self) -> impl Iterator<Item = &Template> {
        let verification = self.verification.iter();
        std::iter::once(&self.base_url)
            .chain(self.servers.values())
            .chain(verification.filter_map(|verification| verification.base_url.as_ref()))
    }

    /// Keys of the integration's configuration that `config` (with the file's defaults) lacks, and without which no call can be
    /// made: an address needs them, or nothing else says where the key stands.
    pub fn lacking_integration_config(&self, config: &BTreeMap<String, String>) -> Vec<String> {
        let filled = |name: &str| config.get(name).is_some_and(|value| !value.is_empty());
        let has = |hole: &str| hole.strip_prefix(HOLE).is_none_or(filled);
        let mut lacking: Vec<String> = self
            .addresses()
            .flat_map(|address| address.lacks(has))
            .filter_map(|hole| hole.strip_prefix(HOLE))
            .map(str::to_owned)
            .collect();
        if self.is_placed_by_name() && !filled(KEY_NAME) {
            lacking.push(KEY_NAME.to_owned());
        }
        lacking.sort_unstable();
        lacking.dedup();
        lacking
    }

    /// Whether nothing but the integration's `keyName` says where the key stands.
    pub fn is_placed_by_name(&self) -> bool {
        let field = self.integration_config.get(KEY_NAME);
        let pairs = self.headers.iter().chain(&self.query).map(|(_, value)| value);
        let in_body = self.body.iter().flat_map(|(_, value)| JsonTemplate::holes(value));
        let mut holes = pairs
            .chain(self.addresses())
            .flat_map(Template::holes)
            .chain(in_body);
        field.is_some_and(|field| !field.optional) && !holes.any(is_key)
    }
}
