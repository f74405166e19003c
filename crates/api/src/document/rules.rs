//! Rules that many operations share: the patterns of names, the parameters of paths, and that no text of a query is empty.

use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{AdditionalProperties, Object, Schema, SchemaType, Type};
use utoipa::openapi::{OpenApi, RefOr, Required};

use super::operations;
use crate::schema::text;

/// The patterns of names, by the rules of `domain::names`. A parameter or a property with one of these names has its pattern.
const NAMES: [(&[&str], &str); 6] = [
    (
        &["connection_id", "connectionId", "Connection-Id"],
        r#"^[A-Za-z0-9 ,.;:=+~\[\]|@${}"'\\/_-]{1,255}$"#,
    ),
    (
        &[
            "provider_config_key",
            "Provider-Config-Key",
            "unique_key",
            "integration_id",
        ],
        r"^[A-Za-z0-9 ~:.@_-]{1,255}$",
    ),
    (&["Idempotency-Key"], "^[!-~]{1,255}$"),
    (&["integrationId"], r"^[A-Za-z0-9 ~:.@_,-]+$"),
    (&["sync", "sync_name", "variant", "sync_variant"], SYNC),
    (
        &["syncs"],
        r"^(\*|[A-Za-z0-9_-]{1,255}(::[A-Za-z0-9_-]{1,255})?(,[A-Za-z0-9_-]{1,255}(::[A-Za-z0-9_-]{1,255})?)*)$",
    ),
];
const SYNC: &str = "^[A-Za-z0-9_-]{1,255}$";
/// The schema that names a sync and its variant in a body, and its pattern.
const SYNC_REF: (&str, &str) = ("SyncRef", "^[A-Za-z0-9_-]{1,255}(::[A-Za-z0-9_-]{1,255})?$");

fn pattern(name: &str) -> Option<&'static str> {
    let (_, pattern) = NAMES.iter().find(|(names, _)| names.contains(&name))?;
    Some(pattern)
}

/// Adds the rules to every parameter and property without rules of its own.
pub(super) fn add(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        for (_, operation) in operations(item) {
            path_parameters(path, operation);
            parameters(operation);
            bodies(operation);
        }
    }
    let Some(components) = &mut document.components else {
        return;
    };
    components.schemas.values_mut().for_each(properties);
    components.schemas.values_mut().for_each(forms);
    if let Some(RefOr::T(Schema::OneOf(forms))) = components.schemas.get_mut(SYNC_REF.0) {
        forms.items.iter_mut().for_each(sync_ref);
    }
}

/// Among several forms, one without fields is the empty object; otherwise it would match what the others describe.
fn forms(schema: &mut RefOr<Schema>) {
    let RefOr::T(Schema::OneOf(forms)) = schema else {
        return;
    };
    for form in &mut forms.items {
        if let RefOr::T(Schema::Object(form)) = form
            && matches!(form.schema_type, SchemaType::Type(Type::Object))
            && form.properties.is_empty()
        {
            let none = || Box::new(AdditionalProperties::FreeForm(false));
            form.additional_properties.get_or_insert_with(none);
        }
    }
}

/// Adds the patterns of a form that names a sync: text, or its parts.
fn sync_ref(form: &mut RefOr<Schema>) {
    let RefOr::T(Schema::Object(form)) = form else {
        return;
    };
    if is_text(form) {
        form.pattern = Some(SYNC_REF.1.to_owned());
    }
    if !form.properties.is_empty() {
        form.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
    }
    for part in form.properties.values_mut() {
        if let RefOr::T(Schema::Object(part)) = part {
            part.pattern = Some(SYNC.to_owned());
        }
    }
}

/// Parameters of paths that many operations have: name, description and example.
const PATH_PARAMETERS: [(&str, &str, &str); 5] = [
    ("connection_id", "Your name for the connection", "my-acme"),
    ("environment", "The environment's name", "dev"),
    ("integration", "The integration's key", "acme"),
    ("provider", "The provider's name", "acme"),
    ("unique_key", "The integration's key", "acme"),
];

/// Adds the parameters of a path that an operation does not declare itself.
fn path_parameters(path: &str, operation: &mut Operation) {
    for (name, description, example) in PATH_PARAMETERS {
        let parameters = operation.parameters.get_or_insert_default();
        let declared =
            |parameter: &RefOr<Parameter>| matches!(parameter, RefOr::T(known) if known.name == name);
        if path.contains(&format!("{{{name}}}")) && !parameters.iter().any(declared) {
            let parameter = ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .description(Some(description))
                .example(Some(example.into()))
                .schema(Some(text()));
            parameters.insert(0, parameter.build().into());
        }
    }
    if operation.parameters.as_ref().is_some_and(Vec::is_empty) {
        operation.parameters = None;
    }
}

fn parameters(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(parameter) = parameter else { continue };
        let Some(RefOr::T(Schema::Object(object))) = &mut parameter.schema else {
            continue;
        };
        never_null(object);
        if !is_text(object) {
            continue;
        }
        name(&parameter.name, object);
        // An empty value in a query is an error.
        if parameter.parameter_in == ParameterIn::Query
            && object.pattern.is_none()
            && object.enum_values.is_none()
        {
            object.min_length.get_or_insert(1);
        }
    }
}

/// Removes null from the type of a parameter: an optional parameter is left out.
fn never_null(object: &mut Object) {
    if let SchemaType::Array(kinds) = &mut object.schema_type {
        kinds.retain(|kind| *kind != Type::Null);
        if let [kind] = kinds.as_slice() {
            object.schema_type = SchemaType::Type(kind.clone());
        }
    }
}

/// Adds the rules to bodies whose schema is part of the operation, such as a provider's forms.
fn bodies(operation: &mut Operation) {
    let Some(RefOr::T(body)) = &mut operation.request_body else {
        return;
    };
    for content in body.content.values_mut() {
        if let RefOr::T(content) = content
            && let Some(RefOr::T(Schema::OneOf(forms))) = &mut content.schema
        {
            forms.items.iter_mut().for_each(properties);
        }
    }
}

fn properties(schema: &mut RefOr<Schema>) {
    match schema {
        RefOr::T(Schema::Object(object)) => {
            for (key, property) in &mut object.properties {
                if let RefOr::T(Schema::Object(property)) = property
                    && is_text(property)
                {
                    name(key, property);
                }
            }
        }
        RefOr::T(Schema::AllOf(all)) => all.items.iter_mut().for_each(properties),
        RefOr::T(_) | RefOr::Ref(_) => {}
    }
}

fn name(name: &str, object: &mut Object) {
    if object.pattern.is_none() {
        object.pattern = pattern(name).map(str::to_owned);
    }
}

fn is_text(object: &Object) -> bool {
    match &object.schema_type {
        SchemaType::Type(kind) => *kind == Type::String,
        SchemaType::Array(kinds) => kinds.contains(&Type::String),
        SchemaType::AnyValue => false,
    }
}
