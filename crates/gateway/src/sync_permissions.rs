//! Syncs whose lists the provider does not show to a connection's key: found when credentials are stored, and by runs.

use std::collections::HashMap;
use std::sync::Arc;

use domain::{Connection, ConnectionId, Problem, Sync, SyncId, SyncName, Timestamp, Variant};
use registry::Provider;
use store::syncs;
use upstream::{ProviderError, Target};

use crate::error::GatewayError;
use crate::services::Services;

/// The kind under which it is noted on a sync that the provider refuses to show the sync's list.
pub const PERMISSION_PROBLEM: &str = "permission";

/// What to do where the provider's file has no better advice.
const PERMISSION_HINT: &str =
    "Give the key the permission to read it at the provider, or connect again with a key that has it.";

/// A sync of a new connection whose list the provider refuses to show.
#[derive(Debug, Clone)]
pub struct UnreadableSync {
    /// The sync.
    pub sync: SyncName,
    /// What the provider said, and what to do.
    pub problem: Problem,
}

/// What is wrong with a sync of a connection.
#[derive(Debug, Clone)]
pub struct SyncProblem {
    /// The sync's number.
    pub id: SyncId,
    /// The sync.
    pub sync: SyncName,
    /// Its variant.
    pub variant: Variant,
    /// What is wrong.
    pub problem: Problem,
}

/// Returns what is noted on a sync when the provider refuses to show its list to a key that is good.
pub fn permission_problem(
    provider: &Provider,
    sync: &SyncName,
    refusal: &ProviderError,
    now: Timestamp,
) -> Problem {
    let code = refusal.code.as_ref();
    let code_words = code.map(|code| format!(", code {code}")).unwrap_or_default();
    let words = refusal.message.as_ref();
    let words = words.map(|words| format!(": {words:?}")).unwrap_or_default();
    Problem {
        kind: PERMISSION_PROBLEM.to_owned(),
        code: refusal.code.clone(),
        message: format!(
            "the key may not read {sync}: {} refused with HTTP {}{code_words}{words}. {}",
            provider.display_name,
            refusal.status,
            permission_hint(refusal)
        ),
        at: now,
    }
}

/// Returns what to do about a refusal to a key that is good. What the file says of a wrong key does not fit.
pub fn permission_hint(refusal: &ProviderError) -> &str {
    let hint = refusal.hint.as_deref().filter(|_| !refusal.unauthorized);
    hint.unwrap_or(PERMISSION_HINT)
}

/// Asks the provider for a small page of each sync's list, with credentials that were verified, and returns the syncs for which
/// it refuses. A sync of which the provider says nothing in time is not returned.
pub(crate) async fn unreadable_syncs(services: &Services, mut target: Target) -> Vec<UnreadableSync> {
    Arc::make_mut(&mut target.variables).variant = Some(Variant::base());
    let refused = services.upstream.refused_lists(&target).await.into_iter();
    let now = services.clock.now();
    let unreadable = refused.map(|(sync, refusal)| UnreadableSync {
        problem: permission_problem(&target.provider, &sync, &refusal, now),
        sync,
    });
    unreadable.collect()
}

/// Returns what is wrong with syncs, by connection. Syncs that the provider's file no longer declares are left out: no run would ever
/// clear their problems.
pub(crate) fn sync_problems(
    services: &Services,
    with_problem: Vec<Sync>,
) -> HashMap<ConnectionId, Vec<SyncProblem>> {
    let mut problems: HashMap<ConnectionId, Vec<SyncProblem>> = HashMap::new();
    for row in with_problem {
        let provider = services.registry.get(row.provider.as_str());
        let declared = provider.is_some_and(|provider| provider.syncs.contains_key(&row.name));
        if let Some(problem) = row.problem.filter(|_| declared) {
            problems.entry(row.connection).or_default().push(SyncProblem {
                id: row.id,
                sync: row.name,
                variant: row.variant,
                problem,
            });
        }
    }
    problems
}

/// Reads what is wrong with syncs of one connection.
pub(crate) async fn sync_problems_of(
    services: &Services,
    connection: &Connection,
) -> Result<Vec<SyncProblem>, GatewayError> {
    let (environment, id) = (connection.environment, connection.id);
    let read = services
        .store
        .read(move |c| syncs::with_problem(c, environment, &[id]));
    Ok(sync_problems(services, read.await?)
        .remove(&id)
        .unwrap_or_default())
}
