//! Keys and filtered texts that are longer than an index of PostgreSQL allows.

use domain::{StoredRecord, Value, stored_key};
use serde_json::json;
use store::records::{self, ChangeQuery, KeyQuery, RecordQuery};
use store::testing::run_sql;
use store::{Dialect, tables};
use testkit_macros::on_both_databases;

use crate::fixture::{Fixture, Stream, model, name, record};

/// Incompressible texts of 6,000 characters and more, and one of the longest that is indexed completely.
fn long_texts() -> Vec<String> {
    let random = |seed: u64, count: usize, characters: &[char]| {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(state >> 33).unwrap()
        };
        (0..count)
            .map(|_| characters[next() % characters.len()])
            .collect::<String>()
    };
    let ascii: Vec<char> = ('!'..='~').collect();
    let wide: Vec<char> = ('\u{1f300}'..='\u{1f5ff}').collect();
    let same_beginning = random(3, 5_999, &ascii);
    vec![
        random(1, 6_000, &ascii),
        random(2, 6_000, &wide),
        format!("{same_beginning}a"),
        format!("{same_beginning}b"),
        random(4, 1_000, &ascii),
        random(5, 1_001, &ascii),
    ]
}

async fn found(stream: &Stream, query: RecordQuery) -> Vec<StoredRecord> {
    stream
        .read(move |c, s| records::list(c, &s.table, s.connection, &query))
        .await
}

async fn by_key(stream: &Stream, keys: Vec<String>) -> Vec<StoredRecord> {
    let query = ChangeQuery {
        keys: Some(keys),
        limit: 100,
        ..ChangeQuery::default()
    };
    stream
        .read(move |c, s| records::changes(c, &s.table, s.connection, &query))
        .await
}

fn equal(column: &str, text: &str) -> RecordQuery {
    RecordQuery {
        equals: vec![(name(column), Value::Text(text.to_owned()))],
        limit: 100,
        ..RecordQuery::default()
    }
}

#[on_both_databases]
async fn a_long_key_is_stored_found_followed_and_deleted_like_any_other(fixture: Fixture) {
    let stream = fixture.stream().await;
    let texts = long_texts();
    let page = |parts: i64| -> Vec<_> {
        let rows = texts.iter().map(|key| json!({ "sid": key, "parts": parts }));
        rows.chain([json!({ "sid": "short", "parts": parts })])
            .map(|row| record(&row))
            .collect()
    };
    assert_eq!(stream.write(page(1)).await.unwrap().added, 7);
    assert_eq!(stream.write(page(1)).await.unwrap().unchanged, 7);
    assert_eq!(stream.write(page(2)).await.unwrap().updated, 7);

    for key in &texts {
        let rows = by_key(&stream, vec![key.clone()]).await;
        assert_eq!((rows.len(), &rows[0].values[0]), (1, &Value::Text(key.clone())));
        assert_eq!(rows[0].values[3], Value::Integer(2));
        let mut filtered = equal("sid", key);
        filtered.limit = 2;
        assert_eq!(found(&stream, filtered).await, rows);
        let (stored, whole) = (stored_key(key).into_owned(), key.clone());
        let long = stream
            .read(move |c, s| records::long_key(c, &s.table, s.connection, &stored))
            .await;
        assert_eq!(long.unwrap_or(whole.clone()), whole);
    }
    let mut walked = Vec::new();
    let mut position = None;
    loop {
        let query = RecordQuery {
            position: position.take(),
            limit: 2,
            ..RecordQuery::default()
        };
        let rows = found(&stream, query).await;
        let Some(last) = rows.last() else { break };
        position = Some(last.position.clone());
        walked.extend(rows.iter().map(|row| row.values[0].clone()));
    }
    assert_eq!(walked.len(), 7, "each row is on one page");

    let stored: Vec<_> = texts.iter().map(|key| stored_key(key).into_owned()).collect();
    let stored: Vec<_> = stored.iter().map(String::as_str).collect();
    assert_eq!(stream.delete(&stored).await.unwrap(), 6);
    let rows = by_key(&stream, texts.clone()).await;
    assert_eq!(rows.len(), 6);
    for row in rows {
        assert!(
            row.deleted_at.is_some() && texts.iter().any(|key| row.values[0] == Value::Text(key.clone()))
        );
    }
}

