//! Permits and rates, with a paused clock.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::ConnectionId;
use registry::{Limits, ProviderLimits};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::{Limiters, Permit, Priority, RequestError};
use crate::Target;
use crate::tests::{provider, target};

const LONG: Duration = Duration::from_hours(1);

fn of(limits: Limits, connection: i64, priority: Priority) -> Target {
    let mut provider = provider("https://acme.example");
    provider.limits = limits;
    Target {
        connection: Some(ConnectionId::from_raw(connection)),
        priority,
        ..target(provider)
    }
}

/// Interactive requests of two connections.
fn two_connections(limits: Limits) -> (Target, Target) {
    let of = |connection| of(limits, connection, Priority::Interactive);
    (of(1), of(2))
}

fn limits(concurrency: u32, of_provider: Option<u32>) -> Limits {
    Limits {
        concurrency,
        per_second: None,
        provider: ProviderLimits {
            concurrency: of_provider,
            per_second: None,
        },
    }
}

async fn acquire(limiters: &Limiters, target: &Target) -> Permit {
    limiters.acquire(target, Instant::now() + LONG).await.unwrap()
}

async fn at_once(limiters: &Limiters, target: &Target) -> Result<Permit, RequestError> {
    limiters.acquire(target, Instant::now()).await
}

/// How many connections the limiter of the provider knows.
fn known(limiters: &Limiters) -> usize {
    limiters.0.lock()["acme"].known_connections()
}

/// The names of requests, in the order in which they got their permits.
type Order = Arc<Mutex<Vec<&'static str>>>;

/// A request that notes when it gets its permit, and ends 10 ms later.
fn request(limiters: &Limiters, target: &Target, name: &'static str, order: &Order) -> JoinHandle<()> {
    let (limiters, target, order) = (limiters.clone(), target.clone(), Arc::clone(order));
    tokio::spawn(async move {
        let _permit = acquire(&limiters, &target).await;
        order.lock().unwrap().push(name);
        sleep(Duration::from_millis(10)).await;
    })
}

