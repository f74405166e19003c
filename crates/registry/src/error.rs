//! Errors and warnings about provider files.

use std::fmt;

/// An error or warning about one place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, as the user named it.
    pub file: String,
    /// The line, from 1; `None` if the problem concerns the whole file.
    pub line: Option<u64>,
    /// The column, from 1.
    pub column: Option<u64>,
    /// The path in the document, such as `syncs.orders.key`; empty for the whole file.
    pub path: String,
    /// What is wrong, and what would be right.
    pub message: String,
    /// The text of the line.
    pub snippet: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
            if let Some(column) = self.column {
                write!(f, ":{column}")?;
            }
        }
        f.write_str(": ")?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match (&self.snippet, self.line) {
            (Some(snippet), Some(line)) => write!(f, "\n{line:>5} | {snippet}"),
            _ => Ok(()),
        }
    }
}

/// The errors of all provider files that were read. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct LoadError {
    /// The errors, file by file, from top to bottom.
    pub problems: Vec<Problem>,
}

impl fmt::Display for LoadError {
    /// Writes one paragraph for each error.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}
