//! What an integration's own configuration decides: where its requests go, and where they contain the key.
//!
//! Nango's entry for a generic API declares these keys under `integration_config`. Any provider file may declare them.

use std::collections::BTreeMap;

use crate::field::Fields;
use crate::provider::Provider;
use crate::template::{JsonTemplate, Template, TemplateError};

/// The address of the API, in place of the one in the file.
pub const BASE_URL: &str = "baseUrl";
/// The name of the header or query parameter that carries the key.
pub const KEY_NAME: &str = "keyName";
/// `header` or `query`.
pub const KEY_PLACEMENT: &str = "keyPlacement";
/// How the key is written, such as `Bearer ${apiKey}`.
pub const VALUE_TEMPLATE: &str = "valueTemplate";
/// The label of the field for the key.
pub const KEY_LABEL: &str = "keyLabel";

/// The prefix of placeholders that an integration's configuration fills.
pub const INTEGRATION_CONFIG: &str = "integrationConfig.";

/// Returns the base address of a file, or the integration's own if the file lets the integration set one.
///
/// If the integration must set one, the address in the file is only an example. No key is sent to it.
pub(crate) fn base_url(of_the_file: Template, integration_config: &Fields) -> Template {
    let placeholder = format!("{INTEGRATION_CONFIG}{BASE_URL}");
    match integration_config.get(BASE_URL) {
        Some(field) if !of_the_file.placeholders().contains(&placeholder.as_str()) => {
            if field.optional && field.default_value.is_none() {
                format!("${{{placeholder}}} || {of_the_file}").into()
            } else {
                Template::placeholder(&placeholder)
            }
        }
        _ => of_the_file,
    }
}

/// Whether one of the templates, or the body, contains the key of `auth_mode: API_KEY`.
pub(crate) fn contain_key<'a>(
    templates: impl Iterator<Item = &'a Template>,
    body: &'a [(String, JsonTemplate)],
) -> bool {
    let in_body = body.iter().flat_map(|(_, value)| value.placeholders());
    let mut placeholders = templates.flat_map(Template::placeholders).chain(in_body);
    placeholders.any(|name| matches!(name, "apiKey" | "credentials.apiKey"))
}

impl Provider {
    /// Returns the defaults that the file has for the integration's configuration, by name.
    pub fn integration_defaults(&self) -> BTreeMap<String, String> {
        self.integration_config
            .iter()
            .filter_map(|(name, field)| Some((name.clone(), field.default_value.clone()?)))
            .collect()
    }

    /// Parses an integration's `valueTemplate`. It may contain the credentials and the configuration that the file declares, and
    /// functions that are not nested.
    pub fn value_template(&self, text: &str) -> Result<Template, TemplateError> {
        Template::parse_placeholders(text, true, |placeholder| match placeholder.split_once('.') {
            None => self.credentials.contains_key(placeholder),
            Some(("credentials", name)) => self.credentials.contains_key(name),
            Some(("connectionConfig", name)) => self.connection_config.contains_key(name),
            Some(("integrationConfig", name)) => self.integration_config.contains_key(name),
            Some(_) => false,
        })
    }

    /// Whether a connect form fills this field of a connection's configuration from a credential. The caller may then omit the field.
    pub fn comes_from_credential(&self, name: &str) -> bool {
        self.connect.iter().any(|form| {
            let field = form
                .connection_config
                .get(name)
                .and_then(Template::only_placeholder);
            field.is_some_and(|field| {
                let mut credentials = form.credentials.values();
                credentials.any(|credential| credential.only_placeholder() == Some(field))
            })
        })
    }

    /// Returns the addresses to which credentials are sent: the base, the servers, and the one for verification.
    pub fn addresses(&self) -> impl Iterator<Item = &Template> {
        let verification = self.verification.iter();
        std::iter::once(&self.base_url)
            .chain(self.servers.values())
            .chain(verification.filter_map(|verification| verification.base_url.as_ref()))
    }

    /// Returns the keys of the integration's configuration that `config` (with the file's defaults) lacks and that every request needs:
    /// for an address, or to know where to put the key.
    pub fn lacking_integration_config(&self, config: &BTreeMap<String, String>) -> Vec<String> {
        let filled = |name: &str| config.get(name).is_some_and(|value| !value.is_empty());
        let has = |name: &str| name.strip_prefix(INTEGRATION_CONFIG).is_none_or(filled);
        let mut lacking: Vec<String> = self
            .addresses()
            .flat_map(|address| address.lacks(has))
            .filter_map(|name| name.strip_prefix(INTEGRATION_CONFIG))
            .map(str::to_owned)
            .collect();
        if self.needs_key_name() && !filled(KEY_NAME) {
            lacking.push(KEY_NAME.to_owned());
        }
        lacking.sort_unstable();
        lacking.dedup();
        lacking
    }

    /// Whether the file has no placeholder for the key, so that only the integration's `keyName` says where to send it.
    pub fn needs_key_name(&self) -> bool {
        let field = self.integration_config.get(KEY_NAME);
        let pairs = self.headers.iter().chain(&self.query).map(|(_, value)| value);
        field.is_some_and(|field| !field.optional) && !contain_key(pairs.chain(self.addresses()), &self.body)
    }
}
