//! `records`: synced records as a table, JSON, CSV or NDJSON.

use std::process::ExitCode;

use anyhow::Context;
use domain::Model;
use serde_json::{Value as Json, json};

use crate::cli::Records;
use crate::client::Client;
use crate::config::Config;
use crate::table::{self, Table};
use crate::{output, wiring};

/// Records shown if nobody names a number.
const DEFAULT_LIMIT: usize = 20;
/// The most that the API gives in a page.
const PAGE: usize = 1_000;
/// No column of a table is wider, so that one long text does not hide the others.
const WIDEST: usize = 36;
/// Longer text without a space is an id or a path, which tells people nothing.
const LONGEST_WORD: usize = 24;
/// A column that is cut to less tells nothing.
const NARROWEST: usize = 16;
/// Between two columns.
const GAP: usize = 2;

/// Reads records and writes them.
pub(crate) async fn run(config: &Config, options: &Records) -> anyhow::Result<ExitCode> {
    let client = Client::new(config)?;
    let registry = wiring::registry(config)?;
    let model = registry
        .get(&options.provider)
        .and_then(|provider| {
            provider
                .syncs
                .values()
                .map(|sync| &sync.model)
                .find(|model| model.plural == options.model)
        })
        .with_context(|| {
            format!(
                "{:?} has no model {:?}: see `trunkline providers list --json`",
                options.provider, options.model
            )
        })?;
    let query = query(model, options)?;
    if options.csv || options.ndjson {
        stream(&client, options, &query).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = pages(&client, options, &query).await?;
    if options.api.json.json {
        output::json(&json!({ options.model.as_str(): rows }))?;
    } else {
        let columns = if options.columns.is_empty() {
            telling(model, &rows, Table::width())
        } else {
            options.columns.clone()
        };
        table_of(&columns, &rows).print()?;
    }
    Ok(ExitCode::SUCCESS)
}

fn query(model: &Model, options: &Records) -> anyhow::Result<Vec<(String, String)>> {
    let mut query = vec![("connectionId".to_owned(), options.connection_id.clone())];
    query.extend(options.filters.iter().cloned());
    for (bound, time) in [("after", &options.after), ("before", &options.before)] {
        if let Some(time) = time {
            let column = model
                .newest_by
                .first()
                .context("this model is not ordered by a time, so --after and --before say nothing")?;
            query.push((format!("{column}_{bound}"), time.clone()));
        }
    }
    Ok(query)
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
        let mut page = client.get(&[&options.provider, &options.model], &all).await?;
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
        .stream(&[&options.provider, &options.model], &all, accept)
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

/// The records as a table of these columns.
pub(crate) fn table_of(columns: &[String], rows: &[Json]) -> Table {
    let mut table = Table::new(&columns.iter().map(String::as_str).collect::<Vec<_>>());
    for row in rows {
        table.row(columns.iter().map(|column| cell(row, column)));
    }
    table
}

fn cell(row: &Json, column: &str) -> String {
    let text = table::field(row, column);
    if text.chars().count() <= WIDEST {
        return text;
    }
    text.chars().take(WIDEST - 1).chain(['…']).collect()
}

/// The columns that tell most, as far as they fit into `width`: what orders and what filters comes first, then what differs from
/// row to row, and the key last.
pub(crate) fn telling(model: &Model, rows: &[Json], width: Option<usize>) -> Vec<String> {
    let always = model.newest_by.iter().take(1).chain(&model.filters);
    let first: Vec<&str> = always.map(AsRef::as_ref).collect();
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
    let rest = model.columns.keys().map(AsRef::as_ref).filter(|name: &&str| {
        !first.contains(name) && *name != model.key.as_str() && differs(name) && plain(name) && !opaque(name)
    });
    let candidates = first.iter().copied().chain(rest).chain([model.key.as_str()]);

    let mut left = width.unwrap_or(usize::MAX);
    let mut chosen = Vec::new();
    for name in candidates {
        let width = rows
            .iter()
            .map(|row| cell(row, name).chars().count())
            .max()
            .unwrap_or(0)
            .max(name.len())
            + GAP;
        // A column that is too wide by a little is cut.
        if width <= left || left >= NARROWEST {
            left = left.saturating_sub(width);
            chosen.push(name.to_owned());
        }
    }
    chosen
}
