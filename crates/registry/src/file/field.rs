//! Fields that somebody fills in, as a file writes them.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

use super::{OneOrMany, Scalar};

/// A field that somebody fills in.
#[expect(
    clippy::struct_excessive_bools,
    reason = "the keys are Nango's, and independent of each other"
)]
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FieldFile {
    /// Accepted and not used: every value is text.
    #[serde(rename = "type")]
    pub(crate) _type: Option<String>,
    /// The label.
    pub(crate) title: Option<String>,
    /// What it is and where to find it.
    pub(crate) description: Option<String>,
    /// Accepted and not used.
    #[serde(rename = "doc_section")]
    pub(crate) _doc_section: Option<Json>,
    /// A value of the right shape.
    pub(crate) example: Option<Scalar>,
    /// A regular expression that the whole value must match.
    pub(crate) pattern: Option<String>,
    /// What the pattern asks for, in words that go on after "must be": `AC followed by 32 hexadecimal digits`.
    pub(crate) pattern_description: Option<String>,
    /// What kind of value it must be.
    pub(crate) format: Option<FieldFormatName>,
    /// Its place in the form.
    pub(crate) order: Option<i64>,
    /// Shown before the value in a form.
    pub(crate) prefix: Option<Scalar>,
    /// Shown behind the value in a form.
    pub(crate) suffix: Option<Scalar>,
    /// Never shown, echoed or logged.
    #[serde(default)]
    pub(crate) secret: bool,
    /// Taken if the field is left out.
    pub(crate) default_value: Option<Scalar>,
    /// Set by the file, not asked from people.
    #[serde(default)]
    pub(crate) hidden: bool,
    /// The values allowed.
    #[serde(default, rename = "enum")]
    pub(crate) allowed: Vec<Scalar>,
    /// Accepted and not used.
    #[serde(rename = "warnings")]
    pub(crate) _warnings: Option<Json>,
    /// May be left out.
    #[serde(default)]
    pub(crate) optional: bool,
    /// Set by a program, not asked from people.
    #[serde(default)]
    pub(crate) automated: bool,
    /// Needed only if another field of the form holds a certain value.
    pub(crate) visible_when: Option<VisibleWhenFile>,
    /// The environment variable from which the command line takes it.
    pub(crate) env: Option<String>,
}

/// What kind of value a field or an input holds.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FieldFormatName {
    Hostname,
    Uri,
    Uuid,
    Email,
    Phone,
    Sender,
    Date,
    DateTime,
}

/// When a field is asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VisibleWhenFile {
    /// The other field of the same form.
    pub(crate) field: String,
    /// The value, or one of the values, that it must hold.
    pub(crate) equals: OneOrMany<Scalar>,
}

/// What `proxy.connection_config` says of a key: its value, or the field that asks for it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum ConfigFile {
    Value(Scalar),
    Field(Box<FieldFile>),
}
