//! Commands on the database and on files of this machine, as people write them.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Api, Json};

#[derive(Debug, Subcommand)]
pub(crate) enum Providers {
    /// List the providers of this program: built in and from integrations_dir
    List {
        /// List the providers of the gateway instead
        #[arg(long)]
        server: bool,
        #[command(flatten)]
        api: Api,
    },
    /// Check provider files: reports every error with file and line
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
    /// Encrypt every credential again: with a new key if a key file holds the keys, else with the first configured one
    ///
    /// Servers and workers go on meanwhile. The command may be stopped and repeated at any time.
    Rotate,
    /// Give up what a lost encryption key sealed, so that the server starts with the keys that are there
    ///
    /// The connections whose credentials it sealed need new ones; their records stay. Stop every server and worker first.
    Forget {
        /// Every key that the database was used with and that is not there any more
        #[arg(long, required = true)]
        lost: bool,
        /// Do not ask
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
    /// Delete an environment without connections, with its integrations and API keys
    Delete {
        /// Its name
        name: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ApiKeys {
    /// List the keys of an environment by their beginnings, with their last use
    List {
        /// Environment
        environment: String,
        #[command(flatten)]
        json: Json,
    },
    /// Create a key and print it, this once
    Create {
        /// Environment
        environment: String,
        /// What to call it
        #[arg(long)]
        name: String,
        /// What it may do
        #[arg(long = "scope", value_name = "SCOPE", default_values_t = ["environment:*".to_owned()])]
        scopes: Vec<String>,
        /// Make it a UUID, for clients that demand one
        #[arg(long)]
        uuid: bool,
    },
    /// Revoke a key, at once and for good
    Revoke {
        /// Environment
        environment: String,
        /// The key's id, or the beginning of it
        id: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ShowConfig {
    /// Print the names of all variables, one per line
    #[arg(long)]
    pub(crate) variables: bool,
    #[command(flatten)]
    pub(crate) json: Json,
}
