//! The change feed and the pruning of records, in the shapes of Nango's API.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::DateTime;
use reqwest::Method;
use serde_json::{Map, Value as Json, json};
use testkit::{Client, Reply, TestApp, on_both_databases};
use twilio_sim::{Mutation, MutationKind, NewMessage};

pub(crate) async fn call(client: &Client, method: Method, path: &str, body: Option<Json>) -> Reply {
    let request = client
        .request(method, path)
        .header("Provider-Config-Key", "twilio")
        .header("Connection-Id", "my-twilio")
        .header("Content-Type", "application/json");
    client
        .send(match body {
            Some(body) => request.body(body.to_string()),
            None => request,
        })
        .await
}

/// Returns the page of a query, requested like Nango's SDK does: with a slash before the query.
async fn page(client: &Client, query: &str) -> Json {
    let path = format!("/records/?model=Message&{query}");
    call(client, Method::GET, &path, None).await.expect(200).json()
}

pub(crate) async fn records(app: &TestApp, query: &str) -> Vec<Json> {
    let page = page(app.admin(), &format!("limit=10000&{query}")).await;
    assert_eq!(page["next_cursor"], Json::Null);
    page["records"].as_array().unwrap().clone()
}

async fn prune(app: &TestApp, until: &Json, limit: Option<i64>) -> Reply {
    let mut body = json!({ "model": "Message", "until_cursor": until });
    if let Some(limit) = limit {
        body["limit"] = json!(limit);
    }
    call(app.admin(), Method::PATCH, "/records/prune", Some(body)).await
}

fn id(record: &Json) -> &str {
    record["id"].as_str().unwrap()
}

pub(crate) fn about<'a>(record: &'a Json, field: &str) -> &'a Json {
    record.pointer(&format!("/_nango_metadata/{field}")).unwrap()
}

pub(crate) async fn synced(app: &TestApp) {
    app.simulator().insert(NewMessage {
        tags: Some(Map::from_iter([("campaign".to_owned(), Json::from("b"))])),
        ..NewMessage::default()
    });
    app.connect_twilio().await;
    app.run_due().await;
}

/// Returns the ids of records with a date, newest first.
fn newest_first(records: &[Json]) -> Vec<&str> {
    let mut dated: Vec<&Json> = records
        .iter()
        .filter(|record| record["date_sent"].is_string())
        .collect();
    dated.sort_by_key(|record| std::cmp::Reverse(record["date_sent"].as_str()));
    dated.into_iter().map(id).collect()
}

/// Deletes one message and changes another; returns their ids.
async fn changed(app: &TestApp) -> (String, String) {
    let all = records(app, "").await;
    let dated = newest_first(&all);
    let (gone, other) = (dated[0].to_owned(), dated[1].to_owned());
    assert!(app.simulator().delete(&gone));
    app.simulator().mutate(&Mutation {
        seed: 1,
        share: 1.0,
        within_days: Some(1),
        kinds: vec![MutationKind::Price],
    });
    app.advance(Duration::from_mins(10));
    app.run_due().await;
    (gone, other)
}

#[on_both_databases]
async fn the_feed_has_every_record_once_in_the_order_of_changes(app: TestApp) {
    synced(&app).await;
    let all = records(&app, "").await;
    assert_eq!(all.len(), usize::try_from(app.simulator().live_count()).unwrap());

    let (mut paged, mut query) = (Vec::new(), "limit=7".to_owned());
    loop {
        let page = page(app.admin(), &query).await;
        let found = page["records"].as_array().unwrap();
        paged.extend(found.iter().cloned());
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        assert_eq!(about(found.last().unwrap(), "cursor"), next);
        query = format!("limit=7&cursor={next}");
    }
    assert_eq!(paged, all);
    assert_eq!(
        page(app.admin(), "").await["records"].as_array().unwrap().len(),
        100
    );

    // Any record's cursor continues the feed, and the last one's returns only later changes.
    let middle = about(&all[100], "cursor").as_str().unwrap();
    assert_eq!(records(&app, &format!("cursor={middle}")).await, all[101..]);
    let last = about(all.last().unwrap(), "cursor").as_str().unwrap().to_owned();
    assert_eq!(records(&app, &format!("cursor={last}")).await, Vec::<Json>::new());
    let (gone, _) = changed(&app).await;
    let later = records(&app, &format!("cursor={last}")).await;
    assert!(later.iter().any(|record| id(record) == gone));
    assert!(later.len() < all.len());
}

