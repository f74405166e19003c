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

/// A field that stands in the form under its own name.
fn itself(name: &str, path: &Path, report: &mut Report<'_>) -> Option<Template> {
    report.take(path, Template::parse(&format!("${{{name}}}")))
}

fn plain(
    auth: AuthMode,
    credentials: &IndexMap<String, Field>,
    configuration: &IndexMap<String, Field>,
    report: &mut Report<'_>,
) -> ConnectForm {
    let shown = |(name, field): (&String, &Field)| (!field.hidden).then(|| (name.clone(), field.clone()));
    let stored: IndexMap<_, _> = credentials.iter().filter_map(shown).collect();
    let known: IndexMap<_, _> = configuration.iter().filter_map(shown).collect();
    for name in known.keys().filter(|name| stored.contains_key(*name)) {
        report.error(
            &Path::default().at("connection_config").at(name),
            "has the name of a credential",
        );
    }
    let mut gives = |fields: &IndexMap<String, Field>, path: &Path| -> IndexMap<String, Template> {
        fields
            .keys()
            .filter_map(|name| Some((name.clone(), itself(name, &path.at(name), report)?)))
            .collect()
    };
    ConnectForm {
        title: match auth {
            AuthMode::ApiKey => "API key".to_owned(),
            AuthMode::Basic => "User name and password".to_owned(),
        },
        credentials: gives(&stored, &Path::default().at("credentials")),
        connection_config: gives(&known, &Path::default().at("connection_config")),
        fields: stored.into_iter().chain(known).collect(),
    }
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
