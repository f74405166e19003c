//! `providers`: lists providers and checks provider files.

use std::path::{Path, PathBuf};

use registry::{CheckedFile, Provider, ProviderSummary, Registry, SkipReason, SkippedEntry};
use serde_json::{Value as Json, json};

use crate::client::{Client, response};
use crate::config::Config;
use crate::table::{Column, Kind, Table};
use crate::{exit, output, suggest, wiring};

/// Lists the providers of this program, built in and from the configured folder, or those of the gateway.
pub(crate) async fn list(config: &Config, server: bool, json: bool) -> anyhow::Result<()> {
    if server {
        return list_of_gateway(&Client::new(config)?, json).await;
    }
    let registry = wiring::load_registry_and_log(config)?;
    let providers: Vec<Json> = registry.iter().map(|provider| describe(provider)).collect();
    if json {
        return output::json(&providers);
    }
    table(&providers).print("There are no providers.")?;
    for (file, entries) in wiring::not_served(&registry) {
        output::note(format_args!(
            "{file}: {entries} entries are not served; `trunkline providers check {file}` says why"
        ));
    }
    Ok(())
}

/// Prints the entry of a provider, or one section of it.
pub(crate) fn show(config: &Config, name: &str, section: Option<&str>) -> anyhow::Result<()> {
    let registry = wiring::load_registry_and_log(config)?;
    let Some(provider) = registry.get(name) else {
        let known: Vec<&str> = registry.iter().map(|provider| provider.name.as_str()).collect();
        return Err(suggest::unknown(
            "there is no provider",
            name,
            "the providers are",
            &known,
        ));
    };
    let document = &provider.document;
    let Some(section) = section else {
        return output::json(document);
    };
    if let Some(value) = document.get(section) {
        return output::json(value);
    }
    let sections = document
        .as_object()
        .into_iter()
        .flat_map(|sections| sections.keys());
    let sections: Vec<&str> = sections.map(String::as_str).collect();
    let problem = format!("the file of {name} has no section");
    Err(suggest::unknown(&problem, section, "its sections are", &sections))
}

/// Lists the providers of the gateway, with their syncs and tables.
async fn list_of_gateway(client: &Client, json: bool) -> anyhow::Result<()> {
    let response = client.get(&["providers"], &[]).await?;
    let providers = response::list(&response, "data");
    if json {
        output::json(providers)
    } else {
        table(providers).print("The gateway has no providers.")
    }
}

fn table(providers: &[Json]) -> Table {
    let mut table = Table::new([
        Column::new("name", Kind::Word),
        Column::new("provider", Kind::Word).rank(3),
        Column::new("auth", Kind::Word).rank(1),
        Column::new("syncs", Kind::Prose),
        Column::new("tables", Kind::Prose).rank(2),
    ]);
    for provider in providers {
        let field = |name| response::field(provider, name);
        let table_of = |sync| response::field(sync, "table");
        let (syncs, tables): (Vec<String>, Vec<String>) = match provider.get("syncs") {
            // The gateway's syncs are an object by name.
            Some(Json::Object(syncs)) => syncs
                .iter()
                .map(|(name, sync)| (name.clone(), table_of(sync)))
                .unzip(),
            _ => response::list(provider, "syncs")
                .iter()
                .map(|sync| (response::field(sync, "name"), table_of(sync)))
                .unzip(),
        };
        table.row([
            field("name"),
            field("display_name"),
            field("auth_mode"),
            syncs.join(", "),
            tables.join(", "),
        ]);
    }
    table
}

fn describe(provider: &Provider) -> Json {
    let syncs = provider.syncs.values().map(|sync| {
        let model = &sync.model;
        json!({ "name": sync.name, "model": model.name, "table": model.table, "runs": sync.schedule.to_string() })
    });
    json!({
        "name": provider.name,
        "display_name": provider.display_name,
        "auth_mode": provider.auth.as_str(),
        "categories": provider.categories,
        "docs": provider.docs,
        "syncs": syncs.collect::<Vec<_>>(),
    })
}

/// Checks all files and shows their errors.
pub(crate) fn check(files: &[PathBuf]) -> anyhow::Result<()> {
    let mut valid = true;
    for file in files {
        match Registry::check_file(file) {
            Ok(checked) if checked.is_collection => valid &= show_collection(file, &checked)?,
            Ok(checked) => show_one(file, &checked)?,
            Err(error) => {
                valid = false;
                output::note(format_args!("{error}\n"));
            }
        }
    }
    exit::require(valid)
}

fn show_one(file: &Path, checked: &CheckedFile) -> anyhow::Result<()> {
    for provider in &checked.providers {
        output::sentence(format_args!(
            "{}: {} is valid ({})",
            file.display(),
            provider.name,
            syncs(provider)
        ))?;
        warn(provider);
    }
    for entry in &checked.skipped {
        output::note(format_args!(
            "{}: {} is not served: {}",
            file.display(),
            entry.name,
            entry.reason
        ));
    }
    Ok(())
}

/// Shows a table of the entries, and how many of them work. Returns whether none is wrong.
fn show_collection(file: &Path, checked: &CheckedFile) -> anyhow::Result<bool> {
    let columns = [
        Column::new("name", Kind::Word),
        Column::new("state", Kind::Word),
        Column::new("reason", Kind::Prose),
    ];
    let mut table = Table::new(columns);
    for provider in &checked.providers {
        let warnings = match provider.warnings.len() {
            0 => String::new(),
            1 => "1 warning".to_owned(),
            several => format!("{several} warnings"),
        };
        table.row([provider.name.as_str(), "works", &warnings]);
    }
    let wrong = |entry: &&SkippedEntry| entry.why == SkipReason::Wrong;
    for entry in &checked.skipped {
        let why = if wrong(&entry) { "see below" } else { &entry.reason };
        table.row([entry.name.as_str(), state(entry.why), why]);
    }
    table.print("")?;
    checked.providers.iter().for_each(warn);
    for entry in checked.skipped.iter().filter(wrong) {
        output::note(&entry.reason);
    }
    let count = |why| {
        let entries = checked.skipped.iter();
        entries.filter(|entry| entry.why == why).count()
    };
    let wrong = count(SkipReason::Wrong);
    output::sentence(format_args!(
        "\n{}: {} entries work; not supported: {}, wrong: {wrong}, giving way to another file: {}",
        file.display(),
        checked.providers.len(),
        count(SkipReason::Unsupported),
        count(SkipReason::Shadowed),
    ))?;
    Ok(wrong == 0)
}

fn state(why: SkipReason) -> &'static str {
    match why {
        SkipReason::Unsupported => "not supported",
        SkipReason::Wrong => "wrong",
        SkipReason::Shadowed => "gives way",
    }
}

fn syncs(provider: &ProviderSummary) -> String {
    let names: Vec<&str> = provider.syncs.iter().map(AsRef::as_ref).collect();
    if names.is_empty() {
        "no syncs".to_owned()
    } else {
        names.join(", ")
    }
}

fn warn(provider: &ProviderSummary) {
    for problem in &provider.warnings {
        output::note(format_args!("warning: {problem}"));
    }
}
