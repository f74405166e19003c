//! A file that is being checked, and what was found in it.

use crate::document::{Node, Place};
use crate::error::Problem;
use crate::path::Path;

/// One entry of a file: where its problems are told of.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The file as it is named in messages.
    pub(crate) file: String,
    /// The whole text of the file.
    pub(crate) text: std::sync::Arc<str>,
    /// The entry, with what its alias brought.
    pub(crate) root: Node,
    /// The entry's name in a file of many entries, else empty.
    pub(crate) entry: Path,
    /// Whether it stands in a file of many entries, which somebody else may have written: there, what Trunkline cannot use and
    /// can do without is a warning.
    pub(crate) foreign: bool,
}

impl Source {
    /// Whether the entry has a value at `path`.
    pub(crate) fn has(&self, path: &Path) -> bool {
        self.root.find(path).is_some()
    }

    /// A problem at `path` of the entry.
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

/// A problem at `place` of a file, with its line.
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

/// The problems of one entry, gathered while it is checked.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    pub(crate) source: &'a Source,
    pub(crate) errors: Vec<Problem>,
    pub(crate) warnings: Vec<Problem>,
    /// Why Trunkline cannot serve the entry, though nothing is wrong with it.
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

    /// An error in our own files and a warning in others.
    pub(crate) fn doubt(&mut self, path: &Path, message: impl Into<String>) {
        if self.source.foreign {
            self.warn(path, message);
        } else {
            self.error(path, message);
        }
    }

    /// The value, or `None` and an error at `path`.
    pub(crate) fn take<T, E: ToString>(&mut self, path: &Path, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.error(path, error.to_string())).ok()
    }
}
