//! Claims, leases and runs.

use std::collections::HashSet;
use std::time::Duration;

use domain::{RunError, RunFilter, RunId, RunStatus, Sync, SyncFilter, SyncId, Timestamp, Trigger};
use store::runs::{self, Ending, RunNotes};
use store::schedule::{self, Claimed};
use store::syncs;
use store::{Lease, Store, StoreError, lease, slices};
use testkit_macros::on_both_databases;

use crate::fixture::{Fixture, NOW};

const LEASE: Duration = Duration::from_mins(1);

async fn claim(store: &Store, worker: &'static str, now: Timestamp, limit: i64) -> Vec<Claimed> {
    store
        .write(move |c| schedule::claim(c, now, now.plus(LEASE), worker, limit))
        .await
        .unwrap()
}

async fn end(store: &Store, id: RunId, now: Timestamp) {
    end_with(store, id, RunNotes::default(), now).await;
}

async fn end_with(store: &Store, id: RunId, notes: RunNotes, at: Timestamp) {
    let ending = Ending {
        status: RunStatus::Succeeded,
        error: None,
        at,
    };
    store
        .write(move |c| runs::note(c, id, &notes, Some(ending)))
        .await
        .unwrap();
}

#[on_both_databases]
async fn several_workers_claim_each_due_sync_once(fixture: Fixture) {
    for number in 0..40 {
        let connection = fixture.connection(&format!("c{number}")).await;
        fixture.sync(connection, Some(NOW)).await;
    }
    let late = fixture.connection("late").await;
    fixture.sync(late, Some(NOW.plus(Duration::from_micros(1)))).await;
    let mut workers = tokio::task::JoinSet::new();
    for worker in ["a", "b", "c", "d"] {
        let store = fixture.store.clone();
        workers.spawn(async move {
            let mut mine = Vec::new();
            // A claim may return nothing while others lock the remaining rows; eight attempts are more than enough.
            for _ in 0..8 {
                mine.extend(
                    claim(&store, worker, NOW, 7)
                        .await
                        .into_iter()
                        .map(|claimed| claimed.sync.id),
                );
            }
            mine
        });
    }
    let claimed = workers.join_all().await.concat();
    assert_eq!(claimed.len(), 40);
    assert_eq!(claimed.iter().collect::<HashSet<_>>().len(), 40);
}

#[on_both_databases]
async fn the_run_of_a_dead_worker_is_claimed_and_it_can_neither_renew_nor_finish_it(fixture: Fixture) {
    let connection = fixture.connection("c").await;
    let sync = fixture.sync(connection, Some(NOW)).await;
    let first = claim(&fixture.store, "dead", NOW, 5).await.remove(0);
    assert_eq!(
        (first.run.status, first.run.trigger, first.run.resumed),
        (RunStatus::Running, Trigger::Schedule, 0)
    );
    assert_eq!(first.run.started_at, Some(NOW));
    assert!(
        claim(
            &fixture.store,
            "other",
            NOW.plus(LEASE).minus(Duration::from_micros(1)),
            5
        )
        .await
        .is_empty()
    );

    let later = NOW.plus(LEASE);
    let second = claim(&fixture.store, "other", later, 5).await.remove(0);
    assert_eq!(
        (second.run.id, second.run.resumed, second.run.started_at),
        (first.run.id, 1, Some(NOW))
    );
    let beat = fixture
        .store
        .write(move |c| Lease::new(sync, "dead").renew(c, later.plus(LEASE), later))
        .await
        .unwrap();
    let finished = fixture
        .store
        .write(move |c| Lease::new(sync, "dead").finish(c, None, later))
        .await
        .unwrap();
    assert!(!beat && !finished);

    end(&fixture.store, second.run.id, later).await;
    assert!(
        fixture
            .store
            .write(move |c| Lease::new(sync, "other").finish(
                c,
                Some(later.plus(Duration::from_micros(7))),
                later
            ))
            .await
            .unwrap()
    );
    let state = fixture
        .store
        .read(move |c| schedule::state(c, sync))
        .await
        .unwrap();
    assert_eq!(
        (state.due_at, state.holder),
        (Some(later.plus(Duration::from_micros(7))), None)
    );
    assert_eq!(
        fixture.store.read(lease::next_due::<Sync>).await.unwrap(),
        Some(later.plus(Duration::from_micros(7)))
    );
    let third = claim(&fixture.store, "other", later.plus(Duration::from_micros(7)), 5)
        .await
        .remove(0);
    assert_ne!(third.run.id, first.run.id);
}

