//! Providers that keep less than their file says, or that show only part of a list.

use std::sync::{Arc, Mutex};

use serde_json::{Value as Json, json};
use testkit::{Dialect, on_both_databases};
use wiremock::ResponseTemplate;

use crate::acme::{self, ReceivedRequest, page};

/// The clock of the tests, in seconds since 1970.
const NOW: i64 = 1_793_793_600;
const DAY: i64 = 86_400;

const WINDOW: &str = "\
order: newest_first
window: { column: at, from: since, to: until, format: unix_seconds, inclusive: lower, retention: 400 days, parallel: 2 }
lookback: { reach: 3 days }
";
const BY_TOKEN: &str =
    "paginate: { type: cursor, cursor_name_in_request: token, cursor_path_in_response: next }";

/// Returns a record of that age in seconds.
fn aged(id: usize, age: i64) -> Json {
    let at = domain::Timestamp::from_micros((NOW - age) * 1_000_000);
    json!({ "id": format!("{id:03}"), "at": at.to_string() })
}

type Shelf = Arc<Mutex<Vec<(usize, i64)>>>;

/// Records by id and age, newest first.
fn in_range(list: &[(usize, i64)], since: i64, until: i64) -> Vec<Json> {
    let mut list: Vec<_> = list
        .iter()
        .filter(|(_, age)| (since..until).contains(&(NOW - age)))
        .collect();
    list.sort_by_key(|(_, age)| *age);
    list.into_iter().map(|(id, age)| aged(*id, *age)).collect()
}

fn range(request: &ReceivedRequest) -> (i64, i64) {
    let bound = |name| request.text(name).map(|text| text.parse::<i64>().unwrap());
    (bound("since").unwrap(), bound("until").unwrap_or(i64::MAX))
}

fn refusal() -> ResponseTemplate {
    ResponseTemplate::new(400).set_body_json(json!({ "code": 777, "message": "no" }))
}

/// Responds with one record a day and one a few hours old, without pages.
fn daily(
    refuses: impl Fn(&ReceivedRequest, i64) -> bool + Send + Sync,
) -> impl Fn(&ReceivedRequest) -> ResponseTemplate + Send + Sync {
    move |request| {
        let (since, until) = range(request);
        if refuses(request, since) {
            return refusal();
        }
        let list: Vec<_> = (0..400)
            .map(|day| (usize::try_from(day).unwrap(), day * DAY + 60))
            .collect();
        page(&in_range(&list, since, until), json!({}))
    }
}

#[on_both_databases]
async fn a_provider_that_keeps_less_and_responds_400_is_read_as_far_as_it_goes(dialect: Dialect) {
    let respond = daily(|_, since| since < NOW - 100 * DAY);
    acme::on(dialect, &format!("{WINDOW}{BY_TOKEN}"), respond, async |acme| {
        // The backfill, and the run after it.
        assert_eq!(acme.incomplete().await, None);
        let runs = crate::inspect::runs(&acme.app).await;
        let first = runs.last().unwrap();
        assert_eq!(first["status"], "succeeded");
        assert!(first["incomplete"].as_str().unwrap().contains("777"), "{first:#}");
        assert_eq!(acme.keys().await.0.len(), 100);
        let requests = acme.queries().await.len();
        assert!(requests < 120, "{requests}");
    })
    .await;
}

#[on_both_databases]
async fn a_single_400_loses_nothing(dialect: Dialect) {
    let refused = Mutex::new(false);
    let respond = daily(move |_, since| {
        since < NOW - 100 * DAY && !std::mem::replace(&mut *refused.lock().unwrap(), true)
    });
    acme::on(dialect, &format!("{WINDOW}{BY_TOKEN}"), respond, async |acme| {
        assert_eq!(acme.keys().await.0.len(), 400);
        for run in crate::inspect::runs(&acme.app).await {
            assert_eq!(
                (&run["status"], &run["incomplete"]),
                (&"succeeded".into(), &Json::Null)
            );
        }
    })
    .await;
}

#[on_both_databases]
async fn a_400_for_every_range_fails_the_run(dialect: Dialect) {
    acme::on(
        dialect,
        &format!("{WINDOW}{BY_TOKEN}"),
        daily(|_, _| true),
        async |acme| {
            assert_eq!(acme.error_code().await, "777");
        },
    )
    .await;
}

