//! An action: its inputs, its request, and where its result goes.

use std::sync::Arc;

use domain::{ActionName, SyncName};
use indexmap::IndexMap;

use super::fields;
use super::route;
use super::scope::Scope;
use super::sync::server;
use crate::action::{Action, ActionBody, ActionRequest, Deletes, Parameter, same_name};
use crate::file::{ActionFile, ActionRequestFile, InputFile};
use crate::input::{Input, InputKind};
use crate::method::Method;
use crate::path::Path;
use crate::source::Report;
use crate::sync::Sync;
use crate::template::Template;
use crate::wording::list as words;

/// Names that short routes use for something else, in any spelling.
const RESERVED: [&str; 3] = ["connectionId", "providerConfigKey", "idempotencyKey"];

/// The parts of the provider that the checks of actions need.
pub(super) struct ActionContext<'a> {
    pub(super) scope: &'a Scope,
    pub(super) servers: &'a IndexMap<String, Template>,
    pub(super) syncs: &'a IndexMap<SyncName, Arc<Sync>>,
}

pub(super) fn actions(
    files: IndexMap<String, ActionFile>,
    context: &ActionContext<'_>,
    report: &mut Report<'_>,
) -> IndexMap<ActionName, Arc<Action>> {
    let mut actions: IndexMap<ActionName, Arc<Action>> = IndexMap::new();
    for (name, file) in files {
        let path = Path::default().at("actions").at(&name);
        let Some(action) = action(&name, file, context, &path, report) else {
            continue;
        };
        route::clashes(
            &action,
            actions.values(),
            context.syncs,
            &path.at("route"),
            report,
        );
        actions.insert(action.name.clone(), Arc::new(action));
    }
    actions
}

fn action(
    name: &str,
    file: ActionFile,
    context: &ActionContext<'_>,
    path: &Path,
    report: &mut Report<'_>,
) -> Option<Action> {
    let action_name = report.take(path, name.parse::<ActionName>());
    if context.syncs.keys().any(|sync| sync.as_str() == name) {
        report.error(
            path,
            "is the name of a sync: functions of both kinds are asked for by name",
        );
    }
    let inputs = inputs(file.input, &path.at("input"), report);
    let scope = inputs.keys().fold(context.scope.clone(), |scope, name| {
        scope.and(format!("input.{name}"))
    });
    let call = Call {
        inputs: &inputs,
        scope: &scope,
    };
    let request = call.request(file.request, context.servers, &path.at("request"), report);
    if let Some(deletes) = &file.deletes {
        let path = path.at("deletes");
        sync_of(&deletes.sync, context, &path.at("sync"), report);
        call.always_filled(&deletes.key, &path.at("key"), report);
    }
    if let Some(writes) = &file.writes {
        sync_of(&writes.sync, context, &path.at("writes").at("sync"), report);
    }
    let route = file
        .route
        .and_then(|text| route::route(&text, &inputs, &path.at("route"), report));
    for (index, group) in file.needs.iter().enumerate() {
        for name in group.iter().filter(|name| !inputs.contains_key(*name)) {
            let known = words(inputs.keys(), "and");
            let message = format!("{name:?} is not an input: the inputs are {known}");
            report.error(&path.at("needs").at(index), message);
        }
    }
    unused(&request, file.deletes.as_ref(), &inputs, path, report);
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

fn inputs(
    files: IndexMap<String, InputFile>,
    path: &Path,
    report: &mut Report<'_>,
) -> IndexMap<String, Input> {
    let mut inputs: IndexMap<String, Input> = IndexMap::new();
    for (name, file) in files {
        let path = path.at(&name);
        let camel = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_alphanumeric());
        if !camel {
            report.error(
                &path,
                "must be a name in camelCase, letters and digits only: mediaUrl",
            );
        }
        if RESERVED.iter().any(|reserved| same_name(reserved, &name)) {
            report.error(&path, "is a name that short routes use for something else");
        }
        if let Some(other) = inputs.keys().find(|other| same_name(other, &name)) {
            report.error(
                &path,
                format!("differs from {other:?} only in spelling, which is ignored"),
            );
        }
        inputs.insert(name, input(file.into(), &path, report));
    }
    inputs
}

