//! The change feed: filters, pruning, and reading while others write.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::{RecordAction, StoredRecord, Timestamp, Value, Variant};
use serde_json::json;
use store::records::{self, ChangeQuery, KeyQuery, KeyRange, Pruned, RecordQuery};
use store::testing::run_sql;
use store::{Dialect, Lease, schedule, syncs, tables};
use testkit_macros::on_both_databases;

use crate::fixture::{Fixture, NOW, Stream, model, name, record};

async fn read(stream: &Stream, query: ChangeQuery) -> Vec<StoredRecord> {
    stream
        .read(move |c, s| records::changes(c, &s.table, s.connection, &query))
        .await
}

fn all() -> ChangeQuery {
    ChangeQuery {
        limit: 1_000_000,
        ..ChangeQuery::default()
    }
}

fn keys(rows: &[StoredRecord]) -> Vec<&str> {
    rows.iter().map(|row| row.position.key.as_str()).collect()
}

async fn prune(stream: &Stream, until: i64, limit: i64) -> Pruned {
    let (s, now) = (stream.clone(), stream.clock.now());
    stream
        .store
        .write(move |c| records::prune(c, &s.table, s.connection, until, limit, now))
        .await
        .unwrap()
}

async fn listed(stream: &Stream) -> Vec<StoredRecord> {
    let query = RecordQuery {
        limit: 1_000,
        ..RecordQuery::default()
    };
    stream
        .read(move |c, s| records::list(c, &s.table, s.connection, &query))
        .await
}

#[on_both_databases]
async fn filters_return_the_union_of_what_they_name(fixture: Fixture) {
    let stream = fixture.stream().await;
    let of = |sid: &str, parts: i64| record(&json!({"sid": sid, "parts": parts}));
    stream
        .write(vec![
            of("added", 1),
            of("updated", 1),
            of("deleted", 1),
            of("both", 1),
        ])
        .await
        .unwrap();
    stream.clock.advance(Duration::from_micros(10));
    stream.write(vec![of("updated", 2), of("both", 2)]).await.unwrap();
    stream.clock.advance(Duration::from_micros(10));
    stream.delete(&["deleted", "both"]).await.unwrap();

    for (actions, wanted) in [
        (vec![], vec!["added", "updated", "deleted", "both"]),
        (vec![RecordAction::Added], vec!["added"]),
        (vec![RecordAction::Updated], vec!["updated"]),
        (vec![RecordAction::Deleted], vec!["deleted", "both"]),
        (
            vec![RecordAction::Added, RecordAction::Updated],
            vec!["added", "updated"],
        ),
        (
            vec![RecordAction::Deleted, RecordAction::Updated],
            vec!["updated", "deleted", "both"],
        ),
        (
            vec![RecordAction::Added, RecordAction::Deleted],
            vec!["added", "deleted", "both"],
        ),
        (
            vec![RecordAction::Added, RecordAction::Updated, RecordAction::Deleted],
            vec!["added", "updated", "deleted", "both"],
        ),
    ] {
        let query = ChangeQuery {
            actions: actions.clone(),
            ..all()
        };
        let rows = read(&stream, query).await;
        assert_eq!(keys(&rows), wanted, "{actions:?}");
        assert!(
            actions.is_empty() || rows.iter().all(|row| actions.contains(&row.last_action())),
            "a row tells the action by which it was found"
        );
    }
    let since = |micros| ChangeQuery {
        modified_since: Some(NOW.plus(Duration::from_micros(micros))),
        ..all()
    };
    assert_eq!(
        keys(&read(&stream, since(10)).await),
        ["updated", "deleted", "both"]
    );
    assert_eq!(keys(&read(&stream, since(11)).await), ["deleted", "both"]);
    let named = ChangeQuery {
        keys: Some(["both", "added", "none"].map(str::to_owned).to_vec()),
        after: 1,
        ..all()
    };
    assert_eq!(keys(&read(&stream, named).await), ["both"]);
}

