//! Synced records as a table, and the choice of its columns.

use serde_json::Value as Json;

use crate::client::{ModelTable, response};
use crate::table::{Column, GAP, Kind, Table};
use crate::when;

/// A chosen column is no wider than this, so that one long text does not hide the others.
const WIDEST: usize = 36;
/// A longer text without a space is an id or a path, and not worth a column.
const LONGEST_WORD: usize = 24;
/// A text that is cut to less than this is useless.
const NARROWEST: usize = 16;

/// Returns the records as a table of these columns.
pub(crate) fn table(model: &ModelTable, columns: &[String], rows: &[Json]) -> Table {
    let kind = |name: &str| {
        let column = model.columns.iter().find(|column| column.name == name);
        column.map_or("json", |column| column.r#type.as_str())
    };
    let mut table = Table::new(columns.iter().map(|name| {
        let kind = match kind(name) {
            "integer" | "decimal" => Kind::Number,
            "timestamp" => Kind::Time,
            "text" | "json" if !is_word(rows, name) => Kind::Line,
            _ => Kind::Word,
        };
        Column::new(name, kind)
    }));
    for row in rows {
        table.row(columns.iter().map(|name| response::field(row, name)));
    }
    table
}

/// Whether a column contains ids, numbers or other single words, which are useless if they are cut.
fn is_word(rows: &[Json], column: &str) -> bool {
    let mut texts = rows.iter().map(|row| response::field(row, column));
    texts.all(|text| !text.contains(char::is_whitespace))
}

fn values<'a>(rows: &'a [Json], column: &'a str) -> impl Iterator<Item = &'a Json> {
    rows.iter().filter_map(move |row| row.get(column))
}

/// Whether the values of a column differ and are readable.
fn is_useful(rows: &[Json], column: &str) -> bool {
    let differs = rows.windows(2).any(|pair| match pair {
        [one, other] => one.get(column) != other.get(column),
        _ => false,
    });
    let plain = values(rows, column).all(|value| !value.is_object() && !value.is_array());
    let texts = values(rows, column).filter_map(Json::as_str);
    let mut texts = texts.filter(|text| !text.is_empty()).peekable();
    let opaque = texts.peek().is_some() && texts.all(|text| text.len() > LONGEST_WORD && !text.contains(' '));
    differs && plain && !opaque
}

/// Returns the most useful columns that fit into `width`: first the columns for order and filters, then columns with different values, last
/// the key.
pub(crate) fn choose_columns(model: &ModelTable, rows: &[Json], width: usize) -> Vec<String> {
    let first: Vec<&str> = model
        .newest_by
        .iter()
        .take(1)
        .chain(&model.filters)
        .map(String::as_str)
        .collect();
    let rest = model
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .filter(|name| !first.contains(name) && *name != model.key && is_useful(rows, name));
    let candidates = first.iter().copied().chain(rest).chain([model.key.as_str()]);

    let mut left = width + GAP;
    let mut chosen = Vec::new();
    for name in candidates {
        let widths = rows
            .iter()
            .map(|row| when::absolute(&response::field(row, name)).chars().count());
        let widest = widths.max().unwrap_or(0);
        // A text that is a little too wide is cut; an id never is.
        let may_be_cut = !is_word(rows, name);
        let shown = if may_be_cut { widest.min(WIDEST) } else { widest };
        let wanted = shown.max(name.len()) + GAP;
        if wanted <= left || may_be_cut && left >= NARROWEST + GAP {
            left = left.saturating_sub(wanted);
            chosen.push(name.to_owned());
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn model() -> ModelTable {
        let columns = [
            ("id", "text"),
            ("sent_at", "timestamp"),
            ("body", "text"),
            ("status", "text"),
        ]
        .map(|(name, kind)| json!({ "name": name, "type": kind }));
        serde_json::from_value(json!({
            "plural": "messages", "key": "id", "columns": columns, "filters": ["status"], "newest_by": ["sent_at"],
        }))
        .unwrap()
    }

    fn rows() -> Vec<Json> {
        let row = |id: &str, body: &str| json!({ "id": id, "sent_at": "2026-11-29T10:00:00Z", "body": body, "status": "sent" });
        vec![
            row("MM0123456789012345678901234567890", "Hello"),
            row(
                "MM0123456789012345678901234567891",
                "Your table is booked for this evening",
            ),
        ]
    }

    #[test]
    fn the_most_useful_columns_fit_and_an_id_is_whole_or_left_out() {
        let chosen = |width| choose_columns(&model(), &rows(), width);
        assert_eq!(chosen(140), ["sent_at", "status", "body", "id"]);
        assert_eq!(chosen(80), ["sent_at", "status", "body"]);
        assert_eq!(chosen(40), ["sent_at", "status"]);
    }

    #[test]
    fn output_for_programs_has_times_as_the_api_writes_them() {
        let columns = ["id", "sent_at"].map(str::to_owned);
        let values = table(&model(), &columns, &rows()).values();
        assert!(
            values.starts_with("id\tsent_at\nMM0123456789012345678901234567890\t2026-11-29T10:00:00Z\n"),
            "{values}"
        );
    }
}
