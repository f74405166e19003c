//! The arguments of `sync`.

use clap::{Args, Subcommand};

use super::Api;

#[derive(Debug, Args)]
pub(crate) struct Sync {
    #[command(subcommand)]
    pub(crate) command: SyncCommand,
    #[command(flatten)]
    pub(crate) api: Api,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SyncCommand {
    /// Show the state of each sync
    Status {
        #[command(flatten)]
        selection: Selection,
        /// Show the progress of running syncs until they end
        #[arg(long)]
        watch: bool,
    },
    /// Run syncs now
    ///
    /// Paused syncs run too, once. A sync with a queued or running run gets no second one.
    Trigger {
        #[command(flatten)]
        selection: Selection,
        /// Show the progress until the runs end; exit status 1 if one fails
        #[arg(long)]
        wait: bool,
        /// Forget the checkpoint and read everything again. Rows that the provider deleted before the sync's longest `lookback` stay in the
        /// table, unless --empty-cache is given
        #[arg(long)]
        reset: bool,
        /// Delete the synced rows first, so that only what the provider still has comes back
        #[arg(long, requires = "reset")]
        empty_cache: bool,
    },
    /// Pause the schedule of syncs
    ///
    /// A queued or running run still runs to its end, and `sync trigger` still runs the sync.
    Pause(Selection),
    /// Start the schedule of syncs again
    ///
    /// They run at once, and then on their schedule.
    Start(Selection),
    /// List runs, newest first
    ///
    /// CHECKED counts the records of the provider that were compared with the table. A record that was sent twice counts twice.
    Runs {
        /// Integration [default: all]
        integration: Option<String>,
        /// Connection id; the beginning of a UUID is enough [default: all]
        #[arg(long, value_name = "ID")]
        connection_id: Option<String>,
        /// Name of the sync [default: all]
        #[arg(long)]
        sync: Option<String>,
        /// How many runs to list
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: u32,
    },
    /// Show one run
    Run {
        /// Id of the run, or its beginning
        id: String,
        /// Show its progress until it ends; exit status 1 if it fails
        #[arg(long)]
        watch: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// Integration
    pub(crate) integration: String,
    /// Names of syncs [default: all]
    #[arg(value_name = "SYNC")]
    pub(crate) syncs: Vec<String>,
    /// Connection id; the beginning of a UUID is enough [default: all]
    #[arg(long, value_name = "ID")]
    pub(crate) connection_id: Option<String>,
}
