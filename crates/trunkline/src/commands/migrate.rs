//! `migrate`: brings the tables up to date.

use crate::config::Config;
use crate::table::{Column, Kind, Table};
use crate::{output, wiring};

/// Applies and lists the missing migrations. Raises the change numbers if the database was restored.
pub(crate) async fn run(config: &Config, restored: bool) -> anyhow::Result<()> {
    let store = wiring::store(wiring::COMMAND, config).await?;
    let applied = store.migrate().await?;
    if restored {
        store.raise_change_numbers().await?;
        output::note(
            "New change numbers are above all earlier ones, so that readers of GET /records miss nothing.",
        );
    }
    if applied.is_empty() {
        return output::sentence(format_args!(
            "The tables of {} are up to date.",
            config.database.url
        ));
    }
    let mut table = Table::new([
        Column::new("migration", Kind::Word),
        Column::new("applied_to", Kind::Below),
    ]);
    for name in applied {
        table.row([name, config.database.url.to_string()]);
    }
    table.print("")
}
