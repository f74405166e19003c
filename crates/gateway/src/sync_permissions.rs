//! Syncs whose lists the provider does not show to a connection's key: found when credentials are stored, and by runs.

use std::collections::HashMap;
use std::sync::Arc;

use domain::{Connection, ConnectionId, Problem, Sync, SyncName, Timestamp, Variant};
use registry::Provider;
use store::syncs;
use upstream::{ProviderError, Target};

use crate::error::Result;
use crate::gateway::Gateway;

/// The kind of the problem that the provider denies access to a sync's list.
pub const PERMISSION_PROBLEM: &str = "permission";

/// The default advice.
const PERMISSION_HINT: &str =
    "Give the key the permission to read it at the provider, or connect again with a key that has it.";

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

/// Returns the advice for a valid key without access. The file's advice for invalid keys does not apply.
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

/// Returns the syncs with a problem, by connection. Syncs that the provider's file no longer declares are omitted, because no run would
/// clear their problems.
pub(crate) fn syncs_with_problem(
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
pub(crate) async fn syncs_with_problem_of(gateway: &Gateway, connection: &Connection) -> Result<Vec<Sync>> {
    let (environment, id) = (connection.environment, connection.id);
    let read = gateway
        .store
        .read(move |c| syncs::with_problem(c, environment, &[id]));
    let mut problems = syncs_with_problem(gateway, read.await?);
    Ok(problems.remove(&id).unwrap_or_default())
}
