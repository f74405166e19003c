//! What an event means for the rows of a sync.

use domain::{Parse, SyncName, TableName};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::template::Template;
use crate::written::{self, OneOrMany, Scalar};

/// The types of events that a rule is for: `*` is any text, all else is compared as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPattern(String);

impl EventPattern {
    pub(crate) const fn new(text: String) -> Self {
        Self(text)
    }

    /// Returns the pattern as the file has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether an event has one of these types.
    pub fn matches(&self, kind: &str) -> bool {
        let Some((first, rest)) = self.0.split_once('*') else {
            return self.0 == kind;
        };
        let Some(mut kind) = kind.strip_prefix(first) else {
            return false;
        };
        let mut parts: Vec<&str> = rest.split('*').collect();
        let last = parts.pop().unwrap_or_default();
        for part in parts {
            let Some((_, after)) = kind.split_once(part) else {
                return false;
            };
            kind = after;
        }
        kind.ends_with(last)
    }
}

/// What an event means for one sync.
#[derive(Debug, Clone)]
pub struct EventRule {
    /// The sync whose table it concerns.
    pub sync: SyncName,
    /// What it does.
    pub effect: Effect,
    /// What decides whether the event is older than the row. `None` in a rule that writes: the row is read again by key instead.
    pub newer_by: Option<NewerBy>,
    /// Columns that keep their value if the event has none for them.
    pub keep: Vec<TableName>,
}

impl EventRule {
    /// Returns the templates that it reads from a request.
    pub(super) fn templates(&self) -> Vec<&Template> {
        let key = match &self.effect {
            Effect::Fields { key, .. } | Effect::Reread { key } | Effect::Delete { key } => Some(key),
            Effect::Record { .. } | Effect::Run => None,
        };
        let newer = match &self.newer_by {
            Some(NewerBy::Time { value, .. } | NewerBy::Sequence(value)) => Some(value),
            _ => None,
        };
        key.into_iter().chain(newer).collect()
    }
}

/// What an event does to a row.
#[derive(Debug, Clone)]
pub enum Effect {
    /// It holds the whole record, which is written as one of a list.
    Record {
        /// Where in the event the record is; empty if the event is the record.
        path: Vec<String>,
        /// Columns that are elsewhere in the event.
        fields: IndexMap<TableName, EventField>,
        /// Whether the row is read again by key afterwards, because more is known later.
        reread: bool,
    },
    /// It holds some fields. Columns that it does not name, or for which it has no value, keep theirs. A row that the table lacks is read by
    /// key, or made of these fields if the sync cannot read single records.
    Fields {
        /// The row's key.
        key: Template,
        /// Where the columns are.
        fields: IndexMap<TableName, EventField>,
        /// Whether the row is read again by key afterwards, because more is known later.
        reread: bool,
    },
    /// It holds the key of a record, which is read again.
    Reread {
        /// The row's key.
        key: Template,
    },
    /// The record was deleted.
    Delete {
        /// The row's key.
        key: Template,
    },
    /// Something changed; the sync is due at once.
    Run,
}

impl Effect {
    /// Whether the row is read by key after the event, or by the event alone.
    pub const fn rereads(&self) -> bool {
        match self {
            Self::Record { reread, .. } | Self::Fields { reread, .. } => *reread,
            Self::Reread { .. } => true,
            Self::Delete { .. } | Self::Run => false,
        }
    }
}

/// The value that an event has for a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventField {
    /// It is in the event.
    At {
        /// The path in the event: names and list positions.
        path: Vec<String>,
        /// Whether the text is made lower case.
        lowercase: bool,
        /// How a time is written, if not as in the lists.
        parse: Option<Parse>,
    },
    /// It follows from the type of the event.
    Fixed(String),
}

/// What decides whether an event is older than the row.
#[derive(Debug, Clone)]
pub enum NewerBy {
    /// By a timestamp or integer column of the record: older than the row's value is older.
    Column(TableName),
    /// By the time of the event.
    Time {
        /// The time: `${body.created}`.
        value: Template,
        /// How it is written.
        parse: Parse,
    },
    /// By a number that grows with each event of a record.
    Sequence(Template),
    /// By the state in a column. A state that comes before the row's is older; one that is in the same step is not. A state that is not in
    /// the list says nothing, and the row is read again.
    Rank {
        /// The column, of type text.
        column: TableName,
        /// The states, first to last; states of one step are in one list.
        steps: Vec<Vec<String>>,
    },
}

impl NewerBy {
    /// Returns the position of a state in [`NewerBy::Rank`].
    pub fn rank(&self, state: &str) -> Option<usize> {
        let Self::Rank { steps, .. } = self else {
            return None;
        };
        steps
            .iter()
            .position(|step| step.iter().any(|known| known == state))
    }
}

