//! The proxy beside nginx: the same answers of the same server, straight and through either, in turn.

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

use crate::app::{AppOrder, CONNECTION, ORIGIN};
use crate::child::{Child, Kind};
use crate::lab::Progress;
use crate::load::{self, Asked, Client, Load};
use crate::nginx::{self, Nginx};
use crate::report::{Bar, Report, Table, float, megabytes, micros, milliseconds, rate, ratio};
use crate::sim::Access;
use crate::{cpu, database};

/// The provider file of nginx. Its concurrency is above the number of clients, since the limits are not measured.
const PROVIDER_FILE: &str = "display_name: Origin\nauth_mode: API_KEY\ncredentials: { apiKey: { title: Key } }\n\
    proxy: { base_url: 'https://origin.example', headers: { authorization: 'Bearer ${apiKey}' } }\n\
    limits: { concurrency: 1000 }\n";

const KILOBYTE: u64 = 1 << 10;
const MEGABYTE: u64 = 1 << 20;
/// What is fetched, by how many clients; the last to see whether memory grows with the size.
const LOADS: [(u64, usize); 7] = [
    (KILOBYTE, 1),
    (KILOBYTE, 64),
    (KILOBYTE, 512),
    (MEGABYTE, 1),
    (MEGABYTE, 64),
    (MEGABYTE, 512),
    (64 * MEGABYTE, 8),
];
/// Between two looks at memory.
const LOOK: Duration = Duration::from_millis(250);

/// How thoroughly to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Seconds of each load
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Rounds, of which the middle one by its speed is shown
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
}

/// A way from clients to the files.
struct Way {
    name: &'static str,
    address: String,
    /// Before a file's name.
    prefix: &'static str,
    /// What stands between, with its children.
    pid: u32,
    /// Its memory before the first request, in bytes.
    idle: u64,
}

#[derive(Debug, Clone, Serialize)]
struct Measured {
    way: &'static str,
    bytes: u64,
    load: Load,
    /// Processor time of a request, in seconds, of what stands between alone.
    cpu: f64,
    /// In bytes: before the first request, and the most seen under this load.
    idle: u64,
    memory: u64,
}

/// Measures all loads.
pub(crate) async fn measure(options: &Options) -> anyhow::Result<Report> {
    let time = Duration::try_from_secs_f64(options.seconds).context("--seconds cannot be read")?;
    let progress = Progress::new()?;
    let mut report = Report::default();
    report.machine();
    report.setting("nginx", nginx::version().await?);
    let mut measured = Vec::new();
    for (bytes, clients) in LOADS {
        // New processes for each load, so that the memory of one is not that of the load before.
        let folder = database::folder()?;
        write_file(folder.path(), bytes)?;
        let files = Nginx::files(folder.path()).await?;
        let proxy = Nginx::proxy(folder.path(), &files.address).await?;
        let (gateway, address) = gateway(folder.path(), &files.address).await?;
        let ways = [
            Way::new("straight", files.address.clone(), "", files.pid()?)?,
            Way::new("nginx", proxy.address.clone(), "", proxy.pid()?)?,
            Way::new("Trunkline", address, "/proxy", gateway.pid()?)?,
        ];
        let mut rounds: [Vec<Measured>; 3] = Default::default();
        for round in 1..=options.rounds {
            for (way, rounds) in ways.iter().zip(&mut rounds) {
                progress.step(format!(
                    "{}: {bytes} bytes, {clients} clients, round {round}",
                    way.name
                ));
                rounds.push(way.measure(bytes, clients, time).await?);
            }
        }
        for mut rounds in rounds {
            rounds.sort_by(|one, other| one.load.per_second.total_cmp(&other.load.per_second));
            measured.extend(rounds.get(rounds.len() / 2).cloned());
        }
        gateway.end().await?;
    }
    progress.end();
    tell(&mut report, &measured);
    report.figure("proxy", &measured)?;
    Ok(report)
}

