//! An action: its inputs, its request, and where its result goes.

use std::collections::HashSet;
use std::sync::Arc;

use domain::{ActionName, SyncName};
use indexmap::IndexMap;

use super::route;
use super::scope::Scope;
use super::{Syncs, fields};
use crate::action::{Action, ActionRequest, Deletes, Parameter, ParameterValue, same_name};
use crate::file::ActionFile;
use crate::input::{Input, InputFile, InputKind};
use crate::method::Method;
use crate::source::Report;
use crate::template::Template;
use crate::wording::list as words;

/// Names that short routes use for something else, in any spelling.
const RESERVED: [&str; 3] = ["connectionId", "providerConfigKey", "idempotencyKey"];

pub(super) fn actions(
    files: IndexMap<String, ActionFile>,
    scope: &Scope,
    syncs: &Syncs,
    report: &Report<'_>,
) -> IndexMap<ActionName, Arc<Action>> {
    let mut actions: IndexMap<ActionName, Arc<Action>> = IndexMap::new();
    for (name, file) in files {
        let report = &report.at("actions").at(&name);
        let Some(action) = action(&name, file, scope, syncs, report) else {
            continue;
        };
        route::clashes(&action, actions.values(), syncs, &report.at("route"));
        actions.insert(action.name.clone(), Arc::new(action));
    }
    actions
}

fn action(name: &str, file: ActionFile, scope: &Scope, syncs: &Syncs, report: &Report<'_>) -> Option<Action> {
    let action_name = report.take(name.parse::<ActionName>());
    if syncs.keys().any(|sync| sync.as_str() == name) {
        report.error("is the name of a sync: functions of both kinds are asked for by name");
    }
    let inputs = inputs(file.input, &report.at("input"));
    let with_input = |scope: Scope, name| scope.and(format!("input.{name}"));
    let scope = inputs.keys().fold(scope.clone(), with_input);
    let call = Call {
        inputs: &inputs,
        scope: &scope,
    };
    let mut request = file.request;
    call.request(&mut request, &report.at("request"));
    if let Some(deletes) = &file.deletes {
        let report = &report.at("deletes");
        sync_of(&deletes.sync, syncs, &report.at("sync"));
        scope.template(&deletes.key, &report.at("key"));
        call.no_gaps(&deletes.key, &report.at("key"));
    }
    if let Some(writes) = &file.writes {
        sync_of(&writes.sync, syncs, &report.at("writes").at("sync"));
    }
    let route = file
        .route
        .and_then(|text| route::route(&text, &inputs, &report.at("route")));
    for (index, group) in file.needs.iter().enumerate() {
        for name in group.iter().filter(|name| !inputs.contains_key(*name)) {
            let known = words(inputs.keys(), "and");
            let message = format!("{name:?} is not an input: the inputs are {known}");
            report.at("needs").at(index).error(message);
        }
    }
    unused(&request, file.deletes.as_ref(), &inputs, report);
    Some(Action {
        name: action_name?,
        description: file.description,
        needs: file.needs,
        answer: file.answer,
        repeatable: file
            .repeatable
            .unwrap_or(!matches!(request.method, Method::Post | Method::Patch)),
        inputs,
        request,
        writes: file.writes,
        deletes: file.deletes,
        route,
    })
}

pub(super) fn inputs(files: IndexMap<String, InputFile>, report: &Report<'_>) -> IndexMap<String, Input> {
    let mut inputs: IndexMap<String, Input> = IndexMap::new();
    for (name, file) in files {
        let report = &report.at(&name);
        let camel = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_alphanumeric());
        if !camel {
            report.error("must be a name in camelCase, letters and digits only: mediaUrl");
        }
        if RESERVED.iter().any(|reserved| same_name(reserved, &name)) {
            report.error("is a name that short routes use for something else");
        }
        if let Some(other) = inputs.keys().find(|other| same_name(other, &name)) {
            report.error(format!(
                "differs from {other:?} only in spelling, which is ignored"
            ));
        }
        inputs.insert(name, input(file.into(), report));
    }
    inputs
}

