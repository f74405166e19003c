//! `records`: reads synced records, as a table, JSON, CSV or NDJSON.

use anyhow::Context;
use serde_json::{Value as Json, json};

use crate::cli::Records;
use crate::client::{Client, ModelTable};
use crate::{output, record_table, suggest, terminal};

/// How many records are shown by default.
const DEFAULT_LIMIT: usize = 20;
/// The most records that the API returns in a page.
const PAGE: usize = 1_000;

/// Reads records and writes them.
pub(crate) async fn run(client: &Client, options: &Records) -> anyhow::Result<()> {
    let integration = options.integration.as_str();
    let connection = client.connection_id(integration, &options.connection_id).await?;
    let streamed = options.csv || options.ndjson;
    let bounded = options.after.is_some() || options.before.is_some();
    // A key with permission to read records may have none to list syncs, so the model is requested only if needed.
    let model = if bounded || !(streamed || options.api.json) {
        Some(client.model(integration, &options.model).await?)
    } else {
        None
    };
    let mut bounds = Vec::new();
    if let Some(model) = &model {
        bounds = times(model, options)?;
        check_columns(model, &options.columns)?;
    }
    let mut query = vec![("connectionId", connection.as_str())];
    let conditions = options.filters.iter().chain(&bounds);
    query.extend(conditions.map(|(name, value)| (name.as_str(), value.as_str())));
    if streamed {
        return stream(client, options, &query).await;
    }
    let rows = pages(client, options, &query).await?;
    let Some(model) = model.filter(|_| !options.api.json) else {
        return output::json(&json!({ options.model.as_str(): rows }));
    };
    let columns = columns(&model, &rows, options);
    let none = format!("There are no {} that match.", options.model);
    record_table::table(&model, &columns, &rows).print(&none)?;
    let all = model.columns.len();
    if terminal::is_terminal() && options.columns.is_empty() && !rows.is_empty() && columns.len() < all {
        output::note(format_args!(
            "\n{} of {all} columns are shown: --columns chooses others, --json shows all.",
            columns.len()
        ));
    }
    Ok(())
}

/// Returns the query parameters of --after and --before.
fn times(model: &ModelTable, options: &Records) -> anyhow::Result<Vec<(String, String)>> {
    let mut times = Vec::new();
    for (bound, time) in [("after", &options.after), ("before", &options.before)] {
        if let Some(time) = time {
            let column = model
                .newest_by
                .first()
                .context("this model is not ordered by a time: leave out --after and --before")?;
            times.push((format!("{column}_{bound}"), time.clone()));
        }
    }
    Ok(times)
}

/// Fails if the table does not have one of these columns.
fn check_columns(model: &ModelTable, wanted: &[String]) -> anyhow::Result<()> {
    let columns = model.columns.iter().map(|column| column.name.as_str());
    let known: Vec<&str> = columns.chain(["_extra"]).collect();
    match wanted.iter().find(|name| !known.contains(&name.as_str())) {
        Some(name) => {
            let problem = format!("{} have no column", model.plural);
            Err(suggest::unknown(&problem, name, "they have", &known))
        }
        None => Ok(()),
    }
}

/// Reads pages until there are as many records as wanted, or no more.
async fn pages(client: &Client, options: &Records, query: &[(&str, &str)]) -> anyhow::Result<Vec<Json>> {
    let wanted = options.limit.unwrap_or(DEFAULT_LIMIT);
    let mut rows: Vec<Json> = Vec::new();
    let mut cursor: Option<String> = None;
    while rows.len() < wanted {
        let limit = (wanted - rows.len()).min(PAGE).to_string();
        let mut all = query.to_vec();
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

/// Writes the API's stream as it arrives.
async fn stream(client: &Client, options: &Records, query: &[(&str, &str)]) -> anyhow::Result<()> {
    let limit = options.limit.map(|limit| limit.to_string());
    let mut all = query.to_vec();
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
        .context("the stream broke off: the output is not complete")?
    {
        output::bytes(&chunk)?;
    }
    Ok(())
}

/// Returns the columns to show: those of --columns, else in a pipe all, else the most useful ones that fit.
fn columns(model: &ModelTable, rows: &[Json], options: &Records) -> Vec<String> {
    match terminal::width() {
        _ if !options.columns.is_empty() => options.columns.clone(),
        Some(width) => record_table::choose_columns(model, rows, width),
        None => model.columns.iter().map(|column| column.name.clone()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_column_is_refused_with_a_suggestion() {
        let columns = ["id", "sent_at"].map(|name| json!({ "name": name, "type": "text" }));
        let model = serde_json::from_value(json!({
            "plural": "messages", "key": "id", "columns": columns, "filters": [], "newest_by": ["sent_at"],
        }))
        .unwrap();
        let error = check_columns(&model, &["sent-at".to_owned()])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("did you mean sent_at?") && error.contains("they have: id, sent_at"),
            "{error}"
        );
        assert!(check_columns(&model, &["id".to_owned(), "_extra".to_owned()]).is_ok());
    }
}
