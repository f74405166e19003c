//! Renders templates into text of limited length.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Part, Template};

/// The most bytes of a rendered text, including the arguments of its functions.
pub const MAX_RENDERED: usize = 1 << 20;

/// All but the unreserved characters of RFC 3986, section 2.3.
const NOT_UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Why a template cannot be rendered. Names the placeholder and never contains a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// A placeholder has no valid value.
    #[error("there is no allowed value for ${{{placeholder}}}")]
    Missing {
        /// The placeholder's name, such as `connectionConfig.region`.
        placeholder: String,
    },
    /// A value is not allowed at its position in an address.
    #[error("the value of {placeholder} {rule}")]
    Unfit {
        /// The placeholder's name.
        placeholder: String,
        /// What it must be.
        rule: &'static str,
    },
    /// All placeholders are filled, but the text is not an address.
    #[error("{0}")]
    NoAddress(String),
    /// The text would be longer than [`MAX_RENDERED`] bytes.
    #[error("the value of {placeholder} makes a text that is longer than {MAX_RENDERED} bytes")]
    TooLong {
        /// The name of the placeholder that was filled last.
        placeholder: String,
    },
}

/// Returns the value of a placeholder by its name.
pub type Lookup<'a> = dyn Fn(&str) -> Option<String> + 'a;
/// Escapes a value for its position, or rejects it.
pub(super) type Escape<'a> = dyn Fn(&Spot<'_>, &str) -> Result<String, Refused> + 'a;

/// The position of a placeholder.
pub(super) struct Spot<'a> {
    /// The rendered text before it.
    pub(super) before: &'a str,
    /// The text after it, empty at the end; `None` if another placeholder follows.
    pub(super) after: Option<&'a str>,
}

/// Why a value is rejected.
pub(super) enum Refused {
    /// It counts as missing, so that the next alternative is used.
    AsMissing,
    /// It violates a rule, which says what it must be.
    Rule(&'static str),
}

impl Template {
    /// Returns the text with each placeholder replaced by its value.
    ///
    /// An empty value fills a placeholder only if the template has no alternative.
    pub fn render(&self, lookup: &Lookup<'_>) -> Result<String, RenderError> {
        self.render_escaped(lookup, str::to_owned)
    }

    /// Like [`Template::render`], but returns `None` if a placeholder is unfilled.
    pub fn render_if_filled(&self, lookup: &Lookup<'_>) -> Result<Option<String>, RenderError> {
        if_filled(self.render(lookup))
    }

    /// Returns the text with each placeholder replaced by its value after `escape`; the other text is unchanged.
    pub fn render_escaped(
        &self,
        lookup: &Lookup<'_>,
        escape: impl Fn(&str) -> String,
    ) -> Result<String, RenderError> {
        self.render_with(lookup, &|_, value| Ok(escape(value)), &mut Budget::full())
    }

    /// Renders a path, perhaps with a query. Each value is percent-encoded, so that it stays within its segment.
    ///
    /// An empty value and one of only dots are rejected, since URL parsers treat `.` and `..` as steps even if they are encoded.
    pub fn render_path(&self, lookup: &Lookup<'_>) -> Result<String, RenderError> {
        let escape = |_: &Spot<'_>, value: &str| {
            if value.chars().any(|c| c != '.') {
                Ok(utf8_percent_encode(value, NOT_UNRESERVED).to_string())
            } else {
                Err(Refused::AsMissing)
            }
        };
        self.render_with(lookup, &escape, &mut Budget::full())
    }

    /// Renders JSON text. Each value is escaped as the inside of a JSON string.
    pub fn render_json(&self, lookup: &Lookup<'_>) -> Result<String, RenderError> {
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
        let mut missing = String::new();
        for (index, parts) in self.alternatives.iter().enumerate() {
            let last = index + 1 == self.alternatives.len();
            let fill = |placeholder: &str| lookup(placeholder).filter(|value| last || !value.is_empty());
            let mut out = String::new();
            match render_parts(parts, &fill, escape, &mut out, budget) {
                Ok(()) => return Ok(out),
                Err(RenderError::Missing { placeholder }) => missing = placeholder,
                // An invalid value is an error, and never a reason to use another server.
                Err(error) => return Err(error),
            }
        }
        Err(RenderError::Missing { placeholder: missing })
    }
}

/// Turns [`RenderError::Missing`] into `None`.
pub(super) fn if_filled<T>(rendered: Result<T, RenderError>) -> Result<Option<T>, RenderError> {
    match rendered {
        Ok(text) => Ok(Some(text)),
        Err(RenderError::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// How many bytes one rendering may still produce, in all alternatives and functions.
pub(super) struct Budget(usize);

impl Budget {
    pub(super) const fn full() -> Self {
        Self(MAX_RENDERED)
    }

    /// Uses up some bytes. `placeholder` is the one that is being filled, or was filled last.
    fn spend(&mut self, bytes: usize, placeholder: &str) -> Result<(), RenderError> {
        let too_long = || RenderError::TooLong {
            placeholder: placeholder.to_owned(),
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
    let mut last_placeholder = String::new();
    while let Some(part) = rest.next() {
        let (placeholder, value) = match part {
            Part::Text(text) => {
                budget.spend(text.len(), &last_placeholder)?;
                out.push_str(text);
                continue;
            }
            Part::Placeholder(names) => {
                let last = names.last().map_or("", String::as_str);
                let value = names
                    .iter()
                    .find_map(|name| lookup(name).filter(|value| name == last || !value.is_empty()))
                    .ok_or_else(|| RenderError::Missing {
                        placeholder: last.to_owned(),
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
            None => Some(""),
            Some(Part::Text(text)) => Some(text.as_str()),
            Some(Part::Placeholder(_) | Part::Made(..)) => None,
        };
        // Before escaping, which may make it several times as long.
        budget.spend(value.len(), &placeholder)?;
        let escaped = match escape(&Spot { before: out, after }, &value) {
            Ok(escaped) => escaped,
            Err(Refused::AsMissing) => return Err(RenderError::Missing { placeholder }),
            Err(Refused::Rule(rule)) => return Err(RenderError::Unfit { placeholder, rule }),
        };
        budget.spend(escaped.len().saturating_sub(value.len()), &placeholder)?;
        out.push_str(&escaped);
        last_placeholder = placeholder;
    }
    Ok(())
}
