//! Tables: human-readable on a terminal, tab-separated values in a pipe.
//!
//! On a terminal, long texts are wrapped or put below their row; then the least important columns are omitted, and a note names them. An id
//! is shown whole or in a short form that commands accept, and is never cut. If that is still too wide, each row becomes a block. In a pipe,
//! there are all columns under stable names, with times in ISO 8601 and numbers without separators.

mod layout;

use std::collections::BTreeSet;

use domain::Clock;

use crate::{output, terminal};

/// Blanks between two columns.
pub(crate) const GAP: usize = 2;

/// The fewest characters of an id that a terminal shows: the prefix and the time at which it was made.
const SHORT_ID: usize = 16;
/// The fewest characters of a UUID that a terminal shows.
const SHORT_UUID: usize = 8;

/// What a column holds, and so how a terminal shows it. In a pipe, every value stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A name or a state; never cut or wrapped.
    Word,
    /// The id of a run or an API key, whole or, for lack of room, a beginning that no other id in the column has.
    Id,
    /// The id of a connection. A UUID, which the gateway made, may be shortened like an [`Kind::Id`]; an id that an app chose is whole.
    Connection,
    /// A number, aligned to the right.
    Number,
    /// The same, with separators.
    Count,
    /// A time, or nothing; relative to now.
    Ago,
    /// A time of a record; in UTC.
    Time,
    /// Cut to the column's width: a text that is useful without its end.
    Line,
    /// Wrapped: a message.
    Prose,
    /// Next to the other columns if it fits there unwrapped, else below its row.
    Below,
}

impl Kind {
    /// Returns the fewest characters of a value's short form, which commands accept; `None` if it has none.
    fn least(self, value: &str) -> Option<usize> {
        match self {
            Self::Id => Some(SHORT_ID),
            Self::Connection => is_uuid(value).then_some(SHORT_UUID),
            _ => None,
        }
    }
}

/// A column.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    /// Its name in a pipe, such as `last_ended`. The terminal shows `LAST ENDED`.
    name: String,
    kind: Kind,
    /// The higher, the earlier the column is omitted for lack of room; 0 is always shown.
    rank: u8,
}

impl Column {
    /// A column.
    pub(crate) fn new(name: impl Into<String>, kind: Kind) -> Self {
        let (name, rank) = (name.into(), 0);
        Self { name, kind, rank }
    }

    /// Allows to omit the column for lack of room: the higher `rank`, the earlier.
    pub(crate) fn rank(self, rank: u8) -> Self {
        Self { rank, ..self }
    }
}

/// A table.
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
    heading: bool,
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        Self {
            columns: columns.into_iter().collect(),
            rows: Vec::new(),
            heading: true,
        }
    }

    /// A table of the properties of one thing: names and values. On a terminal, it has no headings.
    pub(crate) fn details() -> Self {
        Self {
            heading: false,
            ..Self::new([
                Column::new("field", Kind::Word),
                Column::new("value", Kind::Prose),
            ])
        }
    }

    /// Adds a row.
    pub(crate) fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// Adds a property, unless it is empty.
    pub(crate) fn detail(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        if !value.is_empty() {
            self.row([name.to_owned(), value]);
        }
    }

    /// Writes the table as a result. On a terminal, an empty table is replaced by the note `none`.
    pub(crate) fn print(&self, none: &str) -> anyhow::Result<()> {
        let Some(width) = terminal::width() else {
            return output::text(&self.values());
        };
        if self.rows.is_empty() {
            output::note(none);
            return Ok(());
        }
        let shown = self.fitted(width, terminal::styles(), Clock::system().now());
        output::text(&shown.text)?;
        if !shown.omitted.is_empty() {
            output::note(format_args!(
                "\nNot shown for lack of room: {}. A wider terminal or --json shows more.",
                shown.omitted.join(", ")
            ));
        }
        Ok(())
    }

    /// Returns tab-separated values, with the names of the columns first.
    pub(crate) fn values(&self) -> String {
        let names = self.columns.iter().map(|column| column.name.clone());
        let mut text = names.collect::<Vec<_>>().join("\t") + "\n";
        for row in &self.rows {
            text.push_str(&tab_separated(row));
            text.push('\n');
        }
        text
    }
}

/// Returns a row of tab-separated values, with tabs, line breaks and backslashes escaped.
pub(crate) fn tab_separated(row: &[String]) -> String {
    let cells: Vec<String> = row.iter().map(|cell| escaped(cell)).collect();
    cells.join("\t")
}

fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for letter in value.chars() {
        match letter {
            '\\' => text.push_str(r"\\"),
            '\t' => text.push_str(r"\t"),
            '\n' => text.push_str(r"\n"),
            '\r' => text.push_str(r"\r"),
            other if other.is_control() => text.extend(other.escape_unicode()),
            other => text.push(other),
        }
    }
    text
}

/// Returns how many characters of ids to show: at least `least`, and as many as it takes to tell them apart. One length for all of them is
/// easiest to read.
fn short_length<'a>(ids: impl Iterator<Item = &'a str>, least: usize) -> usize {
    let sorted: BTreeSet<&str> = ids.collect();
    let common =
        |(one, other): (&&str, &&str)| one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    let shared = sorted.iter().zip(sorted.iter().skip(1)).map(common).max();
    shared.map_or(least, |shared| least.max(shared + 1))
}

/// Whether a connection's id is a UUID, which the gateway made.
pub(crate) fn is_uuid(id: &str) -> bool {
    let lengths = id.split('-').map(str::len).collect::<Vec<_>>();
    lengths == [8, 4, 4, 4, 12] && id.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
}

/// Writes `1234567` as `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_commas() {
        assert_eq!(
            [count(0), count(999), count(1000), count(1_234_567)],
            ["0", "999", "1,000", "1,234,567"]
        );
    }

    #[test]
    fn output_for_programs_has_complete_columns_with_tabs_and_line_breaks_escaped() {
        let mut table = Table::new([
            Column::new("id", Kind::Id),
            Column::new("rows", Kind::Count).rank(1),
            Column::new("last_error", Kind::Prose),
        ]);
        table.row(["run_0198", "1234", "a\tb\nc\\d \u{1b}[31m"]);
        assert_eq!(
            table.values(),
            "id\trows\tlast_error\nrun_0198\t1234\ta\\tb\\nc\\\\d \\u{1b}[31m\n"
        );
    }

    #[test]
    fn short_ids_are_long_enough_to_tell_them_apart() {
        let length = |ids: [&str; 2]| short_length(ids.into_iter(), 6);
        assert_eq!(length(["run_0198aa", "run_0298aa"]), "run_01".len());
        assert_eq!(length(["run_0198aa", "run_0198ab"]), "run_0198aa".len());
        assert_eq!(length(["run_0198aa", "run_0198aa"]), "run_01".len());
    }

    #[test]
    fn an_id_that_an_app_chose_is_not_a_uuid() {
        assert!(is_uuid("123e4567-e89b-12d3-a456-426614174000"));
        assert!(!is_uuid("user-10") && !is_uuid("123e4567"));
    }
}
