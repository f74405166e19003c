//! The arguments of the commands on the database and on files of this machine.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Api, Json};

#[derive(Debug, Subcommand)]
pub(crate) enum Providers {
    /// List the providers of this program: built in, and from integrations_dir
    List {
        /// List the providers of the gateway instead
        #[arg(long)]
        server: bool,
        #[command(flatten)]
        api: Api,
    },
    /// Print a provider's file as JSON, with aliases resolved, or one section of it
    Show {
        /// Its name
        name: String,
        /// Only this section, such as webhooks or syncs
        section: Option<String>,
    },
    /// Check provider files: shows every error with file and line
    Check {
        /// Files to check
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Print a new encryption key and a new API key, as lines for an .env file
    Generate,
    /// Encrypt all credentials again: with a new key if a key file holds the keys, else with the first configured key
    ///
    /// Servers and workers keep running. You can stop the command at any time and run it again.
    Rotate,
    /// Delete what a lost encryption key encrypted, so that the server starts with the keys that are left
    ///
    /// The connections of those credentials need new ones; their records stay. Stop every server and worker first.
    Forget {
        /// Every key that the database was used with and that is missing now
        #[arg(long, required = true)]
        lost: bool,
        /// Do not ask for a confirmation
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Environments {
    /// List the environments
    List(Json),
    /// Create an environment
    Create {
        /// Its name: lower-case letters, digits, - and _
        name: String,
    },
    /// Delete an environment that has no connections, with its integrations and API keys
    Delete {
        /// Its name
        name: String,
        /// Do not ask for a confirmation
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ApiKeys {
    /// List the keys of an environment with their first characters, last use and scopes
    List {
        /// Environment
        environment: String,
        #[command(flatten)]
        json: Json,
    },
    /// Create a key and print it; it cannot be shown again
    #[command(after_long_help = scopes())]
    Create {
        /// Environment
        environment: String,
        /// Name of the key
        #[arg(long)]
        name: String,
        /// A scope of the key; repeat the flag for several. `--help` lists them
        #[arg(long = "scope", value_name = "SCOPE", default_values_t = ["environment:*".to_owned()])]
        scopes: Vec<String>,
        /// Make the key a UUID, for clients that accept no other key
        #[arg(long)]
        uuid: bool,
    },
    /// Revoke a key for good
    ///
    /// Running servers refuse it within two seconds.
    Revoke {
        /// Environment
        environment: String,
        /// Id of the key, or its beginning
        id: String,
        /// Do not ask for a confirmation
        #[arg(long)]
        yes: bool,
    },
}

/// Lists all scopes, for the help of the command that takes them.
fn scopes() -> String {
    let names = gateway::Scope::ALL.iter().map(|scope| format!("  {scope}\n"));
    format!(
        "Scopes (docs/operate.md explains each; a final :* matches every scope that begins so):\n{}",
        names.collect::<String>()
    )
}

#[derive(Debug, Args)]
pub(crate) struct ShowConfig {
    /// Print the names of all variables, one per line
    #[arg(long)]
    pub(crate) variables: bool,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// The size of the demo, and whether it keeps running.
#[cfg(feature = "demo")]
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Messages in the simulated account
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    pub(crate) messages: u64,
    /// Exit once the messages are synced, with status 0 if none is missing
    #[arg(long)]
    pub(crate) once: bool,
    /// Port of the gateway [default: 3003 if it is free, else any]
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// Create the database in this folder and keep it
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
}
