//! `config`: the settings as they hold, and where each comes from.

use std::process::ExitCode;

use registry::Registry;
use serde_json::json;

use crate::cli::ShowConfig;
use crate::config::{FILE_VARIABLE, Loaded, SETTINGS};
use crate::table::{Column, Table};
use crate::{output, wiring};

/// Prints the settings, or the names of their variables.
pub(crate) fn run(loaded: &Loaded, options: &ShowConfig) -> anyhow::Result<ExitCode> {
    if options.variables {
        variables(&wiring::registry(&loaded.config)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let listing = loaded.listing()?;
    if options.json.json {
        let settings = listing.iter().map(|listed| {
            let value = if listed.is_set() {
                json!(listed.value)
            } else {
                json!(null)
            };
            json!({ "key": listed.key, "value": value, "origin": listed.origin, "about": listed.about })
        });
        output::json(&settings.collect())?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new([
        Column::word("setting"),
        Column::prose("value"),
        Column::word("from").rank(1),
        Column::prose("description").rank(2),
    ]);
    for listed in listing {
        table.row([listed.key, listed.value, listed.origin, listed.about.to_owned()]);
    }
    table.print("")?;
    Ok(ExitCode::SUCCESS)
}

/// One name a line; a setting of providers once for each of them.
fn variables(registry: &Registry) -> std::io::Result<()> {
    output::line(FILE_VARIABLE)?;
    for setting in SETTINGS {
        if setting.key.contains('*') {
            for provider in registry.iter() {
                output::line(setting.variable(provider.name.as_str()))?;
            }
        } else {
            output::line(setting.variable(""))?;
        }
    }
    Ok(())
}
