//! Finds syncs whose list a connection's key may not read. Used when credentials are saved; runs store the same problem.

use std::collections::HashMap;
use std::sync::Arc;

use domain::{Connection, ConnectionId, Problem, Sync, SyncName, Timestamp, Variant};
use registry::Provider;
use store::syncs;
use upstream::{ProviderError, Target};

use crate::error::Result;
use crate::gateway::Gateway;

/// `Problem::kind` if the provider denies access to a sync's list.
pub const PERMISSION_PROBLEM: &str = "permission";

/// The default advice.
const PERMISSION_HINT: &str =
    "At the provider, give the key permission to read this data, or connect again with a key that has it.";

/// Returns the problem of a sync whose list a valid key may not read.
pub fn permission_problem(
    provider: &Provider,
    sync: &SyncName,
    refusal: &ProviderError,
    now: Timestamp,
) -> Problem {
    Problem {
        kind: PERMISSION_PROBLEM.to_owned(),
        code: refusal.code.clone(),
        message: format!(
            "the key may not read {sync}: {} refused with {}. {}",
            provider.display_name,
            refusal.summary(),
            permission_hint(refusal)
        ),
        at: now,
    }
}

/// Returns the advice for a valid key without access. Ignores the hint of an error that the file classes as unauthorized, since it is
/// about invalid keys.
pub fn permission_hint(refusal: &ProviderError) -> &str {
    let hint = refusal.hint.as_deref().filter(|_| !refusal.unauthorized);
    hint.unwrap_or(PERMISSION_HINT)
}

/// Requests a small page of each sync's list with verified credentials, and returns the syncs for which
/// the provider denies access, with the problem of each. Syncs without a response in time are not returned.
pub(crate) async fn unreadable_syncs(gateway: &Gateway, mut target: Target) -> Vec<(SyncName, Problem)> {
    Arc::make_mut(&mut target.variables).variant = Some(Variant::base());
    let refused = gateway.upstream.refused_lists(&target).await.into_iter();
    let now = gateway.clock.now();
    let unreadable = refused.map(|(sync, refusal)| {
        let problem = permission_problem(&target.provider, &sync, &refusal, now);
        (sync, problem)
    });
    unreadable.collect()
}

/// Groups syncs with a problem by connection. Syncs that the provider's file no longer declares are omitted, because no run would
/// clear their problems.
pub(crate) fn declared_by_connection(
    gateway: &Gateway,
    with_problem: Vec<Sync>,
) -> HashMap<ConnectionId, Vec<Sync>> {
    let mut problems: HashMap<ConnectionId, Vec<Sync>> = HashMap::new();
    for sync in with_problem {
        let provider = gateway.registry.get(sync.provider.as_str());
        if provider.is_some_and(|provider| provider.syncs.contains_key(&sync.name)) {
            problems.entry(sync.connection).or_default().push(sync);
        }
    }
    problems
}

/// Reads the syncs of one connection that have a problem.
pub(crate) async fn read_syncs_with_problem(gateway: &Gateway, connection: &Connection) -> Result<Vec<Sync>> {
    let (environment, id) = (connection.environment, connection.id);
    let read = gateway
        .store
        .read(move |c| syncs::with_problem(c, environment, &[id]));
    let mut problems = declared_by_connection(gateway, read.await?);
    Ok(problems.remove(&id).unwrap_or_default())
}
