//! A field of a connect form or of a configuration: how a file declares it, and which values suit it.

use indexmap::IndexMap;
use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::format::FieldFormat;
use crate::translation::{FieldTexts, Translations};
use crate::wording::list;
use crate::written::{self, OneOrMany, Scalar, accept_unused};

/// A field that a user or an app fills in.
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are independent of each other, as the file's keys are"
)]
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, transform = accept_unused(&["doc_section", "warnings"]))]
pub struct Field {
    /// The label.
    pub title: Option<String>,
    /// What it is, and where to find it.
    pub description: Option<String>,
    /// An example of a valid value.
    #[serde(deserialize_with = "written::optional_text")]
    #[schemars(with = "Scalar")]
    pub example: Option<String>,
    /// A regular expression that the whole value must match.
    pub pattern: Option<String>,
    /// What the pattern requires, in words that continue "must be": `AC followed by 32 hexadecimal digits`.
    pub pattern_description: Option<String>,
    /// Whether the pattern may match a part of the value, as in Nango's entries.
    #[serde(skip)]
    pub pattern_anywhere: bool,
    /// What kind of value it must be.
    pub format: Option<FieldFormat>,
    /// The allowed values; any by default.
    #[serde(rename = "enum", deserialize_with = "written::texts")]
    #[schemars(with = "Vec<Scalar>")]
    pub allowed: Vec<String>,
    /// Shown before the value in a form; never added to the stored value.
    #[serde(deserialize_with = "written::optional_text")]
    #[schemars(with = "Scalar")]
    pub prefix: Option<String>,
    /// Shown behind the value in a form; never added to the stored value.
    #[serde(deserialize_with = "written::optional_text")]
    #[schemars(with = "Scalar")]
    pub suffix: Option<String>,
    /// The prefix and the suffix that the provider's address adds, which [`Field::bare`] removes from a value.
    #[serde(skip)]
    pub(crate) added: (Option<String>, Option<String>),
    /// Shown only if another field of the form has a certain value.
    pub visible_when: Option<VisibleWhen>,
    /// Never shown, echoed or logged.
    pub secret: bool,
    /// May be omitted.
    pub optional: bool,
    /// Used if the field is omitted.
    #[serde(deserialize_with = "written::optional_text")]
    #[schemars(with = "Scalar")]
    pub default_value: Option<String>,
    /// Set by the file; the form does not ask for it.
    pub hidden: bool,
    /// Set by a program; the form does not ask for it.
    pub(crate) automated: bool,
    /// The environment variable from which the command line takes it.
    pub env: Option<String>,
    /// Its texts in other languages.
    pub translations: Translations<FieldTexts>,
    /// Its position in the form.
    pub(crate) order: Option<i64>,
    /// Accepted and not used: every value is text.
    #[serde(rename = "type")]
    pub(crate) _type: Option<String>,
}

/// Fields by name.
pub type Fields = IndexMap<String, Field>;

/// The condition under which a field is shown.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct VisibleWhen {
    /// The other field of the same form.
    pub field: String,
    /// The value, or one of the values, that it must have.
    #[serde(deserialize_with = "written::texts")]
    #[schemars(with = "OneOrMany<Scalar>")]
    pub equals: Vec<String>,
}

impl Field {
    /// Returns a field for optional text without rules.
    pub fn optional_text() -> Self {
        Self {
            optional: true,
            ..Self::default()
        }
    }

    /// Whether a form always needs this field, whatever the values of the others.
    pub fn required(&self) -> bool {
        !self.optional && self.default_value.is_none() && self.visible_when.is_none()
    }

    /// Whether a form shows the field; `value` returns the values of the form's other fields.
    pub fn visible<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.visible_when.as_ref().is_none_or(|when| {
            value(&when.field).is_some_and(|value| when.equals.iter().any(|equal| equal == value))
        })
    }

    /// Returns the value without the prefix and suffix that the provider's address adds, in case they were typed too.
    pub fn bare<'a>(&self, value: &'a str) -> &'a str {
        let (prefix, suffix) = &self.added;
        let cut = |value: &'a str| {
            let value = prefix
                .as_deref()
                .and_then(|prefix| value.strip_prefix(prefix))
                .unwrap_or(value);
            let Some(suffix) = suffix.as_deref() else {
                return value;
            };
            // An address that was copied from a browser ends with a slash.
            value
                .strip_suffix(suffix)
                .or_else(|| value.strip_suffix('/')?.strip_suffix(suffix))
                .unwrap_or(value)
        };
        Some(cut(value)).filter(|bare| !bare.is_empty()).unwrap_or(value)
    }

    /// Checks a value for this field.
    ///
    /// The error is the end of a sentence that begins with the field's name. It says what would be right, and never contains the
    /// value, which may be a secret.
    pub fn check(&self, value: &str) -> Result<(), String> {
        if value.is_empty() {
            return if self.optional {
                Ok(())
            } else {
                Err("must not be empty".to_owned())
            };
        }
        if !self.allowed.is_empty() && !self.allowed.iter().any(|allowed| allowed == value) {
            return Err(format!("must be {}", list(&self.allowed, "or")));
        }
        if let Some(format) = self.format {
            format.check(value)?;
        }
        match &self.pattern {
            Some(pattern) if !matches(pattern, self.pattern_anywhere, value) => Err(shape(
                self.pattern_description.as_deref(),
                self.example.as_deref(),
            )),
            _ => Ok(()),
        }
    }
}