fn input(mut input: Input, path: &Path, report: &mut Report<'_>) -> Input {
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
            report.error(
                &path.at(key),
                "does not go with this input's type, or with \"required\"",
            );
        }
    }
    fields::pattern(&mut input.pattern, &path.at("pattern"), report);
    let (example, default_value) = (input.example.take(), input.default_value.take());
    let mut typed = |key: &str, value| {
        let checked = input.check(value);
        let checked = checked.map_err(|error| format!("breaks the input's own rule: it {error}"));
        report.take(&path.at(key), checked)
    };
    let example = example.and_then(|value| typed("example", value));
    let default_value = default_value.and_then(|value| typed("default_value", value));
    Input {
        example,
        default_value,
        ..input
    }
}

/// Checks what the request of an action contains.
struct Call<'a> {
    inputs: &'a IndexMap<String, Input>,
    scope: &'a Scope,
}

impl Call<'_> {
    fn request(
        &self,
        mut file: ActionRequestFile,
        servers: &IndexMap<String, Template>,
        path: &Path,
        report: &mut Report<'_>,
    ) -> ActionRequest {
        server(file.server.as_ref(), servers, path, report);
        self.scope.path(&mut file.path, &path.at("path"), report);
        self.no_gaps(&file.path, &path.at("path"), report);
        self.parameters(&file.query, &path.at("query"), report);
        self.scope.pairs(&file.headers, &path.at("headers"), report);
        let body = match (file.form, file.json) {
            (None, None) => ActionBody::None,
            (Some(form), json) => {
                if json.is_some() {
                    report.error(path, "has \"form\" and \"json\": a request has one body");
                }
                self.parameters(&form, &path.at("form"), report);
                ActionBody::Form(form)
            }
            (None, Some(json)) => {
                self.scope.json(&json, &path.at("json"), report);
                ActionBody::Json(json)
            }
        };
        let method = file.method;
        if matches!(method, Method::Get | Method::Head) && !matches!(body, ActionBody::None) {
            report.error(path, format!("a {method} has no body: write \"query\""));
        }
        ActionRequest {
            method,
            server: file.server,
            path: file.path,
            query: file.query,
            headers: file.headers,
            body,
        }
    }

    fn parameters(&self, parameters: &[Parameter], path: &Path, report: &mut Report<'_>) {
        for Parameter { name, value, with } in parameters {
            let path = path.at(name);
            if let Some(input) = with.as_ref().filter(|with| !self.inputs.contains_key(*with)) {
                report.error(
                    &path.at("with"),
                    format!("{input:?} is not an input of the action"),
                );
            }
            self.scope.template(value, &path, report);
        }
    }

    /// Checks a template that must have a value at each request.
    fn always_filled(&self, template: &Template, path: &Path, report: &mut Report<'_>) {
        self.scope.template(template, path, report);
        self.no_gaps(template, path, report);
    }

    /// Checks that a template holds only inputs that always have a value.
    fn no_gaps(&self, template: &Template, path: &Path, report: &mut Report<'_>) {
        for name in template.placeholders() {
            let input = name.strip_prefix("input.").and_then(|name| self.inputs.get(name));
            if input.is_some_and(|input| !input.required && input.default_value.is_none()) {
                report.error(
                    path,
                    format!("${{{name}}} may be empty: make the input required, or give it a default_value"),
                );
            }
        }
    }
}

fn sync_of(name: &SyncName, context: &ActionContext<'_>, path: &Path, report: &mut Report<'_>) {
    if !context.syncs.contains_key(name) {
        let known = words(context.syncs.keys().map(SyncName::as_str), "and");
        let message = format!("{name:?} is not a sync of this file: the syncs are {known}");
        report.error(path, message);
    }
}

/// Reports inputs that the request does not use.
fn unused(
    request: &ActionRequest,
    deletes: Option<&Deletes>,
    inputs: &IndexMap<String, Input>,
    path: &Path,
    report: &mut Report<'_>,
) {
    let mut used: Vec<String> = Vec::new();
    let mut note_all = |placeholders: Vec<&str>| used.extend(placeholders.into_iter().map(str::to_owned));
    let mut note = |template: &Template| note_all(template.placeholders());
    note(&request.path);
    request.headers.iter().for_each(|(_, value)| note(value));
    request.query.iter().for_each(|parameter| note(&parameter.value));
    if let Some(deletes) = deletes {
        note(&deletes.key);
    }
    match &request.body {
        ActionBody::None => {}
        ActionBody::Form(form) => form.iter().for_each(|parameter| note(&parameter.value)),
        ActionBody::Json(json) => note_all(json.placeholders()),
    }
    for name in inputs
        .keys()
        .filter(|name| !used.contains(&format!("input.{name}")))
    {
        let message = format!("goes nowhere: the request does not hold ${{input.{name}}}");
        report.error(&path.at("input").at(name), message);
    }
}
