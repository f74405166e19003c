//! Where something stands in a document.

use std::fmt;

/// Keys and list positions from the document's root, as in `syncs.orders.key`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Path(Vec<String>);

impl Path {
    /// The place of a key within this place, or of a list's item by its number.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "keys and numbers alike read better without &"
    )]
    pub(crate) fn at(&self, step: impl ToString) -> Self {
        let mut steps = self.0.clone();
        steps.push(step.to_string());
        Self(steps)
    }

    /// From a JSON pointer (RFC 6901).
    pub(crate) fn from_pointer(pointer: &str) -> Self {
        Self(
            pointer
                .split('/')
                .skip(1)
                .map(|step| step.replace("~1", "/").replace("~0", "~"))
                .collect(),
        )
    }

    /// Where serde met an error.
    pub(crate) fn of_error(path: &serde_path_to_error::Path) -> Self {
        Self(path.iter().map(ToString::to_string).collect())
    }

    pub(crate) fn steps(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}