/// Returns the error for a value that does not match its pattern. It uses the file's words, since people should not have to read a
/// regular expression.
pub(crate) fn shape(words: Option<&str>, example: Option<&str>) -> String {
    match (words, example) {
        (Some(words), Some(example)) => format!("must be {words}, such as {example}"),
        (Some(words), None) => format!("must be {words}"),
        (None, Some(example)) => format!("does not have the right form; an example is {example}"),
        (None, None) => "does not have the provider's format".to_owned(),
    }
}

/// Whether `pattern` matches a part of `value` if `anywhere` is true, or else all of it.
pub(crate) fn matches(pattern: &str, anywhere: bool, value: &str) -> bool {
    let pattern = if anywhere {
        Regex::new(pattern)
    } else {
        Regex::new(&format!(r"\A(?:{pattern})\z"))
    };
    pattern.is_ok_and(|pattern| pattern.is_match(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_described_in_words_or_by_an_example() {
        assert_eq!(
            shape(Some("two letters"), Some("US")),
            "must be two letters, such as US"
        );
        assert_eq!(shape(Some("two letters"), None), "must be two letters");
        assert!(shape(None, Some("US")).ends_with("an example is US"));
        assert!(!shape(None, None).is_empty());
    }

    fn patterned(pattern: &str) -> Field {
        Field {
            pattern: Some(pattern.to_owned()),
            ..Field::default()
        }
    }

    #[test]
    fn a_pattern_must_match_the_whole_value() {
        assert!(patterned("a|ab").check("ab").is_ok());
        assert!(patterned("AC[0-9]{2}").check("AC12").is_ok());
        assert!(patterned("AC[0-9]{2}").check("xAC12").is_err());
        assert!(patterned("^AC[0-9]{2}$").check("AC12\n").is_err());
    }

    #[test]
    fn a_pattern_of_nangos_format_may_match_a_part() {
        let field = Field {
            pattern_anywhere: true,
            ..patterned("^AC|key")
        };
        assert!(field.check("AC12").is_ok() && field.check("a key").is_ok());
        assert!(field.check("xAC").is_err());
    }

    #[test]
    fn a_prefix_that_the_address_adds_is_removed_from_a_value_once() {
        let field = Field {
            added: (Some("https://".to_owned()), Some(".acme.example".to_owned())),
            ..Field::default()
        };
        for value in [
            "me",
            "me.acme.example",
            "https://me.acme.example",
            "https://me.acme.example/",
        ] {
            assert_eq!(field.bare(value), "me");
        }
        assert_eq!(field.bare("me.globex.example"), "me.globex.example");
        assert_eq!(field.bare("https://"), "https://");
        assert_eq!(Field::default().bare("https://me"), "https://me");
    }

    #[test]
    fn a_field_is_visible_while_another_holds_one_of_its_values() {
        let when = |equals: &[&str]| Field {
            visible_when: Some(VisibleWhen {
                field: "kind".to_owned(),
                equals: equals.iter().map(|text| (*text).to_owned()).collect(),
            }),
            ..Field::default()
        };
        let value = |name: &str| (name == "kind").then_some("b");
        assert!(when(&["a", "b"]).visible(value) && !when(&["a"]).visible(value));
        assert!(Field::default().visible(value) && !when(&["b"]).required());
    }

    #[test]
    fn an_error_says_what_is_allowed_and_does_not_echo_the_value() {
        let field = Field {
            example: Some("AC12".to_owned()),
            secret: true,
            ..patterned("AC[0-9]{2}")
        };
        let message = field.check("hunter2").unwrap_err();
        assert_eq!(message, "does not have the right form; an example is AC12");
    }

    #[test]
    fn only_allowed_values_pass() {
        let field = Field {
            allowed: vec!["us".to_owned(), "eu".to_owned()],
            ..Field::default()
        };
        assert!(field.check("eu").is_ok());
        assert_eq!(field.check("mars").unwrap_err(), "must be us or eu");
    }

    #[test]
    fn an_empty_value_passes_only_if_the_field_is_optional() {
        assert!(Field::default().check("").is_err());
        assert!(
            Field {
                optional: true,
                ..patterned("x")
            }
            .check("")
            .is_ok()
        );
    }
}
