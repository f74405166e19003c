//! `providers`: what can be connected, and whether a file is right.

use std::path::PathBuf;
use std::process::ExitCode;

use registry::{AuthMode, Provider, Registry};
use serde_json::{Value as Json, json};

use crate::cli;
use crate::config::Config;
use crate::table::Table;
use crate::{output, wiring};

/// The providers, built in and from the configured folder.
pub(crate) fn list(config: &Config, json: cli::Json) -> anyhow::Result<ExitCode> {
    let registry = wiring::registry(config)?;
    if json.json {
        output::json(&registry.iter().map(|provider| describe(provider)).collect())?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(&["NAME", "PROVIDER", "AUTH", "SYNCS", "TABLES"]);
    for provider in registry.iter() {
        let syncs: Vec<&str> = provider.syncs.keys().map(AsRef::as_ref).collect();
        let tables: Vec<&str> = provider
            .syncs
            .values()
            .map(|sync| sync.model.table.as_str())
            .collect();
        let cells = [
            provider.name.as_str(),
            &provider.display_name,
            auth(provider.auth),
            &syncs.join(", "),
            &tables.join(", "),
        ];
        table.row(cells);
    }
    table.print()?;
    for entry in registry.unsupported() {
        output::note(format_args!(
            "{} ({}) cannot be served: {}",
            entry.name, entry.auth_mode, entry.reason
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(provider: &Provider) -> Json {
    let syncs = provider.syncs.values().map(|sync| {
        let model = &sync.model;
        json!({ "name": sync.name, "model": model.name, "table": model.table, "runs": sync.schedule.to_string() })
    });
    json!({
        "name": provider.name,
        "display_name": provider.display_name,
        "auth_mode": auth(provider.auth),
        "categories": provider.categories,
        "docs": provider.docs,
        "syncs": syncs.collect::<Vec<_>>(),
    })
}

fn auth(mode: AuthMode) -> &'static str {
    match mode {
        AuthMode::ApiKey => "API_KEY",
        AuthMode::Basic => "BASIC",
    }
}

/// Checks every file, and tells all that is wrong with any of them.
pub(crate) fn check(files: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let mut wrong = false;
    for file in files {
        match Registry::check_file(file) {
            Ok(checked) => {
                for provider in checked {
                    let syncs: Vec<&str> = provider.syncs.iter().map(AsRef::as_ref).collect();
                    let syncs = if syncs.is_empty() {
                        "no syncs".to_owned()
                    } else {
                        syncs.join(", ")
                    };
                    output::line(format_args!(
                        "{}: {} is right ({syncs})",
                        file.display(),
                        provider.name
                    ))?;
                    for problem in provider.warnings {
                        output::note(format_args!("warning: {problem}"));
                    }
                }
            }
            Err(error) => {
                wrong = true;
                output::note(format_args!("{error}\n"));
            }
        }
    }
    Ok(if wrong {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