#[on_both_databases]
async fn a_record_is_flat_and_has_its_metadata(app: TestApp) {
    synced(&app).await;
    let all = records(&app, "").await;
    let tagged = all
        .iter()
        .find(|record| record["tags"]["campaign"] == "b")
        .unwrap();

    let listed = app
        .admin()
        .get_as("/twilio/messages?connectionId=my-twilio", "application/x-ndjson")
        .await
        .expect(200);
    let listed: Vec<Json> = listed
        .text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mut row = listed
        .into_iter()
        .find(|row| row["sid"] == tagged["sid"])
        .unwrap();
    let row = row.as_object_mut().unwrap();
    let extra = row.remove("_extra").unwrap();
    row.extend(extra.as_object().unwrap().clone());
    let mut record = tagged.as_object().unwrap().clone();
    assert_eq!(record.remove("id"), Some(tagged["sid"].clone()));
    let about = record.remove("_nango_metadata").unwrap();
    assert_eq!(
        &record, row,
        "columns and what stands beside them, all at the top"
    );

    let names: Vec<&str> = about.as_object().unwrap().keys().map(String::as_str).collect();
    let wanted = [
        "first_seen_at",
        "last_modified_at",
        "last_action",
        "deleted_at",
        "pruned_at",
        "cursor",
    ];
    assert_eq!(names, wanted);
    let seen = about["first_seen_at"].as_str().unwrap();
    assert!(
        seen.len() == "2026-11-21T10:00:00.000000+00:00".len() && seen.ends_with("+00:00"),
        "{seen}"
    );
    assert_eq!(
        DateTime::parse_from_rfc3339(seen).unwrap().timestamp_micros(),
        app.clock().now().as_micros()
    );
    assert_eq!(
        (&about["last_action"], &about["deleted_at"], &about["pruned_at"]),
        (&json!("ADDED"), &Json::Null, &Json::Null)
    );

    let (gone, other) = changed(&app).await;
    let after: BTreeMap<String, Json> = records(&app, "")
        .await
        .into_iter()
        .map(|record| (id(&record).to_owned(), record))
        .collect();
    let (gone, other) = (&after[&gone], &after[&other]);
    assert_eq!(gone.as_object().unwrap().len(), 2, "no content: {gone}");
    assert_eq!(gone["_nango_metadata"]["last_action"], "DELETED");
    assert_eq!(
        gone["_nango_metadata"]["deleted_at"],
        gone["_nango_metadata"]["last_modified_at"]
    );
    assert_eq!(other["_nango_metadata"]["last_action"], "UPDATED");
    assert_eq!(other["_nango_metadata"]["first_seen_at"], seen);
}

#[on_both_databases]
async fn the_feed_is_filtered_by_change_ids_and_times(app: TestApp) {
    synced(&app).await;
    let (gone, other) = changed(&app).await;
    let all = records(&app, "").await;
    let of = |actions: &[&str]| -> Vec<Json> {
        let is = |record: &&Json| actions.contains(&about(record, "last_action").as_str().unwrap());
        all.iter().filter(is).cloned().collect()
    };

    for (filter, actions) in [
        ("added", &["ADDED"][..]),
        ("UPDATED", &["UPDATED"]),
        ("deleted", &["DELETED"]),
        ("updated,deleted", &["UPDATED", "DELETED"]),
        ("Added,DELETED", &["ADDED", "DELETED"]),
        ("added,updated,deleted", &["ADDED", "UPDATED", "DELETED"]),
    ] {
        let found = records(&app, &format!("filter={filter}")).await;
        assert!(!found.is_empty());
        assert_eq!(found, of(actions), "{filter}");
    }
    let ids: Vec<String> = records(&app, &format!("ids={gone}&ids={other}&ids=none"))
        .await
        .iter()
        .map(|record| id(record).to_owned())
        .collect();
    assert!(
        ids.len() == 2 && ids.contains(&gone) && ids.contains(&other),
        "{ids:?}"
    );
    let later = about(&of(&["DELETED"])[0], "last_modified_at")
        .as_str()
        .unwrap()
        .to_owned();
    let (encoded, delta) = (later.replace('+', "%2B"), later.replace("+00:00", "Z"));
    let since = records(&app, &format!("modified_after={encoded}")).await;
    assert_eq!(since, of(&["UPDATED", "DELETED"]), "the moment itself is within");
    assert_eq!(records(&app, &format!("delta={delta}")).await, since);
    assert_eq!(records(&app, &format!("modified_after={later}")).await, since);
    assert_eq!(
        records(&app, "modified_after=2001-01-01").await,
        all,
        "however long ago"
    );
}

