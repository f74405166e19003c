//! The proxy compared with nginx: the same responses of the same server, directly and through each proxy, in turn.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use hyper::StatusCode;
use hyper::header::HeaderName;
use serde::Serialize;
use serde_json::json;
use tokio::time::sleep;

use crate::app::{AppOptions, CONNECTION, ORIGIN};
use crate::child::{Child, Kind};
use crate::load::{self, Client, Load, Target};
use crate::nginx::{self, Nginx};
use crate::report::{Goal, Report, Table, float, megabytes, micros, milliseconds, rate, ratio};
use crate::setup::Progress;
use crate::sim::Access;
use crate::{cpu, database};

/// The provider file for nginx. Its concurrency exceeds the number of clients, because limits are not measured.
const PROVIDER_FILE: &str = "display_name: Origin\nauth_mode: API_KEY\ncredentials: { apiKey: { title: Key } }\n\
    proxy: { base_url: 'https://origin.example', headers: { authorization: 'Bearer ${apiKey}' } }\n\
    limits: { concurrency: 1000 }\n";

const KILOBYTE: u64 = 1 << 10;
const MEGABYTE: u64 = 1 << 20;
/// Sizes of responses and numbers of clients. The last shows whether memory grows with the size.
const LOADS: [(u64, usize); 7] = [
    (KILOBYTE, 1),
    (KILOBYTE, 64),
    (KILOBYTE, 512),
    (MEGABYTE, 1),
    (MEGABYTE, 64),
    (MEGABYTE, 512),
    (64 * MEGABYTE, 8),
];
/// The time between two samples of memory.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(250);

/// The options of the proxy benchmark.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Seconds of each load
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Rounds; the one of median speed is shown
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
}

/// A route from clients to the files.
struct Route {
    name: &'static str,
    address: String,
    /// The path prefix of files.
    prefix: &'static str,
    /// The process between clients and files, including its children.
    pid: u32,
    /// The memory of that process before the first request, in bytes.
    idle: u64,
}

#[derive(Debug, Clone, Serialize)]
struct Measured {
    way: &'static str,
    bytes: u64,
    load: Load,
    /// CPU time of a request in seconds, of the process in between only.
    cpu: f64,
    /// In bytes: before the first request, and the highest sample under this load.
    idle: u64,
    memory: u64,
}

/// Measures all loads.
pub(crate) async fn measure(options: &Options) -> anyhow::Result<Report> {
    let time =
        Duration::try_from_secs_f64(options.seconds).context("`--seconds` must be a positive number")?;
    let progress = Progress::new()?;
    let mut report = Report::default();
    report.machine();
    report.setting("nginx", nginx::version().await?);
    let mut measured = Vec::new();
    for (bytes, clients) in LOADS {
        // Each load gets new processes, so that memory of an earlier load does not count.
        let folder = database::folder()?;
        write_file(folder.path(), bytes)?;
        let files = Nginx::files(folder.path()).await?;
        let proxy = Nginx::proxy(folder.path(), &files.address).await?;
        let (gateway, address) = gateway(folder.path(), &files.address).await?;
        let routes = [
            Route::new("direct", files.address.clone(), "", files.pid()?)?,
            Route::new("nginx", proxy.address.clone(), "", proxy.pid()?)?,
            Route::new("Trunkline", address, "/proxy", gateway.pid()?)?,
        ];
        let mut rounds: [Vec<Measured>; 3] = Default::default();
        for round in 1..=options.rounds {
            for (route, rounds) in routes.iter().zip(&mut rounds) {
                progress.step(format!(
                    "{}: {bytes} bytes, {clients} clients, round {round}",
                    route.name
                ));
                rounds.push(route.measure(bytes, clients, time).await?);
            }
        }
        for mut rounds in rounds {
            rounds.sort_by(|one, other| one.load.per_second.total_cmp(&other.load.per_second));
            measured.extend(rounds.get(rounds.len() / 2).cloned());
        }
        gateway.end().await?;
    }
    progress.end();
    add_to(&mut report, &measured);
    report.figure("proxy", &measured)?;
    Ok(report)
}

impl Route {
    fn new(name: &'static str, address: String, prefix: &'static str, pid: u32) -> anyhow::Result<Self> {
        let idle = cpu::memory_of_family(pid)?;
        Ok(Self {
            name,
            address,
            prefix,
            pid,
            idle,
        })
    }

