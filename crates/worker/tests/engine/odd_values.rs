//! Unusual values of providers: they lose no other record and are stored unchanged, and tables that an earlier version
//! filled are corrected.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use registry::Registry;
use serde_json::{Value as Json, json};
use store::testing::run_sql;
use testkit::{AppBuilder, Dialect, TestApp, on_both_databases, registry_with};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

/// A list that is read completely, with deletions, and a request for one record.
const FILE: &str = r#"
display_name: Odd
auth_mode: API_KEY
credentials: { apiKey: { title: Key, secret: true } }
proxy:
  base_url: https://odd.example.com
  headers: { authorization: "Bearer ${apiKey}" }
  verification: { method: GET, endpoints: [/me] }
  paginate:
    type: cursor
    cursor_name_in_request: after
    cursor_path_in_response: meta.next
    limit_name_in_request: limit
    limit: 100
    response_path: data.items
syncs:
  odd-things:
    description: Things
    model: Thing
    table: odd_things
    runs: every hour
    request: { path: /things }
    key: id
    newest_by: at
    deletes: { track: true, guard: 1 }
    columns:
      id: { type: text, description: Key }
      name: { type: text, description: Name }
      price: { type: decimal, description: Price }
      parts: { type: integer, description: Parts }
      at: { type: timestamp, description: Time }
      more: { type: json, description: More }
    filters: [name, price]
"#;

/// The pages of the provider; the cursor `p1` leads to the second.
#[derive(Clone, Default)]
struct Pages(Arc<Mutex<Vec<Vec<u8>>>>);

impl Pages {
    /// Shows these records, each as JSON text, three a page.
    fn show(&self, records: &[&[u8]]) {
        let lists: Vec<_> = records.chunks(3).map(|records| records.join(&b","[..])).collect();
        let count = lists.len();
        let bodies = lists.into_iter().enumerate().map(|(number, list)| {
            let next = if number + 1 < count {
                format!("\"p{}\"", number + 1)
            } else {
                "null".to_owned()
            };
            let head = b"\xef\xbb\xbf{\"data\": {\"junk\": \"\\ud83d\", \"items\": [";
            [
                &head[..],
                &list,
                format!("]}}, \"meta\": {{\"next\": {next}}}}}").as_bytes(),
            ]
            .concat()
        });
        *self.0.lock().unwrap() = bodies.collect();
    }
}

impl Respond for Pages {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        if request.url.path() == "/me" {
            return ResponseTemplate::new(200).set_body_json(json!({ "id": 1 }));
        }
        let cursor = request.url.query_pairs().find(|(name, _)| name == "after");
        let number = cursor.map_or(0, |(_, value)| {
            value.trim_start_matches('p').parse::<usize>().unwrap()
        });
        let body = self.0.lock().unwrap().get(number).cloned().unwrap_or_default();
        ResponseTemplate::new(200).set_body_raw(body, "application/json")
    }
}

fn registry() -> Registry {
    registry_with("odd.yaml", FILE)
}

/// Runs `test` with an app that is connected to a provider with these records.
async fn with(dialect: Dialect, records: &[&[u8]], test: impl AsyncFnOnce(TestApp, Pages)) {
    let (server, pages) = (MockServer::start().await, Pages::default());
    pages.show(records);
    Mock::given(any())
        .respond_with(pages.clone())
        .mount(&server)
        .await;
    let builder = AppBuilder::default()
        .registry(registry())
        .provider_url("odd", &server.uri());
    let Some(app) = builder.start(dialect).await else {
        return;
    };
    let body = json!({ "connectionId": "mine", "apiKey": "k" });
    app.admin().post("/odd/connect", &body).await.expect(201);
    app.run_due().await;
    test(app, pages).await;
}

async fn newest_run(app: &TestApp) -> Json {
    let listed = app.admin().get("/sync/runs?limit=1").await.expect(200);
    let run = listed.json()["runs"][0].clone();
    let path = format!("/sync/runs/{}", run["id"].as_str().unwrap());
    let one = app.admin().get(&path).await.expect(200).json();
    assert_eq!(one["run"], run);
    run
}

/// Returns the live rows as written in responses, ordered by key.
async fn rows(app: &TestApp) -> Vec<String> {
    let path = "/odd/things?connectionId=mine";
    let listed = app.admin().get_as(path, "application/x-ndjson").await;
    let listed = listed.expect(200);
    let mut rows: Vec<_> = listed.text.lines().map(str::to_owned).collect();
    rows.sort();
    rows
}

