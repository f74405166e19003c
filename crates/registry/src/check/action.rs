//! An action: its inputs, its call, and where its answer goes.

use std::sync::Arc;

use domain::{ActionName, SyncName};
use indexmap::IndexMap;
use serde_json::Value as Json;

use super::call::method;
use super::fields;
use super::route;
use super::scope::Scope;
use crate::action::same_name;
use crate::file::{
    ActionFile, ActionRequestFile, DeletesRecordFile, InputFile, InputSpec, InputType, ParameterFile,
    WritesFile,
};
use crate::path::{Path, dotted};
use crate::shape::list as words;
use crate::source::Report;
use crate::{
    Action, ActionBody, ActionRequest, Deletes, Input, InputKind, Parameter, Sync, Template, Writes,
};

/// Names that short routes use for something else, in whatever spelling.
const RESERVED: [&str; 3] = ["connectionId", "providerConfigKey", "idempotencyKey"];

/// What of the provider its actions build on.
pub(super) struct Around<'a> {
    pub(super) scope: &'a Scope,
    pub(super) servers: &'a IndexMap<String, Template>,
    pub(super) syncs: &'a IndexMap<SyncName, Arc<Sync>>,
}

pub(super) fn actions(
    files: &IndexMap<String, ActionFile>,
    around: &Around<'_>,
    report: &mut Report<'_>,
) -> IndexMap<ActionName, Arc<Action>> {
    let mut actions: IndexMap<ActionName, Arc<Action>> = IndexMap::new();
    for (name, file) in files {
        let path = Path::default().at("actions").at(name);
        let Some(action) = action(name, file, around, &path, report) else {
            continue;
        };
        route::clashes(&action, actions.values(), around.syncs, &path.at("route"), report);
        actions.insert(action.name.clone(), Arc::new(action));
    }
    actions
}

fn action(
    name: &str,
    file: &ActionFile,
    around: &Around<'_>,
    path: &Path,
    report: &mut Report<'_>,
) -> Option<Action> {
    let action_name = report.take(path, name.parse::<ActionName>());
    if around.syncs.keys().any(|sync| sync.as_str() == name) {
        report.error(
            path,
            "is the name of a sync: functions of both kinds are asked for by name",
        );
    }
    let inputs = inputs(&file.input, &path.at("input"), report);
    let given = inputs.keys().fold(around.scope.clone(), |scope, name| {
        scope.and(format!("input.{name}"))
    });
    let call = Call {
        file: &file.request,
        inputs: &inputs,
        scope: &given,
    };
    let request = call.request(around.servers, &path.at("request"), report);
    let deletes = file
        .deletes
        .as_ref()
        .map(|deletes| self::deletes(deletes, around, &given, &inputs, &path.at("deletes"), report));
    let writes = file
        .writes
        .as_ref()
        .map(|writes| self::writes(writes, around, &path.at("writes"), report));
    let route = file
        .route
        .as_ref()
        .map(|text| route::route(text, &inputs, &path.at("route"), report));
    for (index, name) in file
        .needs
        .iter()
        .enumerate()
        .flat_map(|(index, group)| group.iter().map(move |name| (index, name)))
    {
        if !inputs.contains_key(name) {
            let known: Vec<&str> = inputs.keys().map(String::as_str).collect();
            let message = format!("{name:?} is no input: there are {}", words(&known, "and"));
            report.error(&path.at("needs").at(index), message);
        }
    }
    let request = request?;
    unused(
        &request,
        deletes.as_ref().and_then(Option::as_ref),
        &inputs,
        path,
        report,
    );
    Some(Action {
        name: action_name?,
        description: file.description.clone(),
        needs: file.needs.clone(),
        answer: file.answer.as_deref().map(dotted).unwrap_or_default(),
        repeatable: file.repeatable.unwrap_or(matches!(
            request.method.as_str(),
            "GET" | "HEAD" | "PUT" | "DELETE"
        )),
        inputs,
        request,
        writes: super::whole(writes)?,
        deletes: super::whole(deletes)?,
        route: super::whole(route)?,
    })
}

