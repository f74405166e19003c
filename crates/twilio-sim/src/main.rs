//! `trunkline-sim`: the simulator as a program. It prints its address, its credentials and its control routes, and runs until it is
//! interrupted.

use std::io::Write;

use anyhow::Context;
use chrono::{DateTime, Utc};
use clap::Parser;
use twilio_sim::{Faults, Permission, SimConfig, Simulator};

/// A simulated Twilio account with any number of messages.
#[derive(Debug, Parser)]
#[command(name = "trunkline-sim", version, about)]
struct Options {
    /// Port on 127.0.0.1; 0 selects a free one.
    #[arg(long, default_value_t = 4010)]
    port: u16,
    /// Messages in the account's history.
    #[arg(long, default_value_t = 10_000)]
    messages: u64,
    /// The seed of every random choice, including the credentials.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of days of history.
    #[arg(long, default_value_t = 400)]
    days: u32,
    /// Number of days that the API serves.
    #[arg(long, default_value_t = 400)]
    retention_days: u32,
    /// Messages without `date_sent`, per thousand.
    #[arg(long, default_value_t = 5)]
    undated_per_mille: u32,
    /// Freezes the clock at this time (RFC 3339); only `POST /_sim/advance` moves it.
    #[arg(long)]
    now: Option<DateTime<Utc>>,
    /// Server threads.
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// The permissions of the Restricted key.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "incoming-phone-numbers"
    )]
    restricted: Vec<Permission>,
    /// Accepts webhook URLs with local addresses, which Twilio refuses.
    #[arg(long)]
    local_webhooks: bool,
    /// Sends the webhooks for one origin to another one: `https://hooks.example.com=http://127.0.0.1:4000`.
    #[arg(long, value_parser = parse_route)]
    route_webhooks: Vec<(String, String)>,
    #[command(flatten)]
    faults: Faults,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let simulator = Simulator::start(SimConfig {
        port: options.port,
        messages: options.messages,
        seed: options.seed,
        history_days: options.days,
        now: options.now,
        undated_per_mille: options.undated_per_mille,
        faults: options.faults,
        workers: options.workers,
        retention_days: options.retention_days,
        restricted: options.restricted,
        local_webhooks: options.local_webhooks,
        ..SimConfig::default()
    })?;
    for (public, local) in &options.route_webhooks {
        simulator.route_webhooks(public, local);
    }
    announce(&simulator).context("cannot write to standard output")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the async runtime")?;
    runtime
        .block_on(tokio::signal::ctrl_c())
        .context("cannot wait for Ctrl-C")
}

/// Reads `FROM=TO`, two origins.
fn parse_route(text: &str) -> Result<(String, String), String> {
    let (from, to) = text.split_once('=').ok_or("expected FROM=TO")?;
    Ok((from.to_owned(), to.to_owned()))
}

fn announce(simulator: &Simulator) -> std::io::Result<()> {
    let known = simulator.credentials();
    let url = simulator.url();
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "Simulated Twilio at {url} with {} messages; now is {}\n",
        simulator.live_count(),
        simulator.now()
    )?;
    for (kind, user, secret) in [
        ("Account SID, Auth Token", &known.account_sid, &known.auth_token),
        ("Main API key", &known.main_key_sid, &known.main_key_secret),
        (
            "Standard API key",
            &known.standard_key_sid,
            &known.standard_key_secret,
        ),
        (
            "Restricted API key",
            &known.restricted_key_sid,
            &known.restricted_key_secret,
        ),
        (
            "Test credentials",
            &known.test_account_sid,
            &known.test_auth_token,
        ),
        (
            "Suspended account",
            &known.suspended_account_sid,
            &known.suspended_auth_token,
        ),
        ("Subaccount", &known.subaccount_sid, &known.subaccount_auth_token),
    ] {
        writeln!(out, "  {kind:<24} {user}  {secret}")?;
    }
    let assets = simulator.assets();
    for (kind, all) in [
        ("A number", &assets.numbers),
        ("A Messaging Service", &assets.messaging_services),
        ("A Verify service", &assets.verify_services),
    ] {
        if let Some(first) = all.first() {
            writeln!(out, "  {kind:<24} {first}")?;
        }
    }
    writeln!(
        out,
        "\nTry     curl -u {}:{} {url}/2010-04-01/Accounts/{}/Messages.json?PageSize=2",
        known.account_sid, known.auth_token, known.account_sid
    )?;
    writeln!(
        out,
        "Control {url}/_sim lists the routes: truth, messages, mutate, advance, faults, requests, revoke, restore,\n        credentials, assets, verifications, unreachable, webhooks, inbound, conversations, calls\n"
    )?;
    out.flush()
}