#[on_both_databases]
async fn a_long_text_in_a_filtered_column_is_stored_and_found(fixture: Fixture) {
    let stream = fixture.stream().await;
    let texts = long_texts();
    let rows = texts
        .iter()
        .enumerate()
        .map(|(n, text)| json!({"sid": format!("k{n}"), "status": text}));
    let others = [json!({"sid": "short", "status": "sent"}), json!({"sid": "none"})];
    let records = rows.chain(others).map(|row| record(&row)).collect();
    assert_eq!(stream.write(records).await.unwrap().added, 8);

    let keys = |rows: Vec<StoredRecord>| rows.into_iter().map(|row| row.position.key).collect::<Vec<_>>();
    for (n, text) in texts.iter().enumerate() {
        let rows = found(&stream, equal("status", text)).await;
        assert_eq!(rows[0].values[2], Value::Text(text.clone()));
        assert_eq!(keys(rows), [format!("k{n}")]);
        assert_eq!(found(&stream, equal("status", &format!("{text}x"))).await, []);
    }
    assert_eq!(keys(found(&stream, equal("status", "sent")).await), ["short"]);
    let none = RecordQuery {
        equals: vec![(name("status"), Value::Null)],
        limit: 9,
        ..RecordQuery::default()
    };
    assert_eq!(keys(found(&stream, none).await), ["none"]);
    let unfinished = stream.read(|c, s| {
        let (column, values) = (name("status"), ["sent".to_owned(), "queued".to_owned()]);
        let query = KeyQuery {
            values: Some((&column, &values)),
            limit: 9,
            ..KeyQuery::default()
        };
        records::live_keys(c, &s.table, s.connection, &query)
    });
    assert_eq!(unfinished.await, ["short"]);
}

#[on_both_databases]
async fn filters_use_their_index(fixture: Fixture) {
    let dialect = fixture.store.dialect();
    let stream = fixture.stream().await;
    let rows = (0..3_000).map(|n| {
        json!({"sid": format!("k{n}"), "status": format!("s{}", n % 300), "from": "x".repeat(if n == 7 { 6_000 } else { 9 }),
               "sent_at": format!("2026-11-01T00:{:02}:{:02}Z", n / 60 % 60, n % 60)})
    });
    stream
        .write(rows.map(|row| record(&row)).collect())
        .await
        .unwrap();
    fixture.store.write(|c| run_sql(c, "ANALYZE")).await.unwrap();

    let plan = async |query: RecordQuery| {
        stream
            .read(move |c, s| records::query_plan(c, &s.table, s.connection, &query))
            .await
            .join("\n")
    };
    let short = plan(equal("status", "s7")).await;
    let long = plan(equal("from", &"x".repeat(6_000))).await;
    let (by_short, by_long) = match dialect {
        Dialect::Sqlite => ("_connection_id=? AND status=?", "_connection_id=? AND from=?"),
        Dialect::Postgres => ("(status = 's7'", "(\"left\"(\"from\", 250) ="),
    };
    let condition = |plan: &str, wanted: &str| {
        plan.lines().any(|line| {
            line.contains(wanted) && (line.contains("Index Cond") || line.contains("USING INDEX"))
        })
    };
    assert!(condition(&short, by_short), "{short}");
    assert!(condition(&long, by_long), "{long}");
}

/// Turns a table into its form before keys were shortened and JSON was kept exactly.
#[on_both_databases]
async fn a_table_of_an_earlier_version_is_brought_up_to_date(fixture: Fixture) {
    let dialect = fixture.store.dialect();
    let stream = fixture.stream().await;
    let long = "k".repeat(2_000);
    let rows = [
        json!({"sid": "a", "status": "sent", "links": {"n": 1}, "x": [1, 2.5]}),
        json!({"sid": "b"}),
    ];
    stream.write(rows.iter().map(record).collect()).await.unwrap();
    let former = match dialect {
        Dialect::Sqlite => "",
        Dialect::Postgres => {
            "; ALTER TABLE test_messages ALTER COLUMN \"_extra\" TYPE jsonb USING \"_extra\"::jsonb, ALTER COLUMN links TYPE jsonb \
             USING links::jsonb; CREATE INDEX test_messages_0123abcd ON test_messages (\"_connection_id\", status)"
        }
    };
    let sql = format!(
        "ALTER TABLE test_messages DROP COLUMN \"_long_key\"; UPDATE test_messages SET sid = '{long}' WHERE sid = 'b'{former}"
    );
    fixture.store.write(move |c| run_sql(c, &sql)).await.unwrap();

    for _ in 0..2 {
        fixture
            .store
            .write(|c| tables::ensure(c, &model()))
            .await
            .unwrap();
    }

    let exact = r#"{"sid": "a", "status": "sent", "links": {"n": 1E+5}, "x": [1.10, 1e400]}"#;
    let exact: Box<serde_json::value::RawValue> = serde_json::from_str(exact).unwrap();
    let reader = domain::RecordReader::new(&model());
    let changed = reader
        .read_next(&mut domain::JsonReader::new(exact.get()))
        .unwrap()
        .unwrap();
    let again = record(&json!({ "sid": long }));
    let counts = stream.write(vec![changed, again]).await.unwrap();
    assert_eq!((counts.added, counts.updated), (0, 2));
    let rows = by_key(&stream, vec!["a".to_owned(), long.clone()]).await;
    let row = |key: &str| {
        rows.iter()
            .find(|row| row.values[0] == Value::Text(key.to_owned()))
            .unwrap()
    };
    assert_eq!(row("a").extra.as_deref(), Some(r#"{"x":[1.10,1e400]}"#));
    assert_eq!(row("a").values[8], Value::Json(r#"{"n":1E+5}"#.to_owned()));
    assert_eq!(row(&long).position.key, stored_key(&long));
}
