//! Webhooks of a provider: how many status callbacks are accepted and processed in a second, and the time from a status callback to the
//! changed row.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use domain::{IncomingStatus, SyncName, Value, Variant};
use gateway::webhooks::IncomingFilter;
use gateway::{FeedRequest, Names, SyncSelection, connections, records, syncs, webhooks};
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::app::{App, AppOptions, CONNECTION, INTEGRATION, SYNC};
use crate::child::{Child, Kind};
use crate::database::Database;
use crate::load::{self, Client, Target};
use crate::report::float;
use crate::sim::{Form, Sim};
use crate::webhooks::{Latency, Options};

/// Clients that send status callbacks at the same time.
pub(super) const CLIENTS: usize = 32;
/// The states of a message that are reported while the rate is measured.
const STATES: [&str; 4] = ["queued", "sending", "sent", "delivered"];
/// Status callbacks a second for the latency.
pub(super) const RATE: u32 = 100;
/// How long the floor is measured.
const FLOOR: Duration = Duration::from_secs(3);
/// The time between two reads of the feed while rows change.
const READ_INTERVAL: Duration = Duration::from_millis(3);
/// A connection that was idle for longer is not used again, because the server closes it after a few seconds.
const LONGEST_IDLE: Duration = Duration::from_secs(1);
/// The timeout for what the worker does.
const PATIENCE: Duration = Duration::from_mins(5);
const PATH: &str = "/webhook/dev/twilio";

/// The figures of one database.
#[derive(Debug, Serialize)]
pub(super) struct Measured {
    pub(super) database: &'static str,
    /// `GET /health` of the same server from as many clients, a second.
    pub(super) floor: f64,
    /// Requests with a wrong signature that are refused, a second.
    pub(super) refused: f64,
    /// Status callbacks that are accepted, a second.
    pub(super) accepted: f64,
    /// Accepted status callbacks that are processed, a second.
    pub(super) processed: f64,
    /// From a status callback to the row with the new status.
    pub(super) status: Latency,
    /// From a status callback to the row with everything that the record has.
    pub(super) record: Latency,
}

/// A signed status callback without its token.
#[derive(Clone)]
struct Callback {
    sid: String,
    body: Bytes,
    signature: HeaderValue,
}

