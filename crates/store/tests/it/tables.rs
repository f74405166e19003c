//! Tables grow with their model and refuse changes that would lose data.

use std::sync::Arc;

use domain::{Column, ColumnKind, Parse};
use serde_json::json;
use store::records::{self, RecordQuery, TableSql};
use store::testing::{describe_tables, run_sql};
use store::{StoreError, tables};
use testkit_macros::on_both_databases;

use crate::fixture::{Fixture, model, name, record};

#[on_both_databases]
async fn several_processes_may_create_the_same_table_at_once(fixture: Fixture) {
    let other = fixture.database.store().await;
    let (a, b) = tokio::join!(
        fixture.store.write(|c| tables::ensure(c, &model())),
        other.write(|c| tables::ensure(c, &model()))
    );
    a.unwrap();
    b.unwrap();
}

#[on_both_databases]
async fn a_new_column_and_filter_are_added_and_old_rows_stay(fixture: Fixture) {
    let stream = fixture.stream().await;
    stream
        .write(vec![record(&json!({"sid": "a", "from": "x"}))])
        .await
        .unwrap();
    let before = fixture.store.read(describe_tables).await.unwrap();
    fixture
        .store
        .write(|c| tables::ensure(c, &model()))
        .await
        .unwrap();
    assert_eq!(
        fixture.store.read(describe_tables).await.unwrap(),
        before,
        "the same model changes nothing"
    );

    let mut grown = model();
    let text = Column {
        kind: ColumnKind::Text,
        parse: Parse::Plain,
        path: vec![],
        description: String::new(),
    };
    grown.columns.insert(name("select"), text);
    grown.filters = vec![name("select")];
    let shape = grown.clone();
    fixture
        .store
        .write(move |c| tables::ensure(c, &shape))
        .await
        .unwrap();

    let lines = fixture.store.read(describe_tables).await.unwrap();
    assert!(
        lines.contains(&"column test_messages.select".to_owned()),
        "{lines:#?}"
    );
    let connection = stream.connection;
    let rows = fixture.store.read(move |c| {
        let table = TableSql::new(Arc::new(grown), c.dialect());
        records::list(
            c,
            &table,
            connection,
            &RecordQuery {
                limit: 10,
                ..RecordQuery::default()
            },
        )
    });
    assert_eq!(rows.await.unwrap().len(), 1);
}

#[on_both_databases]
async fn another_type_or_key_is_refused_with_advice(fixture: Fixture) {
    fixture
        .store
        .write(|c| tables::ensure(c, &model()))
        .await
        .unwrap();
    for kind in [
        ColumnKind::Timestamp,
        ColumnKind::Text,
        ColumnKind::Boolean,
        ColumnKind::Decimal,
        ColumnKind::Json,
    ] {
        let mut changed = model();
        changed.columns[&name("parts")].kind = kind;
        let error = fixture
            .store
            .write(move |c| tables::ensure(c, &changed))
            .await
            .unwrap_err();
        assert!(
            matches!(&error, StoreError::Refused(text) if text.contains("column parts") && text.contains("test_messages")),
            "{error}"
        );
    }
    let mut rekeyed = model();
    rekeyed.key = name("from");
    let error = fixture
        .store
        .write(move |c| tables::ensure(c, &rekeyed))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, StoreError::Refused(text) if text.contains("another key")),
        "{error}"
    );
    fixture
        .store
        .write(|c| run_sql(c, "CREATE TABLE strangers (id INTEGER PRIMARY KEY)"))
        .await
        .unwrap();
    let mut foreign = model();
    foreign.table = name("strangers");
    let error = fixture
        .store
        .write(move |c| tables::ensure(c, &foreign))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Refused(_)), "{error}");
}
