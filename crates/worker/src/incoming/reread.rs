//! Reads the records again of which events say that they have changed. Several events of one record make one request.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use domain::{Connection, ConnectionId, Record, SyncName, TableName, stored_key};
use futures::{StreamExt, stream};
use gateway::{AUTH_PROBLEM, Gateway, GatewayError, ModelTable, health};
use parking_lot::Mutex;
use registry::Sync;
use store::records;
use upstream::{Priority, Target};

use super::plan::Tables;
use crate::failure::Failure;
use crate::page::{self, PageError};

/// How many requests for records of one connection are in flight.
const PARALLEL: usize = 4;
/// The most keys that are remembered.
const REMEMBERED: usize = 20_000;

/// Which records this process has read, and the last event that it knew of when it requested them.
#[derive(Debug, Default)]
pub(crate) struct Reads(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// The number of the last event that was claimed.
    last_event: i64,
    reads: HashMap<(ConnectionId, TableName, String), i64>,
}

impl Reads {
    /// Notes the numbers of events that were claimed.
    pub(super) fn claimed(&self, last: i64) {
        let mut known = self.0.lock();
        known.last_event = known.last_event.max(last);
    }

    fn last_event(&self) -> i64 {
        self.0.lock().last_event
    }

    /// Whether a record was requested after this event, and all before it, had arrived.
    ///
    /// Numbers decide and no clock: an event arrived before its number was assigned, and so before any later number was seen.
    fn covers(&self, key: &(ConnectionId, TableName, String), event: i64) -> bool {
        self.0.lock().reads.get(key).is_some_and(|last| *last >= event)
    }

    fn read(&self, key: (ConnectionId, TableName, String), last_event: i64) {
        let mut known = self.0.lock();
        if known.reads.len() >= REMEMBERED {
            known.reads.clear();
        }
        known.reads.insert(key, last_event);
    }
}

/// The records to read of one connection, by sync and the provider's key.
pub(super) type Wanted = BTreeMap<SyncName, BTreeMap<String, Need>>;

/// Why a record is read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Need {
    /// The number of the last event that needs it.
    pub(super) event: i64,
    /// Whether one of the events is tried for the first time.
    pub(super) first: bool,
}

/// How long to wait before reading a missing record again. Only if it is missing then is it marked as deleted: an event may arrive before the
/// provider shows its record.
const CONFIRM_AFTER: Duration = Duration::from_secs(10);

/// What was read of one table.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) records: Vec<Record>,
    /// The stored keys of records that the provider does not have.
    pub(super) gone: Vec<String>,
    /// The last change number before the requests.
    pub(super) up_to: i64,
    /// The provider's keys that could not be read, with the reason and how long to wait.
    pub(super) failed: BTreeMap<String, (String, Duration)>,
    /// What to remember once this is stored.
    read: Vec<(ConnectionId, TableName, String)>,
    last_event: i64,
}

impl Found {
    /// Remembers the reads, whose records are stored now, but for these stored keys.
    pub(super) fn remember(&self, reads: &Reads, passed_over: Option<&BTreeSet<String>>) {
        for key in &self.read {
            if !passed_over.is_some_and(|keys| keys.contains(&key.2)) {
                reads.read(key.clone(), self.last_event);
            }
        }
    }
}

enum Answer {
    Record(Box<Record>),
    Gone,
    /// Another record, as where two were merged into one.
    Another,
}

