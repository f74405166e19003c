//! Checks the connect forms.

use indexmap::IndexMap;

use super::fields;
use super::scope::Scope;
use crate::field::Fields;
use crate::file::ConnectFile;
use crate::provider::{AuthMode, ConnectForm};
use crate::source::Report;
use crate::template::Template;
use crate::translation::{self, Translations};

/// Returns the forms of the file. If it has none, returns one that asks for the credentials and the connection's configuration.
pub(super) fn forms(
    auth: AuthMode,
    files: Vec<ConnectFile>,
    credentials: &Fields,
    configuration: &Fields,
    report: &Report<'_>,
) -> Vec<ConnectForm> {
    if files.is_empty() {
        return vec![plain(auth, credentials, configuration, report)];
    }
    let report = &report.at("connect");
    let files = files.into_iter().enumerate();
    files
        .map(|(index, file)| form(file, credentials, configuration, &report.at(index)))
        .collect()
}

/// Returns the form of a file without forms: each field under its own name. In Nango's entries a key of the configuration may have the
/// name of a credential; the form then calls it `connectionConfig.NAME`.
fn plain(auth: AuthMode, credentials: &Fields, configuration: &Fields, report: &Report<'_>) -> ConnectForm {
    let mut form = ConnectForm {
        title: match auth {
            AuthMode::ApiKey => "API key".to_owned(),
            AuthMode::Basic => "User name and password".to_owned(),
        },
        translations: Translations::new(),
        fields: IndexMap::new(),
        credentials: IndexMap::new(),
        connection_config: IndexMap::new(),
    };
    for (name, field) in credentials.iter().filter(|(_, field)| !field.hidden) {
        form.fields.insert(name.clone(), field.clone());
        form.credentials.insert(name.clone(), Template::placeholder(name));
    }
    for (name, field) in configuration.iter().filter(|(_, field)| !field.hidden) {
        let mut asked = name.clone();
        if form.credentials.contains_key(name) {
            let report = report.at("connection_config").at(name);
            report.doubt("has the name of a credential");
            asked = format!("connectionConfig.{name}");
        }
        form.connection_config
            .insert(name.clone(), Template::placeholder(&asked));
        form.fields.insert(asked, field.clone());
    }
    for (name, field) in &form.fields {
        let Some(when) = &field.visible_when else {
            continue;
        };
        if !form.fields.contains_key(&when.field) {
            let section = if credentials.contains_key(name) {
                "credentials"
            } else {
                "connection_config"
            };
            let message = format!("unknown field {:?} of the form", when.field);
            report.at(section).at(name).at("visible_when").doubt(message);
        }
    }
    form
}

fn form(
    file: ConnectFile,
    known_credentials: &Fields,
    configuration: &Fields,
    report: &Report<'_>,
) -> ConnectForm {
    translation::check(&file.translations, report);
    let mut fields = fields::all(file.fields, &report.at("fields"));
    let scope = Scope::of(fields.keys());
    let (report, gives) = (&report.at("gives"), file.gives);
    let mut credentials = IndexMap::new();
    for (name, template) in [
        ("username", gives.username),
        ("password", gives.password),
        ("apiKey", gives.api_key),
    ] {
        let report = &report.at(name);
        match (template, known_credentials.get(name)) {
            (Some(template), Some(_)) => {
                scope.template(&template, report);
                credentials.insert(name.to_owned(), template);
            }
            (Some(_), None) => report.error("is not a credential of this auth_mode"),
            (None, Some(field)) if !field.optional => {
                report.error(format!("{name:?} is missing here: a connection needs it"));
            }
            (None, _) => {}
        }
    }
    let (report, given) = (&report.at("connection_config"), gives.connection_config);
    for (name, field) in configuration {
        if !given.contains_key(name) && !field.optional && field.default_value.is_none() {
            let message = format!("{name:?} is missing here: a connection needs it");
            report.at(name).error(message);
        }
    }
    for (name, template) in &given {
        if !configuration.contains_key(name) {
            report.at(name).error("is not declared under connection_config");
        }
        scope.template(template, &report.at(name));
    }
    let is_secret =
        |(name, _): &(&String, &Template)| known_credentials.get(*name).is_some_and(|field| field.secret);
    let is_secret_config =
        |(name, _): &(&String, &Template)| configuration.get(*name).is_some_and(|field| field.secret);
    let secrets = credentials.iter().filter(is_secret);
    for (_, template) in secrets.chain(given.iter().filter(is_secret_config)) {
        hide_secrets(template, &mut fields);
    }
    ConnectForm {
        title: file.title,
        translations: file.translations,
        fields,
        credentials,
        connection_config: given,
    }
}

/// Makes the fields of a secret value secret, unless the file says already which of them is.
fn hide_secrets(template: &Template, fields: &mut Fields) {
    let names = template.placeholders();
    if names
        .iter()
        .any(|name| fields.get(*name).is_some_and(|field| field.secret))
    {
        return;
    }
    for name in names {
        if let Some(field) = fields.get_mut(name) {
            field.secret = true;
        }
    }
}
