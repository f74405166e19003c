//! Tables: human-readable on a terminal, tab-separated values in a pipe.
//!
//! On a terminal, long texts are wrapped or put below their row; then the least important columns are omitted, and a note names them. An id
//! is shown whole or in a short form that commands accept, and is never cut. If that is still too wide, each row becomes a block. In a pipe,
//! there are all columns under stable names, with times in ISO 8601 and numbers without separators.

mod layout;

use domain::{Clock, Timestamp};

use crate::{output, terminal, when};

/// Blanks between two columns.
pub(crate) const GAP: usize = 2;

/// How the cells of a column are fitted to a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Never cut or wrapped: an id, a name, a state.
    Word,
    /// The same, aligned to the right.
    Number,
    /// Cut to the column's width: a text that is useful without its end.
    Line,
    /// Wrapped: a message.
    Prose,
    /// Next to the other columns if it fits there unwrapped, else below its row.
    Below,
}

/// Which form of ids is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ids {
    Whole,
    Short,
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

/// A value in a table.
#[derive(Debug, Clone)]
pub(crate) enum Cell {
    /// Text.
    Text(String),
    /// An id, and a beginning that no other id in the table has.
    Id { whole: String, short: String },
    /// A number, with separators on a terminal.
    Number(u64),
    /// A time, or nothing; relative to now on a terminal.
    Ago(String),
    /// A time of a record; in UTC on a terminal.
    Time(String),
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl Cell {
    /// Returns the text for a terminal.
    fn shown(&self, ids: Ids, now: Timestamp) -> String {
        let text = match self {
            Self::Text(text) => text.clone(),
            Self::Id { whole, short } => match ids {
                Ids::Whole => whole.clone(),
                Ids::Short => short.clone(),
            },
            Self::Number(number) => count(*number),
            Self::Ago(time) => when::relative(time, now),
            Self::Time(time) => when::absolute(time),
        };
        // A value must not break a line or control the terminal.
        text.chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect()
    }

    /// Returns the text for a pipe.
    fn value(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Id { whole, .. } => whole.clone(),
            Self::Number(number) => number.to_string(),
            Self::Ago(time) | Self::Time(time) => time.clone(),
        }
    }
}

/// A table.
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
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
    pub(crate) fn row<T: Into<Cell>>(&mut self, cells: impl IntoIterator<Item = T>) {
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
    pub(crate) fn print(&self, none: &str) -> std::io::Result<()> {
        match terminal::width() {
            Some(_) if self.rows.is_empty() => {
                output::note(none);
                Ok(())
            }
            Some(width) => {
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
            None => output::text(&self.values()),
        }
    }

    /// Returns tab-separated values, with the names of the columns first. Tabs, line breaks and backslashes in values are escaped.
    pub(crate) fn values(&self) -> String {
        let names = self.columns.iter().map(|column| column.name.clone());
        let mut text = names.collect::<Vec<_>>().join("\t") + "\n";
        for row in &self.rows {
            let cells: Vec<String> = row.iter().map(|cell| escaped(&cell.value())).collect();
            text.push_str(&cells.join("\t"));
            text.push('\n');
        }
        text
    }
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

/// Returns the ids as cells. Their short form has at least `least` characters, and as many as it takes to tell them apart.
pub(crate) fn shortened(ids: &[impl AsRef<str>], least: usize) -> Vec<Cell> {
    let mut sorted: Vec<&str> = ids.iter().map(AsRef::as_ref).collect();
    sorted.sort_unstable();
    sorted.dedup();
    let common = |one: &str, other: &str| one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    let shared = sorted
        .iter()
        .zip(sorted.iter().skip(1))
        .map(|(one, other)| common(one, other))
        .max();
    // One length for all of them is easiest to read.
    let length = shared.map_or(least, |shared| least.max(shared + 1));
    let cells = ids.iter().map(AsRef::as_ref).map(|id: &str| Cell::Id {
        whole: id.to_owned(),
        short: id.chars().take(length).collect(),
    });
    cells.collect()
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
            Column::new("id", Kind::Word),
            Column::new("rows", Kind::Number).rank(1),
            Column::new("last_error", Kind::Prose),
        ]);
        let id = || Cell::Id {
            whole: "run_0198".to_owned(),
            short: "run".to_owned(),
        };
        table.row([id(), 1_234.into(), "a\tb\nc\\d \u{1b}[31m".into()]);
        assert_eq!(
            table.values(),
            "id\trows\tlast_error\nrun_0198\t1234\ta\\tb\\nc\\\\d \\u{1b}[31m\n"
        );
    }

    #[test]
    fn short_ids_are_long_enough_to_tell_them_apart() {
        let shown = |ids: &[&str]| {
            let cells = shortened(ids, 6);
            let now = Timestamp::from_micros(0);
            cells
                .iter()
                .map(|cell| cell.shown(Ids::Short, now))
                .collect::<Vec<_>>()
        };
        assert_eq!(shown(&["run_0198aa", "run_0298aa"]), ["run_01", "run_02"]);
        assert_eq!(shown(&["run_0198aa", "run_0198ab"]), ["run_0198aa", "run_0198ab"]);
        assert_eq!(shown(&["run_0198aa", "run_0198aa"]), ["run_01", "run_01"]);
    }
}
