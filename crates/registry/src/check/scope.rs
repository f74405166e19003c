//! Which holes a template may have, by where it stands.

use indexmap::IndexMap;

use crate::file::Scalar;
use crate::path::Path;
use crate::shape::list;
use crate::source::Report;
use crate::{Field, Template, TemplateError};

/// The values that are there when a template is filled.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    holes: Vec<String>,
    /// `${metadata.…}` holds whatever an app has stored with the connection.
    metadata: bool,
}

impl Scope {
    /// What a call knows: the credentials, the connection's configuration and its metadata.
    pub(super) fn of_calls(
        credentials: &IndexMap<String, Field>,
        configuration: &IndexMap<String, Field>,
    ) -> Self {
        let plain = credentials.keys().cloned();
        let full = credentials.keys().map(|name| format!("credentials.{name}"));
        let configuration = configuration
            .keys()
            .map(|name| format!("connectionConfig.{name}"));
        Self {
            holes: plain.chain(full).chain(configuration).collect(),
            metadata: true,
        }
    }

    /// Named values alone.
    pub(super) fn of<'a>(holes: impl IntoIterator<Item = &'a String>) -> Self {
        Self {
            holes: holes.into_iter().cloned().collect(),
            metadata: false,
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
        let template = match Template::parse(text) {
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
        for hole in template.holes() {
            let known = self.holes.iter().any(|known| known == hole)
                || (self.metadata && hole.starts_with("metadata."));
            if !known {
                report.doubt(path, self.unfilled(hole));
            }
        }
        Some(template)
    }

    fn unfilled(&self, hole: &str) -> String {
        let known: Vec<String> = self.holes.iter().map(|hole| format!("${{{hole}}}")).collect();
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
