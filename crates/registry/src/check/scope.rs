//! Which holes a template may have, by where it stands.

use indexmap::IndexMap;

use crate::field::Field;
use crate::path::Path;
use crate::source::Report;
use crate::template::{JsonTemplate, SIGNING, Template, TemplateError, is_time};
use crate::wording::list;

/// What a request knows of itself when its headers, parameters and body are made.
const REQUEST: [&str; 6] = [
    "endpoint",
    "host",
    "path",
    "method",
    "params",
    "bodyCanonicalParams",
];

/// The values that are there when a template is filled.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    holes: Vec<String>,
    /// `${metadata.…}` holds whatever an app has stored with the connection.
    metadata: bool,
    /// `${now…}` and `${random}`.
    moment: bool,
}

impl Scope {
    /// What is known of a connection: the credentials, its configuration and its metadata, and the integration's configuration.
    pub(super) fn of_requests(
        credentials: &IndexMap<String, Field>,
        configuration: &IndexMap<String, Field>,
        integration: &IndexMap<String, Field>,
    ) -> Self {
        let prefixed = |prefix: &'static str, fields: &IndexMap<String, Field>| -> Vec<String> {
            fields.keys().map(|name| format!("{prefix}{name}")).collect()
        };
        Self {
            holes: [
                prefixed("", credentials),
                prefixed("credentials.", credentials),
                prefixed("connectionConfig.", configuration),
                prefixed("integrationConfig.", integration),
            ]
            .concat(),
            metadata: true,
            moment: false,
        }
    }

    /// This scope with the time and a random text, where a single request is made.
    pub(super) fn at_a_moment(&self) -> Self {
        Self {
            moment: true,
            ..self.clone()
        }
    }

    /// This scope with what a request knows of itself when its address is made.
    pub(super) fn within_request(&self) -> Self {
        let mut scope = self.at_a_moment();
        scope.holes.extend(REQUEST.map(str::to_owned));
        scope
    }

    /// Named values alone.
    pub(super) fn of<T: Into<String>>(holes: impl IntoIterator<Item = T>) -> Self {
        Self {
            holes: holes.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// This scope and one value more.
    pub(super) fn and(&self, hole: String) -> Self {
        let mut scope = self.clone();
        scope.holes.push(hole);
        scope
    }

    /// Checks that the text is a template all of whose holes are filled here.
    pub(super) fn template(&self, template: &Template, path: &Path, report: &mut Report<'_>) {
        let mut holes = template.holes().into_iter();
        let signs = holes.find(|hole| SIGNING.contains(hole) && !self.knows(hole));
        let signs = signs.map(|name| TemplateError::Unsupported(name.to_owned()));
        match template.error.as_ref().or(signs.as_ref()) {
            None => {}
            Some(error @ TemplateError::Unsupported(_)) if report.source.foreign => {
                report.unsupported = Some(error.to_string());
                return;
            }
            Some(error) => return report.error(path, error.to_string()),
        }
        for hole in template.holes().into_iter().filter(|hole| !self.knows(hole)) {
            report.doubt(path, self.unfilled(hole));
        }
    }

    fn knows(&self, hole: &str) -> bool {
        self.holes.iter().any(|known| known == hole)
            || (self.metadata && hole.starts_with("metadata."))
            || (self.moment && (hole == "random" || is_time(hole)))
    }

    fn unfilled(&self, hole: &str) -> String {
        let told = |hole: &&String| !REQUEST.contains(&hole.as_str()) || !self.moment;
        let known = self.holes.iter().filter(told).map(|hole| format!("${{{hole}}}"));
        let declare = match hole.strip_prefix("connectionConfig.") {
            Some(name) if self.metadata => format!("; or declare {name:?} under connection_config"),
            _ => String::new(),
        };
        format!(
            "nothing fills ${{{hole}}}: here are {}{declare}",
            list(known, "and")
        )
    }

    /// Checks JSON whose texts are templates.
    pub(super) fn json(&self, value: &JsonTemplate, path: &Path, report: &mut Report<'_>) {
        match value {
            JsonTemplate::Text(template) => self.template(template, path, report),
            JsonTemplate::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.json(item, &path.at(index), report);
                }
            }
            JsonTemplate::Map(entries) => self.json_pairs(entries, path, report),
            JsonTemplate::Plain(_) => {}
        }
    }

    /// Checks the JSON under names.
    pub(super) fn json_pairs(
        &self,
        entries: &[(String, JsonTemplate)],
        path: &Path,
        report: &mut Report<'_>,
    ) {
        for (name, value) in entries {
            self.json(value, &path.at(name), report);
        }
    }

    /// Checks a template that begins with a scheme, or with a hole that brings one.
    pub(super) fn url(&self, template: &Template, path: &Path, report: &mut Report<'_>) {
        let text = template.to_string();
        let begins = ["https://", "http://", "${"];
        if !begins.iter().any(|start| text.starts_with(start)) {
            report.error(path, "must be an address that begins with https://");
        }
        if is_plain_and_public(&text) {
            report.warn(path, "begins with http://, over which keys can be read on the way and which is refused: use https://");
        }
        self.template(template, path, report);
    }

    /// Checks a template that must begin with `/`, and puts it there if it is missing in a file that somebody else may have written.
    pub(super) fn path(&self, template: &mut Template, path: &Path, report: &mut Report<'_>) {
        if !template.beginning().starts_with('/') {
            report.doubt(path, "must begin with /: it is a path below the server's address");
            *template = format!("/{template}").into();
        }
        self.template(template, path, report);
    }

    /// Checks the templates under names.
    pub(super) fn pairs(&self, pairs: &[(String, Template)], path: &Path, report: &mut Report<'_>) {
        for (name, value) in pairs {
            self.template(value, &path.at(name), report);
        }
    }
}

/// Whether an address names a host without TLS that is not on the own machine or network.
fn is_plain_and_public(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("http://") else {
        return false;
    };
    let host = rest.split(['/', ':', '?']).next().unwrap_or_default();
    let own = ["localhost", "127.", "10.", "192.168.", "[", "${"];
    !own.iter().any(|start| host.starts_with(start)) && host.contains('.')
}