#[on_both_databases]
async fn a_pruned_row_keeps_its_key_and_is_complete_again_when_it_changes(fixture: Fixture) {
    let stream = fixture.stream().await;
    let of = |sid: &str, parts: i64| {
        record(
            &json!({"sid": sid, "parts": parts, "body": "x", "status": "sent", "sent_at": "2026-11-21T10:00:00Z"}),
        )
    };
    let page = || ["a", "b", "c", "d"].map(|sid| of(sid, 1)).to_vec();
    stream.write(page()).await.unwrap();
    stream.clock.advance(Duration::from_micros(10));
    let before = read(&stream, all()).await;

    let two = prune(&stream, 3, 2).await;
    let third = prune(&stream, 3, 2).await;
    let again = prune(&stream, 3, 2).await;
    let pruned = |count, has_more| Pruned { count, has_more };
    assert_eq!(
        (two, third, again),
        (pruned(2, true), pruned(1, false), pruned(0, false))
    );

    let rows = read(&stream, all()).await;
    let marks = |rows: &[StoredRecord]| {
        rows.iter()
            .map(|row| {
                (
                    row.position.key.clone(),
                    row.cursor,
                    row.first_seen_at,
                    row.last_modified_at,
                )
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(marks(&rows), marks(&before), "the feed is as it was");
    for row in &rows[..3] {
        assert_eq!(
            (row.pruned_at, &row.extra),
            (Some(NOW.plus(Duration::from_micros(10))), &None)
        );
        let left = row.values.iter().filter(|value| **value != Value::Null).count();
        assert_eq!(
            left, 3,
            "the key, the time that orders it, and the status by which it is sought: {row:?}"
        );
    }
    assert_eq!(rows[3], before[3]);
    assert_eq!(keys(&listed(&stream).await), ["d"]);
    let sought = stream.read(|c, s| {
        let (status, values, sent_at) = (name("status"), ["sent".to_owned()], name("sent_at"));
        let query = KeyQuery {
            values: Some((&status, &values)),
            range: Some(KeyRange {
                column: &sent_at,
                from: Timestamp::from_micros(0),
                to: NOW.plus(Duration::from_micros(u64::MAX / 16)),
            }),
            limit: 10,
            ..KeyQuery::default()
        };
        records::live_keys(c, &s.table, s.connection, &query)
    });
    assert_eq!(
        sought.await,
        ["a", "b", "c", "d"],
        "those that are not final are still followed up"
    );

    let same = stream.write(page()).await.unwrap();
    assert_eq!((same.updated, same.unchanged), (0, 4), "nothing has changed");
    let changed = stream.write(vec![of("b", 2)]).await.unwrap();
    assert_eq!(changed.updated, 1);
    let rows = read(&stream, all()).await;
    assert_eq!(keys(&rows), ["a", "c", "d", "b"]);
    assert_eq!(
        (rows[3].pruned_at, rows[3].values.as_slice()),
        (None, of("b", 2).values.as_slice())
    );
    assert_eq!(
        prune(&stream, i64::MAX, 10).await,
        pruned(2, false),
        "d, and b once more"
    );
    assert_eq!(
        stream.delete(&["a"]).await.unwrap(),
        1,
        "a pruned row can still be marked as deleted"
    );
}

#[on_both_databases]
async fn a_table_without_support_for_pruning_is_upgraded(fixture: Fixture) {
    let stream = fixture.stream().await;
    stream.write(vec![record(&json!({"sid": "a"}))]).await.unwrap();
    fixture
        .store
        .write(|c| run_sql(c, "ALTER TABLE test_messages DROP COLUMN _pruned_at"))
        .await
        .unwrap();

    fixture
        .store
        .write(|c| tables::ensure(c, &model()))
        .await
        .unwrap();

    assert_eq!(prune(&stream, 1, 1).await.count, 1);
}

/// A sequence of numbers from a seed (Knuth's MMIX), the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

const WRITERS: u64 = 4;
const PAGES: u64 = 25;

/// Returns a stream for each writer: syncs of one connection that write one table, each with its own lease.
async fn writers(fixture: &Fixture) -> Vec<Stream> {
    let first = fixture.stream().await;
    let connection = first.connection;
    let mut streams = vec![first.clone()];
    for number in 1..WRITERS {
        let new = syncs::NewSync {
            connection,
            name: "test-messages".parse().unwrap(),
            variant: format!("v{number}").parse::<Variant>().unwrap(),
            paused: false,
            due_at: Some(NOW),
        };
        let claimed = fixture.store.write(move |c| {
            syncs::ensure(c, &new, NOW)?;
            schedule::claim(c, NOW, NOW.plus(Duration::from_mins(1)), "w", 1)
        });
        let claimed = claimed.await.unwrap().remove(0);
        streams.push(Stream {
            run: claimed.run.id,
            lease: Lease {
                id: claimed.sync.id,
                holder: "w".to_owned(),
            },
            ..first.clone()
        });
    }
    streams
}

async fn write_at_random(stream: Stream, seed: u64) {
    let mut dice = Dice(seed);
    for page in 0..PAGES {
        let sids: Vec<String> = (0..=dice.below(12))
            .map(|_| format!("k{}", dice.below(40)))
            .collect();
        stream.clock.advance(Duration::from_micros(1));
        if dice.below(4) == 0 {
            let sids: Vec<&str> = sids.iter().map(String::as_str).collect();
            stream.delete(&sids).await.unwrap();
        } else {
            let parts = seed * 1_000 + page;
            let page = sids
                .iter()
                .map(|sid| record(&json!({"sid": sid, "parts": parts})));
            stream.write(page.collect()).await.unwrap();
        }
    }
}

/// Reads pages until the writers are done and the feed is empty; returns the last version of each key.
async fn follow(
    stream: Stream,
    done: Arc<tokio::sync::Semaphore>,
    seed: u64,
) -> BTreeMap<String, StoredRecord> {
    let (mut seen, mut after, mut dice) = (BTreeMap::new(), 0, Dice(seed));
    loop {
        // Read before the page: everything that was committed before the last writer ended is then in that page.
        let last_look = done.is_closed();
        let limit = 1 + i64::try_from(dice.below(9)).unwrap();
        let page = read(
            &stream,
            ChangeQuery {
                after,
                limit,
                ..ChangeQuery::default()
            },
        )
        .await;
        for row in &page {
            assert!(row.cursor > after, "{} behind {after}", row.cursor);
            after = row.cursor;
            seen.insert(row.position.key.clone(), row.clone());
        }
        if page.is_empty() {
            if last_look {
                return seen;
            }
            // Leaves the processor to the writers; the test does not depend on this wait.
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }
}

#[on_both_databases]
async fn a_reader_misses_no_change_while_four_write(dialect: Dialect) {
    for seed in 1..=3 {
        if let Some(fixture) = Fixture::new(dialect).await {
            read_while_four_write(&fixture, seed).await;
        }
    }
}

async fn read_while_four_write(fixture: &Fixture, seed: u64) {
    let streams = writers(fixture).await;
    let done = Arc::new(tokio::sync::Semaphore::new(0));
    let readers: Vec<_> = (0..2)
        .map(|number| tokio::spawn(follow(streams[0].clone(), Arc::clone(&done), seed + number)))
        .collect();
    let writing: Vec<_> = (10 * seed..)
        .zip(&streams)
        .map(|(seed, stream)| tokio::spawn(write_at_random(stream.clone(), seed)))
        .collect();
    for writer in writing {
        writer.await.unwrap();
    }
    done.close();

    let table = read(&streams[0], all()).await;
    assert!(table.len() > 30 && table.iter().any(|row| row.deleted_at.is_some()));
    let table: BTreeMap<_, _> = table
        .into_iter()
        .map(|row| (row.position.key.clone(), row))
        .collect();
    for reader in readers {
        assert_eq!(reader.await.unwrap(), table);
    }
}
