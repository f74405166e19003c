//! Paths within a document.

use std::fmt;

use serde_path_to_error::Segment;

/// A path of keys and list positions from the document's root, as in `syncs.orders.key`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DocumentPath(Vec<String>);

impl DocumentPath {
    /// Returns the path of a key below this path, or of a list's item by its index.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "keys and numbers alike read better without &"
    )]
    pub(crate) fn at(&self, step: impl ToString) -> Self {
        let mut steps = self.0.clone();
        steps.push(step.to_string());
        Self(steps)
    }

    /// Returns the path of `path` below this path.
    pub(crate) fn join(&self, path: &Self) -> Self {
        Self([self.0.as_slice(), &path.0].concat())
    }

    /// Converts a JSON pointer (RFC 6901).
    pub(crate) fn from_pointer(pointer: &str) -> Self {
        Self(
            pointer
                .split('/')
                .skip(1)
                .map(|step| step.replace("~1", "/").replace("~0", "~"))
                .collect(),
        )
    }

    /// Converts the path of an error of serde.
    pub(crate) fn of_error(path: &serde_path_to_error::Path) -> Self {
        let step = |segment: &Segment| match segment {
            Segment::Seq { index } => index.to_string(),
            other => other.to_string(),
        };
        Self(path.iter().map(step).collect())
    }

    pub(crate) fn steps(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for DocumentPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}
