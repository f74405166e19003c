//! Text with placeholders: `https://${connectionConfig.region}.example.com`.
//!
//! The grammar is that of Nango's provider entries, without signing functions: `${name}`, `${a || b}`, `A || B` over the whole text,
//! `${base64(…)}`, `${sha256Hex(…)}` and `${sha256Base64(…)}` around text with placeholders. Any other `$` is plain text.
//! Values, including the time, come from a function, so that no template, error or `Debug` output contains one.
//!
//! There are limits on the length of a template, the nesting of functions and the length of the rendered text. Text from callers is
//! parsed by [`Template::parse_placeholders`], which accepts much less.

mod address;
mod json;
mod now;
mod parse;
mod render;

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest, Sha256};

pub use json::JsonTemplate;
pub(crate) use now::is_time;
pub use now::now_value;
pub use render::{Lookup, MAX_RENDERED, RenderError};

use crate::written::Scalar;

/// The most bytes of a template's text.
pub const MAX_TEMPLATE: usize = 16_384;
/// How deep functions may be nested in a provider file's template.
const MAX_DEPTH: usize = 4;

/// Parsed text with placeholders.
///
/// Deserializing never fails: an invalid text is kept together with its error, which the check of the file reports.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(from = "Scalar")]
#[schemars(from = "String", into = "String")]
pub struct Template {
    /// The first alternative whose placeholders are all filled is used. Never empty.
    alternatives: Vec<Vec<Part>>,
    /// Why the text is not a template. No template of a checked provider has an error.
    pub(crate) error: Option<TemplateError>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// A placeholder with alternatives: the first name that has a value is used.
    Placeholder(Vec<String>),
    /// A function and its argument.
    Made(Function, Vec<Part>),
}

/// A part of a template without functions.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Piece<'a> {
    /// Fixed text.
    Text(&'a str),
    /// The names of a placeholder, of which the first that has a value is used.
    Placeholder(&'a [String]),
}

/// A function that templates may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    Base64,
    Sha256Hex,
    Sha256Base64,
}

impl Function {
    const ALL: [Self; 3] = [Self::Base64, Self::Sha256Hex, Self::Sha256Base64];

    /// Returns its name with the opening parenthesis.
    const fn opening(self) -> &'static str {
        match self {
            Self::Base64 => "base64(",
            Self::Sha256Hex => "sha256Hex(",
            Self::Sha256Base64 => "sha256Base64(",
        }
    }

    fn of(self, text: &str) -> String {
        match self {
            Self::Base64 => STANDARD.encode(text),
            Self::Sha256Hex => hex::encode(Sha256::digest(text)),
            Self::Sha256Base64 => STANDARD.encode(Sha256::digest(text)),
        }
    }
}

/// Nango's functions that sign a request, which Trunkline does not support.
pub(crate) const SIGNING: [&str; 4] = ["hmacSha1Hex", "ed25519Sign", "fingerprint", "awsSigV4"];

/// Why a text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It violates the grammar.
    #[error("{0}")]
    Malformed(String),
    /// It uses a function that Trunkline does not have, such as one that signs.
    #[error(
        "the function {0} is not supported: there are base64, sha256Hex and sha256Base64, and none that signs a request"
    )]
    Unsupported(String),
}

impl Template {
    fn new(alternatives: Vec<Vec<Part>>) -> Self {
        Self {
            alternatives,
            error: None,
        }
    }

