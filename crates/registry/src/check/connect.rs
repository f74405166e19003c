//! The ways to connect.

use indexmap::IndexMap;

use super::fields;
use super::scope::Scope;
use crate::file::{ConnectFile, ProviderFile};
use crate::path::Path;
use crate::source::Report;
use crate::{AuthMode, ConnectForm, Field, Template};

/// The forms of the file; without any, the one that asks for the credentials and for what else a connection must know.
pub(super) fn forms(
    auth: AuthMode,
    file: &ProviderFile,
    credentials: &IndexMap<String, Field>,
    configuration: &IndexMap<String, Field>,
    report: &mut Report<'_>,
) -> Vec<ConnectForm> {
    if file.connect.is_empty() {
        return vec![plain(auth, credentials, configuration, report)];
    }
    let path = Path::default().at("connect");
    file.connect
        .iter()
        .enumerate()
        .map(|(index, form)| {
            Forms {
                credentials,
                configuration,
            }
            .form(form, &path.at(index), report)
        })
        .collect()
}

/// The form of a file that has none of its own: each field under its own name. In a file of Nango's a key of the configuration may
/// be called like a credential; it is then asked for as `connectionConfig.NAME`.
fn plain(
    auth: AuthMode,
    credentials: &IndexMap<String, Field>,
    configuration: &IndexMap<String, Field>,
    report: &mut Report<'_>,
) -> ConnectForm {
    let mut form = ConnectForm {
        title: match auth {
            AuthMode::ApiKey => "API key".to_owned(),
            AuthMode::Basic => "User name and password".to_owned(),
        },
        fields: IndexMap::new(),
        credentials: IndexMap::new(),
        connection_config: IndexMap::new(),
    };
    for (name, field) in credentials.iter().filter(|(_, field)| !field.hidden) {
        form.fields.insert(name.clone(), field.clone());
        form.credentials.insert(name.clone(), Template::hole(name));
    }
    for (name, field) in configuration.iter().filter(|(_, field)| !field.hidden) {
        let mut asked = name.clone();
        if form.credentials.contains_key(name) {
            let path = Path::default().at("connection_config").at(name);
            report.doubt(&path, "has the name of a credential");
            asked = format!("connectionConfig.{name}");
        }
        form.connection_config
            .insert(name.clone(), Template::hole(&asked));
        form.fields.insert(asked, field.clone());
    }
    for (name, field) in &form.fields {
        if let Some(when) = field
            .visible_when
            .as_ref()
            .filter(|when| !form.fields.contains_key(&when.field))
        {
            let group = if credentials.contains_key(name) {
                "credentials"
            } else {
                "connection_config"
            };
            let path = Path::default().at(group).at(name).at("visible_when");
            report.doubt(&path, format!("there is no field {:?} in the form", when.field));
        }
    }
    form
}

struct Forms<'a> {
    credentials: &'a IndexMap<String, Field>,
    configuration: &'a IndexMap<String, Field>,
}

impl Forms<'_> {
    fn form(&self, file: &ConnectFile, path: &Path, report: &mut Report<'_>) -> ConnectForm {
        let fields = fields::all(&file.fields, &path.at("fields"), report);
        let scope = Scope::of(fields.keys());
        let gives = path.at("gives");
        let mut credentials = IndexMap::new();
        for (name, text) in [
            ("username", &file.gives.username),
            ("password", &file.gives.password),
            ("apiKey", &file.gives.api_key),
        ] {
            let here = gives.at(name);
            match (text, self.credentials.get(name)) {
                (Some(text), Some(_)) => credentials.extend(
                    scope
                        .template(text, &here, report)
                        .map(|text| (name.to_owned(), text)),
                ),
                (Some(_), None) => report.error(&here, "is no credential of this auth_mode"),
                (None, Some(field)) if !field.optional => {
                    report.error(&here, format!("{name:?} is missing here: a connection needs it"));
                }
                (None, _) => {}
            }
        }
        let config = gives.at("connection_config");
        for (name, field) in self.configuration {
            if !file.gives.connection_config.contains_key(name)
                && !field.optional
                && field.default_value.is_none()
            {
                report.error(
                    &config.at(name),
                    format!("{name:?} is missing here: a connection needs it"),
                );
            }
        }
        for name in file
            .gives
            .connection_config
            .keys()
            .filter(|name| !self.configuration.contains_key(*name))
        {
            report.error(&config.at(name), "is not declared under connection_config");
        }
        let connection_config = scope
            .pairs(&file.gives.connection_config, &config, report)
            .into_iter()
            .collect();
        ConnectForm {
            title: file.title.clone(),
            fields,
            credentials,
            connection_config,
        }
    }
}
