//! The integrations that a connect session allows, and the forms by which its holder connects them.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{Connection, IntegrationKey};
use indexmap::IndexMap;
use registry::{ConnectForm, Provider, Template};
use serde_json::{Map, Value as Json};
use store::connect_sessions::ConnectSession;

use super::{resolve, set_config};
use crate::credentials::lacking_config_message;
use crate::error::{GatewayError, Result};
use crate::gateway::{Gateway, ResolvedIntegration};
use crate::integrations as of_environment;

/// An integration that a session allows.
#[derive(Debug, Clone)]
pub struct AllowedIntegration {
    /// Its key.
    pub key: IntegrationKey,
    /// Its display name: the app's, or else the provider's.
    pub display_name: String,
    /// Its provider.
    pub provider: Arc<Provider>,
}

impl AllowedIntegration {
    fn new(key: IntegrationKey, display_name: Option<String>, provider: Arc<Provider>) -> Self {
        let display_name = display_name.unwrap_or_else(|| provider.display_name.clone());
        Self {
            key,
            display_name,
            provider,
        }
    }

    fn of(resolved: ResolvedIntegration) -> Self {
        let name = resolved.row.and_then(|row| row.display_name);
        Self::new(resolved.key, name, resolved.provider)
    }
}

/// The forms of an integration, for the holder of one session.
#[derive(Debug)]
pub struct SessionForms {
    /// The integration.
    pub integration: AllowedIntegration,
    /// The connection whose credentials the session replaces, if it is such a session.
    pub renewed: Option<Connection>,
    /// The provider's forms in their order, without the fields for what the session sets.
    pub forms: Vec<ConnectForm>,
}

impl SessionForms {
    /// Returns the values that the fields of a form have in the connection that is renewed. They cannot change, and none is secret.
    pub fn known_values(&self, form: &ConnectForm) -> BTreeMap<String, String> {
        let Some(connection) = &self.renewed else {
            return BTreeMap::new();
        };
        let known = form.connection_config.iter().filter_map(|(name, template)| {
            let field = template.only_placeholder()?;
            let value = connection.connection_config.get(name)?.as_str()?;
            let is_secret = form.fields.get(field)?.secret;
            (!is_secret).then(|| (field.to_owned(), value.to_owned()))
        });
        known.collect()
    }
}

/// Returns the integrations that a session allows, in the order in which the session names them. A session that names none allows the
/// integrations of its environment, or all providers while the environment has no integration.
pub async fn integrations(gateway: &Gateway, session: &ConnectSession) -> Result<Vec<AllowedIntegration>> {
    let environment = session.environment;
    if let Some(keys) = &session.allowed_integrations {
        let mut allowed = Vec::new();
        for key in keys {
            match gateway.resolve_integration(environment, key.as_str()).await {
                Ok(resolved) => allowed.push(AllowedIntegration::of(resolved)),
                // It was deleted, or its provider's file was removed.
                Err(GatewayError::UnknownIntegration(_)) => {}
                Err(error) => return Err(error),
            }
        }
        return Ok(allowed);
    }
    let listed = of_environment::list(gateway, environment).await?;
    let listed = listed.into_iter().filter_map(|listed| {
        let (key, name) = (listed.row.key, listed.row.display_name);
        Some(AllowedIntegration::new(key, name, listed.provider?))
    });
    let listed: Vec<AllowedIntegration> = listed.collect();
    if !listed.is_empty() {
        return Ok(listed);
    }
    let providers = gateway.registry.iter().filter_map(|provider| {
        let key = provider.name.as_str().parse().ok()?;
        Some(AllowedIntegration::new(key, None, Arc::clone(provider)))
    });
    Ok(providers.collect())
}

/// Returns the forms of an integration for the holder of a session. An integration that lacks configuration, which only the app can add, is
/// [`GatewayError::Uncallable`].
pub async fn forms(gateway: &Gateway, session: &ConnectSession, integration: &str) -> Result<SessionForms> {
    let (integration, renewed) = resolve(gateway, session, integration).await?;
    let config = gateway.integration_config(&integration).await?;
    if let Some(message) = lacking_config_message(gateway, &integration, &config) {
        return Err(GatewayError::Uncallable(message));
    }
    let preset = preset(session, &integration.key);
    let forms = integration.provider.connect.iter();
    Ok(SessionForms {
        forms: forms.map(|form| without_preset(form, &preset)).collect(),
        integration: AllowedIntegration::of(integration),
        renewed: renewed.map(|(connection, _)| connection),
    })
}

/// Returns the values that the session sets for connections of the integration, without blank ones.
pub(super) fn preset(session: &ConnectSession, integration: &IntegrationKey) -> Map<String, Json> {
    let mut preset = set_config(session, integration);
    preset.retain(|_, value| !value.is_null() && value.as_str().is_none_or(|text| !text.trim().is_empty()));
    preset
}

