//! What is wrong with provider files, told so that somebody can put it right.

use std::fmt;

/// One thing that is wrong, or doubtful, in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file as it was named.
    pub file: String,
    /// Line from 1, if the problem has a place.
    pub line: Option<u64>,
    /// Column from 1.
    pub column: Option<u64>,
    /// Where in the document: `syncs.orders.key`; empty for the whole file.
    pub path: String,
    /// What is wrong and what would be right.
    pub message: String,
    /// The line itself.
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

/// Provider files that cannot be used: everything that is wrong in all of them, never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct LoadError {
    /// The problems, file by file, from top to bottom.
    pub problems: Vec<Problem>,
}

impl fmt::Display for LoadError {
    /// One paragraph a problem.
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
