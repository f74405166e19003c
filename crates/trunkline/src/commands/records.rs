//! `records`: synced records as a table, JSON, CSV or NDJSON.

use std::process::ExitCode;

use anyhow::Context;
use serde_json::{Value as Json, json};

use crate::cli::Records;
use crate::client::{Client, ModelTable, resolve};
use crate::table::{self, Cell, Column, Table};
use crate::{output, suggest, terminal, when};

/// Records shown if nobody names a number.
const DEFAULT_LIMIT: usize = 20;
/// The most that the API gives in a page.
const PAGE: usize = 1_000;
/// No column that is chosen by itself is wider, so that one long text does not hide the others.
const WIDEST: usize = 36;
/// Longer text without a space is an id or a path, which tells people nothing.
const LONGEST_WORD: usize = 24;
/// A text that is cut to less tells nothing.
const NARROWEST: usize = 16;
/// Between two columns.
const GAP: usize = 2;

/// Reads records and writes them.
pub(crate) async fn run(client: &Client, options: &Records) -> anyhow::Result<ExitCode> {
    let integration = options.integration.as_str();
    let connection = client.connection_id(integration, &options.connection_id).await?;
    let streamed = options.csv || options.ndjson;
    let mut query = vec![("connectionId".to_owned(), connection)];
    query.extend(options.filters.iter().cloned());
    let bounded = options.after.is_some() || options.before.is_some();
    // A key that reads records need not be allowed to list syncs: what can do without does.
    let model = if bounded || !(streamed || options.api.json.json) {
        Some(model(client, integration, &options.model).await?)
    } else {
        None
    };
    if let Some(model) = &model {
        query.extend(bounds(model, options)?);
        check_columns(model, &options.columns)?;
    }
    if streamed {
        stream(client, options, &query).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = pages(client, options, &query).await?;
    match model {
        Some(model) if !options.api.json.json => {
            let columns = columns(&model, &rows, options);
            let none = format!("There are no {} that match.", options.model);
            table_of(&model, &columns, &rows).print(&none)?;
            let all = model.columns.len();
            if terminal::is_terminal()
                && options.columns.is_empty()
                && !rows.is_empty()
                && columns.len() < all
            {
                output::note(format_args!(
                    "\n{} of {all} columns are shown: --columns chooses others, --json shows all.",
                    columns.len()
                ));
            }
        }
        _ => output::json(&json!({ options.model.as_str(): rows }))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The table of the integration's model of that name.
async fn model(client: &Client, integration: &str, name: &str) -> anyhow::Result<ModelTable> {
    let functions = client.functions(integration).await?;
    let tables: Vec<ModelTable> = functions
        .into_iter()
        .filter_map(|function| function.table)
        .collect();
    let known = tables.iter().map(|table| table.plural.as_str());
    let found = tables.iter().find(|table| table.plural == name);
    found
        .cloned()
        .ok_or_else(|| resolve::unknown("model", integration, name, known))
}

fn bounds(model: &ModelTable, options: &Records) -> anyhow::Result<Vec<(String, String)>> {
    let mut bounds = Vec::new();
    for (bound, time) in [("after", &options.after), ("before", &options.before)] {
        if let Some(time) = time {
            let column = model
                .newest_by
                .first()
                .context("this model is not ordered by a time, so --after and --before mean nothing")?;
            bounds.push((format!("{column}_{bound}"), time.clone()));
        }
    }
    Ok(bounds)
}

/// A column that the table does not have is an error, and not an empty column.
fn check_columns(model: &ModelTable, wanted: &[String]) -> anyhow::Result<()> {
    let known = || {
        model
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .chain(["_extra"])
    };
    for name in wanted {
        anyhow::ensure!(
            known().any(|known| known == name),
            "{} have no column {name:?}{}\n  they have: {}",
            model.plural,
            suggest::question(name, known()),
            known().collect::<Vec<_>>().join(", ")
        );
    }
    Ok(())
}

/// Pages until there are as many as wanted, or no more.
async fn pages(client: &Client, options: &Records, query: &[(String, String)]) -> anyhow::Result<Vec<Json>> {
    let wanted = options.limit.unwrap_or(DEFAULT_LIMIT);
    let mut rows: Vec<Json> = Vec::new();
    let mut cursor: Option<String> = None;
    while rows.len() < wanted {
        let limit = (wanted - rows.len()).min(PAGE).to_string();
        let mut all = borrowed(query);
        all.push(("limit", &limit));
        all.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let mut page = client.get(&[&options.integration, &options.model], &all).await?;
        if let Some(Json::Array(more)) = page.get_mut(&options.model).map(Json::take) {
            rows.extend(more);
        }
        cursor = page.get("next_cursor").and_then(Json::as_str).map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    Ok(rows)
}

fn borrowed(query: &[(String, String)]) -> Vec<(&str, &str)> {
    query
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

/// The API's own stream, handed on as it comes.
async fn stream(client: &Client, options: &Records, query: &[(String, String)]) -> anyhow::Result<()> {
    let limit = options.limit.map(|limit| limit.to_string());
    let mut all = borrowed(query);
    all.extend(limit.as_deref().map(|limit| ("limit", limit)));
    let accept = if options.csv {
        "text/csv"
    } else {
        "application/x-ndjson"
    };
    let mut response = client
        .stream(&[&options.integration, &options.model], &all, accept)
        .await?;
    while let Some(chunk) = response
        .chunk()
        .await
        .context("the stream broke off: what is written is not all")?
    {
        output::bytes(&chunk)?;
    }
    Ok(())
}

/// The columns to show: those that were asked for, as many as tell something and fit, or in a pipe all.
fn columns(model: &ModelTable, rows: &[Json], options: &Records) -> Vec<String> {
    match terminal::width() {
        _ if !options.columns.is_empty() => options.columns.clone(),
        Some(width) => telling(model, rows, width),
        None => model.columns.iter().map(|column| column.name.clone()).collect(),
    }
}

/// The records as a table of these columns.
pub(crate) fn table_of(model: &ModelTable, columns: &[String], rows: &[Json]) -> Table {
    let kind = |name: &str| {
        let column = model.columns.iter().find(|column| column.name == name);
        column.map_or("json", |column| column.r#type.as_str())
    };
    let mut table = Table::new(columns.iter().map(|name| match kind(name) {
        "integer" | "decimal" => Column::number(name),
        "text" | "json" if !is_word(rows, name) => Column::line(name),
        _ => Column::word(name),
    }));
    for row in rows {
        table.row(columns.iter().map(|name| {
            let text = table::field(row, name);
            match kind(name) {
                "timestamp" => Cell::Time(text),
                _ => Cell::Text(text),
            }
        }));
    }
    table
}

/// Whether a column holds ids, numbers or other words, which are useless when they are cut.
fn is_word(rows: &[Json], column: &str) -> bool {
    let mut texts = rows.iter().map(|row| table::field(row, column));
    texts.all(|text| !text.contains(char::is_whitespace))
}

/// The width of a value in the table.
fn width(row: &Json, column: &str) -> usize {
    when::absolute(&table::field(row, column)).chars().count()
}

/// The columns that tell most, as far as they fit into `width`: what orders and what filters comes first, then what differs from
/// row to row, and the key last.
pub(crate) fn telling(model: &ModelTable, rows: &[Json], width_of_all: usize) -> Vec<String> {
    let always = model.newest_by.iter().take(1).chain(&model.filters);
    let first: Vec<&str> = always.map(String::as_str).collect();
    let differs = |name: &str| {
        let mut values = rows.iter().map(|row| row.get(name));
        let one = values.next();
        values.any(|value| Some(value) != one)
    };
    let opaque = |name: &str| {
        let texts = || {
            rows.iter()
                .filter_map(|row| row.get(name))
                .filter_map(Json::as_str)
                .filter(|text| !text.is_empty())
        };
        texts().next().is_some() && texts().all(|text| text.len() > LONGEST_WORD && !text.contains(' '))
    };
    let plain = |name: &str| {
        rows.iter()
            .filter_map(|row| row.get(name))
            .all(|value| !value.is_object() && !value.is_array())
    };
    let names = model.columns.iter().map(|column| column.name.as_str());
    let rest = names.filter(|name| {
        !first.contains(name) && *name != model.key && differs(name) && plain(name) && !opaque(name)
    });
    let candidates = first.iter().copied().chain(rest).chain([model.key.as_str()]);

    let mut left = width_of_all + GAP;
    let mut chosen = Vec::new();
    for name in candidates {
        let widest = rows.iter().map(|row| width(row, name)).max().unwrap_or(0);
        // Prose that is too wide by a little is cut; an id never is.
        let prose = !is_word(rows, name);
        let shown = if prose { widest.min(WIDEST) } else { widest };
        let wanted = shown.max(name.len()) + GAP;
        if wanted <= left || prose && left >= NARROWEST + GAP {
            left = left.saturating_sub(wanted);
            chosen.push(name.to_owned());
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
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
    fn the_columns_that_tell_most_fit_and_an_id_is_whole_or_not_there() {
        let chosen = |width| telling(&model(), &rows(), width);
        assert_eq!(chosen(140), ["sent_at", "status", "body", "id"]);
        assert_eq!(chosen(80), ["sent_at", "status", "body"]);
        assert_eq!(chosen(40), ["sent_at", "status"]);
    }

    #[test]
    fn an_unknown_column_is_refused_with_what_was_meant() {
        let error = check_columns(&model(), &["sent-at".to_owned()])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("did you mean sent_at?") && error.contains("they have: id, sent_at"),
            "{error}"
        );
        assert!(check_columns(&model(), &["id".to_owned(), "_extra".to_owned()]).is_ok());
    }

    #[test]
    fn programs_get_times_as_the_api_writes_them() {
        let columns = ["id", "sent_at"].map(str::to_owned);
        let values = table_of(&model(), &columns, &rows()).values();
        assert!(
            values.starts_with("id\tsent_at\nMM0123456789012345678901234567890\t2026-11-29T10:00:00Z\n"),
            "{values}"
        );
    }
}
