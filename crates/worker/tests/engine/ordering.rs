//! Wrong clocks and concurrent writers: which of two versions of a row is newer.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use domain::Value;
use serde_json::{Value as Json, json};
use testkit::{Dialect, on_both_databases};

use crate::acme::{self, Acme, ReceivedRequest, page};

const LIST: &str = "paginate: { type: none }";
const DAY: Duration = domain::Timestamp::DAY;

type Shelf = Arc<Mutex<Vec<Json>>>;

fn shelf(list: &[Json]) -> Shelf {
    Arc::new(Mutex::new(list.to_vec()))
}

fn thing(id: &str, state: &str) -> Json {
    json!({ "id": id, "state": state })
}

async fn state(acme: &Acme, id: &str) -> Option<String> {
    match &acme.rows().await[id].values[1] {
        Value::Text(state) => Some(state.clone()),
        _ => None,
    }
}

#[on_both_databases]
async fn rows_written_by_a_clock_a_day_ahead_are_overwritten(dialect: Dialect) {
    let list = shelf(&[thing("a", "new"), thing("b", "new")]);
    let shown = Arc::clone(&list);
    let respond = move |_: &ReceivedRequest| page(&shown.lock().unwrap(), json!({}));
    acme::on(dialect, LIST, respond, async |acme| {
        acme.app.clock().advance(DAY);
        list.lock().unwrap()[0] = thing("a", "ahead");
        acme.run_now().await;
        acme.app.clock().turn_back(DAY);
        list.lock().unwrap()[0] = thing("a", "right");
        acme.run_now().await;

        assert_eq!(state(&acme, "a").await.as_deref(), Some("right"));
        assert_eq!(acme.newest_run().await["updated"], 1);
        list.lock().unwrap().pop();
        acme.run_now().await;
        assert_eq!(acme.keys().await.1, ["b"]);
    })
    .await;
}

#[on_both_databases]
async fn rows_written_by_a_clock_that_is_behind_are_found_missing(dialect: Dialect) {
    let list = shelf(&[thing("a", "new")]);
    let shown = Arc::clone(&list);
    let respond = move |_: &ReceivedRequest| page(&shown.lock().unwrap(), json!({}));
    acme::on(dialect, LIST, respond, async |acme| {
        acme.app.clock().turn_back(DAY);
        list.lock().unwrap().push(thing("b", "new"));
        acme.run_now().await;
        list.lock().unwrap().remove(0);
        acme.run_now().await;
        assert_eq!(acme.keys().await, (vec!["b".to_owned()], vec!["a".to_owned()]));
    })
    .await;
}

#[on_both_databases]
async fn a_row_that_an_action_writes_while_a_page_is_requested_stays(dialect: Dialect) {
    let (requested, was_requested) = mpsc::channel();
    let (go, may_go) = mpsc::channel::<()>();
    let may_go = Mutex::new(may_go);
    let respond = move |request: &ReceivedRequest| {
        if request.number == 0 {
            return page(&[thing("a", "first")], json!({}));
        }
        if request.number == 1 {
            requested.send(()).unwrap();
            may_go.lock().unwrap().recv().unwrap();
        }
        page(&[thing("a", &format!("page {}", request.number))], json!({}))
    };
    acme::on(dialect, LIST, respond, async |acme| {
        // The clock of the action's process is ten minutes behind.
        let acts = async {
            tokio::task::spawn_blocking(move || was_requested.recv().unwrap())
                .await
                .unwrap();
            let behind = acme.app.clock().now().minus(Duration::from_mins(10));
            acme.act_at(&thing("a", "acted"), behind).await;
            acme.act_at(&thing("made", "acted"), behind).await;
            go.send(()).unwrap();
        };
        tokio::join!(acme.run_now(), acts);
        assert_eq!(state(&acme, "a").await.as_deref(), Some("acted"));
        let (live, deleted) = acme.keys().await;
        assert_eq!(
            (live, deleted.len()),
            (vec!["a".to_owned(), "made".to_owned()], 0)
        );
        acme.run_now().await;
        assert_eq!(acme.keys().await, (vec!["a".to_owned()], vec!["made".to_owned()]));
    })
    .await;
}

#[on_both_databases]
async fn a_row_that_an_action_writes_during_the_first_load_stays(dialect: Dialect) {
    let (requested, was_requested) = mpsc::channel();
    let (go, may_go) = mpsc::channel::<()>();
    let may_go = Mutex::new(may_go);
    let respond = move |request: &ReceivedRequest| match request.number {
        0 => page(&[], json!({})),
        1 => {
            requested.send(()).unwrap();
            may_go.lock().unwrap().recv().unwrap();
            page(&[thing("a", "page"), thing("b", "page")], json!({}))
        }
        _ => page(&[thing("a", "later"), thing("b", "later")], json!({})),
    };
    acme::on(dialect, LIST, respond, async |acme| {
        // The table is empty when the run begins, so the run looks up none of the records.
        let acts = async {
            tokio::task::spawn_blocking(move || was_requested.recv().unwrap())
                .await
                .unwrap();
            acme.act(&thing("a", "acted")).await;
            go.send(()).unwrap();
        };
        tokio::join!(acme.run_now(), acts);
        assert_eq!(state(&acme, "a").await.as_deref(), Some("acted"));
        assert_eq!(state(&acme, "b").await.as_deref(), Some("page"));
        assert_eq!(acme.newest_run().await["added"], 1);
        acme.run_now().await;
        assert_eq!(state(&acme, "a").await.as_deref(), Some("later"));
    })
    .await;
}

#[on_both_databases]
async fn a_row_that_an_action_writes_before_a_page_is_requested_is_overwritten(dialect: Dialect) {
    let respond =
        |requested: &ReceivedRequest| page(&[thing("a", &format!("page {}", requested.number))], json!({}));
    acme::on(dialect, LIST, respond, async |acme| {
        acme.app.clock().advance(DAY);
        acme.act(&thing("a", "acted")).await;
        acme.app.clock().turn_back(DAY);
        acme.run_now().await;
        assert_eq!(state(&acme, "a").await.as_deref(), Some("page 1"));
    })
    .await;
}