#[on_both_databases]
async fn pruned_records_return_to_the_feed_when_they_change(app: TestApp) {
    synced(&app).await;
    let all = records(&app, "").await;
    let newest = newest_first(&all)[0].to_owned();
    let until = about(&all[199], "cursor");

    let first = prune(&app, until, Some(150)).await.expect(200).json();
    let second = prune(&app, until, None).await.expect(200).json();
    let third = prune(&app, until, None).await.expect(200).json();

    assert_eq!(first, json!({ "count": 150, "has_more": true }));
    assert_eq!(second, json!({ "count": 50, "has_more": false }));
    assert_eq!(third, json!({ "count": 0, "has_more": false }));
    let left = records(&app, "").await;
    assert_eq!(left[200..], all[200..]);
    for (pruned, before) in left[..200].iter().zip(&all) {
        assert_eq!(pruned.as_object().unwrap().len(), 2, "{pruned}");
        assert!(about(pruned, "pruned_at").is_string());
        for field in ["cursor", "last_action", "first_seen_at", "last_modified_at"] {
            assert_eq!(about(pruned, field), about(before, field));
        }
    }
    assert_eq!(
        app.rows("my-twilio").await,
        all.len() - 200,
        "they are not listed"
    );

    let last = about(all.last().unwrap(), "cursor");
    prune(&app, last, Some(10_000)).await.expect(200);
    // The clock stands still, so that nothing changes at the provider.
    app.admin()
        .post("/sync/trigger", &crate::syncs::select())
        .await
        .expect(200);
    app.run_due().await;
    let last = last.as_str().unwrap();
    let quiet = records(&app, &format!("cursor={last}")).await;
    assert_eq!(
        quiet,
        Vec::<Json>::new(),
        "what is as it was is not written again"
    );

    app.simulator().mutate(&Mutation {
        seed: 1,
        share: 1.0,
        within_days: Some(1),
        kinds: vec![MutationKind::Price],
    });
    assert!(app.simulator().delete(&newest));
    app.advance(Duration::from_mins(10));
    app.run_due().await;
    let later = records(&app, &format!("cursor={last}")).await;
    let written = later.iter().find(|record| record["price"].is_string()).unwrap();
    assert_eq!(
        (about(written, "last_action"), about(written, "pruned_at")),
        (&json!("UPDATED"), &Json::Null)
    );
    let deleted = later.iter().find(|record| id(record) == newest);
    assert!(
        deleted.is_some_and(|record| about(record, "last_action") == "DELETED"),
        "a pruned record can still be marked as deleted"
    );
}

#[on_both_databases]
async fn a_reader_sees_everything_that_a_worker_writes_meanwhile(app: TestApp) {
    app.connect_twilio().await;
    let done = Arc::new(AtomicBool::new(false));
    let (client, ended) = (app.admin().clone(), Arc::clone(&done));
    let reader = tokio::spawn(async move {
        let (mut seen, mut query) = (BTreeMap::new(), "limit=23".to_owned());
        loop {
            // Read before the page: everything that the worker wrote before it ended is then in that page.
            let last_look = ended.load(Ordering::SeqCst);
            let page = page(&client, &query).await;
            let found = page["records"].as_array().unwrap();
            for record in found {
                seen.insert(id(record).to_owned(), record.clone());
            }
            match found.last() {
                Some(last) => query = format!("limit=23&cursor={}", about(last, "cursor").as_str().unwrap()),
                None if last_look => return seen,
                None => tokio::task::yield_now().await,
            }
        }
    });
    for seed in 0..4 {
        app.run_due().await;
        app.simulator().mutate(&Mutation {
            seed,
            share: 0.3,
            within_days: Some(3),
            kinds: vec![MutationKind::Price, MutationKind::Delete],
        });
        app.advance(Duration::from_mins(10));
    }
    app.run_due().await;
    done.store(true, Ordering::SeqCst);

    let seen = reader.await.unwrap();
    let all = records(&app, "").await;
    let all: BTreeMap<String, Json> = all
        .into_iter()
        .map(|record| (id(&record).to_owned(), record))
        .collect();
    assert!(
        all.values()
            .any(|record| about(record, "last_action") == "UPDATED")
    );
    assert_eq!(seen, all);
}