async fn pass(app: &TestApp) -> Json {
    app.advance(Duration::from_mins(61));
    app.run_due().await;
    newest_run(app).await
}

/// Returns a record whose key and filtered column are longer than an index allows.
fn long() -> String {
    let text = "é".repeat(3_000);
    format!(r#"{{"id": "long-{text}", "name": "{text}"}}"#)
}

#[on_both_databases]
async fn an_odd_value_loses_no_record(dialect: Dialect) {
    let long = long();
    let records: Vec<&[u8]> = vec![
        br#"{"id": "a", "name": "cut \ud83d", "price": 1234567890123456.780, "parts": 1e3, "at": "2023-10-06 23:47:56.678+00"}"#,
        b"{\"id\": \"b\", \"name\": \"bad \xff\ttab\", \"price\": \"n/a\", \"more\": {\"n\": [1.10, 1E+5, 1e400]}}",
        br#"{"id": 12345678901234567890123, "name": "a\\u0000b\u0000", "price": -0.00, "parts": 1.5}"#,
        br#"{"id": 12345678901234567890124, "x": 12345678901234567890123, "y": "\\u0000", "parts": 1.5}"#,
        br#"{"id": "broken" "name": "x"}"#,
        long.as_bytes(),
        br#"{"id": "z"}"#,
    ];
    with(dialect, &records, async |app, pages| {
        let run = newest_run(&app).await;
        assert_eq!(
            (&run["status"], &run["skipped"], &run["added"]),
            (&json!("succeeded"), &json!(1), &json!(6)),
            "{run:#}"
        );
        let misfits = json!([
            { "column": "parts", "count": 2, "first": "a number with a fraction" },
            { "column": "price", "count": 1, "first": "not a number" },
        ]);
        assert_eq!(run["misfits"], misfits);
        let stored = rows(&app).await;
        let wanted = [
            "{\"id\":\"12345678901234567890123\",\"name\":\"a\\\\u0000b\u{fffd}\",\"price\":\"0.00\",\"parts\":null,\"at\":null,\"more\":null,\"_extra\":{\"parts\":1.5}}",
            r#"{"id":"12345678901234567890124","name":null,"price":null,"parts":null,"at":null,"more":null,"_extra":{"parts":1.5,"x":12345678901234567890123,"y":"\\u0000"}}"#,
            "{\"id\":\"a\",\"name\":\"cut \u{fffd}\",\"price\":\"1234567890123456.780\",\"parts\":1000,\"at\":\"2023-10-06T23:47:56.678Z\",\"more\":null}",
            "{\"id\":\"b\",\"name\":\"bad \u{fffd}\\ttab\",\"price\":null,\"parts\":null,\"at\":null,\"more\":{\"n\":[1.10,1E+5,1e400]},\"_extra\":{\"price\":\"n/a\"}}",
        ];
        assert_eq!(stored[..4], wanted);
        assert!(stored[4].contains(&"é".repeat(3_000)) && stored[5].contains("\"z\""), "{stored:#?}");
        let feed = "/records?model=Thing&ids=";
        let key = format!("long-{}", "é".repeat(3_000));
        let encoded: String = url::form_urlencoded::byte_serialize(key.as_bytes()).collect();
        let request = app
            .admin()
            .request(wiremock::http::Method::GET, &format!("{feed}{encoded}"))
            .header("Provider-Config-Key", "odd")
            .header("Connection-Id", "mine");
        let found = app.admin().send(request).await.expect(200).json();
        assert_eq!(found["records"].as_array().unwrap().len(), 1);
        assert_eq!(found["records"][0]["id"], json!(key));

        // The row of the damaged record is unknown, so no missing row is marked deleted.
        pages.show(&records[..6]);
        let run = pass(&app).await;
        assert_eq!(
            (&run["deleted"], &run["unchanged"], &run["updated"]),
            (&json!(0), &json!(5), &json!(0))
        );
        pages.show(&records[..4]);
        assert_eq!(pass(&app).await["deleted"], json!(2));
    })
    .await;
}

/// The earlier version read numbers as doubles, as if the provider had sent rounded ones. The test changes the rest with SQL.
#[on_both_databases]
async fn a_table_of_an_earlier_version_is_corrected(dialect: Dialect) {
    let rounded: Vec<&[u8]> = vec![
        br#"{"id": "1.2345678901234568e+22", "name": "merged"}"#,
        br#"{"id": "price", "price": "1234567890123456.8", "more": {"n": 1.1}}"#,
        br#"{"id": "text", "x": "a\\ufffd"}"#,
        br#"{"id": "time", "name": "t"}"#,
        br#"{"id": "same", "name": "s", "price": "1.10", "x": [1, 2.5]}"#,
    ];
    let truth: Vec<&[u8]> = vec![
        br#"{"id": 12345678901234567890123, "name": "one"}"#,
        br#"{"id": 12345678901234567890124, "name": "two"}"#,
        br#"{"id": "price", "price": 1234567890123456.78, "more": {"n": 1.10}}"#,
        br#"{"id": "text", "x": "a\\u0000"}"#,
        br#"{"id": "time", "name": "t", "at": "2026-01-05T10:00:00.000+0000"}"#,
        br#"{"id": "same", "name": "s", "price": "1.10", "x": [1, 2.5]}"#,
    ];
    with(dialect, &rounded, async |app, pages| {
        let former = match dialect {
            Dialect::Sqlite => "",
            Dialect::Postgres => {
                "; ALTER TABLE odd_things ALTER COLUMN \"_extra\" TYPE jsonb USING \"_extra\"::jsonb, \
                 ALTER COLUMN more TYPE jsonb USING more::jsonb"
            }
        };
        let sql = format!(
            "ALTER TABLE odd_things DROP COLUMN \"_long_key\"; UPDATE odd_things SET \"_hash\" = 1, \
             \"_extra\" = '{{\"at\":\"2026-01-05T10:00:00.000+0000\"}}' WHERE id = 'time'{former}"
        );
        app.store().write(move |c| run_sql(c, &sql)).await.unwrap();
        // The start of a process upgrades the tables.
        app.another_gateway(registry()).await;
        pages.show(&truth);

        let run = pass(&app).await;

        let counts = ["added", "updated", "unchanged", "deleted"].map(|count| run[count].as_i64());
        assert_eq!(counts, [2, 3, 1, 1].map(Some), "{run:#}");
        let expected = [
            r#"{"id":"12345678901234567890123","name":"one","price":null,"parts":null,"at":null,"more":null}"#,
            r#"{"id":"12345678901234567890124","name":"two","price":null,"parts":null,"at":null,"more":null}"#,
            r#"{"id":"price","name":null,"price":"1234567890123456.78","parts":null,"at":null,"more":{"n":1.10}}"#,
            r#"{"id":"same","name":"s","price":"1.10","parts":null,"at":null,"more":null,"_extra":{"x":[1,2.5]}}"#,
            r#"{"id":"text","name":null,"price":null,"parts":null,"at":null,"more":null,"_extra":{"x":"a\\u0000"}}"#,
            r#"{"id":"time","name":"t","price":null,"parts":null,"at":"2026-01-05T10:00:00Z","more":null}"#,
        ];
        // Unchanged values keep the spaces that PostgreSQL's former type wrote.
        let tight = |row: &String| row.replace(": ", ":").replace(", ", ",");
        assert_eq!(rows(&app).await.iter().map(tight).collect::<Vec<_>>(), expected);
        let again = pass(&app).await;
        assert_eq!((&again["unchanged"], &again["updated"]), (&json!(6), &json!(0)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_garbage_is_one_log_line_and_a_truncated_page_is_an_error() {
    let rubbish = vec![&b"0"[..]; 3];
    with(Dialect::Sqlite, &rubbish, async |app, pages| {
        let run = newest_run(&app).await;
        assert_eq!(
            (&run["skipped"], &run["status"]),
            (&json!(3), &json!("succeeded"))
        );
        let logs = app.logs();
        let reported = logs.lines().filter(|line| {
            line.contains("cannot be stored and were skipped") && line.contains(run["id"].as_str().unwrap())
        });
        assert_eq!(reported.count(), 1);

        let whole = pages.0.lock().unwrap()[0].clone();
        pages.0.lock().unwrap()[0] = whole[..whole.len() - 20].to_vec();
        let run = pass(&app).await;
        assert_eq!(
            (&run["status"], &run["error"]["code"]),
            (&json!("failed"), &json!("unreadable_page"))
        );
    })
    .await;
}
