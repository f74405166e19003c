//! Fits a table to a terminal.

use std::borrow::Cow;

use domain::Timestamp;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{Column, GAP, Kind, Table, count, short_length};
use crate::{output, when};

/// A column is not cut or wrapped to less than this as long as another column can be omitted.
const COMFORTABLE: usize = 24;
/// Blanks before a text below its row.
const INDENT: usize = 2;
/// A column is never cut or wrapped to less than this.
const NARROWEST: usize = 10;
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// A column with its texts, the width that it needs and the width that it has.
struct Fitted<'a> {
    column: &'a Column,
    title: String,
    texts: Vec<String>,
    wanted: usize,
    width: usize,
}

impl Fitted<'_> {
    fn flexible(&self) -> bool {
        matches!(self.column.kind, Kind::Line | Kind::Prose)
    }

    fn is_below(&self) -> bool {
        self.column.kind == Kind::Below
    }

    fn is_empty(&self) -> bool {
        self.texts.iter().all(String::is_empty)
    }

    fn text(&self, row: usize) -> &str {
        self.texts.get(row).map(String::as_str).unwrap_or_default()
    }

    /// Returns the least width for it, if flexible columns get `least` each.
    fn least(&self, least: usize) -> usize {
        if self.flexible() {
            self.wanted.min(least)
        } else {
            self.wanted
        }
    }
}

/// A table as text, and the titles of omitted columns.
pub(super) struct Shown {
    pub(super) text: String,
    pub(super) omitted: Vec<String>,
}

impl Table {
    /// Fits the table into `width` columns, unless a single word is longer.
    pub(super) fn fitted(&self, width: usize, styles: bool, now: Timestamp) -> Shown {
        let mut columns = self.columns_in(width, now);
        let mut below = Vec::new();
        if total(&columns, COMFORTABLE) > width {
            (below, columns) = columns.into_iter().partition(Fitted::is_below);
        }
        let mut omitted = Vec::new();
        while total(&columns, COMFORTABLE) > width {
            let highest = columns.iter().map(|fitted| fitted.column.rank).max();
            let Some(rank) = highest.filter(|rank| *rank > 0) else {
                break;
            };
            let dropped = columns.extract_if(.., |fitted| fitted.column.rank == rank);
            omitted.extend(dropped.map(|fitted| fitted.title));
        }
        if total(&columns, NARROWEST) > width && self.heading {
            columns.extend(below);
            let text = blocks(&columns, self.rows.len(), width);
            return Shown { text, omitted };
        }
        share(&mut columns, width);
        let mut lines = Vec::new();
        if self.heading {
            let titles = columns.iter().map(|fitted| fitted.title.clone()).collect();
            let heading = line(&columns, titles);
            lines.push(if styles {
                format!("{BOLD}{heading}{PLAIN}")
            } else {
                heading
            });
        }
        for row in 0..self.rows.len() {
            lines.extend(wrapped(&columns, row));
            let texts = below.iter().map(|fitted| fitted.text(row));
            for text in texts.filter(|text| !text.is_empty()) {
                let parts = broken(text, width.saturating_sub(INDENT));
                lines.extend(parts.iter().map(|part| format!("{:INDENT$}{part}", "")));
            }
        }
        let text = lines.join("\n") + "\n";
        Shown { text, omitted }
    }

    /// Returns the columns that are not empty or must be shown, with whole ids if everything fits into `width` that way.
    fn columns_in(&self, width: usize, now: Timestamp) -> Vec<Fitted<'_>> {
        let measured = |short_ids: bool| -> Vec<Fitted<'_>> {
            let columns = self.columns.iter().enumerate();
            columns
                .map(|(index, column)| self.measured(index, column, short_ids, now))
                .filter(|fitted| !fitted.is_empty() || (fitted.column.rank == 0 && !fitted.is_below()))
                .collect()
        };
        let whole = measured(false);
        if total(&whole, usize::MAX) <= width {
            whole
        } else {
            measured(true)
        }
    }

    fn measured<'a>(
        &'a self,
        index: usize,
        column: &'a Column,
        short_ids: bool,
        now: Timestamp,
    ) -> Fitted<'a> {
        let values: Vec<&str> = self
            .rows
            .iter()
            .map(|row| row.get(index).map(String::as_str).unwrap_or_default())
            .collect();
        let texts = shown(column.kind, &values, short_ids, now);
        let title = if self.heading {
            column.name.replace('_', " ").to_uppercase()
        } else {
            String::new()
        };
        let all = texts.iter().chain([&title]);
        let wanted = all.map(|text| text.width()).max().unwrap_or_default();
        Fitted {
            column,
            title,
            texts,
            wanted,
            width: wanted,
        }
    }
}

