//! The rules that many operations share, told once: those of names, and that no text of a query is empty.

use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::schema::{Object, Schema, SchemaType, Type};
use utoipa::openapi::{OpenApi, PathItem, RefOr};

/// Names by their rules in `domain::names`; a parameter or a property that bears one of them has its rule.
const NAMES: [(&[&str], &str); 3] = [
    (
        &["connection_id", "connectionId", "Connection-Id"],
        r#"^[A-Za-z0-9 ,.;:=+~\[\]|@${}"'\\/_-]{1,255}$"#,
    ),
    (
        &["provider_config_key", "Provider-Config-Key"],
        r"^[A-Za-z0-9 ~:.@_-]{1,255}$",
    ),
    (&["sync"], r"^[A-Za-z0-9_-]{1,255}$"),
];

fn pattern(name: &str) -> Option<&'static str> {
    let (_, pattern) = NAMES.iter().find(|(names, _)| names.contains(&name))?;
    Some(pattern)
}

/// Tells the rules wherever they hold and nothing else is told.
pub(super) fn tell(document: &mut OpenApi) {
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            parameters(operation);
        }
    }
    let components = document.components.iter_mut();
    for schema in components.flat_map(|components| components.schemas.values_mut()) {
        properties(schema);
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let all = [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.delete,
        &mut item.patch,
    ];
    all.into_iter().filter_map(Option::as_mut)
}

fn parameters(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(parameter) = parameter else { continue };
        let Some(RefOr::T(Schema::Object(object))) = &mut parameter.schema else {
            continue;
        };
        if !is_text(object) {
            continue;
        }
        name(&parameter.name, object);
        // A query is read strictly: what is there says something.
        if parameter.parameter_in == ParameterIn::Query
            && object.pattern.is_none()
            && object.enum_values.is_none()
        {
            object.min_length.get_or_insert(1);
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
