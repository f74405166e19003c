//! Errors in a file are reported with their line and a correction.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests fail by a panic"
)]

use registry::{LoadError, Registry};

mod actions;
mod providers;
mod syncs;
mod webhooks;

/// A valid file.
const SHOP: &str = r#"display_name: Shop
auth_mode: API_KEY
credentials:
  apiKey: { title: API key, pattern: "^key_", secret: true }
connection_config:
  region: { title: Region, enum: [eu, us] }
proxy:
  base_url: "https://${connectionConfig.region}.shop.example"
  headers: { authorization: "Bearer ${apiKey}" }
  verification: { endpoints: ["/me"] }
servers: { files: "https://files.shop.example" }
limits: { concurrency: 2 }
syncs:
  shop-orders:
    description: Every order
    model: Order
    table: shop_orders
    runs: every 10 minutes
    request: { path: "/orders", query: { size: 100 } }
    records: data.orders
    paginate: { type: cursor, cursor_name_in_request: after, cursor_path_in_response: next }
    key: id
    order: oldest_first
    newest_by: [changed]
    window: { column: changed, from: since, to: until, format: date, inclusive: lower, step: 2 days, retention: 90 days }
    lookback: { reach: 1 day }
    reread: { where: { state: [open] }, path: "/orders/${record.id}" }
    undated: { every: 7 days }
    columns:
      id: text
      state: text
      total: decimal
      changed: { type: timestamp, parse: unix_seconds, path: dates.changed }
    filters: [state]
"#;

fn check(name: &str, text: &str) -> Result<Vec<registry::ProviderSummary>, LoadError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    Registry::check_file(&path).map(|checked| checked.providers)
}

/// Returns the problems of the valid file with `from` replaced by `to`, as `line: path: message`.
fn problems(from: &str, to: &str) -> Vec<String> {
    assert!(SHOP.contains(from), "{from:?} is not in the good file");
    match check("shop.yaml", &SHOP.replacen(from, to, 1)) {
        Ok(_) => Vec::new(),
        Err(error) => error
            .problems
            .iter()
            .map(|problem| {
                format!(
                    "{}: {}: {}",
                    problem.line.unwrap_or_default(),
                    problem.path,
                    problem.message
                )
            })
            .collect(),
    }
}

/// Fails unless the change causes one problem, whose text has all `parts`.
#[track_caller]
fn refused(from: &str, to: &str, parts: &[&str]) {
    let problems = problems(from, to);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    for part in parts {
        assert!(problems[0].contains(part), "{part:?} is not in {:?}", problems[0]);
    }
}
