//! Record tables that an operator divided into hash partitions of PostgreSQL.

use std::sync::Arc;

use domain::ConnectionId;
use store::records::{self, TableSql};
use store::testing::run_sql;
use store::{Dialect, tables};

use crate::fixture::{Fixture, model};

const CONNECTIONS: usize = 8;
const ROWS: i64 = 500;

/// The model's table, in four partitions by connection.
const PARTITION: &str = r#"
ALTER TABLE test_messages RENAME TO plain;
CREATE TABLE test_messages (LIKE plain INCLUDING ALL) PARTITION BY HASH ("_connection_id");
CREATE TABLE part_0 PARTITION OF test_messages FOR VALUES WITH (MODULUS 4, REMAINDER 0);
CREATE TABLE part_1 PARTITION OF test_messages FOR VALUES WITH (MODULUS 4, REMAINDER 1);
CREATE TABLE part_2 PARTITION OF test_messages FOR VALUES WITH (MODULUS 4, REMAINDER 2);
CREATE TABLE part_3 PARTITION OF test_messages FOR VALUES WITH (MODULUS 4, REMAINDER 3);
DROP TABLE plain;
"#;

#[tokio::test]
async fn deleting_a_connection_leaves_the_rows_of_others_alone() {
    let Some(fixture) = Fixture::new(Dialect::Postgres).await else {
        return;
    };
    let mut connections = Vec::new();
    for number in 0..CONNECTIONS {
        connections.push(fixture.connection(&format!("c{number}")).await);
    }
    let made = connections.clone();
    fixture
        .store
        .maintain(move |c| {
            tables::ensure(c, &model())?;
            run_sql(c, PARTITION)?;
            // What a start does with the table in this state.
            tables::ensure(c, &model())?;
            for connection in &made {
                run_sql(c, &fill(*connection))?;
            }
            Ok(())
        })
        .await
        .unwrap();

    let (gone, left) = connections.split_first().unwrap();
    let gone = *gone;
    loop {
        let deleted = fixture.store.write(move |c| {
            records::delete_connection(c, &TableSql::new(Arc::new(model()), Dialect::Postgres), gone, 100)
        });
        if deleted.await.unwrap() == 0 {
            break;
        }
    }

    assert_eq!(live(&fixture, gone).await, 0);
    for connection in left {
        assert_eq!(live(&fixture, *connection).await, u64::try_from(ROWS).unwrap());
    }
}

fn fill(connection: ConnectionId) -> String {
    format!(
        "INSERT INTO test_messages (sid, \"_connection_id\", \"_hash\", \"_cursor\", \"_first_seen_at\", \"_last_modified_at\") \
         SELECT 'm' || n, {connection}, n, n, now(), now() FROM generate_series(1, {ROWS}) AS n",
        connection = connection.raw()
    )
}

async fn live(fixture: &Fixture, connection: ConnectionId) -> u64 {
    let counted = fixture.store.read(move |c| {
        let table = TableSql::new(Arc::new(model()), Dialect::Postgres);
        let query = records::ChangeQuery {
            limit: 10_000,
            ..records::ChangeQuery::default()
        };
        records::changes(c, &table, connection, &query)
    });
    u64::try_from(counted.await.unwrap().len()).unwrap()
}
