//! Where the program writes for people and programs: results on standard output, all else on standard error.

use std::error::Error;
use std::io::{self, Write};

use serde_json::Value as Json;

use crate::{terminal, wrap};

/// Writes a result as it is.
pub(crate) fn bytes(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Writes a result as it is.
pub(crate) fn text(text: &str) -> io::Result<()> {
    bytes(text.as_bytes())
}

/// Writes a result and ends its line.
pub(crate) fn line(text: impl std::fmt::Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Writes a result for a program.
pub(crate) fn json(value: &Json) -> io::Result<()> {
    line(format_args!("{value:#}"))
}

/// Writes a result in words. A terminal breaks it between words.
pub(crate) fn sentence(text: impl std::fmt::Display) -> io::Result<()> {
    line(fitted(text, terminal::width()))
}

/// Writes a remark for people. Nothing depends on it, so it is no failure if nobody can read it. A terminal breaks it between words.
pub(crate) fn note(text: impl std::fmt::Display) {
    verbatim_note(fitted(text, terminal::error_width()));
}

/// Writes a remark whose lines must stay as they are: commands to copy, a frame.
pub(crate) fn verbatim_note(text: impl std::fmt::Display) {
    drop(writeln!(io::stderr().lock(), "{text}"));
}

fn fitted(text: impl std::fmt::Display, width: Option<usize>) -> String {
    let text = text.to_string();
    match width {
        Some(width) => wrap::paragraphs(&text, width),
        None => text,
    }
}

/// Writes an error with its causes.
pub(crate) fn error(error: &anyhow::Error) {
    let mut text = format!("error: {error}");
    let mut told = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        // Some libraries repeat the cause in the text that it is the cause of.
        if !told.contains(&cause) {
            text.push_str("\n  because: ");
            text.push_str(&cause);
        }
        told = cause;
    }
    note(text);
}

/// Whether an error says that the reader of our output is gone.
pub(crate) fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// A frame around lines that must not be missed.
pub(crate) fn boxed(title: &str, lines: &[String]) -> String {
    let width = lines
        .iter()
        .map(|line| line.chars().count())
        .chain([title.chars().count() + 2])
        .max()
        .unwrap_or(0);
    let mut text = format!(
        "╭─ {title} {}╮\n",
        "─".repeat(width.saturating_sub(title.chars().count()) + 1)
    );
    for line in lines {
        text = format!("{text}│  {line:<width$}  │\n");
    }
    format!("{text}╰{}╯", "─".repeat(width + 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_as_wide_as_its_longest_line() {
        let framed = boxed(
            "A title",
            &["short".to_owned(), "a line that is longer".to_owned()],
        );
        let widths: Vec<usize> = framed.lines().map(|line| line.chars().count()).collect();
        assert_eq!(widths, [27, 27, 27, 27], "{framed}");
    }
}