fn input(mut input: Input, report: &Report<'_>) -> Input {
    let texts = matches!(input.kind, InputKind::Text | InputKind::List);
    let integer = input.kind == InputKind::Integer;
    for (key, wrong) in [
        ("pattern", input.pattern.is_some() && !texts),
        ("format", input.format.is_some() && !texts),
        ("enum", !input.allowed.is_empty() && !texts),
        ("max_length", input.max_length.is_some() && !texts),
        ("minimum", input.minimum.is_some() && !integer),
        ("maximum", input.maximum.is_some() && !integer),
        ("default_value", input.required && input.default_value.is_some()),
    ] {
        if wrong {
            report
                .at(key)
                .error("does not go with this input's type, or with \"required\"");
        }
    }
    fields::pattern(&mut input.pattern, &report.at("pattern"));
    let (example, default_value) = (input.example.take(), input.default_value.take());
    let typed = |key: &str, value| {
        let checked = input.check(value);
        let checked = checked.map_err(|error| format!("breaks the input's own rule: it {error}"));
        report.at(key).take(checked)
    };
    let example = example.and_then(|value| typed("example", value));
    let default_value = default_value.and_then(|value| typed("default_value", value));
    Input {
        example,
        default_value,
        ..input
    }
}

/// The request of an action while it is checked.
pub(super) struct Call<'a> {
    pub(super) inputs: &'a IndexMap<String, Input>,
    pub(super) scope: &'a Scope,
}

impl Call<'_> {
    pub(super) fn request(&self, request: &mut ActionRequest, report: &Report<'_>) {
        self.scope.server(request.server.as_ref(), report);
        self.scope.path(&mut request.path, &report.at("path"));
        self.no_gaps(&request.path, &report.at("path"));
        self.parameters(&request.query, &report.at("query"));
        self.scope.pairs(&request.headers, &report.at("headers"));
        if let Some(form) = &request.form {
            self.parameters(form, &report.at("form"));
        }
        if let Some(json) = &request.json {
            self.scope.json(json, &report.at("json"));
        }
        let bodies = [request.form.is_some(), request.json.is_some()];
        if bodies == [true, true] {
            report.error("has \"form\" and \"json\": a request has one body");
        }
        if matches!(request.method, Method::Get | Method::Head) && bodies.contains(&true) {
            report.error(format!("a {} has no body: write \"query\"", request.method));
        }
    }

    fn parameters(&self, parameters: &IndexMap<String, Parameter>, report: &Report<'_>) {
        for (name, parameter) in parameters {
            let report = &report.at(name);
            for ParameterValue { value, with, unless } in &parameter.0 {
                let of_with = with.iter().map(|input| ("with", input));
                for (key, input) in of_with.chain(unless.iter().map(|input| ("unless", input))) {
                    if !self.inputs.contains_key(input) {
                        let message = format!("{input:?} is not an input of the action");
                        report.at(key).error(message);
                    }
                }
                self.scope.template(value, report);
            }
        }
    }

    /// Checks that a template holds only inputs that always have a value.
    fn no_gaps(&self, template: &Template, report: &Report<'_>) {
        for name in template.placeholders() {
            let input = name.strip_prefix("input.").and_then(|name| self.inputs.get(name));
            if input.is_some_and(|input| !input.required && input.default_value.is_none()) {
                let message =
                    format!("${{{name}}} may be empty: make the input required, or give it a default_value");
                report.error(message);
            }
        }
    }
}

pub(super) fn sync_of(name: &SyncName, syncs: &Syncs, report: &Report<'_>) {
    if !syncs.contains_key(name) {
        let known = words(syncs.keys().map(SyncName::as_str), "and");
        report.error(format!(
            "{name:?} is not a sync of this file: the syncs are {known}"
        ));
    }
}

/// Reports inputs that the request does not use.
fn unused(
    request: &ActionRequest,
    deletes: Option<&Deletes>,
    inputs: &IndexMap<String, Input>,
    report: &Report<'_>,
) {
    let of_key = deletes.into_iter().flat_map(|deletes| deletes.key.placeholders());
    let used: HashSet<&str> = request.placeholders().into_iter().chain(of_key).collect();
    for name in inputs.keys() {
        if !used.contains(format!("input.{name}").as_str()) {
            let message = format!("goes nowhere: the request does not hold ${{input.{name}}}");
            report.at("input").at(name).error(message);
        }
    }
}
