//! `sync` as people write it.

use clap::{Args, Subcommand};

use super::Api;

#[derive(Debug, Subcommand)]
pub(crate) enum Sync {
    /// How each sync stands
    Status {
        #[command(flatten)]
        selection: Selection,
        /// Show the progress of what runs, until it ends
        #[arg(long)]
        watch: bool,
        #[command(flatten)]
        api: Api,
    },
    /// Run syncs now
    Trigger {
        #[command(flatten)]
        selection: Selection,
        /// Show the progress until the runs end; exit status 1 if one fails
        #[arg(long)]
        wait: bool,
        /// Forget how far the sync is and read everything again
        #[arg(long)]
        reset: bool,
        /// Delete the synced rows first
        #[arg(long, requires = "reset")]
        empty_cache: bool,
        #[command(flatten)]
        api: Api,
    },
    /// Keep syncs from running on their schedule
    Pause {
        #[command(flatten)]
        selection: Selection,
        #[command(flatten)]
        api: Api,
    },
    /// Let syncs run on their schedule again
    Start {
        #[command(flatten)]
        selection: Selection,
        #[command(flatten)]
        api: Api,
    },
    /// List runs, newest first
    Runs {
        /// Integration
        provider: Option<String>,
        /// Connection
        #[arg(long, value_name = "ID")]
        connection_id: Option<String>,
        /// Name of the sync
        #[arg(long)]
        sync: Option<String>,
        /// Runs to list
        #[arg(long, default_value_t = 20)]
        limit: u32,
        #[command(flatten)]
        api: Api,
    },
    /// Show one run
    Run {
        /// Its id, run_…
        id: String,
        /// Show its progress until it ends; exit status 1 if it fails
        #[arg(long)]
        watch: bool,
        #[command(flatten)]
        api: Api,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// Integration
    pub(crate) provider: String,
    /// Names of syncs [default: all]
    #[arg(value_name = "SYNC")]
    pub(crate) syncs: Vec<String>,
    /// Connection [default: all]
    #[arg(long, value_name = "ID")]
    pub(crate) connection_id: Option<String>,
}