/// Returns the form without what gives a preset value, and without the fields that only such values need.
///
/// A field that depends on one that the form does not ask for is always or never asked for.
pub(super) fn without_preset(form: &ConnectForm, preset: &Map<String, Json>) -> ConnectForm {
    let mut form = form.clone();
    let unasked = form.fields.iter().filter(|(_, field)| field.hidden);
    let mut unasked: BTreeMap<String, Option<String>> = unasked
        .map(|(name, field)| (name.clone(), field.default_value.clone()))
        .collect();
    let (removed, kept): (IndexMap<String, Template>, IndexMap<_, _>) = form
        .connection_config
        .into_iter()
        .partition(|(name, _)| preset.contains_key(name));
    form.connection_config = kept;
    for (name, template) in &removed {
        for field in template.placeholders() {
            let mut others = form.credentials.values().chain(form.connection_config.values());
            if others.any(|other| other.placeholders().contains(&field)) {
                continue;
            }
            form.fields.shift_remove(field);
            let value = preset.get(name).and_then(Json::as_str);
            let value = value.filter(|_| template.only_placeholder().is_some());
            unasked.insert(field.to_owned(), value.map(str::to_owned));
        }
    }
    form.fields.retain(|_, field| {
        let Some(value) = field
            .visible_when
            .as_ref()
            .and_then(|when| unasked.get(&when.field))
        else {
            return true;
        };
        let is_visible = field.visible(|_| value.as_deref());
        field.visible_when = None;
        is_visible
    });
    form
}

#[cfg(test)]
mod tests {
    use indexmap::IndexMap;
    use registry::{Field, VisibleWhen};
    use serde_json::json;

    use super::*;

    fn field() -> Field {
        Field::optional_text()
    }

    fn when(other: &str, value: &str) -> Field {
        let mut field = field();
        field.visible_when = Some(VisibleWhen {
            field: other.to_owned(),
            equals: vec![value.to_owned()],
        });
        field
    }

    fn form(fields: &[(&str, Field)], config: &[(&str, &str)]) -> ConnectForm {
        let templates = |pairs: &[(&str, &str)]| -> IndexMap<String, Template> {
            let pairs = pairs.iter();
            pairs
                .map(|(name, text)| ((*name).to_owned(), Template::parse(text).unwrap()))
                .collect()
        };
        ConnectForm {
            title: "Key".to_owned(),
            translations: IndexMap::new(),
            fields: fields
                .iter()
                .map(|(name, field)| ((*name).to_owned(), field.clone()))
                .collect(),
            credentials: templates(&[("apiKey", "${key}")]),
            connection_config: templates(config),
        }
    }

    /// Returns the names of the fields that are left, those that are always asked for in capitals.
    fn left(form: &ConnectForm, preset: &Json) -> Vec<String> {
        let reduced = without_preset(form, preset.as_object().unwrap());
        let fields = reduced.fields.iter();
        fields
            .map(|(name, field)| match field.visible_when {
                Some(_) => name.clone(),
                None => name.to_uppercase(),
            })
            .collect()
    }

    #[test]
    fn a_form_does_not_ask_for_what_only_a_preset_value_needs() {
        let form = form(
            &[("key", field()), ("sub", field()), ("region", field())],
            &[
                ("host", "${sub}.acme.example"),
                ("region", "${region}"),
                ("both", "${key}-${sub}"),
            ],
        );
        assert_eq!(left(&form, &json!({})), ["KEY", "SUB", "REGION"]);
        assert_eq!(left(&form, &json!({ "region": "eu" })), ["KEY", "SUB"]);
        assert_eq!(left(&form, &json!({ "host": "a" })), ["KEY", "SUB", "REGION"]);
        assert_eq!(
            left(&form, &json!({ "host": "a", "both": "b" })),
            ["KEY", "REGION"]
        );
        let preset = json!({ "host": "mine.acme.example" });
        let reduced = without_preset(&form, preset.as_object().unwrap());
        assert!(
            !reduced.connection_config.contains_key("host"),
            "the form cannot replace it"
        );
    }

    #[test]
    fn a_field_that_depends_on_a_preset_or_hidden_value_is_asked_for_or_not() {
        let mut hidden = field();
        hidden.hidden = true;
        hidden.default_value = Some("cloud".to_owned());
        let form = form(
            &[
                ("key", field()),
                ("edition", field()),
                ("host", when("edition", "server")),
                ("kind", hidden),
                ("site", when("kind", "cloud")),
                ("path", when("kind", "own")),
            ],
            &[("edition", "${edition}"), ("host", "${host}")],
        );
        assert_eq!(
            left(&form, &json!({})),
            ["KEY", "EDITION", "host", "KIND", "SITE"]
        );
        assert_eq!(
            left(&form, &json!({ "edition": "server" })),
            ["KEY", "HOST", "KIND", "SITE"]
        );
        assert_eq!(
            left(&form, &json!({ "edition": "cloud" })),
            ["KEY", "KIND", "SITE"]
        );
    }
}
