//! `GET /{integration}/{plural}` from a large table, over HTTP, from one client and from many.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, ensure};
use api::ApiOptions;
use serde::Serialize;
use serde_json::Value as Json;
use tokio::sync::mpsc;

use crate::app::{App, AppOrder};
use crate::child::{self, Child, Kind};
use crate::database::Place;
use crate::fill;
use crate::lab::Lab;
use crate::load::{self, Asked, Client, Load};
use crate::report::{Bar, Report, Table, count, milliseconds, rate};
use crate::sim::Sim;
use crate::sync;

/// Connections that share the rows.
const CONNECTIONS: u32 = 100;
/// Clients at once.
const CLIENTS: [usize; 2] = [1, 32];
/// Milliseconds within which half of the answers are to come, at one client.
const WANTED: f64 = 0.6;

#[derive(Debug, Serialize)]
struct Measured {
    database: &'static str,
    rows: u64,
    query: &'static str,
    load: Load,
}

/// Measures both databases.
pub(crate) async fn measure(lab: &Lab, report: &mut Report) -> anyhow::Result<()> {
    let each = lab.query_rows / u64::from(CONNECTIONS);
    let sim = Sim::start(each, 0, lab.now).await?;
    let mut measured = Vec::new();
    for place in lab.places() {
        measured.extend(on(lab, place, &sim).await?);
    }
    sim.end().await?;
    tell(report, &measured);
    report.figure("query", &measured)
}

async fn on(lab: &Lab, place: &Place, sim: &Sim) -> anyhow::Result<Vec<Measured>> {
    let step = |what: &str| lab.progress.step(format!("{}, query: {what}", place.name()));
    let database = place.database()?;
    step("a first load to copy");
    let rows = sync::everything(&database, sim, None).await?.added * u64::from(CONNECTIONS + 1);
    step(&format!("filling a table with {} rows", count(rows)));
    fill::fill(&database, CONNECTIONS).await?;
    database.settle().await?;
    let order = AppOrder {
        database: database.address().to_owned(),
        sim: sim.access.clone(),
        integrations: None,
    };
    let mut server = Child::start(Kind::Api, &order).await?;
    let address: String = server.answer().await?;
    let mut measured = Vec::new();
    for (query, paths) in paths(&address).await? {
        let asked = Asked::new(&address, paths).with_key()?;
        for clients in CLIENTS {
            step(&format!("{query}, {clients} at once"));
            load::run(&asked, clients, lab.query_time / 4).await?;
            measured.push(Measured {
                database: place.name(),
                rows,
                query,
                load: load::run(&asked, clients, lab.query_time).await?,
            });
        }
    }
    server.end().await?;
    Ok(measured)
}

/// What is asked: for each question, a path a connection. Proves that the first of them answer with what they should.
async fn paths(address: &str) -> anyhow::Result<[(&'static str, Vec<String>); 3]> {
    let mut client = Client::connect(&Asked::new(address, Vec::new()).with_key()?).await?;
    let (mut newest, mut next, mut delivered) = (Vec::new(), Vec::new(), Vec::new());
    for connection in 0..CONNECTIONS {
        let path = format!("/twilio/messages?connectionId={}", fill::name(connection));
        let page: Json = serde_json::from_slice(&client.get(&path).await?)?;
        ensure!(
            page.get("messages").and_then(Json::as_array).map(Vec::len) == Some(100),
            "{path} does not answer 100 messages"
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

fn tell(report: &mut Report, measured: &[Measured]) {
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
            report.bar(Bar::below(
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

/// The child's side: serves until it is killed.
pub(crate) async fn serve(mut orders: mpsc::Receiver<String>) -> anyhow::Result<()> {
    let order: AppOrder = child::next(&mut orders).await?;
    let app = App::start(&order).await?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?.to_string();
    let server = api::serve(app.gateway, listener, ApiOptions::default())?;
    child::answer(&address)?;
    Ok(server.await?)
}