/// Lets all spawned tasks run until they wait.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn requests_of_one_connection_share_its_permits() {
    let limiters = Limiters::default();
    let (one, other) = two_connections(limits(2, None));
    let _first = at_once(&limiters, &one).await.unwrap();
    let second = at_once(&limiters, &one).await.unwrap();

    assert!(at_once(&limiters, &one).await.is_err());
    at_once(&limiters, &other).await.unwrap();
    drop(second);
    at_once(&limiters, &one).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn connects_do_not_delay_each_other() {
    let limiters = Limiters::default();
    let target = Target {
        connection: None,
        ..of(limits(1, None), 1, Priority::Interactive)
    };
    let _first = at_once(&limiters, &target).await.unwrap();
    at_once(&limiters, &target).await.unwrap();

    limiters.pause(&target, LONG);

    at_once(&limiters, &target).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connection_with_many_requests_does_not_delay_one_with_few() {
    let (limiters, order) = (Limiters::default(), Order::default());
    let (many, few) = two_connections(limits(9, Some(1)));
    let held = acquire(&limiters, &many).await;
    let mut waiting: Vec<_> = (0..1_000)
        .map(|_| request(&limiters, &many, "many", &order))
        .collect();
    settle().await;
    waiting.extend((0..2).map(|_| request(&limiters, &few, "few", &order)));
    settle().await;

    drop(held);
    for request in waiting {
        request.await.unwrap();
    }

    let order = order.lock().unwrap();
    assert_eq!(order[..5], ["many", "few", "many", "few", "many"]);
    assert_eq!(order.len(), 1_002);
}

#[tokio::test(start_paused = true)]
async fn interactive_requests_go_before_syncs_and_syncs_are_not_starved() {
    let (limiters, order) = (Limiters::default(), Order::default());
    let of = |priority| of(limits(2, None), 1, priority);
    let (sync, interactive) = (of(Priority::Background), of(Priority::Interactive));
    let (one, other) = (acquire(&limiters, &sync).await, acquire(&limiters, &sync).await);
    let mut waiting: Vec<_> = (0..4)
        .map(|_| request(&limiters, &sync, "sync", &order))
        .collect();
    settle().await;
    waiting.extend((0..6).map(|_| request(&limiters, &interactive, "interactive", &order)));
    settle().await;

    // The sync still holds one permit, so interactive requests have the other.
    drop(one);
    sleep(Duration::from_millis(25)).await;
    assert_eq!(*order.lock().unwrap(), ["interactive"; 3]);
    drop(other);
    for request in waiting {
        request.await.unwrap();
    }

    let order = order.lock().unwrap();
    let first_sync = order.iter().position(|name| *name == "sync").unwrap();
    assert!(first_sync < 5, "the sync was starved: {order:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_gives_up_takes_no_permit_and_leaves_the_queue() {
    let (limiters, order) = (Limiters::default(), Order::default());
    let target = of(limits(1, None), 1, Priority::Interactive);
    let held = acquire(&limiters, &target).await;
    let start = Instant::now();
    let refused = limiters.acquire(&target, start + Duration::from_secs(10)).await;
    assert!(matches!(refused, Err(RequestError::RateLimited { .. })));
    assert_eq!(start.elapsed(), Duration::from_secs(10));

    let dropped = request(&limiters, &target, "dropped", &order);
    let waiting = request(&limiters, &target, "waiting", &order);
    settle().await;
    dropped.abort();
    settle().await;
    drop(held);
    waiting.await.unwrap();

    assert_eq!(*order.lock().unwrap(), ["waiting"]);
    assert_eq!(known(&limiters), 0);
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_is_granted_and_not_taken_goes_to_the_next_request() {
    let (limiters, order) = (Limiters::default(), Order::default());
    let target = of(limits(1, None), 1, Priority::Interactive);
    let held = acquire(&limiters, &target).await;
    let first = request(&limiters, &target, "first", &order);
    let second = request(&limiters, &target, "second", &order);
    settle().await;

    // Grants the permit to the first request, which ends before it notices.
    drop(held);
    first.abort();
    second.await.unwrap();

    assert_eq!(*order.lock().unwrap(), ["second"]);
}

#[tokio::test(start_paused = true)]
async fn rates_of_connection_and_provider_space_requests_evenly() {
    let limiters = Limiters::default();
    let mut both = limits(9, None);
    both.per_second = Some(10.0);
    both.provider.per_second = Some(20.0);
    let (one, other) = two_connections(both);
    let start = Instant::now();
    for _ in 0..4 {
        let permit = acquire(&limiters, &one).await;
        permit.wait_for_rate(start + LONG).await.unwrap();
    }
    assert_eq!(start.elapsed(), Duration::from_millis(300));

    // The other has a rate of its own, and only the provider's in common.
    let permit = acquire(&limiters, &other).await;
    permit.wait_for_rate(start + LONG).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_millis(350));

    let permit = acquire(&limiters, &other).await;
    let refused = permit.wait_for_rate(Instant::now()).await.unwrap_err();
    assert_eq!(refused.retry_after(), Some(Duration::from_millis(50)));
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_delays_all_requests_of_its_connection_and_no_other() {
    let (limiters, order) = (Limiters::default(), Order::default());
    let paused = of(limits(4, Some(1)), 1, Priority::Background);
    let other = of(limits(4, Some(1)), 2, Priority::Interactive);
    limiters.pause(&paused, Duration::from_secs(30));
    let start = Instant::now();

    let refused = limiters.acquire(&paused, start + Duration::from_secs(10)).await;
    let wait = refused.unwrap_err().retry_after();
    assert_eq!(wait, Some(Duration::from_secs(30)));
    let waits = request(&limiters, &paused, "paused", &order);
    settle().await;
    at_once(&limiters, &other).await.unwrap();
    waits.await.unwrap();

    assert!(start.elapsed() >= Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_removed() {
    let limiters = Limiters::default();
    let mut spaced = limits(1, None);
    spaced.per_second = Some(1.0);
    for number in 0..10_000 {
        let permit = acquire(&limiters, &of(spaced, number, Priority::Interactive)).await;
        permit.wait_for_rate(Instant::now()).await.unwrap();
        drop(permit);
        tokio::time::advance(Duration::from_millis(2)).await;
    }
    assert!(known(&limiters) <= 2 * 1024);
}