fn inputs(
    files: &IndexMap<String, InputFile>,
    path: &Path,
    report: &mut Report<'_>,
) -> IndexMap<String, Input> {
    let mut inputs: IndexMap<String, Input> = IndexMap::new();
    for (name, file) in files {
        let path = path.at(name);
        let camel = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_alphanumeric());
        if !camel {
            report.error(
                &path,
                "must be a name in camelCase, letters and digits only: mediaUrl",
            );
        }
        if RESERVED.iter().any(|reserved| same_name(reserved, name)) {
            report.error(&path, "is a name that short routes use for something else");
        }
        if let Some(other) = inputs.keys().find(|other| same_name(other, name)) {
            report.error(
                &path,
                format!("differs from {other:?} in spelling alone, which does not count"),
            );
        }
        inputs.insert(name.clone(), input(file, &path, report));
    }
    inputs
}

fn input(file: &InputFile, path: &Path, report: &mut Report<'_>) -> Input {
    let short;
    let spec = match file {
        InputFile::Long(spec) => spec.as_ref(),
        InputFile::Short(kind) => {
            short = plain(*kind);
            &short
        }
    };
    let texts = matches!(spec.kind, InputType::Text | InputType::List);
    let wrong = [
        ("pattern", spec.pattern.is_some() && !texts),
        ("format", spec.format.is_some() && !texts),
        ("enum", !spec.allowed.is_empty() && !texts),
        ("max_length", spec.max_length.is_some() && !texts),
        (
            "minimum",
            spec.minimum.is_some() && spec.kind != InputType::Integer,
        ),
        (
            "maximum",
            spec.maximum.is_some() && spec.kind != InputType::Integer,
        ),
        ("default_value", spec.required && spec.default_value.is_some()),
    ];
    for (key, _) in wrong.iter().filter(|(_, wrong)| *wrong) {
        report.error(
            &path.at(key),
            "does not go with this input's type, or with \"required\"",
        );
    }
    let mut input = Input {
        kind: match spec.kind {
            InputType::Text => InputKind::Text,
            InputType::Integer => InputKind::Integer,
            InputType::Boolean => InputKind::Boolean,
            InputType::List => InputKind::List,
            InputType::Json => InputKind::Json,
        },
        description: spec.description.clone(),
        required: spec.required,
        example: None,
        default_value: None,
        pattern: fields::pattern(spec.pattern.as_deref(), path, report),
        pattern_description: spec.pattern_description.clone(),
        format: spec.format.map(fields::format),
        allowed: spec.allowed.iter().map(|scalar| scalar.0.clone()).collect(),
        max_length: spec.max_length.and_then(|most| usize::try_from(most).ok()),
        minimum: spec.minimum,
        maximum: spec.maximum,
    };
    let mut suits = |key: &str, scalar: Option<&crate::file::Scalar>| {
        let value = input.check(Json::String(scalar?.0.clone()));
        let at = path.at(key);
        report.take(
            &at,
            value.map_err(|error| format!("breaks the input's own rule: it {error}")),
        )
    };
    let (example, default_value) = (
        suits("example", spec.example.as_ref()),
        suits("default_value", spec.default_value.as_ref()),
    );
    input.example = example;
    input.default_value = default_value;
    input
}

fn plain(kind: InputType) -> InputSpec {
    InputSpec {
        kind,
        description: String::new(),
        required: false,
        example: None,
        default_value: None,
        pattern: None,
        pattern_description: None,
        format: None,
        allowed: Vec::new(),
        max_length: None,
        minimum: None,
        maximum: None,
    }
}

/// The call of an action while it is checked.
struct Call<'a> {
    file: &'a ActionRequestFile,
    inputs: &'a IndexMap<String, Input>,
    scope: &'a Scope,
}

