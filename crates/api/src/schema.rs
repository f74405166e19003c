//! JSON Schemas of what provider files declare: the inputs of actions and the records of models.

use domain::{Column, ColumnKind, Model, TableName};
use registry::{Action, FieldFormat, Input, InputKind};
use serde_json::Value as Json;
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type,
};

/// Returns the JSON Schema of the inputs of an action.
pub(crate) fn action_schema(action: &Action) -> Schema {
    inputs_object(action, |_| true)
        .description(Some(&action.description))
        .into()
}

pub(crate) fn inputs_object(action: &Action, wanted: impl Fn(&str) -> bool) -> ObjectBuilder {
    let mut object =
        ObjectBuilder::new().additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)));
    for (name, input) in action.inputs.iter().filter(|(name, _)| wanted(name)) {
        object = if input.required {
            object.property(name, input_schema(input)).required(name)
        } else {
            object.property(name, nullable(input_schema(input)))
        };
    }
    object
}

/// Allows null as well.
pub(crate) fn nullable(schema: impl Into<Schema>) -> Schema {
    let with_null = |kind| match kind {
        SchemaType::Type(kind) => SchemaType::Array(vec![kind, Type::Null]),
        other => other,
    };
    match schema.into() {
        Schema::Object(mut object) => {
            object.schema_type = with_null(object.schema_type);
            if let Some(values) = &mut object.enum_values {
                values.push(Json::Null);
            }
            object.into()
        }
        Schema::Array(mut list) => {
            list.schema_type = with_null(list.schema_type);
            list.into()
        }
        other => other,
    }
}

pub(crate) fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// Returns the schema of an input of an action.
pub(crate) fn input_schema(input: &Input) -> Schema {
    let description = described(
        Some(input.description.as_str()).filter(|text| !text.is_empty()),
        input.pattern_description.as_deref(),
    );
    let examples = input.example.clone();
    let number = |bound: Option<i64>| bound.and_then(|bound| i32::try_from(bound).ok()).map(f64::from);
    let of = |kind: Type| ObjectBuilder::new().schema_type(kind);
    let object = match input.kind {
        InputKind::List => {
            let list = ArrayBuilder::new()
                .items(of_text(input))
                .max_items(input.max_length);
            return list.examples(examples).description(description).into();
        }
        InputKind::Text => of_text(input).max_length(input.max_length),
        InputKind::Integer => of(Type::Integer)
            .minimum(number(input.minimum))
            .maximum(number(input.maximum)),
        InputKind::Boolean => of(Type::Boolean),
        InputKind::Json => ObjectBuilder::new().schema_type(SchemaType::AnyValue),
    };
    let default = input.default_value.clone().filter(|value| *value != Json::Null);
    object
        .examples(examples)
        .description(description)
        .default(default)
        .into()
}

fn of_text(input: &Input) -> ObjectBuilder {
    let object = text()
        .pattern(input.pattern.as_ref().map(|pattern| format!("^(?:{pattern})$")))
        .format(input.format.map(format_of));
    if input.allowed.is_empty() {
        object
    } else {
        object.enum_values(Some(input.allowed.clone()))
    }
}

/// Returns the format as JSON Schema names it, or our own name.
pub(crate) fn format_of(format: FieldFormat) -> SchemaFormat {
    let name = match format {
        FieldFormat::Hostname => "hostname",
        FieldFormat::Uri => "uri",
        FieldFormat::Uuid => "uuid",
        FieldFormat::Email => "email",
        FieldFormat::Phone => "phone",
        FieldFormat::Sender => "sender",
        FieldFormat::Date => "date",
        FieldFormat::DateTime => "date-time",
    };
    SchemaFormat::Custom(name.to_owned())
}

/// Joins a description and the words for a pattern.
pub(crate) fn described(description: Option<&str>, pattern: Option<&str>) -> Option<String> {
    let pattern = pattern.map(|words| format!("Must be {words}."));
    match (description.map(|text| text.trim_end_matches('.')), pattern) {
        (Some(text), Some(pattern)) if !text.is_empty() => Some(format!("{text}. {pattern}")),
        (_, Some(pattern)) => Some(pattern),
        (_, None) => description.map(str::to_owned),
    }
}

/// Returns the JSON Schema of a model's records.
pub(crate) fn record_schema(model: &Model) -> Schema {
    let mut object = ObjectBuilder::new().description(Some(&model.description));
    for (name, column) in &model.columns {
        object = object
            .property(name.as_str(), column_schema(model, name, column))
            .required(name.as_str());
    }
    let extra = ObjectBuilder::new().description(Some(
        "What the provider sent besides the columns; left out if there is nothing",
    ));
    object.property("_extra", extra).into()
}

fn column_schema(model: &Model, name: &TableName, column: &Column) -> Schema {
    let schema = scalar(column.kind).description(Some(&column.description));
    if *name == model.key {
        schema.into()
    } else {
        nullable(schema)
    }
}

/// Returns the schema of a value; decimals are text, so that they stay exact.
pub(crate) fn scalar(kind: ColumnKind) -> ObjectBuilder {
    let info = kind.info();
    let format = info
        .json_format
        .map(|format| SchemaFormat::Custom(format.to_owned()));
    let schema_type = match info.json_type {
        None => SchemaType::AnyValue,
        Some("integer") => SchemaType::Type(Type::Integer),
        Some("boolean") => SchemaType::Type(Type::Boolean),
        Some(_) => SchemaType::Type(Type::String),
    };
    ObjectBuilder::new().schema_type(schema_type).format(format)
}
