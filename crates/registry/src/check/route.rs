//! Checks the short routes of actions, and that they do not clash.

use std::sync::Arc;

use domain::SyncName;
use indexmap::IndexMap;

use crate::action::{Action, ActionRoute, RouteStep};
use crate::input::{Input, InputKind};
use crate::method::Method;
use crate::path::Path;
use crate::reserved::{is_reserved, is_reserved_below};
use crate::source::Report;
use crate::sync::Sync;

pub(super) fn route(
    text: &str,
    inputs: &IndexMap<String, Input>,
    path: &Path,
    report: &mut Report<'_>,
) -> Option<ActionRoute> {
    let parts = text
        .split_once(" /")
        .and_then(|(method, rest)| Some((method.parse().ok()?, rest)))
        .filter(|(method, _)| *method != Method::Head);
    let Some((method, rest)) = parts else {
        report.error(path, "must be a method and a path, such as POST /messages");
        return None;
    };
    let mut steps = Vec::new();
    for segment in rest.split('/') {
        let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        match name {
            Some(name) => {
                if !inputs
                    .get(name)
                    .is_some_and(|input| input.required && input.kind == InputKind::Text)
                {
                    report.error(path, format!("{{{name}}} must be a required input of type text"));
                }
                steps.push(RouteStep::Input(name.to_owned()));
            }
            None if !segment.is_empty() && segment.chars().all(plain) => {
                steps.push(RouteStep::Fixed(segment.to_owned()));
            }
            None => {
                report.error(
                    path,
                    "each segment must be lower-case letters, digits and -, or an input such as {messageSid}",
                );
                return None;
            }
        }
    }
    match steps.first() {
        Some(RouteStep::Fixed(first)) if !is_reserved(first) && !is_reserved_below(first) => {}
        Some(RouteStep::Fixed(first)) => {
            report.error(
                path,
                format!("/{first} is reserved for routes of Trunkline itself: choose another"),
            );
        }
        _ => report.error(path, "must begin with a fixed segment"),
    }
    Some(ActionRoute { method, steps })
}

/// Reports an action whose route is the same as another action's or a model's list.
pub(super) fn clashes<'a>(
    action: &Action,
    others: impl Iterator<Item = &'a Arc<Action>>,
    syncs: &IndexMap<SyncName, Arc<Sync>>,
    path: &Path,
    report: &mut Report<'_>,
) {
    let Some(route) = &action.route else {
        return;
    };
    for other in others.filter(|other| other.route.as_ref().is_some_and(|other| overlap(route, other))) {
        report.error(path, format!("the action {} has the same route", other.name));
    }
    let listed = |sync: &&Arc<Sync>| route.steps == [RouteStep::Fixed(sync.model.plural.clone())];
    if let Some(sync) = syncs
        .values()
        .find(listed)
        .filter(|_| route.method == Method::Get)
    {
        let message = format!(
            "GET {route} lists the records of the sync {}: choose another route",
            sync.name
        );
        report.error(path, message);
    }
}

/// Whether some path matches both.
fn overlap(one: &ActionRoute, other: &ActionRoute) -> bool {
    one.method == other.method
        && one.steps.len() == other.steps.len()
        && one.steps.iter().zip(&other.steps).all(|pair| match pair {
            (RouteStep::Fixed(one), RouteStep::Fixed(other)) => one == other,
            _ => true,
        })
}
