//! `version`: prints the version.

use serde_json::json;

use crate::{cli, output};

/// Prints the version of this program.
pub(crate) fn run(options: cli::Json) -> anyhow::Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    if options.json {
        output::json(&json!({ "version": version }))
    } else {
        output::line(format_args!("trunkline {version}"))
    }
}
