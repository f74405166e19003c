//! The environment variables, read once at the start and passed on as a value.

use std::collections::BTreeMap;

use super::{FILE_VARIABLE, VARIABLE_PREFIX};

/// Separates the levels of a key in a variable's name.
const LEVEL: &str = "__";
/// The prefix of variables for tests, which are no settings.
const OF_TESTS: &str = "TRUNKLINE_TEST_";

/// Variables by name. An empty one counts as not set, since many programs that start others can empty a variable but not remove it.
#[derive(Clone, Default)]
pub(crate) struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Returns the variables of this process. Variables that are not Unicode are ignored.
    pub(crate) fn of_process() -> Self {
        Self::of(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        )
    }

    /// An environment of these variables.
    pub(crate) fn of(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(
            variables
                .into_iter()
                .filter(|(_, value)| !value.is_empty())
                .collect(),
        )
    }

    /// Returns the value of a variable.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Returns the variables that hold settings: name, key and value. The value stays text, so that an API key of digits is not a number.
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
