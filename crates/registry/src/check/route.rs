//! Checks the short routes of actions, and that they do not clash.

use std::sync::Arc;

use indexmap::IndexMap;

use super::Syncs;
use crate::action::{Action, ActionRoute, RouteStep};
use crate::input::{Input, InputKind};
use crate::method::Method;
use crate::reserved::{is_reserved, is_reserved_below};
use crate::source::Report;

pub(super) fn route(
    text: &str,
    inputs: &IndexMap<String, Input>,
    report: &Report<'_>,
) -> Option<ActionRoute> {
    let parts = text
        .split_once(" /")
        .and_then(|(method, rest)| Some((method.parse().ok()?, rest)))
        .filter(|(method, _)| *method != Method::Head);
    let Some((method, rest)) = parts else {
        report.error("must be a method and a path, such as POST /messages");
        return None;
    };
    let mut steps = Vec::new();
    for segment in rest.split('/') {
        let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        match name {
            Some(name) => {
                let fits = |input: &Input| input.required && input.kind == InputKind::Text;
                if !inputs.get(name).is_some_and(fits) {
                    report.error(format!("{{{name}}} must be a required input of type text"));
                }
                steps.push(RouteStep::Input(name.to_owned()));
            }
            None if !segment.is_empty() && segment.chars().all(plain) => {
                steps.push(RouteStep::Fixed(segment.to_owned()));
            }
            None => {
                report.error(
                    "each segment must be lower-case letters, digits and -, or an input such as {messageSid}",
                );
                return None;
            }
        }
    }
    match steps.first() {
        Some(RouteStep::Fixed(first)) if !is_reserved(first) && !is_reserved_below(first) => {}
        Some(RouteStep::Fixed(first)) => {
            report.error(format!(
                "/{first} is reserved for routes of Trunkline itself: choose another"
            ));
        }
        _ => report.error("must begin with a fixed segment"),
    }
    Some(ActionRoute { method, steps })
}

/// Reports an action whose route is the same as another action's or a model's list.
pub(super) fn clashes<'a>(
    action: &Action,
    others: impl Iterator<Item = &'a Arc<Action>>,
    syncs: &Syncs,
    report: &Report<'_>,
) {
    let Some(route) = &action.route else {
        return;
    };
    for other in others.filter(|other| other.route.as_ref().is_some_and(|other| overlap(route, other))) {
        report.error(format!("the action {} has the same route", other.name));
    }
    for sync in syncs.values().filter(|_| route.method == Method::Get) {
        if route.steps == [RouteStep::Fixed(sync.model.plural.clone())] {
            report.error(format!(
                "GET {route} lists the records of the sync {}: choose another route",
                sync.name
            ));
        }
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