impl Way {
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
        let asked = Asked::new(&self.address, vec![path.clone()])
            .with_key()?
            .with(HeaderName::from_static("provider-config-key"), ORIGIN)?
            .with(HeaderName::from_static("connection-id"), CONNECTION)?;
        let length = Client::connect(&asked).await?.length(&path).await?;
        ensure!(length == bytes, "{} gives {length} bytes of {bytes}", self.name);
        load::run(&asked, clients, time / 4).await?;
        let most = Arc::new(AtomicU64::new(0));
        let (looking, pid) = (Arc::clone(&most), self.pid);
        let look = tokio::spawn(async move {
            while let Ok(memory) = cpu::memory_of_family(pid) {
                looking.fetch_max(memory, Ordering::Relaxed);
                sleep(LOOK).await;
            }
        });
        let before = cpu::of_family(self.pid)?;
        let load = load::run(&asked, clients, time).await?;
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

/// The API in a process of its own, with a connection to the files at `origin`; and its address.
async fn gateway(folder: &Path, origin: &str) -> anyhow::Result<(Child, String)> {
    let integrations = folder.join("integrations");
    std::fs::create_dir(&integrations)?;
    std::fs::write(integrations.join(format!("{ORIGIN}.yaml")), PROVIDER_FILE)?;
    let order = AppOrder {
        database: format!("sqlite://{}", folder.join("proxy.db").display()),
        sim: Access {
            url: format!("http://{origin}"),
            account: String::new(),
            key: String::new(),
            secret: String::new(),
        },
        integrations: Some(integrations),
    };
    let mut server = Child::start(Kind::Api, &order).await?;
    let address: String = server.answer().await?;
    let asked = Asked::new(&address, Vec::new()).with_key()?;
    let body = json!({ "connectionId": CONNECTION, "apiKey": "benchmark" }).to_string();
    let status = Client::connect(&asked)
        .await?
        .post(&format!("/{ORIGIN}/connect"), body)
        .await?;
    ensure!(
        status == StatusCode::CREATED,
        "connecting is answered by {status}"
    );
    Ok((server, address))
}

/// A file of so many bytes, which bears their number as its name.
fn write_file(folder: &Path, bytes: u64) -> anyhow::Result<()> {
    let content: Vec<u8> = (0..=u8::MAX).cycle().take(usize::try_from(bytes)?).collect();
    std::fs::write(folder.join(bytes.to_string()), content).context("writing a file")
}

fn tell(report: &mut Report, measured: &[Measured]) {
    let mut table = Table::new(
        "The proxy beside nginx with one added header".to_owned(),
        &[
            "answer",
            ">clients",
            "way",
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
            bars(report, one, nginx, of("straight", one).as_ref());
        }
    }
    report.table(table);
}

/// What is to be reached under a load.
fn bars(report: &mut Report, one: &Measured, to_nginx: Option<f64>, straight: Option<&Measured>) {
    let answers = format!("{} answers, {} clients", size(one.bytes), one.load.clients);
    let to_nginx = to_nginx.unwrap_or_default();
    match (one.bytes, one.load.clients) {
        (KILOBYTE, 64) => report.bar(Bar::least(
            format!("{answers}: requests/s to nginx's"),
            0.75,
            to_nginx,
        )),
        (MEGABYTE, 64) => report.bar(Bar::least(
            format!("{answers}: throughput to nginx's"),
            0.8,
            to_nginx,
        )),
        (KILOBYTE, 1) => {
            let added = straight.map_or(f64::NAN, |straight| one.load.p50 - straight.load.p50);
            report.bar(Bar::below(format!("{answers}: added p50 in ms"), 0.5, added));
        }
        // Less than one body by far, of eight.
        (bytes, _) if bytes > MEGABYTE => report.bar(Bar::below(
            format!("{answers}: MB more than idle"),
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
