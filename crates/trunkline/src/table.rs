//! Tables for people: one line a row, long text cut to what the terminal holds.

use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Row, presets};
use serde_json::Value as Json;

use crate::output;

/// A table in the making.
pub(crate) struct Table(comfy_table::Table);

impl Table {
    /// A table with these headings; a heading that begins with `>` stands over numbers, which are aligned to the right.
    pub(crate) fn new(headings: &[&str]) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING).set_truncation_indicator("…");
        // A pipe has no width: there nothing is cut.
        let arrangement = if output::is_terminal() {
            ContentArrangement::Dynamic
        } else {
            ContentArrangement::Disabled
        };
        table.set_content_arrangement(arrangement);
        let names = headings.iter().map(|heading| heading.trim_start_matches('>'));
        table.set_header(names.map(|name| Cell::new(name).add_attribute(Attribute::Bold)));
        for (index, heading) in headings.iter().enumerate() {
            if let Some(column) = table.column_mut(index) {
                column.set_padding((0, 2));
                if heading.starts_with('>') {
                    column.set_cell_alignment(CellAlignment::Right);
                }
            }
        }
        Self(table)
    }

    /// Characters that a line of a table may have, if that is known.
    pub(crate) fn width() -> Option<usize> {
        comfy_table::Table::new()
            .width()
            .filter(|_| output::is_terminal())
            .map(usize::from)
    }

    /// Adds a row.
    pub(crate) fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        let mut row = Row::from(
            cells
                .into_iter()
                .map(|cell| Cell::new(plain(&cell.into())))
                .collect::<Vec<_>>(),
        );
        row.max_height(1);
        self.0.add_row(row);
    }

    /// The table as text, with a line break at its end.
    pub(crate) fn render(&self) -> String {
        self.0
            .lines()
            .fold(String::new(), |text, line| text + line.trim_end() + "\n")
    }

    /// Writes the table as a result.
    pub(crate) fn print(&self) -> std::io::Result<()> {
        output::text(&self.render())
    }
}

/// Text without what would break a line or drive a terminal.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// A JSON value as people read it; nothing for null.
pub(crate) fn show(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => time(text),
        other => other.to_string(),
    }
}

/// The value called `name` as people read it.
pub(crate) fn field(json: &Json, name: &str) -> String {
    json.get(name).map(show).unwrap_or_default()
}

/// `2026-11-21T10:00:00.000001Z` as `2026-11-21 10:00:00`; any other text as it is.
pub(crate) fn time(text: &str) -> String {
    match text.parse::<domain::Timestamp>() {
        Ok(_) if text.contains('T') => text
            .chars()
            .take(19)
            .map(|c| if c == 'T' { ' ' } else { c })
            .collect(),
        _ => text.to_owned(),
    }
}

/// `1234567` as `1,234,567`.
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
    fn numbers_have_commas_and_times_have_no_fraction() {
        assert_eq!(
            [count(0), count(999), count(1000), count(1_234_567)],
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(time("2026-11-21T10:00:00.5Z"), "2026-11-21 10:00:00");
        assert_eq!(time("To be or not"), "To be or not");
    }

    #[test]
    fn a_cell_cannot_drive_the_terminal() {
        let mut table = Table::new(&["a", ">b"]);
        table.row(["x\u{1b}[31m\ny", "1"]);
        table.row(["z", "23"]);
        assert_eq!(table.render(), "a          b\nx [31m y   1\nz         23\n");
    }
}