    async fn measure(&self, bytes: u64, clients: usize, time: Duration) -> anyhow::Result<Measured> {
        let path = format!("{}/{bytes}", self.prefix);
        let target = Target::new(&self.address, vec![path.clone()])
            .with_key()?
            .with(HeaderName::from_static("provider-config-key"), ORIGIN)?
            .with(HeaderName::from_static("connection-id"), CONNECTION)?;
        let length = Client::connect(&target).await?.length(&path).await?;
        ensure!(length == bytes, "{} returns {length} of {bytes} bytes", self.name);
        load::run(&target, clients, time / 4).await?;
        let most = Arc::new(AtomicU64::new(0));
        let (looking, pid) = (Arc::clone(&most), self.pid);
        let look = tokio::spawn(async move {
            while let Ok(memory) = cpu::memory_of_family(pid) {
                looking.fetch_max(memory, Ordering::Relaxed);
                sleep(SAMPLE_INTERVAL).await;
            }
        });
        let before = cpu::of_family(self.pid)?;
        let load = load::run(&target, clients, time).await?;
        let used = cpu::of_family(self.pid)? - before;
        look.abort();
        Ok(Measured {
            way: self.name,
            bytes,
            cpu: used / float(u64::try_from(load.requests)?),
            load,
            idle: self.idle,
            memory: most.load(Ordering::Relaxed),
        })
    }
}

/// Starts the API in its own process, with a connection to the files at `origin`. Returns the process and its address.
async fn gateway(folder: &Path, origin: &str) -> anyhow::Result<(Child, String)> {
    let integrations = folder.join("integrations");
    std::fs::create_dir(&integrations)?;
    std::fs::write(integrations.join(format!("{ORIGIN}.yaml")), PROVIDER_FILE)?;
    let options = AppOptions {
        database: format!("sqlite://{}", folder.join("proxy.db").display()),
        sim: Access {
            url: format!("http://{origin}"),
            account: String::new(),
            key: String::new(),
            secret: String::new(),
            token: String::new(),
        },
        integrations: Some(integrations),
    };
    let mut server = Child::start(Kind::Api, &options).await?;
    let address: String = server.output().await?;
    let target = Target::new(&address, Vec::new()).with_key()?;
    let body = json!({ "connectionId": CONNECTION, "apiKey": "benchmark" }).to_string();
    let status = Client::connect(&target)
        .await?
        .post(&format!("/{ORIGIN}/connect"), body)
        .await?;
    ensure!(status == StatusCode::CREATED, "connecting returned {status}");
    Ok((server, address))
}

/// Writes a file of this size, named by its size.
fn write_file(folder: &Path, bytes: u64) -> anyhow::Result<()> {
    let content: Vec<u8> = (0..=u8::MAX).cycle().take(usize::try_from(bytes)?).collect();
    std::fs::write(folder.join(bytes.to_string()), content).context("cannot write a file")
}

fn add_to(report: &mut Report, measured: &[Measured]) {
    let mut table = Table::new(
        "The proxy and nginx with one added header".to_owned(),
        &[
            "response",
            ">clients",
            "route",
            ">requests/s",
            ">to nginx",
            ">MB/s",
            ">p50",
            ">p99",
            ">CPU µs/request",
            ">memory idle",
            ">under load",
        ],
    );
    let of = |way: &str, like: &Measured| {
        let same = |one: &&Measured| {
            one.way == way && one.bytes == like.bytes && one.load.clients == like.load.clients
        };
        measured.iter().find(same).cloned()
    };
    for one in measured {
        let nginx = of("nginx", one).map(|nginx| one.load.per_second / nginx.load.per_second);
        table.row([
            size(one.bytes),
            one.load.clients.to_string(),
            one.way.to_owned(),
            rate(one.load.per_second),
            ratio(nginx.unwrap_or(f64::NAN)),
            rate(one.load.per_second * float(one.bytes) / 1e6),
            milliseconds(one.load.p50),
            milliseconds(one.load.p99),
            micros(one.cpu),
            megabytes(one.idle),
            megabytes(one.memory),
        ]);
        if one.way == "Trunkline" {
            goals(report, one, nginx, of("direct", one).as_ref());
        }
    }
    report.table(table);
}

/// Adds the goals of a load.
fn goals(report: &mut Report, one: &Measured, to_nginx: Option<f64>, straight: Option<&Measured>) {
    let responses = format!("{} responses, {} clients", size(one.bytes), one.load.clients);
    let to_nginx = to_nginx.unwrap_or_default();
    match (one.bytes, one.load.clients) {
        (KILOBYTE, 64) => report.goal(Goal::least(
            format!("{responses}: requests/s to nginx's"),
            0.75,
            to_nginx,
        )),
        (MEGABYTE, 64) => report.goal(Goal::least(
            format!("{responses}: throughput to nginx's"),
            0.8,
            to_nginx,
        )),
        (KILOBYTE, 1) => {
            let added = straight.map_or(f64::NAN, |straight| one.load.p50 - straight.load.p50);
            report.goal(Goal::below(format!("{responses}: added p50 in ms"), 0.5, added));
        }
        // Less memory than one of the eight bodies.
        (bytes, _) if bytes > MEGABYTE => report.goal(Goal::below(
            format!("{responses}: MB more than idle"),
            float(bytes) / 1e6,
            float(one.memory.saturating_sub(one.idle)) / 1e6,
        )),
        _ => {}
    }
}

fn size(bytes: u64) -> String {
    match bytes / MEGABYTE {
        0 => format!("{} KB", bytes / KILOBYTE),
        megabytes => format!("{megabytes} MB"),
    }
}
