//! From a template and values to text of a bounded length.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Part, Template};

/// Bytes of a rendered text at most, with what its functions are given.
pub const MAX_RENDERED: usize = 1 << 20;

/// All but the unreserved characters of RFC 3986, section 2.3.
const NOT_UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A template that cannot be rendered. Names the hole and never holds a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// Nothing that may stand there fills a hole.
    #[error("nothing that may stand there fills ${{{hole}}}")]
    Missing {
        /// The hole's name, such as `connectionConfig.region`.
        hole: String,
    },
    /// A value that may not stand in its place of an address.
    #[error("the value of {hole} {rule}")]
    Unfit {
        /// The hole's name.
        hole: String,
        /// What it must be.
        rule: &'static str,
    },
    /// All holes are filled and the text is no address.
    #[error("{0}")]
    NoAddress(String),
    /// The text would be longer than [`MAX_RENDERED`] bytes.
    #[error("the value of {hole} makes a text that is longer than {MAX_RENDERED} bytes")]
    TooLong {
        /// The name of the hole that was filled last.
        hole: String,
    },
}

/// Where values come from, by the hole's name.
type Lookup<'a> = dyn Fn(&str) -> Option<String> + 'a;
/// Makes a value fit for its place, or refuses it.
pub(super) type Escape<'a> = dyn Fn(&Spot<'_>, &str) -> Result<String, Refused> + 'a;

/// Where a hole stands.
pub(super) struct Spot<'a> {
    /// The rendered text before it.
    pub(super) before: &'a str,
    /// What comes after it.
    pub(super) after: After<'a>,
}

/// What comes after a hole.
#[derive(Clone, Copy)]
pub(super) enum After<'a> {
    End,
    Text(&'a str),
    Hole,
}

/// Why a value may not stand in a hole.
pub(super) enum Refused {
    /// It counts as none, so that the next alternative is tried.
    AsMissing,
    /// What it must be.
    Rule(&'static str),
}

impl Template {
    /// The text with every hole filled as it is.
    ///
    /// A value that is there and empty fills a hole, but where the template offers another it is passed over.
    pub fn render(&self, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, RenderError> {
        self.render_escaped(lookup, str::to_owned)
    }

    /// As [`Template::render`]; `None` if nothing fills a hole.
    pub fn render_if_filled(
        &self,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<String>, RenderError> {
        if_filled(self.render(lookup))
    }

    /// The text with every hole filled by `escape` of its value; the text around stays as it is.
    pub fn render_escaped(
        &self,
        lookup: &dyn Fn(&str) -> Option<String>,
        escape: impl Fn(&str) -> String,
    ) -> Result<String, RenderError> {
        self.render_with(lookup, &|_, value| Ok(escape(value)), &mut Budget::full())
    }

    /// A path, perhaps with a query: each value is percent-encoded, so that it stays within its segment.
    ///
    /// An empty value and one of dots alone are refused, since URL parsers take `.` and `..` for steps even when encoded.
    pub fn render_path(&self, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, RenderError> {
        let escape = |_: &Spot<'_>, value: &str| {
            if value.chars().any(|c| c != '.') {
                Ok(utf8_percent_encode(value, NOT_UNRESERVED).to_string())
            } else {
                Err(Refused::AsMissing)
            }
        };
        self.render_with(lookup, &escape, &mut Budget::full())
    }

    /// JSON text: each value is escaped as the inside of a JSON string.
    pub fn render_json(&self, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, RenderError> {
        self.render_escaped(lookup, |value| {
            let quoted = serde_json::Value::from(value).to_string();
            quoted
                .strip_prefix('"')
                .and_then(|text| text.strip_suffix('"'))
                .unwrap_or_default()
                .to_owned()
        })
    }

    pub(super) fn render_with(
        &self,
        lookup: &Lookup<'_>,
        escape: &Escape<'_>,
        budget: &mut Budget,
    ) -> Result<String, RenderError> {
        let mut missing = RenderError::Missing { hole: String::new() };
        for (index, parts) in self.alternatives.iter().enumerate() {
            let last = index + 1 == self.alternatives.len();
            let fill = |hole: &str| lookup(hole).filter(|value| last || !value.is_empty());
            let mut out = String::new();
            match render_parts(parts, &fill, escape, &mut out, budget) {
                Ok(()) => return Ok(out),
                Err(error @ RenderError::Missing { .. }) => missing = error,
                // A wrong value is an error, and never a reason to go to another server.
                Err(error) => return Err(error),
            }
        }
        Err(missing)
    }
}

/// `None` in place of [`RenderError::Missing`].
pub(super) fn if_filled<T>(rendered: Result<T, RenderError>) -> Result<Option<T>, RenderError> {
    match rendered {
        Ok(text) => Ok(Some(text)),
        Err(RenderError::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Bytes that one rendering may still make, in whatever alternative and function.
pub(super) struct Budget(usize);

impl Budget {
    pub(super) const fn full() -> Self {
        Self(MAX_RENDERED)
    }

    /// `hole` is the one that is being filled, or that was filled last.
    fn spend(&mut self, bytes: usize, hole: &str) -> Result<(), RenderError> {
        let too_long = || RenderError::TooLong {
            hole: hole.to_owned(),
        };
        self.0 = self.0.checked_sub(bytes).ok_or_else(too_long)?;
        Ok(())
    }
}

fn render_parts(
    parts: &[Part],
    lookup: &Lookup<'_>,
    escape: &Escape<'_>,
    out: &mut String,
    budget: &mut Budget,
) -> Result<(), RenderError> {
    let mut rest = parts.iter();
    let mut last_hole = String::new();
    while let Some(part) = rest.next() {
        let (hole, value) = match part {
            Part::Text(text) => {
                budget.spend(text.len(), &last_hole)?;
                out.push_str(text);
                continue;
            }
            Part::Hole(names) => {
                let last = names.last().map_or("", String::as_str);
                let value = names
                    .iter()
                    .find_map(|name| lookup(name).filter(|value| name == last || !value.is_empty()))
                    .ok_or_else(|| RenderError::Missing {
                        hole: last.to_owned(),
                    })?;
                (last.to_owned(), value)
            }
            Part::Made(function, inner) => {
                let mut plain = String::new();
                let as_it_is = |_: &Spot<'_>, value: &str| Ok(value.to_owned());
                render_parts(inner, lookup, &as_it_is, &mut plain, budget)?;
                (format!("{}…)", function.opening()), function.of(&plain))
            }
        };
        let after = match rest.as_slice().first() {
            None => After::End,
            Some(Part::Text(text)) => After::Text(text),
            Some(Part::Hole(_) | Part::Made(..)) => After::Hole,
        };
        // Before it is escaped, which may make it several times as long.
        budget.spend(value.len(), &hole)?;
        let escaped = match escape(&Spot { before: out, after }, &value) {
            Ok(escaped) => escaped,
            Err(Refused::AsMissing) => return Err(RenderError::Missing { hole }),
            Err(Refused::Rule(rule)) => return Err(RenderError::Unfit { hole, rule }),
        };
        budget.spend(escaped.len().saturating_sub(value.len()), &hole)?;
        out.push_str(&escaped);
        last_hole = hole;
    }
    Ok(())
}