    /// Parses a template of a provider file: at most [`MAX_TEMPLATE`] bytes, functions nested at most four deep.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let grammar = parse::Grammar {
            depth: MAX_DEPTH,
            of_file: true,
        };
        parse::template(text, grammar).map(Self::new)
    }

    /// Parses text from a caller. It may contain the placeholders that `known` accepts, but neither `||` nor times.
    ///
    /// If `functions` is true, it may contain functions that are not nested.
    pub fn parse_placeholders(
        text: &str,
        functions: bool,
        known: impl Fn(&str) -> bool,
    ) -> Result<Self, TemplateError> {
        let grammar = parse::Grammar {
            depth: usize::from(functions),
            of_file: false,
        };
        let template = parse::template(text, grammar).map(Self::new)?;
        match template.placeholders().into_iter().find(|name| !known(name)) {
            Some(placeholder) => Err(parse::malformed(format!(
                "no value for ${{{}}} here",
                parse::clipped(placeholder)
            ))),
            None => Ok(template),
        }
    }

    /// Returns a template that is a single placeholder with any name.
    pub(crate) fn placeholder(name: &str) -> Self {
        Self::new(vec![vec![Part::Placeholder(vec![name.to_owned()])]])
    }

    /// Returns the names of all placeholders, in order, with repetitions.
    pub fn placeholders(&self) -> Vec<&str> {
        let mut placeholders = Vec::new();
        self.alternatives
            .iter()
            .for_each(|parts| collect_placeholders(parts, &mut placeholders));
        placeholders
    }

    /// Returns the name of the placeholder, if the text is a single placeholder.
    pub fn only_placeholder(&self) -> Option<&str> {
        match self.only_alternative()? {
            [Part::Placeholder(names)] if names.len() == 1 => names.first().map(String::as_str),
            _ => None,
        }
    }

    /// Returns the placeholders without a value that keep the template from being rendered; empty if an alternative can be rendered.
    /// `has` says whether a placeholder has a value.
    pub fn lacks(&self, has: impl Fn(&str) -> bool) -> Vec<&str> {
        let mut lacking = Vec::new();
        for parts in &self.alternatives {
            lacking.clear();
            collect_lacking(parts, &has, &mut lacking);
            if lacking.is_empty() {
                break;
            }
        }
        lacking
    }

    /// Whether `text` is directly before a placeholder of this name, or directly after it if `after` is true.
    pub(crate) fn has_beside(&self, placeholder: &str, text: &str, after: bool) -> bool {
        let is_it = |part: &Part| matches!(part, Part::Placeholder(names) if names.iter().any(|name| name == placeholder));
        let fits = |pair: &[Part]| match pair {
            [here, Part::Text(next)] if after => is_it(here) && next.starts_with(text),
            [Part::Text(before), here] if !after => is_it(here) && before.ends_with(text),
            _ => false,
        };
        self.alternatives.iter().any(|parts| parts.windows(2).any(fits))
    }

    /// Returns the text before the first placeholder.
    pub(crate) fn beginning(&self) -> &str {
        match self.alternatives.first().and_then(|parts| parts.first()) {
            Some(Part::Text(text)) => text,
            _ => "",
        }
    }

    /// Returns the text, if it has no placeholders.
    pub fn literal(&self) -> Option<&str> {
        match self.only_alternative()? {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Returns fixed texts and placeholders in order; `None` if the template has alternatives or functions.
    pub(crate) fn pieces(&self) -> Option<Vec<Piece<'_>>> {
        let pieces = self.only_alternative()?.iter().map(|part| match part {
            Part::Text(text) => Some(Piece::Text(text)),
            Part::Placeholder(names) => Some(Piece::Placeholder(names)),
            Part::Made(..) => None,
        });
        pieces.collect()
    }

    fn only_alternative(&self) -> Option<&[Part]> {
        match self.alternatives.as_slice() {
            [parts] => Some(parts),
            _ => None,
        }
    }
}

fn collect_placeholders<'a>(parts: &'a [Part], placeholders: &mut Vec<&'a str>) {
    for part in parts {
        match part {
            Part::Text(_) => {}
            Part::Placeholder(names) => placeholders.extend(names.iter().map(String::as_str)),
            Part::Made(_, inner) => collect_placeholders(inner, placeholders),
        }
    }
}

/// Collects placeholders without a value. A placeholder with several names goes by the last one.
fn collect_lacking<'a>(parts: &'a [Part], has: &impl Fn(&str) -> bool, lacking: &mut Vec<&'a str>) {
    for part in parts {
        match part {
            Part::Text(_) => {}
            Part::Placeholder(names) if names.iter().any(|name| has(name)) => {}
            Part::Placeholder(names) => lacking.extend(names.last().map(String::as_str)),
            Part::Made(_, inner) => collect_lacking(inner, has, lacking),
        }
    }
}

impl From<String> for Template {
    fn from(text: String) -> Self {
        Self::parse(&text).unwrap_or_else(|error| Self {
            alternatives: vec![vec![Part::Text(text)]],
            error: Some(error),
        })
    }
}

impl From<Scalar> for Template {
    fn from(scalar: Scalar) -> Self {
        scalar.0.into()
    }
}

impl fmt::Display for Template {
    /// Writes the template as a file does, with its placeholders.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, parts) in self.alternatives.iter().enumerate() {
            if index > 0 {
                f.write_str(" || ")?;
            }
            write_parts(parts, f)?;
        }
        Ok(())
    }
}

fn write_parts(parts: &[Part], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for part in parts {
        match part {
            Part::Text(text) => f.write_str(text)?,
            Part::Placeholder(names) => write!(f, "${{{}}}", names.join(" || "))?,
            Part::Made(function, inner) => {
                write!(f, "${{{}", function.opening())?;
                write_parts(inner, f)?;
                f.write_str(")}")?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