/// Returns the texts of a column's values for a terminal.
fn shown(kind: Kind, values: &[&str], short_ids: bool, now: Timestamp) -> Vec<String> {
    let is_id = |value: &&str| kind.least(value).is_some();
    let least = values.iter().find_map(|value| kind.least(value));
    let length = least.filter(|_| short_ids);
    let length = length.map(|least| short_length(values.iter().copied().filter(is_id), least));
    let text = |value: &&str| match (kind, length) {
        (_, Some(length)) if is_id(value) => value.chars().take(length).collect(),
        (Kind::Count, _) => value.parse().map_or_else(|_| (*value).to_owned(), count),
        (Kind::Ago, _) => when::relative(value, now),
        (Kind::Time, _) => when::absolute(value),
        _ => (*value).to_owned(),
    };
    // A value must not break a line or control the terminal.
    let plain = |text: String| text.replace(char::is_control, " ");
    values.iter().map(text).map(plain).collect()
}

fn total(columns: &[Fitted<'_>], least: usize) -> usize {
    let widths = columns.iter().map(|fitted| fitted.least(least));
    widths.sum::<usize>() + GAP * columns.len().saturating_sub(1)
}

/// Divides the remaining width between the flexible columns. Narrow ones get what they need.
fn share(columns: &mut [Fitted<'_>], width: usize) {
    let gaps = GAP * columns.len().saturating_sub(1);
    let fixed: usize = columns
        .iter()
        .filter(|fitted| !fitted.flexible())
        .map(|fitted| fitted.width)
        .sum();
    let mut left = width.saturating_sub(fixed + gaps);
    let mut flexible: Vec<&mut Fitted<'_>> = columns.iter_mut().filter(|fitted| fitted.flexible()).collect();
    flexible.sort_by_key(|fitted| fitted.wanted);
    let mut waiting = flexible.len();
    for fitted in flexible {
        fitted.width = fitted.wanted.min((left / waiting.max(1)).max(NARROWEST));
        left = left.saturating_sub(fitted.width);
        waiting -= 1;
    }
}

fn line(columns: &[Fitted<'_>], cells: Vec<String>) -> String {
    let mut text = String::new();
    for (index, (fitted, cell)) in columns.iter().zip(cells).enumerate() {
        if index > 0 {
            text.push_str(&" ".repeat(GAP));
        }
        let blanks = " ".repeat(fitted.width.saturating_sub(cell.width()));
        if matches!(fitted.column.kind, Kind::Number | Kind::Count) {
            text.push_str(&blanks);
            text.push_str(&cell);
        } else {
            text.push_str(&cell);
            text.push_str(&blanks);
        }
    }
    text.truncate(text.trim_end().len());
    text
}

/// Returns a row in as many lines as its longest text takes.
fn wrapped(columns: &[Fitted<'_>], row: usize) -> Vec<String> {
    let parts: Vec<Vec<String>> = columns
        .iter()
        .map(|fitted| {
            let text = fitted.text(row);
            match fitted.column.kind {
                Kind::Line => vec![cut(text, fitted.width)],
                Kind::Prose => broken(text, fitted.width),
                _ => vec![text.to_owned()],
            }
        })
        .collect();
    let height = parts.iter().map(Vec::len).max().unwrap_or_default();
    (0..height)
        .map(|index| {
            let cells = parts
                .iter()
                .map(|lines| lines.get(index).cloned().unwrap_or_default());
            line(columns, cells.collect())
        })
        .collect()
}

/// Returns a block for each row and a line for each column, for columns that do not fit side by side.
fn blocks(columns: &[Fitted<'_>], rows: usize, width: usize) -> String {
    let label = columns
        .iter()
        .map(|fitted| fitted.title.width())
        .max()
        .unwrap_or_default();
    let mut blocks = Vec::new();
    for row in 0..rows {
        let mut block = String::new();
        for fitted in columns {
            let text = fitted.text(row);
            let room = width.saturating_sub(label + GAP).max(NARROWEST);
            let lines = if fitted.flexible() || fitted.is_below() {
                broken(text, room)
            } else {
                vec![text.to_owned()]
            };
            for (index, part) in lines.iter().enumerate().filter(|(_, part)| !part.is_empty()) {
                let title = if index == 0 { fitted.title.as_str() } else { "" };
                block = format!("{block}{title:<label$}  {part}\n");
            }
        }
        blocks.push(block);
    }
    blocks.join("\n")
}

/// Cuts a text to `width`, with an ellipsis if that is not all of it.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let (mut short, mut used) = (String::new(), 0);
    for letter in text.chars() {
        used += letter.width().unwrap_or_default();
        if used >= width {
            break;
        }
        short.push(letter);
    }
    short + "…"
}

/// Breaks text into lines between words; a word that is longer than a line is broken, too.
fn broken(text: &str, width: usize) -> Vec<String> {
    let lines = textwrap::wrap(text, output::wrapping(width));
    lines.into_iter().map(Cow::into_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(table: &Table, width: usize) -> String {
        table.fitted(width, false, Timestamp::from_micros(0)).text
    }

    fn runs() -> Table {
        let mut table = Table::new([
            Column::new("run", Kind::Word),
            Column::new("sync", Kind::Word).rank(2),
            Column::new("new_rows", Kind::Number),
            Column::new("error", Kind::Prose).rank(1),
        ]);
        table.row(["run_0198f0c8a2b3", "acme-messages", "1", ""]);
        let error = "the provider is slow and nothing came of it";
        table.row(["run_0198f0c8a2b4", "acme-messages", "23", error]);
        table
    }

    #[test]
    fn a_table_that_fits_has_one_line_for_each_row() {
        assert_eq!(
            fitted(&runs(), 100),
            "RUN               SYNC           NEW ROWS  ERROR\n\
             run_0198f0c8a2b3  acme-messages         1\n\
             run_0198f0c8a2b4  acme-messages        23  the provider is slow and nothing came of it\n"
        );
    }

    #[test]
    fn messages_wrap_before_columns_are_omitted_and_ids_are_never_cut() {
        let text = fitted(&runs(), 70);
        assert!(
            text.contains("the provider is slow and\n") && text.contains("acme-messages"),
            "{text}"
        );
        for width in 20..100 {
            let text = fitted(&runs(), width);
            assert!(text.contains("run_0198f0c8a2b4"), "{width}:\n{text}");
            let longest = text.lines().map(UnicodeWidthStr::width).max().unwrap();
            assert!(longest <= width.max(26), "{width}:\n{text}");
        }
        assert!(!fitted(&runs(), 50).contains("SYNC"));
    }

    #[test]
    fn ids_that_do_not_fit_side_by_side_are_shown_in_blocks() {
        let mut table = Table::new([
            Column::new("connection", Kind::Word),
            Column::new("run", Kind::Word),
        ]);
        table.row(["c".repeat(30), "r".repeat(30)]);
        assert_eq!(
            fitted(&table, 50),
            format!("CONNECTION  {}\nRUN         {}\n", "c".repeat(30), "r".repeat(30))
        );
    }

    #[test]
    fn a_text_without_room_is_put_below_its_row_and_an_id_is_short_only_then() {
        let mut table = Table::new([
            Column::new("connection", Kind::Connection),
            Column::new("state", Kind::Word),
            Column::new("pages", Kind::Number).rank(1),
            Column::new("error", Kind::Below),
            Column::new("note", Kind::Below),
        ]);
        let error = "the provider is slow and nothing came of it";
        table.row(["0198f0c8-e89b-12d3-a456-426614174000", "ok", "7", "", ""]);
        table.row(["0298f0c8-e89b-12d3-a456-426614174000", "failed", "1", error, ""]);
        table.row(["user-10", "ok", "1", "", ""]);

        let wide = fitted(&table, 100);
        assert!(
            wide.contains(&format!(
                "0298f0c8-e89b-12d3-a456-426614174000  failed      1  {error}\n"
            )),
            "{wide}"
        );
        assert!(!wide.contains("NOTE"), "{wide}");
        assert_eq!(
            fitted(&table, 26),
            "CONNECTION  STATE   PAGES\n\
             0198f0c8    ok          7\n\
             0298f0c8    failed      1\n  \
               the provider is slow and\n  \
               nothing came of it\n\
             user-10     ok          1\n"
        );
        let narrow = table.fitted(20, false, Timestamp::from_micros(0));
        assert_eq!(narrow.omitted, ["PAGES"]);
        assert!(narrow.text.starts_with("CONNECTION  STATE\n"), "{}", narrow.text);
    }

    #[test]
    fn the_id_of_a_run_is_short_only_without_room_for_all_of_it() {
        let mut table = Table::new([Column::new("run", Kind::Id), Column::new("state", Kind::Word)]);
        table.row(["run_0198f0c8a2b37d5ea6a2d4c1b0f3e921", "ok"]);
        table.row(["run_0298f0c8a2b37d5ea6a2d4c1b0f3e921", "failed"]);
        assert!(fitted(&table, 44).contains("run_0298f0c8a2b37d5ea6a2d4c1b0f3e921  failed\n"));
        assert_eq!(
            fitted(&table, 43),
            "RUN               STATE\n\
             run_0198f0c8a2b3  ok\n\
             run_0298f0c8a2b3  failed\n"
        );
    }

    #[test]
    fn wide_letters_count_twice_and_a_cell_cannot_control_the_terminal() {
        let mut table = Table::new([Column::new("a", Kind::Line), Column::new("b", Kind::Word)]);
        table.row(["日本語日本語日本語", "1"]);
        table.row(["x\u{1b}[31m\ny", "2"]);
        assert_eq!(
            fitted(&table, 20),
            "A                  B\n日本語日本語日本…  1\nx [31m y           2\n"
        );
    }
}
