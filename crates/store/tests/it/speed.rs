//! What writing pages costs, in microseconds a row: a first load, the same pages again, and the database's own bulk load of
//! the same rows into a table with the same indexes. `cargo test -p store --test it speed -- --ignored --nocapture`

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{
    Column, ColumnKind, ConnectionId, Model, Parse, Record, RecordReader, RunId, TableName, Timestamp,
    Variant,
};
use store::records::{self, PageCommit, Requested, Rows, TableSql};
use store::runs::RunNotes;
use store::testing::{TestDatabase, run_sql};
use store::{Dialect, Lease, Store, StoreError};

const ROWS: u64 = 1000;

/// Twilio's messages, as its provider file declares them.
fn model(table: &str) -> Model {
    let name = |text: &str| text.parse::<TableName>().unwrap();
    let column = |kind| Column {
        kind,
        parse: Parse::Rfc2822,
        path: vec![],
        description: String::new(),
    };
    let texts = [
        "sid",
        "account_sid",
        "messaging_service_sid",
        "body",
        "from",
        "to",
        "direction",
        "status",
        "price_unit",
        "error_message",
        "api_version",
        "uri",
    ];
    let mut columns: Vec<_> = texts
        .into_iter()
        .map(|text| (name(text), column(ColumnKind::Text)))
        .collect();
    columns.extend(
        ["num_segments", "num_media", "error_code"].map(|text| (name(text), column(ColumnKind::Integer))),
    );
    columns.extend(
        ["date_created", "date_updated", "date_sent"].map(|text| (name(text), column(ColumnKind::Timestamp))),
    );
    columns.push((name("price"), column(ColumnKind::Decimal)));
    columns.push((name("subresource_uris"), column(ColumnKind::Json)));
    Model {
        name: "Message".parse().unwrap(),
        table: name(table),
        plural: "messages".to_owned(),
        description: String::new(),
        key: name("sid"),
        columns: columns.into_iter().collect(),
        filters: ["from", "to", "status", "direction"].map(name).to_vec(),
        newest_by: ["date_sent", "date_created"].map(name).to_vec(),
        selected_by: vec![],
    }
}

fn page(reader: &RecordReader, page: u64) -> Vec<Record> {
    let record = |row: u64| {
        let number = page * ROWS + row;
        let sid = format!(
            "SM{:032x}",
            u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
        );
        let account = "AC0123456789abcdef0123456789abcdef";
        let date = Timestamp::from_micros(1_790_000_000_000_000)
            .minus(u32::try_from(number).unwrap() * 7 * Timestamp::SECOND);
        let date = date.to_chrono().format("%a, %d %b %Y %H:%M:%S +0000").to_string();
        let uri = format!("/2010-04-01/Accounts/{account}/Messages/{sid}");
        let json = serde_json::json!({"sid": sid, "account_sid": account, "messaging_service_sid": null,
            "body": "Your table is ready. Reply 1 to confirm, 2 to cancel, or call us back on this number.".repeat(2),
            "from": "+14155550100", "to": format!("+1415{:07}", number * 7919 % 10_000_000), "direction": "outbound-api",
            "status": if number.is_multiple_of(20) { "failed" } else { "delivered" }, "num_segments": "2", "num_media": "0", "price": "-0.01580",
            "price_unit": "USD", "error_code": null, "error_message": null, "date_created": date, "date_updated": date, "date_sent": date,
            "api_version": "2010-04-01", "uri": format!("{uri}.json"), "subresource_uris": {"media": format!("{uri}/Media.json")}});
        reader.read(&json).unwrap()
    };
    (0..ROWS).map(record).collect()
}

struct Load {
    store: Store,
    model: Arc<Model>,
    table: Arc<TableSql>,
    lease: Lease<domain::Sync>,
    run: RunId,
    connection: ConnectionId,
    now: Timestamp,
}

