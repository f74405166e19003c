//! Which holes a template may have, by where it stands.

use indexmap::IndexMap;
use serde_json::Value as Json;

use crate::file::Scalar;
use crate::path::Path;
use crate::shape::list;
use crate::source::Report;
use crate::template::{SIGNING, is_time};
use crate::{Field, JsonTemplate, Template, TemplateError};

/// What a call knows of itself when its headers, parameters and body are made.
const CALL: [&str; 6] = [
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
    pub(super) fn of_calls(
        credentials: &IndexMap<String, Field>,
        configuration: &IndexMap<String, Field>,
        integration: &IndexMap<String, Field>,
    ) -> Self {
        let plain = credentials.keys().cloned();
        let full = credentials.keys().map(|name| format!("credentials.{name}"));
        let configuration = configuration
            .keys()
            .map(|name| format!("connectionConfig.{name}"));
        let integration = integration.keys().map(|name| format!("integrationConfig.{name}"));
        Self {
            holes: plain
                .chain(full)
                .chain(configuration)
                .chain(integration)
                .collect(),
            metadata: true,
            moment: false,
        }
    }

    /// This scope with the time and a random text, where a single call is made.
    pub(super) fn at_a_moment(&self) -> Self {
        Self {
            moment: true,
            ..self.clone()
        }
    }

    /// This scope with what a call knows of itself when its address is made.
    pub(super) fn within_call(&self) -> Self {
        let mut scope = self.at_a_moment();
        scope.holes.extend(CALL.map(str::to_owned));
        scope
    }

    /// Named values alone.
    pub(super) fn of<'a>(holes: impl IntoIterator<Item = &'a String>) -> Self {
        Self {
            holes: holes.into_iter().cloned().collect(),
            metadata: false,
            moment: false,
        }
    }

    /// This scope and one value more.
    pub(super) fn and(&self, hole: String) -> Self {
        let mut scope = self.clone();
        scope.holes.push(hole);
        scope
    }

    /// The template, if it is one and all its holes are filled here.
    pub(super) fn template(&self, text: &str, path: &Path, report: &mut Report<'_>) -> Option<Template> {
        let parsed = Template::parse(text).and_then(|template| {
            let signs = template
                .holes()
                .into_iter()
                .find(|hole| SIGNING.contains(hole) && !self.knows(hole));
            signs.map_or(Ok(()), |name| Err(TemplateError::Unsupported(name.to_owned())))?;
            Ok(template)
        });
        let template = match parsed {
            Ok(template) => template,
            Err(error @ TemplateError::Unsupported(_)) if report.source.foreign => {
                report.unsupported = Some(error.to_string());
                return None;
            }
            Err(error) => {
                report.error(path, error.to_string());
                return None;
            }
        };
        for hole in template.holes().into_iter().filter(|hole| !self.knows(hole)) {
            report.doubt(path, self.unfilled(hole));
        }
        Some(template)
    }

    fn knows(&self, hole: &str) -> bool {
        self.holes.iter().any(|known| known == hole)
            || (self.metadata && hole.starts_with("metadata."))
            || (self.moment && (hole == "random" || is_time(hole)))
    }

    /// JSON whose texts are templates.
    pub(super) fn json(&self, value: &Json, path: &Path, report: &mut Report<'_>) -> Option<JsonTemplate> {
        Some(match value {
            Json::String(text) => JsonTemplate::Text(self.template(text, path, report)?),
            Json::Array(items) => JsonTemplate::List(
                items
                    .iter()
                    .enumerate()
                    .filter_map(|(index, item)| self.json(item, &path.at(index), report))
                    .collect(),
            ),
            Json::Object(entries) => JsonTemplate::Map(self.json_pairs(entries, path, report)),
            other => JsonTemplate::Plain(other.clone()),
        })
    }

    /// Names and the JSON under them.
    pub(super) fn json_pairs<'a>(
        &self,
        entries: impl IntoIterator<Item = (&'a String, &'a Json)>,
        path: &Path,
        report: &mut Report<'_>,
    ) -> Vec<(String, JsonTemplate)> {
        entries
            .into_iter()
            .filter_map(|(name, value)| Some((name.clone(), self.json(value, &path.at(name), report)?)))
            .collect()
    }

    fn unfilled(&self, hole: &str) -> String {
        let told = |hole: &&String| !CALL.contains(&hole.as_str()) || !self.moment;
        let known: Vec<String> = (self.holes.iter().filter(told))
            .map(|hole| format!("${{{hole}}}"))
            .collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let declare = match hole.strip_prefix("connectionConfig.") {
            Some(name) if self.metadata => format!("; or declare {name:?} under connection_config"),
            _ => String::new(),
        };
        format!(
            "nothing fills ${{{hole}}}: here are {}{declare}",
            list(&known, "and")
        )
    }

    /// A template that begins with a scheme, or with a hole that brings one.
    pub(super) fn url(&self, text: &str, path: &Path, report: &mut Report<'_>) -> Option<Template> {
        if !["https://", "http://", "${"]
            .iter()
            .any(|start| text.starts_with(start))
        {
            report.error(path, "must be an address that begins with https://");
        }
        if is_plain_and_public(text) {
            report.warn(path, "begins with http://, over which keys can be read on the way and which is refused: use https://");
        }
        self.template(text, path, report)
    }

    /// A template that begins with `/`.
    pub(super) fn path(&self, text: &str, path: &Path, report: &mut Report<'_>) -> Option<Template> {
        if text.starts_with('/') {
            return self.template(text, path, report);
        }
        report.doubt(path, "must begin with /: it is a path below the server's address");
        self.template(&format!("/{text}"), path, report)
    }

    /// Names and their templates.
    pub(super) fn pairs(
        &self,
        pairs: &IndexMap<String, Scalar>,
        path: &Path,
        report: &mut Report<'_>,
    ) -> Vec<(String, Template)> {
        pairs
            .iter()
            .filter_map(|(name, value)| {
                Some((name.clone(), self.template(&value.0, &path.at(name), report)?))
            })
            .collect()
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
