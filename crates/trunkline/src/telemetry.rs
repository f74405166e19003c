//! The log: on standard error, as text or JSON.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::config::{Environment, Log, LogFormat, unusable};
use crate::terminal;
use crate::usage::UsageError;

/// The crates that log at the configured level. All others log warnings and errors at most.
const OURS: [&str; 8] = [
    "trunkline",
    "api",
    "worker",
    "gateway",
    "upstream",
    "store",
    "vault",
    "registry",
];
/// The usual variable for a filter by crate. It wins over the configured level.
const FILTER_VARIABLE: &str = "RUST_LOG";

/// The levels, from the fewest lines to the most.
const LEVELS: &str = "error, warn, info, debug or trace";

/// Starts the log.
pub(crate) fn start(log: &Log, environment: &Environment) -> Result<(), UsageError> {
    let text = match log.format {
        LogFormat::Text => true,
        LogFormat::Json => false,
        LogFormat::Auto => io::stderr().is_terminal(),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(log, environment)?)
        .with_writer(io::stderr);
    if text {
        builder
            .with_ansi(terminal::error_styles())
            .with_target(false)
            .init();
    } else {
        // The list of spans contains the current one.
        builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(true)
            .init();
    }
    Ok(())
}

fn filter(log: &Log, environment: &Environment) -> Result<EnvFilter, UsageError> {
    if let Some(filter) = environment.get(FILTER_VARIABLE) {
        return EnvFilter::try_new(filter).map_err(|_| {
            UsageError(format!(
                "the variable {FILTER_VARIABLE} is not a log filter: write {LEVELS}, or levels by crate such as warn,trunkline=debug"
            ))
        });
    }
    let wrong = || unusable("log.level", format!("must be {LEVELS} (got {:?})", log.level));
    let level: tracing::Level = log.level.parse().map_err(|_| wrong())?;
    let others = level.min(tracing::Level::WARN);
    let ours: Vec<String> = OURS.iter().map(|name| format!("{name}={level}")).collect();
    EnvFilter::try_new(format!("{others},{}", ours.join(","))).map_err(|_| wrong())
}