#[on_both_databases]
async fn a_requested_run_is_created_once_and_found_by_the_claim(fixture: Fixture) {
    let connection = fixture.connection("c").await;
    let sync = fixture.sync(connection, None).await;
    let (run, existed) = fixture
        .store
        .write(move |c| runs::enqueue(c, sync, Trigger::Api, NOW))
        .await
        .unwrap();
    let (same, again) = fixture
        .store
        .write(move |c| runs::enqueue(c, sync, Trigger::Initial, NOW))
        .await
        .unwrap();
    assert_eq!(
        (existed, again, run.id, same.trigger),
        (false, true, same.id, Trigger::Api)
    );
    assert!(claim(&fixture.store, "w", NOW, 5).await.is_empty());

    fixture
        .store
        .write(move |c| lease::bring_forward(c, sync, NOW))
        .await
        .unwrap();
    let claimed = claim(&fixture.store, "w", NOW, 5).await.remove(0);
    assert_eq!(
        (claimed.run.id, claimed.run.trigger, claimed.run.resumed),
        (run.id, Trigger::Api, 0)
    );
    fixture
        .store
        .write(move |c| lease::bring_forward(c, sync, NOW))
        .await
        .unwrap();
    fixture
        .store
        .write(move |c| syncs::set_paused(c, sync, true, None, NOW))
        .await
        .unwrap();
    let state = fixture
        .store
        .read(move |c| schedule::state(c, sync))
        .await
        .unwrap();
    assert_eq!(state.due_at, Some(NOW.plus(LEASE)), "a held sync keeps its lease");
}

#[on_both_databases]
async fn an_ended_run_does_not_change(fixture: Fixture) {
    let connection = fixture.connection("c").await;
    let sync = fixture.sync(connection, Some(NOW)).await;
    let id = claim(&fixture.store, "w", NOW, 5).await.remove(0).run.id;
    let error = RunError {
        code: "c".to_owned(),
        message: "m".to_owned(),
        hint: None,
    };
    fixture
        .store
        .write(move |c| {
            let ending = Ending {
                status: RunStatus::Failed,
                error: Some(&error),
                at: NOW,
            };
            runs::note(c, id, &RunNotes::default(), Some(ending))
        })
        .await
        .unwrap();
    end(&fixture.store, id, NOW.plus(Duration::from_micros(1))).await;
    let row = fixture
        .store
        .read(move |c| runs::latest_finished(c, sync))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (row.status, row.error_code.as_deref(), row.finished_at),
        (RunStatus::Failed, Some("c"), Some(NOW))
    );
}

async fn history(fixture: &Fixture, sync: SyncId, count: u64) -> Vec<RunId> {
    let mut ids = Vec::new();
    for number in 0..count {
        let at = NOW.plus(Duration::from_micros(number));
        let (run, _) = fixture
            .store
            .write(move |c| runs::enqueue(c, sync, Trigger::Api, at))
            .await
            .unwrap();
        end(&fixture.store, run.id, at).await;
        ids.insert(0, run.id);
    }
    ids
}

#[on_both_databases]
async fn runs_are_listed_newest_first_in_their_environment_and_old_ones_are_deleted(fixture: Fixture) {
    let (dev, other) = (
        fixture.environment("dev").await,
        fixture.environment("other").await,
    );
    let connection = fixture.connection("c").await;
    let sync = fixture.sync(connection, None).await;
    let ids = history(&fixture, sync, 5).await;
    let list = async |environment, filter: RunFilter| {
        let rows = fixture
            .store
            .read(move |c| runs::list(c, environment, &filter))
            .await
            .unwrap();
        rows.into_iter().map(|(run, _)| run.id).collect::<Vec<_>>()
    };
    assert_eq!(
        list(
            dev,
            RunFilter {
                limit: 2,
                ..RunFilter::default()
            }
        )
        .await,
        ids[..2]
    );
    assert_eq!(
        list(
            dev,
            RunFilter {
                before: Some(ids[1]),
                ..RunFilter::default()
            }
        )
        .await,
        ids[2..]
    );
    assert_eq!(
        list(
            dev,
            RunFilter {
                sync: Some("none".parse().unwrap()),
                ..RunFilter::default()
            }
        )
        .await,
        []
    );
    assert_eq!(list(other, RunFilter::default()).await, []);
    let id = ids[0];
    let theirs = fixture.store.read(move |c| runs::find(c, other, id)).await;
    assert!(matches!(theirs, Err(StoreError::NotFound { what: "run" })));
    assert_eq!(
        fixture
            .store
            .read(move |c| runs::latest(c, sync))
            .await
            .unwrap()
            .unwrap()
            .id,
        ids[0]
    );

    for pruned in [2, 1, 0] {
        let prune = fixture.store.write(|c| {
            runs::prune(
                c,
                NOW.plus(Duration::from_micros(4)),
                2,
                2,
                NOW.plus(Duration::from_micros(9)),
            )
        });
        assert_eq!(prune.await.unwrap(), pruned);
    }
    assert_eq!(list(dev, RunFilter::default()).await, ids[..2]);
}