/// Reads records by key, within the limits of the connection.
pub(super) async fn read(
    gateway: &Gateway,
    reads: &Reads,
    connection: &Connection,
    tables: &Tables,
    wanted: &Wanted,
) -> Result<BTreeMap<SyncName, Found>, Failure> {
    let mut found = BTreeMap::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    let mut target = gateway.target(connection).await?;
    target.priority = Priority::Background;
    let refused = connection
        .problem
        .as_ref()
        .is_some_and(|problem| problem.kind == AUTH_PROBLEM);
    for (sync, keys) in wanted {
        let declared = target.provider.syncs.get(sync).cloned();
        let (Some(table), Some(declared)) = (tables.get(sync), declared) else {
            continue;
        };
        let mut answers = Found {
            last_event: reads.last_event(),
            up_to: last_number(gateway, table, connection.id).await?,
            ..Found::default()
        };
        let remembered = |key: &str| {
            let key = stored_key(key).into_owned();
            (connection.id, table.model.table.clone(), key)
        };
        let needed = keys
            .iter()
            .filter(|(key, need)| !reads.covers(&remembered(key), need.event))
            .map(|(key, _)| key);
        if refused {
            let reason = "the provider refuses the connection's credentials".to_owned();
            let failed = needed.map(|key| (key.clone(), (reason.clone(), Duration::ZERO)));
            answers.failed.extend(failed);
            found.insert(sync.clone(), answers);
            continue;
        }
        let requests: Vec<_> = needed
            .map(|key| request(gateway, &target, &declared, Arc::clone(table), key.clone()))
            .collect();
        let mut responses = stream::iter(requests).buffer_unordered(PARALLEL);
        let mut unauthorized = false;
        while let Some((key, answer)) = responses.next().await {
            match answer {
                Ok(Answer::Gone) if keys.get(&key).is_some_and(|need| need.first) => {
                    let reason = "the provider does not have the record (yet)".to_owned();
                    answers.failed.insert(key, (reason, CONFIRM_AFTER));
                }
                Ok(answer) => {
                    answers.read.push(remembered(&key));
                    match answer {
                        Answer::Record(record) => answers.records.push(*record),
                        Answer::Gone => answers.gone.push(stored_key(&key).into_owned()),
                        Answer::Another => {}
                    }
                }
                Err(failure) => {
                    unauthorized |= failure.unauthorized();
                    let wait = match &failure {
                        Failure::Request(error) => error.retry_after().unwrap_or_default(),
                        _ => Duration::ZERO,
                    };
                    answers.failed.insert(key, (failure.to_string(), wait));
                }
            }
        }
        drop(responses);
        if unauthorized && let Err(error) = health::check_credentials(gateway, connection, &target).await {
            tracing::warn!(%error, "the credentials could not be checked");
        }
        found.insert(sync.clone(), answers);
    }
    Ok(found)
}

async fn last_number(
    gateway: &Gateway,
    table: &Arc<ModelTable>,
    connection: ConnectionId,
) -> Result<i64, GatewayError> {
    let table = Arc::clone(table);
    let read = gateway
        .store
        .read(move |c| records::last_number(c, &table.sql, connection));
    Ok(read.await?)
}

async fn request(
    gateway: &Gateway,
    target: &Target,
    declared: &Sync,
    table: Arc<ModelTable>,
    key: String,
) -> (String, Result<Answer, Failure>) {
    let answer = find(gateway, target, declared, &table, &key).await;
    (key, answer)
}

async fn find(
    gateway: &Gateway,
    target: &Target,
    declared: &Sync,
    table: &ModelTable,
    key: &str,
) -> Result<Answer, Failure> {
    let Some(reread) = &declared.reread else {
        return Ok(Answer::Another);
    };
    let server = declared.request.server.as_deref();
    let request = target.record_request(server, &reread.path, key)?;
    let response = match gateway
        .upstream
        .fetch(target, request)
        .await
        .map_err(Failure::from)
    {
        Err(failure) if failure.not_found() => return Ok(Answer::Gone),
        response => response?,
    };
    match page::parse_record(&response.body, &reread.record, &table.reader) {
        Ok(Ok(record)) if record.key == *stored_key(key) => Ok(Answer::Record(Box::new(record))),
        Ok(Ok(_)) => Ok(Answer::Another),
        Ok(Err(reason)) => Err(Failure::Unreadable(PageError::Record(reason))),
        Err(error) => Err(Failure::Unreadable(error)),
    }
}
