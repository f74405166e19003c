//! Writes the page of the synced tables: `cargo run -p registry --example tables > docs/tables.md`.

use std::io::Write;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    write!(
        std::io::stdout(),
        "{}",
        registry::tables_page(&registry::Registry::builtin()?)
    )?;
    Ok(())
}