#[on_both_databases]
async fn ensuring_an_existing_sync_changes_nothing_and_filters_find_it(fixture: Fixture) {
    let dev = fixture.environment("dev").await;
    let connection = fixture.connection("c").await;
    let sync = fixture.sync(connection, Some(NOW)).await;
    fixture
        .store
        .write(move |c| {
            syncs::set_checkpoint(c, sync, &serde_json::json!({"n": 1}))?;
            syncs::set_frequency(c, sync, Some("every 1h"))?;
            slices::insert(c, sync, &[new_slice("a"), new_slice("b")])
        })
        .await
        .unwrap();
    assert_eq!(fixture.sync(connection, None).await, sync);
    let filter = SyncFilter {
        names: Some(vec!["test-messages".parse().unwrap()]),
        ..SyncFilter::default()
    };
    let rows = fixture
        .store
        .read(move |c| syncs::list(c, dev, &filter))
        .await
        .unwrap();
    assert_eq!(
        (rows.len(), &rows[0].checkpoint, rows[0].frequency.as_deref()),
        (1, &serde_json::json!({"n": 1}), Some("every 1h"))
    );
    assert_eq!(
        fixture
            .store
            .read(move |c| schedule::state(c, sync))
            .await
            .unwrap()
            .due_at,
        Some(NOW)
    );
    let none = SyncFilter {
        connection_name: Some("d".parse().unwrap()),
        ..SyncFilter::default()
    };
    assert!(
        fixture
            .store
            .read(move |c| syncs::list(c, dev, &none))
            .await
            .unwrap()
            .is_empty()
    );

    fixture
        .store
        .write(move |c| slices::clear(c, sync, Some("a")))
        .await
        .unwrap();
    let left = fixture.store.read(move |c| slices::list(c, sync)).await.unwrap();
    assert_eq!(
        left.iter().map(|slice| slice.kind.as_str()).collect::<Vec<_>>(),
        ["b"]
    );
}

fn new_slice(kind: &str) -> slices::NewSlice {
    slices::NewSlice {
        next: None,
        kind: kind.to_owned(),
        from_at: Some(NOW),
        to_at: None,
    }
}

#[on_both_databases]
async fn old_runs_that_changed_nothing_are_deleted(fixture: Fixture) {
    let connection = fixture.connection("c").await;
    let sync = fixture.sync(connection, None).await;
    let mut changed = Vec::new();
    for place in 0..20 {
        let (run, _) = fixture
            .store
            .write(move |c| runs::enqueue(c, sync, Trigger::Schedule, NOW))
            .await
            .unwrap();
        let notes = RunNotes {
            pages: 1,
            unchanged: 50,
            updated: u64::from(place == 3),
            incomplete: (place == 5).then(|| "why".to_owned()),
            ..RunNotes::default()
        };
        if place == 3 || place == 5 {
            changed.push(run.id);
        }
        end_with(&fixture.store, run.id, notes, NOW).await;
        fixture
            .store
            .write(move |c| runs::forget_unchanged(c, sync, 10))
            .await
            .unwrap();
    }
    let filter = RunFilter {
        limit: 100,
        ..RunFilter::default()
    };
    let environment = fixture.environment("dev").await;
    let kept = fixture
        .store
        .read(move |c| runs::list(c, environment, &filter))
        .await
        .unwrap();
    assert_eq!(kept.len(), 12);
    assert_eq!([kept[11].0.id, kept[10].0.id].as_slice(), changed);
}
