//! `GET /{integration}/{plural}` from a large table, over HTTP, with one client and with many.

use anyhow::{Context, ensure};
use serde::Serialize;
use serde_json::Value as Json;

use crate::app::AppOptions;
use crate::child::{Child, Kind};
use crate::database::DatabaseKind;
use crate::fill;
use crate::load::{self, Client, Load, Target};
use crate::report::{Goal, Report, Table, count, milliseconds, rate};
use crate::setup::Setup;
use crate::sim::Sim;
use crate::sync;

/// The number of copied connections.
const CONNECTIONS: u32 = 100;
/// Concurrent clients.
const CLIENTS: [usize; 2] = [1, 32];
/// The goal for the median latency of one client in milliseconds.
const WANTED: f64 = 0.6;

#[derive(Debug, Serialize)]
struct Measured {
    database: &'static str,
    rows: u64,
    query: &'static str,
    load: Load,
}

/// Measures both databases.
pub(crate) async fn measure(setup: &Setup, report: &mut Report) -> anyhow::Result<()> {
    let each = setup.query_rows / u64::from(CONNECTIONS);
    let sim = Sim::start(each, 0, setup.now).await?;
    let mut measured = Vec::new();
    for kind in setup.databases() {
        measured.extend(on(setup, kind, &sim).await?);
    }
    sim.end().await?;
    add_to(report, &measured);
    report.figure("query", &measured)
}

async fn on(setup: &Setup, kind: &DatabaseKind, sim: &Sim) -> anyhow::Result<Vec<Measured>> {
    let step = |what: &str| setup.progress.step(format!("{}, query: {what}", kind.name()));
    let database = kind.database()?;
    step("a first load to copy");
    let rows = sync::everything(&database, sim, None).await?.added * u64::from(CONNECTIONS + 1);
    step(&format!("filling a table with {} rows", count(rows)));
    fill::fill(&database, CONNECTIONS).await?;
    database.settle().await?;
    let options = AppOptions {
        database: database.address().to_owned(),
        sim: sim.access.clone(),
        integrations: None,
    };
    let mut server = Child::start(Kind::Api, &options).await?;
    let address: String = server.output().await?;
    let mut measured = Vec::new();
    for (query, paths) in paths(&address).await? {
        let target = Target::new(&address, paths).with_key()?;
        for clients in CLIENTS {
            step(&format!("{query}, {clients} at once"));
            load::run(&target, clients, setup.query_time / 4).await?;
            measured.push(Measured {
                database: kind.name(),
                rows,
                query,
                load: load::run(&target, clients, setup.query_time).await?,
            });
        }
    }
    server.end().await?;
    Ok(measured)
}

/// Returns the queries, with a path for each connection. Checks the first responses.
async fn paths(address: &str) -> anyhow::Result<[(&'static str, Vec<String>); 3]> {
    let mut client = Client::connect(&Target::new(address, Vec::new()).with_key()?).await?;
    let (mut newest, mut next, mut delivered) = (Vec::new(), Vec::new(), Vec::new());
    for connection in 0..CONNECTIONS {
        let path = format!("/twilio/messages?connectionId={}", fill::name(connection));
        let page: Json = serde_json::from_slice(&client.get(&path).await?)?;
        ensure!(
            page.get("messages").and_then(Json::as_array).map(Vec::len) == Some(100),
            "{path} does not return 100 messages"
        );
        let cursor = page.get("next_cursor").and_then(Json::as_str);
        next.push(format!(
            "{path}&cursor={}",
            cursor.context("there is no second page")?
        ));
        delivered.push(format!("{path}&status=delivered"));
        newest.push(path);
    }
    Ok([
        ("newest 100", newest),
        ("the 100 after these", next),
        ("newest 100 delivered", delivered),
    ])
}

fn add_to(report: &mut Report, measured: &[Measured]) {
    let rows = measured.iter().map(|one| one.rows).max().unwrap_or_default();
    let mut table = Table::new(
        format!(
            "GET /twilio/messages, {} rows of {} connections",
            count(rows),
            CONNECTIONS + 1
        ),
        &["database", "query", ">clients", ">requests/s", ">p50", ">p99"],
    );
    for (index, one) in measured.iter().enumerate() {
        if one.load.clients == 1
            && measured.iter().position(|other| other.database == one.database) == Some(index)
        {
            report.goal(Goal::below(
                format!(
                    "{}: p50 in ms of the newest 100 of {} rows, one client",
                    one.database,
                    count(one.rows)
                ),
                WANTED,
                one.load.p50,
            ));
        }
        table.row([
            one.database.to_owned(),
            one.query.to_owned(),
            one.load.clients.to_string(),
            rate(one.load.per_second),
            milliseconds(one.load.p50),
            milliseconds(one.load.p99),
        ]);
    }
    report.table(table);
}
