//! The entry that is being checked, and the errors and warnings about it.

use std::cell::RefCell;
use std::sync::Arc;

use serde_saphyr::Location;

use crate::document::Node;
use crate::error::Problem;
use crate::path::DocumentPath;

/// One entry of a file, with what errors need to show where they are.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The file's name in messages.
    pub(crate) file: String,
    /// The whole text of the file.
    pub(crate) text: Arc<str>,
    /// The entry, with the keys of its alias.
    pub(crate) root: Node,
    /// The entry's name in a collection; empty in a file of one provider.
    pub(crate) entry: DocumentPath,
    /// Whether it is from a collection, which may come from Nango. There, what Trunkline cannot use and does not need is a warning.
    pub(crate) from_collection: bool,
}

impl Source {
    /// Returns a problem at `path` of the entry.
    pub(crate) fn problem(&self, path: &DocumentPath, message: impl Into<String>) -> Problem {
        let location = Some(self.root.location_of(path));
        problem(
            &self.file,
            &self.text,
            location,
            &self.entry.join(path),
            message.into(),
        )
    }
}

/// Returns a problem at `location` of a file, with the line's text.
pub(crate) fn problem(
    file: &str,
    text: &str,
    location: Option<Location>,
    path: &DocumentPath,
    message: String,
) -> Problem {
    let line = location.map(|location| location.line());
    let snippet = line
        .and_then(|line| usize::try_from(line).ok()?.checked_sub(1))
        .and_then(|index| text.lines().nth(index))
        .map(|line| line.trim_end().to_owned());
    Problem {
        file: file.to_owned(),
        line,
        column: location.map(|location| location.column()),
        path: path.to_string(),
        message,
        snippet,
    }
}

/// What the check of one entry has found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) errors: Vec<Problem>,
    pub(crate) warnings: Vec<Problem>,
    /// Why Trunkline does not support the entry, though it has no error.
    pub(crate) unsupported: Option<String>,
}

/// Reports errors and warnings about one value of an entry.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    source: &'a Source,
    path: DocumentPath,
    findings: &'a RefCell<Findings>,
}

impl<'a> Report<'a> {
    /// Returns the report of the whole entry.
    pub(crate) fn new(source: &'a Source, findings: &'a RefCell<Findings>) -> Self {
        Self {
            source,
            path: DocumentPath::default(),
            findings,
        }
    }

    /// Returns the report of the value of a key below this value, or of a list's item by its index.
    pub(crate) fn at(&self, step: impl ToString) -> Self {
        self.at_path(&DocumentPath::default().at(step))
    }

    /// Returns the report of the value at a path below this value.
    pub(crate) fn at_path(&self, path: &DocumentPath) -> Self {
        Self {
            path: self.path.join(path),
            ..*self
        }
    }

    /// Returns the report of a list's item, or of this value if the file has a single value in place of a list.
    pub(crate) fn item(&self, index: usize) -> Self {
        if self.has("0") {
            self.at(index)
        } else {
            self.at_path(&DocumentPath::default())
        }
    }

    /// Returns the report of the whole entry.
    pub(crate) fn root(&self) -> Self {
        Self::new(self.source, self.findings)
    }

    /// Returns the entry that is being checked.
    pub(crate) const fn source(&self) -> &'a Source {
        self.source
    }

    /// Whether the file has a value for this key.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.source.root.find(&self.path.at(key)).is_some()
    }

    pub(crate) fn error(&self, message: impl Into<String>) {
        let problem = self.source.problem(&self.path, message);
        self.findings.borrow_mut().errors.push(problem);
    }

    pub(crate) fn warn(&self, message: impl Into<String>) {
        let problem = self.source.problem(&self.path, message);
        self.findings.borrow_mut().warnings.push(problem);
    }

    /// Reports an error in a file of one provider, and a warning in a collection.
    pub(crate) fn doubt(&self, message: impl Into<String>) {
        if self.source.from_collection {
            self.warn(message);
        } else {
            self.error(message);
        }
    }

    /// Notes that Trunkline does not support the entry.
    pub(crate) fn unsupported(&self, reason: String) {
        self.findings.borrow_mut().unsupported = Some(reason);
    }

    /// Returns the value, or reports the error and returns `None`.
    pub(crate) fn take<T, E: ToString>(&self, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.error(error.to_string())).ok()
    }
}