impl Load {
    async fn new(store: Store) -> Result<Self, StoreError> {
        let now = Timestamp::from_micros(1_790_000_000_000_000);
        let model = Arc::new(model("speed_messages"));
        let table = Arc::new(TableSql::new(Arc::clone(&model), store.dialect()));
        let ensured = Arc::clone(&model);
        let claimed = store
            .write(move |c| {
                store::tables::ensure(c, &ensured)?;
                let new = store::connections::NewConnection {
                    environment: store::environments::ensure(c, &"dev".parse().unwrap(), now)?.id,
                    integration: "twilio".parse().unwrap(),
                    name: "c".parse().unwrap(),
                    provider: "twilio".parse().unwrap(),
                    connection_config: serde_json::Map::new(),
                    change: store::connections::ConnectionChange::default(),
                };
                let connection = crate::fixture::create(c, &new)?.id;
                let name = "messages".parse().unwrap();
                let sync = store::syncs::NewSync {
                    connection,
                    name,
                    variant: Variant::base(),
                    paused: false,
                    due_at: Some(now),
                };
                store::syncs::ensure(c, &sync, now)?;
                store::schedule::claim(c, now, now.plus(Duration::from_micros(1)), "w", 1)
            })
            .await?
            .remove(0);
        let lease = Lease {
            id: claimed.sync.id,
            holder: "w".to_owned(),
        };
        Ok(Self {
            store,
            model,
            table,
            lease,
            run: claimed.run.id,
            connection: claimed.sync.connection,
            now,
        })
    }

    async fn commit(&self, records: Vec<Record>) -> Result<Duration, StoreError> {
        let (table, lease) = (Arc::clone(&self.table), self.lease.clone());
        let (run, connection, now) = (self.run, self.connection, self.now);
        let start = Instant::now();
        self.store
            .write(move |c| {
                let page = PageCommit {
                    rows: Rows {
                        table: &table,
                        connection,
                        now,
                    },
                    lease: &lease,
                    run,
                    records: &records,
                    pages: 1,
                    slice: None,
                    new_slices: &[],
                    checkpoint: None,
                    notes: RunNotes::default(),
                    requested: Requested {
                        after: i64::MAX,
                        ..Requested::default()
                    },
                    again: false,
                    written: None,
                };
                records::commit_page(c, &page)
            })
            .await?;
        Ok(start.elapsed())
    }

    async fn all(&self, pages: u64) -> Result<Duration, StoreError> {
        let reader = RecordReader::new(&self.model);
        let mut spent = Duration::ZERO;
        for number in 0..pages {
            spent += self.commit(page(&reader, number)).await?;
        }
        Ok(spent)
    }

    /// Writes the rows with the database's own bulk load: COPY from a file, or from the table itself, a page a transaction.
    async fn bare(&self, pages: u64) -> Result<Duration, StoreError> {
        self.store
            .write(|c| store::tables::ensure(c, &model("bare_messages")))
            .await?;
        let copy = |what| {
            format!(
                "DO $$ BEGIN EXECUTE format('COPY {what} %L', current_setting('data_directory') || '/copied'); END $$"
            )
        };
        let statements = match self.store.dialect() {
            Dialect::Sqlite => {
                let page = |page| {
                    format!(
                        "INSERT INTO bare_messages SELECT * FROM speed_messages WHERE rowid > {page} * 1000 AND rowid <= ({page} + 1) * 1000"
                    )
                };
                (0..pages).map(page).collect()
            }
            Dialect::Postgres => {
                let out = copy("speed_messages TO");
                self.store.write(move |c| run_sql(c, &out)).await?;
                vec![copy("bare_messages FROM")]
            }
        };
        let start = Instant::now();
        for statement in statements {
            self.store.write(move |c| run_sql(c, &statement)).await?;
        }
        Ok(start.elapsed())
    }
}

#[tokio::test]
#[ignore = "a measurement of half a minute, not a check"]
#[expect(clippy::print_stdout, reason = "the answer")]
async fn measures_how_fast_pages_are_written() {
    const PAGES: u64 = 100;
    let each = |spent: Duration| spent.as_secs_f64() * 1e6 / f64::from(u32::try_from(PAGES * ROWS).unwrap());
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        let Some(database) = TestDatabase::new(dialect).await else {
            continue;
        };
        let load = Load::new(database.store().await).await.unwrap();
        let (first, again) = (load.all(PAGES).await.unwrap(), load.all(PAGES).await.unwrap());
        let bare = load.bare(PAGES).await.unwrap();
        let database = format!("{dialect:?}");
        println!(
            "{database:>8}: first load {:.1} us a row, unchanged {:.1}, bare bulk load {:.1} (ratio {:.2})",
            each(first),
            each(again),
            each(bare),
            bare.as_secs_f64() / first.as_secs_f64()
        );
    }
}
