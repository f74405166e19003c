//! `config`: shows the settings and where each value comes from.

use registry::Registry;

use crate::cli::ShowConfig;
use crate::config::{FILE_VARIABLE, Loaded, SETTINGS, VARIABLE_PREFIX};
use crate::table::{Column, Kind, Table};
use crate::{output, terminal, wiring};

/// Prints the settings, or the names of their variables. An error about the providers that they name follows the listing.
pub(crate) fn run(loaded: &Loaded, options: &ShowConfig) -> anyhow::Result<()> {
    let providers = wiring::load_registry(&loaded.config);
    if options.variables {
        return variables(&providers?);
    }
    list(loaded, options)?;
    providers?;
    Ok(())
}

fn list(loaded: &Loaded, options: &ShowConfig) -> anyhow::Result<()> {
    let listing = loaded.listing()?;
    if options.json.json {
        return output::json(&listing);
    }
    let mut table = Table::new([
        Column::new("setting", Kind::Word),
        Column::new("value", Kind::Prose),
        Column::new("from", Kind::Word),
        Column::new("description", Kind::Below),
    ]);
    for listed in listing {
        let from = if terminal::is_terminal() && listed.origin.starts_with(VARIABLE_PREFIX) {
            // Its name follows from the setting's, and would take the room of the value.
            "its variable".to_owned()
        } else {
            listed.origin
        };
        let value = listed.value.unwrap_or_default();
        table.row([listed.key, value, from, listed.about.to_owned()]);
    }
    table.print("")
}

/// Prints one name a line. A setting of providers is printed once for each of them.
fn variables(registry: &Registry) -> anyhow::Result<()> {
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
