//! The memory budget: which bodies get bytes, and that no byte is lost.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use proptest::prelude::*;
use tokio::task::JoinSet;

use super::*;

const KB: usize = 1 << 10;

fn connection(id: i64) -> ConnectionId {
    ConnectionId::from_raw(id)
}

fn background(budget: &BodyBudget) -> (usize, usize) {
    let state = budget.background.0.lock();
    (state.used, state.waiting.len())
}

/// Waits until a body of this connection may begin.
fn wait(budget: &BodyBudget, id: i64) -> impl Future<Output = BodyMemory> {
    budget.begin(Priority::Background, Some(connection(id)))
}

/// Returns the memory of a body that may begin at once.
fn begin(budget: &BodyBudget, id: i64) -> Option<BodyMemory> {
    wait(budget, id).now_or_never()
}

#[test]
fn a_body_waits_until_others_release_their_bytes() {
    // 192 KB for background requests: three bodies, and one that exceeds.
    let budget = BodyBudget::new(256 * KB);
    let mut bodies: Vec<_> = (0..4).map(|id| begin(&budget, id).unwrap()).collect();
    assert_eq!(background(&budget).0, 256 * KB);

    let mut fifth = Box::pin(wait(&budget, 4));
    assert!((&mut fifth).now_or_never().is_none());
    drop(bodies.remove(0));
    assert!((&mut fifth).now_or_never().is_none(), "the pool is still full");
    drop(bodies.remove(0));
    assert!((&mut fifth).now_or_never().is_some());
}

#[test]
fn one_body_at_a_time_may_be_larger_than_the_pool() {
    let budget = BodyBudget::new(256 * KB);
    let mut large = begin(&budget, 1).unwrap();
    large.grow(10_000 * KB).now_or_never().unwrap();
    assert!(begin(&budget, 2).is_none());
    drop(large);
    let mut second = begin(&budget, 2).unwrap();
    second.grow(10_000 * KB).now_or_never().unwrap();
    assert_eq!(background(&budget).0, 10_000 * KB);
    drop(second);
    assert_eq!(background(&budget), (0, 0));
}

#[test]
fn bodies_are_served_in_order_even_if_a_newer_one_is_small() {
    let budget = BodyBudget::new(1024 * KB);
    let mut exceeding = begin(&budget, 1).unwrap();
    exceeding.grow(900 * KB).now_or_never().unwrap();
    let mut old = BodyMemory(Some(budget.background.reserve(None)));
    let mut old = Box::pin(old.grow(500 * KB));
    assert!((&mut old).now_or_never().is_none());
    assert!(begin(&budget, 2).is_none());
    drop(exceeding);
    assert!((&mut old).now_or_never().is_some());
    assert!(begin(&budget, 2).is_some());
}

#[test]
fn a_connection_with_many_bodies_leaves_room_for_others() {
    let budget = BodyBudget::new(1024 * KB);
    let many: Vec<_> = (0..20).map_while(|_| begin(&budget, 1)).collect();
    // Half of 768 KB is six bodies, and one exceeds.
    assert_eq!(many.len(), 7);
    let mut waits = Box::pin(wait(&budget, 1));
    assert!((&mut waits).now_or_never().is_none());
    assert!(begin(&budget, 2).is_some(), "another connection passes it");
}

#[test]
fn interactive_requests_do_not_wait_for_syncs() {
    let budget = BodyBudget::new(256 * KB);
    let syncs: Vec<_> = (0..9).map_while(|id| begin(&budget, id)).collect();
    assert!(begin(&budget, 10).is_none());
    let action = budget.begin(Priority::Interactive, Some(connection(1)));
    assert!(action.now_or_never().is_some());
    drop(syncs);
}

#[test]
fn a_body_that_gives_up_frees_its_bytes_and_leaves_the_queue() {
    let budget = BodyBudget::new(256 * KB);
    let mut first = begin(&budget, 1).unwrap();
    first.grow(500 * KB).now_or_never().unwrap();
    let mut second = Box::pin(wait(&budget, 2));
    assert!((&mut second).now_or_never().is_none());
    assert_eq!(background(&budget), (500 * KB, 1));
    drop(second);
    assert_eq!(background(&budget), (500 * KB, 0));

    // It gives up after it was granted and before it noticed.
    let mut third = Box::pin(wait(&budget, 3));
    assert!((&mut third).now_or_never().is_none());
    drop(first);
    assert_eq!(background(&budget), (FIRST_BYTES, 0));
    drop(third);
    assert_eq!(background(&budget), (0, 0));
    assert!(budget.background.0.lock().by_connection.is_empty());
}

/// Reads a body of `size` in growing steps, and keeps it for a few turns of the scheduler.
async fn read(budget: BodyBudget, id: i64, size: usize, peak: &AtomicUsize) {
    let mut memory = wait(&budget, id).await;
    while memory.bytes() < size {
        tokio::task::yield_now().await;
        let next = (memory.bytes() * 2).min(size);
        memory.grow(next).await;
        peak.fetch_max(background(&budget).0, Ordering::SeqCst);
    }
    for _ in 0..size % 5 {
        tokio::task::yield_now().await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn many_readers_all_finish_and_the_pool_stays_within_its_limit(
        bodies in prop::collection::vec((0..6_i64, 1..4000_usize, 0..4_u32), 1..80),
        size in 64..2000_usize,
        threads in 1..4_usize,
    ) {
        let largest = bodies.iter().map(|(_, kb, _)| kb * KB).max().unwrap_or_default().max(FIRST_BYTES);
        let budget = BodyBudget::new(size * KB);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .enable_time()
            .build()
            .unwrap();
        let peak = Arc::new(AtomicUsize::new(0));
        let all = runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for (id, kb, turns) in bodies {
                let (budget, peak) = (budget.clone(), Arc::clone(&peak));
                tasks.spawn(async move {
                    let reading = read(budget, id, kb * KB, &peak);
                    if turns == 0 {
                        return reading.await;
                    }
                    // Some are cancelled in the middle.
                    tokio::select! {
                        biased;
                        () = reading => {}
                        () = async { for _ in 0..turns * 3 { tokio::task::yield_now().await; } } => {}
                    }
                });
            }
            let ends = async { while tasks.join_next().await.is_some() {} };
            tokio::time::timeout(Duration::from_mins(1), ends).await.is_ok()
        });
        prop_assert!(all, "some bodies wait for ever: {:?}", budget.background);
        prop_assert_eq!(background(&budget), (0, 0));
        prop_assert!(budget.background.0.lock().by_connection.is_empty());
        let pool = budget.background.0.lock().size;
        prop_assert!(peak.load(Ordering::SeqCst) <= pool + largest);
    }
}
