//! The environment variables, taken once at start and handed on as a value.

use std::collections::BTreeMap;

use super::{FILE_VARIABLE, VARIABLE_PREFIX};

/// Between two levels of a key in a variable's name.
const LEVEL: &str = "__";
/// Variables of the tests, which no setting may be called like.
const OF_TESTS: &str = "TRUNKLINE_TEST_";

/// Variables by name. One that is empty counts as not set, since many programs that start others can only empty a variable.
#[derive(Clone, Default)]
pub(crate) struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The variables of this process; those that are no Unicode are left out.
    pub(crate) fn of_process() -> Self {
        Self::of(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        )
    }

    /// These variables.
    pub(crate) fn of(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(
            variables
                .into_iter()
                .filter(|(_, value)| !value.is_empty())
                .collect(),
        )
    }

    /// The variable's value.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Variables that hold settings: name, key and value. The value stays text, so that a key of digits is no number.
    pub(super) fn settings(&self) -> impl Iterator<Item = (String, String, &str)> {
        self.0
            .iter()
            .filter(|(name, _)| *name != FILE_VARIABLE && !name.starts_with(OF_TESTS))
            .filter_map(|(name, value)| {
                let key = name
                    .strip_prefix(VARIABLE_PREFIX)?
                    .to_ascii_lowercase()
                    .replace(LEVEL, ".");
                Some((name.clone(), key, value.as_str()))
            })
    }
}
