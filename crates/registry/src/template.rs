//! Text with holes: `https://${connectionConfig.region}.example.com`.
//!
//! The grammar is that of Nango's provider entries, without what signs: `${name}`, `${a || b}`, `A || B` over the whole text,
//! `${base64(…)}`, `${sha256Hex(…)}` and `${sha256Base64(…)}` around text with holes of its own. A `$` elsewhere is itself.
//! Values, the time among them, come from a function, so that they are never kept here, and no error or `Debug` holds one.

mod json;
mod now;
mod parse;

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

pub use json::JsonTemplate;
pub(crate) use now::is_time;
pub use now::now_value;

/// All but the unreserved characters of RFC 3986, section 2.3.
const NOT_UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Parsed text with holes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// The first whose holes are all filled counts; never empty.
    alternatives: Vec<Vec<Part>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// The first of these names that has a value fills the hole.
    Hole(Vec<String>),
    /// What becomes of the text inside.
    Made(Function, Vec<Part>),
}

/// What may be made of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    Base64,
    Sha256Hex,
    Sha256Base64,
}

impl Function {
    const ALL: [Self; 3] = [Self::Base64, Self::Sha256Hex, Self::Sha256Base64];

    /// With the parenthesis that opens its text.
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

/// Functions of Nango's that sign a call, which Trunkline does not.
pub(crate) const SIGNING: [&str; 4] = ["hmacSha1Hex", "ed25519Sign", "fingerprint", "awsSigV4"];

/// The text is no template; tells why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It breaks the grammar.
    #[error("{0}")]
    Malformed(String),
    /// It names a function that Trunkline does not have, such as one that signs.
    #[error(
        "the function {0} is not supported: there are base64, sha256Hex and sha256Base64, and none that signs a call"
    )]
    Unsupported(String),
}

/// A hole that nothing fills, or not with what may stand there; names the hole and never the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nothing that may stand there fills ${{{hole}}}")]
pub struct MissingValue {
    /// The hole's name, such as `connectionConfig.region`.
    pub hole: String,
}

/// Where values come from, by the hole's name.
type Lookup<'a> = dyn Fn(&str) -> Option<String> + 'a;
/// Makes a value fit for where it stands, or refuses it.
type Escape<'a> = dyn Fn(&str) -> Option<String> + 'a;

impl Template {
    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        parse::template(text).map(|alternatives| Self { alternatives })
    }

    /// A template of one hole; its name may be any.
    pub(crate) fn hole(name: &str) -> Self {
        Self {
            alternatives: vec![vec![Part::Hole(vec![name.to_owned()])]],
        }
    }

    /// The text with every hole filled as it is.
    ///
    /// A value that is there and empty fills a hole, but where the template offers another it is passed over.
    pub fn render(&self, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, MissingValue> {
        self.render_escaped(lookup, str::to_owned)
    }

    /// The text with every hole filled by `escape` of its value; the text around stays as it is.
    pub fn render_escaped(
        &self,
        lookup: &dyn Fn(&str) -> Option<String>,
        escape: impl Fn(&str) -> String,
    ) -> Result<String, MissingValue> {
        self.render_with(lookup, &|value| Some(escape(value)))
    }

    /// A path, perhaps with a query: each value is percent-encoded, so that it stays within its segment.
    ///
    /// An empty value and one of dots alone are refused, since URL parsers take `.` and `..` for steps even when encoded.
    pub fn render_path(&self, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, MissingValue> {
        self.render_with(lookup, &|value| {
            let stays = value.chars().any(|c| c != '.');
            stays.then(|| utf8_percent_encode(value, NOT_UNRESERVED).to_string())
        })
    }

    /// JSON text: each value is escaped as the inside of a JSON string.
    pub fn render_json(&self, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, MissingValue> {
        self.render_escaped(lookup, |value| {
            let quoted = serde_json::Value::from(value).to_string();
            quoted
                .strip_prefix('"')
                .and_then(|text| text.strip_suffix('"'))
                .unwrap_or_default()
                .to_owned()
        })
    }

    fn render_with(&self, lookup: &Lookup<'_>, escape: &Escape<'_>) -> Result<String, MissingValue> {
        let mut missing = None;
        for (index, parts) in self.alternatives.iter().enumerate() {
            let last = index + 1 == self.alternatives.len();
            let fill = |hole: &str| lookup(hole).filter(|value| last || !value.is_empty());
            let mut out = String::new();
            match render_parts(parts, &fill, escape, &mut out) {
                Ok(()) => return Ok(out),
                Err(error) => missing = Some(error),
            }
        }
        Err(missing.unwrap_or(MissingValue { hole: String::new() }))
    }

    /// The names of all holes, in order, repeated as they are in the text.
    pub fn holes(&self) -> Vec<&str> {
        let mut holes = Vec::new();
        self.alternatives
            .iter()
            .for_each(|parts| collect_holes(parts, &mut holes));
        holes
    }

    /// The name of the hole, if the text is one hole and nothing else.
    pub fn only_hole(&self) -> Option<&str> {
        match self.alternatives.as_slice() {
            [parts] => match parts.as_slice() {
                [Part::Hole(names)] => match names.as_slice() {
                    [name] => Some(name),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether `text` stands right before a hole of this name (`after` it, if that is asked).
    pub(crate) fn has_beside(&self, hole: &str, text: &str, after: bool) -> bool {
        let is_hole =
            |part: &Part| matches!(part, Part::Hole(names) if names.iter().any(|name| name == hole));
        let fits = |pair: &[Part]| match pair {
            [here, Part::Text(next)] if after => is_hole(here) && next.starts_with(text),
            [Part::Text(before), here] if !after => is_hole(here) && before.ends_with(text),
            _ => false,
        };
        self.alternatives.iter().any(|parts| parts.windows(2).any(fits))
    }

    /// The text, if it has no holes.
    pub fn literal(&self) -> Option<&str> {
        match self.alternatives.as_slice() {
            [parts] => match parts.as_slice() {
                [] => Some(""),
                [Part::Text(text)] => Some(text),
                _ => None,
            },
            _ => None,
        }
    }
}

fn render_parts(
    parts: &[Part],
    lookup: &Lookup<'_>,
    escape: &Escape<'_>,
    out: &mut String,
) -> Result<(), MissingValue> {
    for part in parts {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Hole(names) => {
                let last = names.last().map_or("", String::as_str);
                let missing = || MissingValue {
                    hole: last.to_owned(),
                };
                let value = names
                    .iter()
                    .find_map(|name| lookup(name).filter(|value| name == last || !value.is_empty()))
                    .ok_or_else(missing)?;
                out.push_str(&escape(&value).ok_or_else(missing)?);
            }
            Part::Made(function, inner) => {
                let mut plain = String::new();
                render_parts(inner, lookup, &|value| Some(value.to_owned()), &mut plain)?;
                let missing = || MissingValue {
                    hole: format!("{}…)", function.opening()),
                };
                out.push_str(&escape(&function.of(&plain)).ok_or_else(missing)?);
            }
        }
    }
    Ok(())
}

fn collect_holes<'a>(parts: &'a [Part], holes: &mut Vec<&'a str>) {
    for part in parts {
        match part {
            Part::Text(_) => {}
            Part::Hole(names) => holes.extend(names.iter().map(String::as_str)),
            Part::Made(_, inner) => collect_holes(inner, holes),
        }
    }
}

impl fmt::Display for Template {
    /// The template as a file would write it, not filled.
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
            Part::Hole(names) => write!(f, "${{{}}}", names.join(" || "))?,
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