/// What events of one type mean: for one sync, or for several.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct EventFiles(
    #[serde(deserialize_with = "written::one_or_many")]
    #[schemars(with = "OneOrMany<EventFile>")]
    pub(crate) Vec<EventFile>,
);

/// What an event means for a sync: one of `record`, `fields`, `reread`, `deletes` and `run`; `record` and `fields` may also have
/// `reread`.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Event")]
pub(crate) struct EventFile {
    /// The sync whose table it concerns.
    #[schemars(with = "String")]
    pub(crate) sync: SyncName,
    /// The path to the whole record in the event, with dots; `.` if the event is the record.
    #[serde(default, deserialize_with = "written::path")]
    #[schemars(with = "String")]
    pub(crate) record: Option<Vec<String>>,
    /// Columns that the event brings, each with its path in the event. With `record`: columns that are outside of it.
    #[serde(default)]
    pub(crate) fields: IndexMap<String, FieldFile>,
    /// The record's key: `${body.data.id}`. Not with `record`, which contains it.
    #[schemars(with = "Option<Scalar>")]
    pub(crate) key: Option<Template>,
    /// Whether the record is read again by key; false if left out.
    #[serde(default)]
    pub(crate) reread: bool,
    /// Whether the record was deleted; false if left out.
    #[serde(default)]
    pub(crate) deletes: bool,
    /// Whether the sync is due at once, because the event does not say what changed; false if left out.
    #[serde(default)]
    pub(crate) run: bool,
    /// What decides whether the event is older than the row. If left out, the row is read again by key.
    pub(crate) newer_by: Option<NewerByFile>,
    /// Columns that keep their value if the record has none for them.
    #[serde(default, deserialize_with = "written::one_or_many")]
    #[schemars(with = "OneOrMany<String>")]
    pub(crate) keep: Vec<String>,
}

/// The value of a column: its path in the event, or its path and more, or a fixed value.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "EventField")]
pub(crate) enum FieldFile {
    /// The path alone.
    Short(String),
    /// The path and more, or a fixed value.
    Long(FieldSpec),
}

/// The value of a column: `path` and how it is written, or `value`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, rename = "EventFieldSpec")]
pub(crate) struct FieldSpec {
    /// The path in the event, with dots.
    pub(crate) path: Option<String>,
    /// A fixed value, which follows from the type of the event.
    #[serde(deserialize_with = "written::optional_text")]
    #[schemars(with = "Option<Scalar>")]
    pub(crate) value: Option<String>,
    /// Whether the text is made lower case; false if left out.
    pub(crate) lowercase: bool,
    /// The format of a time, if it differs from the column's.
    pub(crate) parse: Option<Parse>,
}

impl From<FieldFile> for FieldSpec {
    fn from(file: FieldFile) -> Self {
        match file {
            FieldFile::Long(spec) => spec,
            FieldFile::Short(path) => Self {
                path: Some(path),
                ..Self::default()
            },
        }
    }
}

/// What decides whether an event is older than the row: one of these keys.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "NewerBy")]
pub(crate) struct NewerByFile {
    /// A timestamp or integer column that grows with each change of the record.
    pub(crate) column: Option<String>,
    /// The time of the event: `${body.created}`.
    #[schemars(with = "Option<Scalar>")]
    pub(crate) time: Option<Template>,
    /// How `time` is written; iso8601 if left out.
    pub(crate) parse: Option<Parse>,
    /// A number that grows with each event of a record.
    #[schemars(with = "Option<Scalar>")]
    pub(crate) sequence: Option<Template>,
    /// One column, and its states from first to last; states of one step are in one list.
    #[schemars(with = "Option<IndexMap<String, Vec<OneOrMany<Scalar>>>>", extend("maxProperties" = 1))]
    pub(crate) rank: Option<IndexMap<String, Vec<Step>>>,
}

/// A step of a rank: one state, or several.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Step(#[serde(deserialize_with = "written::texts")] pub(crate) Vec<String>);

#[cfg(test)]
mod tests {
    use super::EventPattern;

    #[test]
    fn a_star_is_any_text() {
        for (pattern, right, wrong) in [
            ("ping", "ping", "pings"),
            ("issues.*", "issues.opened", "issue.opened"),
            ("*", "anything", "\u{0}"),
            ("*.deleted", "customer.deleted", "customer.deleted2"),
            ("a*b*c", "a1b2c", "a1c2b"),
            ("a*b*c", "abc", "ab"),
            ("customer.*.deleted", "customer.x.y.deleted", "customer.deleted"),
            ("a*a", "aa", "a"),
        ] {
            let pattern = EventPattern::new(pattern.to_owned());
            assert!(pattern.matches(right), "{}: {right}", pattern.as_str());
            assert!(
                pattern.as_str() == "*" || !pattern.matches(wrong),
                "{}: {wrong}",
                pattern.as_str()
            );
        }
    }
}
