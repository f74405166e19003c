//! Checks templates: which placeholders each may have depends on where in the file it is.

use indexmap::IndexMap;

use crate::field::Fields;
use crate::placement::INTEGRATION_CONFIG;
use crate::source::Report;
use crate::template::{JsonTemplate, SIGNING, Template, TemplateError, is_time};
use crate::wording::list;

/// What is known of a request when its headers, parameters and body are rendered.
const REQUEST: [&str; 6] = [
    "endpoint",
    "host",
    "path",
    "method",
    "params",
    "bodyCanonicalParams",
];

/// The values that are known when a template is rendered, and the servers that a request may name.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    /// Their placeholders.
    known: Vec<String>,
    /// `${metadata.…}`: whatever an app has stored with the connection.
    metadata: bool,
    /// `${now…}` and `${random}`.
    moment: bool,
    /// The names of the file's servers.
    servers: Vec<String>,
    /// Beginnings of placeholders that may go on with any name, such as `header.`.
    prefixes: Vec<&'static str>,
}

impl Scope {
    /// Returns what is known of a connection: credentials, configuration, metadata, and the integration's configuration.
    pub(super) fn of_requests(
        credentials: &Fields,
        configuration: &Fields,
        integration: &Fields,
        servers: &IndexMap<String, Template>,
    ) -> Self {
        let prefixed = |prefix: &'static str, fields: &Fields| -> Vec<String> {
            fields.keys().map(|name| format!("{prefix}{name}")).collect()
        };
        Self {
            known: [
                prefixed("", credentials),
                prefixed("credentials.", credentials),
                prefixed("connectionConfig.", configuration),
                prefixed(INTEGRATION_CONFIG, integration),
            ]
            .concat(),
            metadata: true,
            moment: false,
            servers: servers.keys().cloned().collect(),
            prefixes: Vec::new(),
        }
    }

    /// Returns this scope with the time and a random text, for a single request.
    pub(super) fn at_a_moment(&self) -> Self {
        Self {
            moment: true,
            ..self.clone()
        }
    }

    /// Returns this scope with what is known of a request once its address is rendered.
    pub(super) fn within_request(&self) -> Self {
        let mut scope = self.at_a_moment();
        scope.known.extend(REQUEST.map(str::to_owned));
        scope
    }

    /// Returns a scope of these values only.
    pub(super) fn of<T: Into<String>>(placeholders: impl IntoIterator<Item = T>) -> Self {
        Self {
            known: placeholders.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// Returns this scope with one more value.
    pub(super) fn and(&self, placeholder: String) -> Self {
        let mut scope = self.clone();
        scope.known.push(placeholder);
        scope
    }

    /// Returns this scope with all placeholders that begin with one of these.
    pub(super) fn and_all_below(mut self, prefixes: &[&'static str]) -> Self {
        self.prefixes.extend(prefixes);
        self
    }

    /// Checks that the text is a valid template without unknown placeholders.
    pub(super) fn template(&self, template: &Template, report: &Report<'_>) {
        let mut unknown = template.placeholders();
        unknown.retain(|name| !self.knows(name));
        let signs = unknown.iter().find(|name| SIGNING.contains(name));
        let signs = signs.map(|name| TemplateError::Unsupported((*name).to_owned()));
        match template.error.as_ref().or(signs.as_ref()) {
            None => {}
            Some(error @ TemplateError::Unsupported(_)) if report.source().from_collection => {
                return report.unsupported(error.to_string());
            }
            Some(error) => return report.error(error.to_string()),
        }
        for placeholder in unknown {
            report.doubt(self.unfilled(placeholder));
        }
    }

    fn knows(&self, name: &str) -> bool {
        self.known.iter().any(|known| known == name)
            || (self.metadata && name.starts_with("metadata."))
            || (self.moment && (name == "random" || is_time(name)))
            || self.prefixes.iter().any(|prefix| name.starts_with(prefix))
    }

    fn unfilled(&self, placeholder: &str) -> String {
        let told = |name: &&String| !REQUEST.contains(&name.as_str()) || !self.moment;
        let known = self.known.iter().filter(told).map(|name| format!("${{{name}}}"));
        let known = known.chain(self.prefixes.iter().map(|prefix| format!("${{{prefix}NAME}}")));
        let declare = match placeholder.strip_prefix("connectionConfig.") {
            Some(name) if self.metadata => format!("; or declare {name:?} under connection_config"),
            _ => String::new(),
        };
        format!(
            "no value for ${{{placeholder}}}: available are {}{declare}",
            list(known, "and")
        )
    }

    /// Checks the templates in JSON.
    pub(super) fn json(&self, value: &JsonTemplate, report: &Report<'_>) {
        match value {
            JsonTemplate::Text(template) => self.template(template, report),
            JsonTemplate::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.json(item, &report.at(index));
                }
            }
            JsonTemplate::Map(entries) => self.json_pairs(entries, report),
            JsonTemplate::Plain(_) => {}
        }
    }

    /// Checks the templates in JSON values, by name.
    pub(super) fn json_pairs(&self, entries: &[(String, JsonTemplate)], report: &Report<'_>) {
        for (name, value) in entries {
            self.json(value, &report.at(name));
        }
    }

    /// Checks a template that must begin with a scheme, or with a placeholder that may contain one.
    pub(super) fn url(&self, template: &Template, report: &Report<'_>) {
        let text = template.to_string();
        let begins = ["https://", "http://", "${"];
        if !begins.iter().any(|start| text.starts_with(start)) {
            report.error("must be an address that begins with https://");
        }
        if is_plain_and_public(&text) {
            report.warn("begins with http://, over which keys can be read on the way and which is refused: use https://");
        }
        self.template(template, report);
    }

    /// Checks a template that must begin with `/`, and adds it if it is missing, which is only a warning in Nango's entries.
    pub(super) fn path(&self, template: &mut Template, report: &Report<'_>) {
        if !template.beginning().starts_with('/') {
            report.doubt("must begin with /: it is a path below the server's address");
            *template = format!("/{template}").into();
        }
        self.template(template, report);
    }

    /// Checks that the server of a request is one of the file's.
    pub(super) fn server(&self, name: Option<&String>, report: &Report<'_>) {
        if let Some(name) = name.filter(|name| !self.servers.contains(name)) {
            let known = list(&self.servers, "and");
            let message = format!("{name:?} is not declared under servers: the servers are {known}");
            report.at("server").error(message);
        }
    }

    /// Checks templates by name.
    pub(super) fn pairs(&self, pairs: &[(String, Template)], report: &Report<'_>) {
        for (name, value) in pairs {
            self.template(value, &report.at(name));
        }
    }
}

/// Whether an address without TLS has a host that is not on the local machine or network.
fn is_plain_and_public(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("http://") else {
        return false;
    };
    let host = rest.split(['/', ':', '?']).next().unwrap_or_default();
    let own = ["localhost", "127.", "10.", "192.168.", "[", "${"];
    !own.iter().any(|start| host.starts_with(start)) && host.contains('.')
}
