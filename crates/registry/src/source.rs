//! The file that is being checked, and the errors and warnings about it.

use crate::document::{Node, Place};
use crate::error::Problem;
use crate::path::Path;

/// One entry of a file, with what errors need to show where they are.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The file's name in messages.
    pub(crate) file: String,
    /// The whole text of the file.
    pub(crate) text: std::sync::Arc<str>,
    /// The entry, with the keys of its alias.
    pub(crate) root: Node,
    /// The entry's name in a file of many entries; empty in a file of one provider.
    pub(crate) entry: Path,
    /// Whether it is from a file of many entries, which may come from Nango. There, what Trunkline cannot use and does not need is a
    /// warning.
    pub(crate) foreign: bool,
}

impl Source {
    /// Whether the entry has a value at `path`.
    pub(crate) fn has(&self, path: &Path) -> bool {
        self.root.find(path).is_some()
    }

    /// Returns a problem at `path` of the entry.
    pub(crate) fn problem(&self, path: &Path, message: impl Into<String>) -> Problem {
        let full = path
            .steps()
            .iter()
            .fold(self.entry.clone(), |path, step| path.at(step));
        problem(
            &self.file,
            &self.text,
            Some(self.root.place_of(path)),
            &full,
            message.into(),
        )
    }
}

/// Returns a problem at `place` of a file, with the line's text.
pub(crate) fn problem(file: &str, text: &str, place: Option<Place>, path: &Path, message: String) -> Problem {
    let line = place.map(|place| place.line);
    let snippet = line
        .and_then(|line| usize::try_from(line).ok()?.checked_sub(1))
        .and_then(|index| text.lines().nth(index))
        .map(|line| line.trim_end().to_owned());
    Problem {
        file: file.to_owned(),
        line,
        column: place.map(|place| place.column),
        path: path.to_string(),
        message,
        snippet,
    }
}

/// Collects the errors and warnings about one entry while it is checked.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    pub(crate) source: &'a Source,
    pub(crate) errors: Vec<Problem>,
    pub(crate) warnings: Vec<Problem>,
    /// Why Trunkline does not support the entry, though it has no error.
    pub(crate) unsupported: Option<String>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(source: &'a Source) -> Self {
        Self {
            source,
            errors: Vec::new(),
            warnings: Vec::new(),
            unsupported: None,
        }
    }

    pub(crate) fn error(&mut self, path: &Path, message: impl Into<String>) {
        self.errors.push(self.source.problem(path, message));
    }

    pub(crate) fn warn(&mut self, path: &Path, message: impl Into<String>) {
        self.warnings.push(self.source.problem(path, message));
    }

    /// Reports an error in a file of one provider, and a warning in a file of many entries.
    pub(crate) fn doubt(&mut self, path: &Path, message: impl Into<String>) {
        if self.source.foreign {
            self.warn(path, message);
        } else {
            self.error(path, message);
        }
    }

    /// Returns the value, or reports the error at `path` and returns `None`.
    pub(crate) fn take<T, E: ToString>(&mut self, path: &Path, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.error(path, error.to_string())).ok()
    }
}
