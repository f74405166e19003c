//! JSON Schemas of what provider files declare: the inputs of actions and the records of models.

use domain::{Column, ColumnKind, Model, TableName};
use registry::{Action, FieldFormat, Input, InputKind};
use serde_json::Value as Json;
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, KnownFormat, Object, ObjectBuilder, Schema, SchemaFormat, SchemaType,
    Type,
};

/// Returns the JSON Schema of the inputs of an action.
pub(crate) fn inputs_of(action: &Action) -> Json {
    serde_json::to_value(Schema::from(action_schema(action))).unwrap_or_default()
}

pub(crate) fn action_schema(action: &Action) -> Object {
    inputs_object(action, |_| true)
        .description(Some(&action.description))
        .build()
}

pub(crate) fn inputs_object(action: &Action, wanted: impl Fn(&str) -> bool) -> ObjectBuilder {
    let mut object = ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::Object))
        .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)));
    for (name, input) in action.inputs.iter().filter(|(name, _)| wanted(name)) {
        object = if input.required {
            object.property(name, input_schema(input)).required(name)
        } else {
            object.property(name, or_null(input_schema(input)))
        };
    }
    object
}

/// Allows null, for a field that may be left out.
fn or_null(schema: Schema) -> Schema {
    let with_null = |kind| match kind {
        SchemaType::Type(kind) => SchemaType::Array(vec![kind, Type::Null]),
        other => other,
    };
    match schema {
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
    ObjectBuilder::new().schema_type(SchemaType::Type(Type::String))
}

/// Returns the schema of an input of an action.
pub(crate) fn input_schema(input: &Input) -> Schema {
    let description = told(
        Some(input.description.as_str()).filter(|text| !text.is_empty()),
        input.pattern_description.as_deref(),
    );
    let examples = input.example.clone();
    let number = |bound: Option<i64>| bound.and_then(|bound| i32::try_from(bound).ok()).map(f64::from);
    let of = |kind| ObjectBuilder::new().schema_type(SchemaType::Type(kind));
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
    let own = |word: &str| SchemaFormat::Custom(word.to_owned());
    match format {
        FieldFormat::Hostname => own("hostname"),
        FieldFormat::Uri => own("uri"),
        FieldFormat::Uuid => own("uuid"),
        FieldFormat::Email => own("email"),
        FieldFormat::Phone => own("phone"),
        FieldFormat::Sender => own("sender"),
        FieldFormat::Date => SchemaFormat::KnownFormat(KnownFormat::Date),
        FieldFormat::DateTime => SchemaFormat::KnownFormat(KnownFormat::DateTime),
    }
}

/// Joins a description and the words for a pattern.
pub(crate) fn told(description: Option<&str>, pattern: Option<&str>) -> Option<String> {
    let pattern = pattern.map(|words| format!("Must be {words}."));
    match (description.map(|text| text.trim_end_matches('.')), pattern) {
        (Some(text), Some(pattern)) if !text.is_empty() => Some(format!("{text}. {pattern}")),
        (_, Some(pattern)) => Some(pattern),
        (_, None) => description.map(str::to_owned),
    }
}

/// Returns the JSON Schema of a model's records.
pub(crate) fn schema_of(model: &Model) -> serde_json::Value {
    serde_json::to_value(record_schema(model)).unwrap_or_default()
}

pub(crate) fn record_schema(model: &Model) -> Schema {
    let mut object = ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::Object))
        .description(Some(&model.description));
    for (name, column) in &model.columns {
        object = object
            .property(name.as_str(), column_schema(model, name, column))
            .required(name.as_str());
    }
    let extra = ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::Object))
        .description(Some(
            "What the provider sent besides the columns; left out if there is nothing",
        ));
    object.property("_extra", extra).build().into()
}

fn column_schema(model: &Model, name: &TableName, column: &Column) -> ObjectBuilder {
    let schema = scalar(column.kind).description(Some(&column.description));
    if *name == model.key {
        schema
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

pub(crate) fn nullable(schema: ObjectBuilder) -> ObjectBuilder {
    let mut object = schema.build();
    if let SchemaType::Type(kind) = object.schema_type {
        object.schema_type = SchemaType::Array(vec![kind, Type::Null]);
    }
    object.into()
}
