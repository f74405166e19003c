//! A provider with unusual responses, and one that changes while it is read.

use std::time::Duration;

use serde_json::Value as Json;
use testkit::{AppBuilder, TestApp, assert_table_equals_truth, on_both_databases};
use twilio_sim::{Faults, Mutation, NewMessage};

use crate::inspect::{all_rows, pass_a_day, run_now, small_pages};

fn a_fortnight() -> AppBuilder {
    small_pages().simulator(|config| {
        config.messages = 2_000;
        config.history_days = 14;
        config.undated_per_mille = 20;
    })
}

fn with(faults: Faults) -> AppBuilder {
    a_fortnight().simulator(|config| config.faults = faults)
}

fn ignoring_times() -> AppBuilder {
    with(Faults {
        time_ignored: true,
        ..Faults::default()
    })
}

fn with_an_empty_last_page() -> AppBuilder {
    with(Faults {
        empty_last_page: true,
        ..Faults::default()
    })
}

fn compressing() -> AppBuilder {
    with(Faults {
        gzip: true,
        ..Faults::default()
    })
}

fn showing_undated() -> AppBuilder {
    with(Faults {
        undated_in_filters: true,
        ..Faults::default()
    })
}

/// The table is correct after the first runs, and again a day after a tenth of the messages changed.
async fn is_read_right(app: TestApp) {
    let name = app.connect_twilio().await;
    app.run_due().await;
    assert_table_equals_truth(&app, &name).await;

    let mutation = Mutation {
        seed: 5,
        share: 0.1,
        within_days: None,
        kinds: Vec::new(),
    };
    assert!(app.simulator().mutate(&mutation).delete > 0);
    pass_a_day(&app, 4).await;

    assert_table_equals_truth(&app, &name).await;
}

#[on_both_databases(ignoring_times())]
async fn a_provider_that_ignores_times_of_day_is_read_correctly(app: TestApp) {
    is_read_right(app).await;
}

#[on_both_databases(with_an_empty_last_page())]
async fn a_list_that_ends_with_an_empty_page_is_read_correctly(app: TestApp) {
    is_read_right(app).await;
}

#[on_both_databases(compressing())]
async fn compressed_responses_are_read_correctly(app: TestApp) {
    is_read_right(app).await;
}

#[on_both_databases(showing_undated())]
async fn a_provider_that_shows_undated_messages_under_dates_is_read_correctly(app: TestApp) {
    is_read_right(app).await;
}

#[on_both_databases(a_fortnight())]
async fn odd_fields_lose_no_message_and_are_kept_in_extra(app: TestApp) {
    app.simulator().set_faults(Faults {
        bad_fields: 0.3,
        ..Faults::default()
    });
    let name = app.connect_twilio().await;
    app.run_due().await;

    let rows = all_rows(&app, &name).await;
    assert_eq!(u64::try_from(rows.len()).unwrap(), app.simulator().live_count());
    let extras: Vec<Json> = rows
        .values()
        .filter_map(|row| row.extra.as_deref())
        .map(|extra| serde_json::from_str(extra).unwrap())
        .collect();
    let kept = |field: &str, odd: &Json| extras.iter().filter(|extra| extra[field] == *odd).count();
    // A message with an odd sending date counts as undated, and a recheck by its key succeeds.
    for (field, odd) in [("price", "n/a".into()), ("num_media", "many".into())] {
        assert!(kept(field, &odd) > 10, "{field}: {}", kept(field, &odd));
    }

    app.simulator().set_faults(Faults::default());
    pass_a_day(&app, 4).await;
    assert_table_equals_truth(&app, &name).await;
}

#[on_both_databases(a_fortnight())]
async fn nothing_that_appears_or_disappears_during_a_run_is_lost(app: TestApp) {
    app.simulator().set_faults(Faults {
        latency_ms: 2,
        ..Faults::default()
    });
    let name = app.connect_twilio().await;
    let mut sids = Vec::new();
    app.simulator().for_each_truth(|message| sids.push(message.sid));
    let mut doomed = sids.into_iter().step_by(41);
    let mut handled = 0;
    let mut changes = 0;

    for run in 0..2 {
        let work = async {
            if run == 0 {
                app.run_due().await;
            } else {
                run_now(&app, &name).await;
            }
        };
        tokio::pin!(work);
        loop {
            tokio::select! {
                () = &mut work => break,
                () = tokio::task::yield_now() => {
                    let now = app.simulator().requests().total;
                    if now > handled && changes < 40 {
                        handled = now;
                        changes += 1;
                        app.simulator().insert(NewMessage::default());
                        assert!(app.simulator().delete(&doomed.next().unwrap()));
                    }
                }
            }
        }
    }
    assert_eq!(changes, 40);
    app.advance(Duration::from_mins(1));
    pass_a_day(&app, 2).await;

    assert_table_equals_truth(&app, &name).await;
}
