//! Writes results to standard output, and everything else to standard error.

use std::error::Error;
use std::io::{self, Write};

use serde::Serialize;

use crate::terminal;

/// Writes bytes as a result.
pub(crate) fn bytes(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    Ok(out.flush()?)
}

/// Writes text as a result.
pub(crate) fn text(text: &str) -> anyhow::Result<()> {
    bytes(text.as_bytes())
}

/// Writes a result as a line.
pub(crate) fn line(text: impl std::fmt::Display) -> anyhow::Result<()> {
    bytes(format!("{text}\n").as_bytes())
}

/// Writes a result as JSON.
pub(crate) fn json(value: &(impl Serialize + ?Sized)) -> anyhow::Result<()> {
    line(serde_json::to_string_pretty(value)?)
}

/// Writes a result in prose. On a terminal, long lines are wrapped.
pub(crate) fn sentence(text: impl std::fmt::Display) -> anyhow::Result<()> {
    line(fitted(text, terminal::width()))
}

/// Writes a note to standard error. On a terminal, long lines are wrapped. A closed standard error is not a failure.
pub(crate) fn note(text: impl std::fmt::Display) {
    verbatim_note(fitted(text, terminal::error_width()));
}

/// Writes a note without wrapping its lines, such as commands to copy.
pub(crate) fn verbatim_note(text: impl std::fmt::Display) {
    drop(writeln!(io::stderr().lock(), "{text}"));
}

fn fitted(text: impl std::fmt::Display, width: Option<usize>) -> String {
    let text = text.to_string();
    let Some(width) = width else { return text };
    let lines = text.split('\n').map(|line| {
        let body = line.trim_start_matches(' ');
        let indent = " ".repeat(line.len() - body.len());
        let options = wrapping(width)
            .break_words(false)
            .initial_indent(&indent)
            .subsequent_indent(&indent);
        textwrap::fill(body, options)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns the options to wrap text at spaces only.
pub(crate) fn wrapping<'a>(width: usize) -> textwrap::Options<'a> {
    textwrap::Options::new(width).word_splitter(textwrap::WordSplitter::NoHyphenation)
}

/// Writes an error with its causes.
pub(crate) fn error(error: &anyhow::Error) {
    let mut text = format!("error: {error}");
    let mut last = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        // The messages of some libraries contain their cause.
        if !last.contains(&cause) {
            text.push_str("\n  because: ");
            text.push_str(&cause);
        }
        last = cause;
    }
    note(text);
}

/// Whether an error says that the reader of the output has closed it.
pub(crate) fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_keep_their_indent() {
        assert_eq!(
            fitted("error: one two three\n  because: four five", Some(14)),
            "error: one two\nthree\n  because:\n  four five"
        );
        assert_eq!(fitted("", Some(14)), "");
        assert_eq!(
            fitted("see https://example.org/very-long now", Some(10)),
            "see\nhttps://example.org/very-long\nnow"
        );
        assert_eq!(fitted("日本 語日 本", Some(5)), "日本\n語日\n本");
    }
}