/// Pages of ten by offset; offsets of 21 and more are refused, so a range shows at most 30 records.
fn capped(list: Shelf, ordered: bool) -> impl Fn(&ReceivedRequest) -> ResponseTemplate + Send + Sync {
    move |request| {
        let skip = request.number_of("skip").unwrap();
        if skip > 20 {
            return ResponseTemplate::new(422);
        }
        let (since, until) = range(request);
        let mut list = in_range(&list.lock().unwrap(), since, until);
        if !ordered {
            list.sort_by_key(|record| record["id"].as_str().unwrap().chars().rev().collect::<String>());
        }
        let shown: Vec<_> = list.iter().skip(skip).take(10).cloned().collect();
        page(&shown, json!({ "total": list.len() }))
    }
}

const CAPPED: &str = "paginate: { type: offset, offset_name_in_request: skip, limit_name_in_request: size, limit: 10, \
     max_offset: 20, total_path_in_response: total }";

/// Forty records a day for two days, then one a day.
fn crowded() -> Shelf {
    let recent = (0..80).map(|id| (id, 60 + i64::try_from(id).unwrap() * 2_160));
    let older = (80..300).map(|id| (id, i64::try_from(id - 77).unwrap() * DAY));
    Arc::new(Mutex::new(recent.chain(older).collect()))
}

async fn all_is_read_and_deletions_are_found(dialect: Dialect, sync: &str, ordered: bool) {
    let list = crowded();
    acme::on(dialect, sync, capped(Arc::clone(&list), ordered), async |acme| {
        for run in crate::inspect::runs(&acme.app).await {
            assert_eq!(
                (&run["status"], &run["incomplete"]),
                (&"succeeded".into(), &Json::Null),
                "{run:#}"
            );
        }
        assert_eq!(acme.keys().await.0.len(), 300);

        list.lock().unwrap().retain(|(id, _)| ![5, 50, 79].contains(id));
        acme.run_now().await;
        let (live, deleted) = acme.keys().await;
        assert_eq!(
            (live.len(), deleted),
            (297, vec!["005".into(), "050".into(), "079".to_owned()])
        );
    })
    .await;
}

#[on_both_databases]
async fn a_range_beyond_the_largest_offset_is_read_in_parts(dialect: Dialect) {
    all_is_read_and_deletions_are_found(dialect, &format!("{WINDOW}{CAPPED}"), true).await;
}

#[on_both_databases]
async fn an_unordered_range_is_split_by_its_total(dialect: Dialect) {
    let window = WINDOW.replace("order: newest_first\n", "");
    all_is_read_and_deletions_are_found(dialect, &format!("{window}{CAPPED}"), false).await;
}

#[on_both_databases]
async fn a_day_beyond_the_cap_is_reported_and_all_others_are_read(dialect: Dialect) {
    let window = WINDOW
        .replace("unix_seconds, inclusive: lower", "date, inclusive: both")
        .replace("since, to", "from, to")
        .replace("to: until", "to: upto");
    let list = crowded();
    let all = list.lock().unwrap().clone();
    let respond = move |request: &ReceivedRequest| {
        let day = |name| {
            let text = request.text(name)?;
            Some(text.parse::<domain::Timestamp>().unwrap().as_micros() / 1_000_000)
        };
        let skip = request.number_of("skip").unwrap();
        if skip > 20 {
            return ResponseTemplate::new(422);
        }
        let (since, until) = (
            day("from").unwrap(),
            day("upto").map_or(i64::MAX, |day| day + DAY),
        );
        let list = in_range(&all, since, until);
        let shown: Vec<_> = list.iter().skip(skip).take(10).cloned().collect();
        page(&shown, json!({ "total": list.len() }))
    };
    acme::on(dialect, &format!("{window}{CAPPED}"), respond, async |acme| {
        assert!(
            acme.incomplete().await.unwrap().contains("no more than"),
            "the trailing days are full"
        );
        let live = acme.keys().await.0;
        for id in 80..300 {
            assert!(live.contains(&format!("{id:03}")), "{id}");
        }
        assert!(live.len() < 300);
    })
    .await;
}

#[on_both_databases]
async fn a_list_beyond_the_cap_without_a_window_is_incomplete(dialect: Dialect) {
    let sync = format!("{BY_TOKEN}\n").replace(" }", ", max_pages: 3 }");
    let respond = |request: &ReceivedRequest| {
        let number = request.number_of("token").unwrap_or_default();
        let last = if request.number < 3 { 2 } else { 9 };
        let next = (number < last).then_some(number + 1);
        let id = if request.number < 3 { number } else { number + 10 };
        page(&[json!({ "id": format!("{id:02}") })], json!({ "next": next }))
    };
    acme::on(dialect, &sync, respond, async |acme| {
        assert_eq!(acme.incomplete().await, None);
        acme.next_hour().await;
        assert!(acme.incomplete().await.unwrap().contains("first 3 pages"));
        assert_eq!(acme.keys().await.0.len(), 6);
        assert_eq!(acme.queries().await.len(), 6);
    })
    .await;
}
