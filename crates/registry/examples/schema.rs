//! Writes the JSON Schema of a provider file: `cargo run -p registry --example schema > integrations/schema.json`.

use std::io::Write;

fn main() -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{:#}", registry::json_schema())
}