/// Measures one database.
pub(super) async fn measure(
    name: &'static str,
    database: &Database,
    app_options: &AppOptions,
    sim: &mut Sim,
    options: &Options,
    step: &impl Fn(String),
) -> anyhow::Result<Measured> {
    step("a first load".to_owned());
    let measured = sim.add(u64::from(RATE) * options.seconds).await?;
    let others = sim
        .add(u64::from(options.callbacks) / u64::try_from(STATES.len())?)
        .await?;
    let app = App::start(app_options).await?;
    connect_and_pause(&app, sim).await?;
    let mut server = Child::start(Kind::Serve, app_options).await?;
    let address: String = server.output().await?;
    wait_for_rows(&app).await?;
    database.settle().await?;

    step(format!("{RATE} status callbacks a second"));
    sim.deliver(&measured).await?;
    let callbacks = signed(sim, &address, &measured, &["delivered"]).await?;
    let (status, record) = latency(&app, &address, callbacks).await?;
    server.end().await?;

    sim.deliver(&others).await?;
    let mut server = Child::start(Kind::Api, app_options).await?;
    let address: String = server.output().await?;
    step(format!("GET /health, {CLIENTS} clients"));
    let target = Target::new(&address, vec!["/health".to_owned()]);
    let floor = load::run(&target, CLIENTS, FLOOR).await?.per_second;
    let callbacks = signed(sim, &address, &others, &STATES).await?;
    let mut forged = callbacks.clone();
    for callback in &mut forged {
        callback.signature = HeaderValue::from_static("AAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    }
    step(format!("{} forged status callbacks", forged.len()));
    let refused = send_all(&address, forged, StatusCode::UNAUTHORIZED).await?;
    database.settle().await?;
    step(format!("{} status callbacks, {CLIENTS} clients", callbacks.len()));
    let total = u64::try_from(callbacks.len())?;
    let accepted = send_all(&address, callbacks, StatusCode::OK).await?;
    server.end().await?;
    database.settle().await?;
    step("processing them".to_owned());
    let mut worker = Child::start(Kind::Worker, app_options).await?;
    worker.output::<()>().await?;
    let began = Instant::now();
    wait_until_processed(&app).await?;
    let processed = float(total) / began.elapsed().as_secs_f64();
    worker.end().await?;
    app.gateway.close().await;
    Ok(Measured {
        database: name,
        floor,
        refused,
        accepted,
        processed,
        status,
        record,
    })
}

/// Connects the account with its auth token. No run of the sync after the first one changes rows.
async fn connect_and_pause(app: &App, sim: &Sim) -> anyhow::Result<()> {
    let body = json!({
        "connectionId": CONNECTION, "accountSid": sim.access.account, "authToken": sim.access.token,
    });
    let body = serde_json::from_value(body)?;
    connections::connect(&app.gateway, &app.caller, INTEGRATION, body).await?;
    let selection = SyncSelection {
        integration: INTEGRATION.to_owned(),
        connection: Some(CONNECTION.to_owned()),
        syncs: vec![(SYNC.parse()?, Variant::base())],
    };
    // The first run is queued already.
    syncs::set_paused(&app.gateway, &app.caller, &selection, true).await?;
    Ok(())
}

async fn wait_for_rows(app: &App) -> anyhow::Result<()> {
    let sync: SyncName = SYNC.parse()?;
    wait(async || {
        let selection = SyncSelection {
            integration: INTEGRATION.to_owned(),
            connection: Some(CONNECTION.to_owned()),
            syncs: vec![(sync.clone(), Variant::base())],
        };
        let status = syncs::status(&app.gateway, &app.caller, &selection).await?;
        Ok(status.iter().all(|status| status.latest_finished.is_some()))
    })
    .await
}

async fn wait_until_processed(app: &App) -> anyhow::Result<()> {
    wait(async || {
        let filter = IncomingFilter {
            integration: None,
            status: Some(IncomingStatus::Pending),
            connection_name: None,
            before: None,
            limit: 1,
        };
        let pending = webhooks::list_incoming(&app.gateway, &app.caller, filter, None).await?;
        Ok(pending.is_empty())
    })
    .await
}

async fn wait(mut holds: impl AsyncFnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let waiting = async {
        while !holds().await? {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    waited.context("the worker did not finish in time")?
}

/// Returns the status callbacks of each state in turn for the server at `address`.
async fn signed(
    sim: &mut Sim,
    address: &str,
    sids: &[String],
    states: &[&str],
) -> anyhow::Result<Vec<Callback>> {
    let mut forms: Vec<Form> = Vec::new();
    let mut named = Vec::new();
    for state in states {
        for sid in sids {
            let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            forms.push(vec![
                pair("AccountSid", &sim.access.account),
                pair("MessageSid", sid),
                pair("MessageStatus", state),
                pair("ApiVersion", "2010-04-01"),
            ]);
            named.push(sid.clone());
        }
    }
    let signatures = sim.sign(&format!("http://{address}{PATH}"), &forms).await?;
    let callbacks = forms.iter().zip(signatures).zip(named);
    let callbacks = callbacks.map(|((form, signature), sid)| {
        // No value needs encoding.
        let pairs: Vec<String> = form
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        Ok(Callback {
            sid,
            body: pairs.join("&").into(),
            signature: HeaderValue::from_str(&signature)?,
        })
    });
    callbacks.collect()
}

/// Sends a status callback and returns the status of the response. `token` tells it from others of its message and state.
async fn send(client: &mut Client, callback: &Callback, token: usize) -> anyhow::Result<StatusCode> {
    let headers = [
        (
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        ),
        (
            HeaderName::from_static("x-twilio-signature"),
            callback.signature.clone(),
        ),
        (
            HeaderName::from_static("i-twilio-idempotency-token"),
            HeaderValue::from_str(&format!("{token:08}-0000-4000-8000-000000000000"))?,
        ),
    ];
    client.post_with(PATH, headers, callback.body.clone()).await
}

/// Sends all status callbacks from several clients, and returns how many got responses in a second.
async fn send_all(address: &str, callbacks: Vec<Callback>, wanted: StatusCode) -> anyhow::Result<f64> {
    let (callbacks, next) = (Arc::new(callbacks), Arc::new(AtomicUsize::new(0)));
    let mut clients = JoinSet::new();
    let began = Instant::now();
    for _ in 0..CLIENTS {
        let (callbacks, next) = (Arc::clone(&callbacks), Arc::clone(&next));
        let mut client = Client::connect(&Target::new(address, Vec::new())).await?;
        clients.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(callback) = callbacks.get(number) else {
                    return Ok(());
                };
                let status = send(&mut client, callback, number).await?;
                ensure!(status == wanted, "a status callback got {status}");
            }
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended??;
    }
    Ok(float(u64::try_from(callbacks.len())?) / began.elapsed().as_secs_f64())
}

/// Sends status callbacks at a rate, and returns the times until a reader of the feed sees the new status, and the whole record.
async fn latency(app: &App, address: &str, callbacks: Vec<Callback>) -> anyhow::Result<(Latency, Latency)> {
    let total = callbacks.len();
    let mut feed = Feed::open(app).await?;
    let sent: Arc<Mutex<HashMap<String, Instant>>> = Arc::default();
    let mut sending = tokio::spawn(send_at_rate(address.to_owned(), callbacks, Arc::clone(&sent)));
    let (mut status, mut record) = (HashMap::new(), HashMap::new());
    let began = Instant::now();
    let mut sent_all = false;
    while record.len() < total {
        if !sent_all && sending.is_finished() {
            // Without the rest of the status callbacks, the rows would not change.
            (&mut sending).await??;
            sent_all = true;
        }
        ensure!(
            began.elapsed() < PATIENCE,
            "only {} of {total} rows changed",
            record.len()
        );
        for (sid, is_whole) in feed.read(app).await? {
            let now = Instant::now();
            status.entry(sid.clone()).or_insert(now);
            if is_whole {
                record.entry(sid).or_insert(now);
            }
        }
        tokio::time::sleep(READ_INTERVAL).await;
    }
    if !sent_all {
        sending.await??;
    }
    let sent = sent.lock().await;
    let took = |seen: &HashMap<String, Instant>| {
        let took = sent.iter().filter_map(|(sid, from)| {
            let at = seen.get(sid)?;
            Some(at.saturating_duration_since(*from).as_secs_f64() * 1_000.0)
        });
        Latency::of(RATE, took.collect())
    };
    Ok((took(&status), took(&record)))
}

async fn send_at_rate(
    address: String,
    callbacks: Vec<Callback>,
    sent: Arc<Mutex<HashMap<String, Instant>>>,
) -> anyhow::Result<()> {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / RATE);
    let mut idle = Vec::new();
    let mut sending: JoinSet<anyhow::Result<Client>> = JoinSet::new();
    for (number, callback) in callbacks.into_iter().enumerate() {
        ticks.tick().await;
        while let Some(ended) = sending.try_join_next() {
            idle.push((ended??, Instant::now()));
        }
        let fresh = idle.pop().filter(|(_, since)| since.elapsed() < LONGEST_IDLE);
        let mut client = match fresh {
            Some((client, _)) => client,
            None => Client::connect(&Target::new(&address, Vec::new())).await?,
        };
        sent.lock().await.insert(callback.sid.clone(), Instant::now());
        sending.spawn(async move {
            // Others than those of the rate.
            let status = send(&mut client, &callback, number + 50_000_000).await?;
            ensure!(status == StatusCode::OK, "a status callback got {status}");
            Ok(client)
        });
    }
    while let Some(ended) = sending.join_next().await {
        ended??;
    }
    Ok(())
}

/// A position in the feed of the connection's messages.
struct Feed(Option<String>);

impl Feed {
    /// Begins after the last change.
    async fn open(app: &App) -> anyhow::Result<Self> {
        let mut feed = Self(None);
        loop {
            let before = feed.0.clone();
            feed.read(app).await?;
            if feed.0 == before {
                return Ok(feed);
            }
        }
    }

    /// Returns the delivered messages that changed, and whether each has its price.
    async fn read(&mut self, app: &App) -> anyhow::Result<Vec<(String, bool)>> {
        let request = FeedRequest {
            model: "Message".to_owned(),
            variant: Variant::base(),
            modified_since: None,
            actions: Vec::new(),
            ids: None,
            cursor: self.0.clone(),
            limit: 1_000,
        };
        let names = Names::of(&app.caller, INTEGRATION, CONNECTION);
        let page = records::feed(&app.gateway, names, request).await?;
        if let Some(last) = page.records.last() {
            self.0 = Some(page.cursor(last));
        }
        let columns = &page.model.columns;
        let (status, price) = (columns.get_index_of("status"), columns.get_index_of("price"));
        let (status, price) = status.zip(price).context("the model has no status or price")?;
        let changed = page.records.iter().filter_map(|record| {
            let delivered = record.values.get(status) == Some(&Value::Text("delivered".to_owned()));
            let priced = record
                .values
                .get(price)
                .is_some_and(|price| *price != Value::Null);
            delivered.then(|| (record.position.key.clone(), priced))
        });
        Ok(changed.collect())
    }
}