impl Call<'_> {
    fn request(
        &self,
        servers: &IndexMap<String, Template>,
        path: &Path,
        report: &mut Report<'_>,
    ) -> Option<ActionRequest> {
        let file = self.file;
        if let Some(server) = file
            .server
            .as_ref()
            .filter(|server| !servers.contains_key(*server))
        {
            let known: Vec<&str> = servers.keys().map(String::as_str).collect();
            let message = format!(
                "{server:?} is not declared under servers: there are {}",
                words(&known, "and")
            );
            report.error(&path.at("server"), message);
        }
        let template = self.scope.path(&file.path, &path.at("path"), report);
        if let Some(template) = &template {
            always_filled(template, self.inputs, &path.at("path"), report);
        }
        let method = method(Some(file.method));
        let body = match (&file.form, &file.json) {
            (None, None) => ActionBody::None,
            (Some(form), None) => ActionBody::Form(self.parameters(form, &path.at("form"), report)),
            (None, Some(json)) => ActionBody::Json(self.scope.json(json, &path.at("json"), report)?),
            (Some(form), Some(_)) => {
                report.error(path, "has \"form\" and \"json\": a call has one body");
                ActionBody::Form(self.parameters(form, &path.at("form"), report))
            }
        };
        if matches!(method, "GET" | "HEAD") && !matches!(body, ActionBody::None) {
            report.error(path, format!("a {method} has no body: write \"query\""));
        }
        Some(ActionRequest {
            method: method.to_owned(),
            server: file.server.clone(),
            path: template?,
            query: self.parameters(&file.query, &path.at("query"), report),
            headers: self.scope.pairs(&file.headers, &path.at("headers"), report),
            body,
        })
    }

    fn parameters(
        &self,
        files: &IndexMap<String, ParameterFile>,
        path: &Path,
        report: &mut Report<'_>,
    ) -> Vec<Parameter> {
        let mut parameters = Vec::new();
        for (name, file) in files {
            let path = path.at(name);
            let (value, with) = match file {
                ParameterFile::Short(value) => (value, None),
                ParameterFile::Long(spec) => (&spec.value, Some(&spec.with)),
            };
            if let Some(input) = with.filter(|with| !self.inputs.contains_key(*with)) {
                report.error(&path.at("with"), format!("{input:?} is no input of the action"));
            }
            if let Some(value) = self.scope.template(&value.0, &path, report) {
                parameters.push(Parameter {
                    name: name.clone(),
                    value,
                    with: with.cloned(),
                });
            }
        }
        parameters
    }
}

/// What must have a value at each call may hold only inputs that always have one.
fn always_filled(
    template: &Template,
    inputs: &IndexMap<String, Input>,
    path: &Path,
    report: &mut Report<'_>,
) {
    for hole in template.holes() {
        let input = hole.strip_prefix("input.").and_then(|name| inputs.get(name));
        if input.is_some_and(|input| !input.required && input.default_value.is_none()) {
            report.error(
                path,
                format!("${{{hole}}} may be empty: make the input required, or give it a default_value"),
            );
        }
    }
}

fn sync_of(name: &str, around: &Around<'_>, path: &Path, report: &mut Report<'_>) -> Option<SyncName> {
    let found = around.syncs.keys().find(|known| known.as_str() == name).cloned();
    if found.is_none() {
        let known: Vec<&str> = around.syncs.keys().map(SyncName::as_str).collect();
        let message = format!(
            "{name:?} is no sync of this file: there are {}",
            words(&known, "and")
        );
        report.error(path, message);
    }
    found
}

fn writes(file: &WritesFile, around: &Around<'_>, path: &Path, report: &mut Report<'_>) -> Option<Writes> {
    Some(Writes {
        sync: sync_of(&file.sync, around, &path.at("sync"), report)?,
        record: file.record.as_deref().map(dotted).unwrap_or_default(),
    })
}

fn deletes(
    file: &DeletesRecordFile,
    around: &Around<'_>,
    scope: &Scope,
    inputs: &IndexMap<String, Input>,
    path: &Path,
    report: &mut Report<'_>,
) -> Option<Deletes> {
    let sync = sync_of(&file.sync, around, &path.at("sync"), report);
    let key = scope.template(&file.key, &path.at("key"), report)?;
    always_filled(&key, inputs, &path.at("key"), report);
    Some(Deletes { sync: sync?, key })
}

/// An input that goes nowhere is a mistake in the file.
fn unused(
    request: &ActionRequest,
    deletes: Option<&Deletes>,
    inputs: &IndexMap<String, Input>,
    path: &Path,
    report: &mut Report<'_>,
) {
    let mut used: Vec<String> = Vec::new();
    let mut note_all = |holes: Vec<&str>| used.extend(holes.into_iter().map(str::to_owned));
    let mut note = |template: &Template| note_all(template.holes());
    note(&request.path);
    request.headers.iter().for_each(|(_, value)| note(value));
    request.query.iter().for_each(|parameter| note(&parameter.value));
    if let Some(deletes) = deletes {
        note(&deletes.key);
    }
    match &request.body {
        ActionBody::None => {}
        ActionBody::Form(form) => form.iter().for_each(|parameter| note(&parameter.value)),
        ActionBody::Json(json) => note_all(json.holes()),
    }
    for name in inputs
        .keys()
        .filter(|name| !used.contains(&format!("input.{name}")))
    {
        let message = format!("goes nowhere: the request does not hold ${{input.{name}}}");
        report.error(&path.at("input").at(name), message);
    }
}
