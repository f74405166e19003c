//! What the tests share: a model, a connection with a claimed sync, pages.

use std::sync::Arc;
use std::time::Duration;

use domain::{
    Clock, Column, ColumnKind, Connection, ConnectionId, EnvironmentId, Model, Parse, Record, RecordReader,
    RunId, SyncId, TableName, Timestamp, Variant,
};
use store::connections::{self, ConnectionChange, NewConnection};
use store::records::{PageCommit, PageCounts, Requested, Rows, TableSql};
use store::runs::RunNotes;
use store::testing::{TestContext, TestDatabase};
use store::{DbConn, Dialect, Lease, Store, StoreError};

pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_790_000_000_123_456);

/// Returns a model with a column of each kind, ordered by `sent_at`, else `made_at`.
pub(crate) fn model() -> Model {
    let column = |kind| Column {
        kind,
        parse: Parse::Iso8601,
        path: vec![],
        description: "It's a column".to_owned(),
    };
    let columns = [
        ("sid", ColumnKind::Text),
        ("from", ColumnKind::Text),
        ("status", ColumnKind::Text),
        ("parts", ColumnKind::Integer),
        ("read", ColumnKind::Boolean),
        ("price", ColumnKind::Decimal),
        ("sent_at", ColumnKind::Timestamp),
        ("made_at", ColumnKind::Timestamp),
        ("links", ColumnKind::Json),
    ];
    Model {
        name: "Message".parse().unwrap(),
        table: "test_messages".parse().unwrap(),
        plural: "messages".to_owned(),
        description: String::new(),
        key: name("sid"),
        columns: columns
            .into_iter()
            .map(|(n, kind)| (name(n), column(kind)))
            .collect(),
        filters: vec![name("from"), name("status")],
        newest_by: vec![name("sent_at"), name("made_at")],
        selected_by: vec![name("status")],
    }
}

pub(crate) fn name(text: &str) -> TableName {
    text.parse().unwrap()
}

pub(crate) fn record(json: &serde_json::Value) -> Record {
    RecordReader::new(&model()).read(json).unwrap()
}

/// A store with control tables.
pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) database: TestDatabase,
}

impl TestContext for Fixture {
    async fn on(dialect: Dialect) -> Option<Self> {
        Self::new(dialect).await
    }
}

impl Fixture {
    pub(crate) async fn new(dialect: Dialect) -> Option<Self> {
        let database = TestDatabase::new(dialect).await?;
        Some(Self {
            store: database.store().await,
            database,
        })
    }

    pub(crate) async fn environment(&self, named: &str) -> EnvironmentId {
        let named = named.parse().unwrap();
        self.store
            .write(move |c| Ok(store::environments::ensure(c, &named, NOW)?.id))
            .await
            .unwrap()
    }

    /// Creates a connection of the environment `dev`.
    pub(crate) async fn connection(&self, named: &str) -> ConnectionId {
        let new = new_connection(self.environment("dev").await, named);
        self.store.write(move |c| Ok(create(c, &new)?.id)).await.unwrap()
    }

    /// Creates a sync of the connection, due at `due_at`.
    pub(crate) async fn sync(&self, connection: ConnectionId, due_at: Option<Timestamp>) -> SyncId {
        let new = store::syncs::NewSync {
            connection,
            name: "test-messages".parse().unwrap(),
            variant: Variant::base(),
            paused: false,
            due_at,
        };
        self.store
            .write(move |c| Ok(store::syncs::ensure(c, &new, NOW)?.id))
            .await
            .unwrap()
    }

    /// Creates a connection whose sync the worker `w` claimed, and the model's table.
    pub(crate) async fn stream(&self) -> Stream {
        let connection = self.connection("c1").await;
        let sync = self.sync(connection, Some(NOW)).await;
        let claimed = self
            .store
            .write(|c| store::schedule::claim(c, NOW, NOW.plus(Duration::from_mins(1)), "w", 10))
            .await
            .unwrap();
        self.store
            .write(|c| store::tables::ensure(c, &model()))
            .await
            .unwrap();
        Stream {
            store: self.store.clone(),
            table: Arc::new(TableSql::new(Arc::new(model()), self.store.dialect())),
            connection,
            run: claimed[0].run.id,
            lease: Lease {
                id: sync,
                holder: "w".to_owned(),
            },
            clock: Clock::manual(NOW),
        }
    }
}

pub(crate) fn new_connection(environment: EnvironmentId, named: &str) -> NewConnection {
    NewConnection {
        environment,
        integration: "twilio".parse().unwrap(),
        name: named.parse().unwrap(),
        provider: "twilio".parse().unwrap(),
        connection_config: serde_json::Map::new(),
        change: ConnectionChange::default(),
    }
}

/// Creates a connection.
pub(crate) fn create(c: &mut DbConn, new: &NewConnection) -> Result<Connection, StoreError> {
    assert!(connections::insert(c, new, NOW)?);
    connections::find(c, new.environment, &new.integration, &new.name)
}

/// One connection's rows of the test model.
#[derive(Clone)]
pub(crate) struct Stream {
    pub(crate) store: Store,
    pub(crate) table: Arc<TableSql>,
    pub(crate) connection: ConnectionId,
    pub(crate) run: RunId,
    pub(crate) lease: Lease<domain::Sync>,
    pub(crate) clock: Clock,
}

impl Stream {
    pub(crate) async fn write(&self, records: Vec<Record>) -> Result<PageCounts, StoreError> {
        self.write_with(records, |_| {}).await
    }

    pub(crate) async fn write_with(
        &self,
        records: Vec<Record>,
        change: impl FnOnce(&mut PageCommit<'_>) + Send + 'static,
    ) -> Result<PageCounts, StoreError> {
        let stream = self.clone();
        self.store
            .write(move |c| {
                let model = model();
                let mut page = PageCommit {
                    rows: Rows {
                        table: &stream.table,
                        connection: stream.connection,
                        now: stream.clock.now(),
                    },
                    lease: &stream.lease,
                    run: stream.run,
                    records: &records,
                    pages: 1,
                    slice: None,
                    new_slices: &[],
                    checkpoint: None,
                    notes: RunNotes {
                        pages: 1,
                        ..RunNotes::default()
                    },
                    requested: Requested {
                        after: i64::MAX,
                        ..Requested::default()
                    },
                    again: false,
                    written: None,
                };
                page.notes.count_misfits(&model, page.records);
                change(&mut page);
                store::records::commit_page(c, &page)
            })
            .await
    }

    pub(crate) async fn delete(&self, keys: &[&str]) -> Result<u64, StoreError> {
        self.delete_up_to(keys, i64::MAX).await
    }

    /// Marks rows as deleted unless their change number is above `up_to`.
    pub(crate) async fn delete_up_to(&self, keys: &[&str], up_to: i64) -> Result<u64, StoreError> {
        let (stream, keys) = (
            self.clone(),
            keys.iter().map(|&key| key.to_owned()).collect::<Vec<_>>(),
        );
        self.store
            .write(move |c| {
                let rows = Rows {
                    table: &stream.table,
                    connection: stream.connection,
                    now: stream.clock.now(),
                };
                store::records::mark_deleted(c, &rows, &stream.lease, stream.run, &keys, up_to)
            })
            .await
    }

    pub(crate) async fn read<T: Send + 'static>(
        &self,
        body: impl FnOnce(&mut DbConn, &Stream) -> Result<T, StoreError> + Send + 'static,
    ) -> T {
        let stream = self.clone();
        self.store.read(move |c| body(c, &stream)).await.unwrap()
    }
}
