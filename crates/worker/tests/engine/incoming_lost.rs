//! Events of providers that are lost, doubled or reordered, and processes that are killed.

use std::sync::Arc;
use std::time::Duration;

use testkit::{AppBuilder, TestApp, assert_table_equals_truth, on_both_databases, wait_until};
use tokio_util::sync::CancellationToken;
use twilio_sim::{NewMessage, Status};
use worker::{Worker, WorkerOptions};

use crate::incoming::{self, NAME, become_, callback, message, ready, status};
use crate::inspect::pass_a_day;

#[on_both_databases]
async fn what_a_killed_process_had_accepted_or_claimed_is_processed_by_the_next(app: TestApp) {
    ready(&app).await;
    let sid = message(&app, Status::Sent).await;
    let other = message(&app, Status::Sent).await;
    become_(&app, &sid, Status::Delivered);
    become_(&app, &other, Status::Delivered);
    callback(&app, &sid, "delivered", Some("1")).await.expect(200);
    // Claimed by a process that is killed before it stores anything.
    let now = app.clock().now();
    let claimed = app
        .store()
        .write(move |c| store::incoming::claim(c, now, now.plus(Duration::from_mins(1)), "killed", 10));
    assert_eq!(claimed.await.unwrap().len(), 1);
    callback(&app, &other, "delivered", Some("2")).await.expect(200);
    app.advance(Duration::from_mins(2));

    let gateway = app.another_gateway(registry::Registry::builtin().unwrap()).await;
    let stopping = CancellationToken::new();
    let options = WorkerOptions {
        poll: Duration::from_millis(20),
        ..WorkerOptions::default()
    };
    let worker = tokio::spawn(Worker::new(Arc::clone(&gateway), options).run(stopping.clone()));
    wait_until("both events are processed", async || {
        incoming::states(&app).await == ["processed", "processed"]
    })
    .await;
    stopping.cancel();
    worker.await.unwrap();
    assert_eq!(status(&app, &sid).await, "delivered");
    assert_eq!(status(&app, &other).await, "delivered");
}

fn few_messages() -> AppBuilder {
    AppBuilder::default().simulator(|config| config.messages = 50)
}

#[on_both_databases(few_messages())]
async fn the_table_equals_the_source_after_callbacks_that_were_lost_doubled_and_reordered(app: TestApp) {
    ready(&app).await;
    let sids: Vec<String> = (0..25)
        .map(|_| app.simulator().insert(NewMessage::default()))
        .collect();
    app.advance(Duration::from_mins(1));
    app.run_due().await;
    app.advance(Duration::from_mins(4));
    // Without a random number generator: each message loses, doubles and delays another event.
    let states = ["queued", "sent", "delivered", "sending"];
    for (number, sid) in sids.iter().enumerate() {
        for step in 0..states.len() {
            let state = states[(step * 3 + number) % states.len()];
            if (number + step) % 5 == 0 {
                continue;
            }
            let token = format!("{sid}-{state}");
            callback(&app, sid, state, Some(&token)).await.expect(200);
            if (number + step) % 3 == 0 {
                callback(&app, sid, state, Some(&token)).await.expect(200);
            }
        }
        if number % 7 == 0 {
            app.run_due().await;
        }
    }
    pass_a_day(&app, 8).await;

    assert_table_equals_truth(&app, NAME).await;
    assert!(
        incoming::states(&app)
            .await
            .iter()
            .all(|state| state == "processed")
    );
}
