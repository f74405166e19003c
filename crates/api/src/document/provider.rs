//! What one provider adds to the document: its connect forms, and a typed list for each of its models.

use domain::{Column, ColumnKind, Model, TableName};
use registry::{ConnectForm, Field, Provider};
use utoipa::openapi::path::{HttpMethod, Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, KnownFormat, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat,
    SchemaType, Type,
};
use utoipa::openapi::{Components, Content, OpenApi, PathItem, Ref, RefOr, Required};

use crate::connect::shared_fields;

/// Adds `POST /{provider}/connect` and `GET /{provider}/{plural}` for each model.
pub(super) fn describe(provider: &Provider, document: &mut OpenApi) {
    let name = &provider.name;
    if let Some(mut item) = document.paths.paths.get("/{integration}/connect").cloned() {
        item.post = item.post.map(|generic| connect(provider, generic));
        item.get = item.get.map(|generic| forms(provider, generic));
        document.paths.paths.insert(format!("/{name}/connect"), item);
    }
    let Some(generic) = document
        .paths
        .paths
        .get("/{integration}/{plural}")
        .and_then(|item| item.get.clone())
    else {
        return;
    };
    for sync in provider.syncs.values() {
        let (model, schema) = (&sync.model, format!("{name}.{}", sync.model.name));
        let item = PathItem::new(HttpMethod::Get, list(provider, model, &schema, generic.clone()));
        document
            .paths
            .paths
            .insert(format!("/{name}/{}", model.plural), item);
        document
            .components
            .get_or_insert_with(Components::new)
            .schemas
            .insert(schema, record(model).into());
    }
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::Type(Type::String))
}

fn connect(provider: &Provider, mut operation: Operation) -> Operation {
    let forms = provider
        .connect
        .iter()
        .fold(OneOfBuilder::new(), |all, form| all.item(form_schema(form)));
    let schema: Schema = forms
        .description(Some(
            "One of the forms. If several are complete, the first counts.",
        ))
        .build()
        .into();
    let content = Content::builder().schema(Some(schema)).build();
    let body = RequestBodyBuilder::new()
        .content("application/json", content)
        .required(Some(Required::True))
        .build();
    operation.operation_id = Some(format!("connect_{}", provider.name));
    operation.summary = Some(format!("Connects an account of {}", provider.display_name));
    if let Some(notice) = &provider.notice {
        let about = operation.description.take().unwrap_or_default();
        operation.description = Some(format!("{notice}\n\n{about}"));
    }
    operation.parameters = None;
    operation.request_body = Some(body.into());
    operation
}

fn forms(provider: &Provider, mut operation: Operation) -> Operation {
    operation.operation_id = Some(format!("get_{}_connect_forms", provider.name));
    operation.summary = Some(format!("Shows the forms of {}", provider.display_name));
    operation.parameters = None;
    operation
}

fn form_schema(form: &ConnectForm) -> Schema {
    let mut object = shared_fields()
        .title(Some(&form.title))
        .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)));
    for (name, field) in &form.fields {
        object = object.property(name, field_schema(field));
        if field.required() {
            object = object.required(name);
        }
    }
    object.build().into()
}

/// A description, and what a pattern asks for in words.
pub(super) fn told(description: Option<&str>, pattern: Option<&str>) -> Option<String> {
    let pattern = pattern.map(|words| format!("Must be {words}."));
    match (description.map(|text| text.trim_end_matches('.')), pattern) {
        (Some(text), Some(pattern)) if !text.is_empty() => Some(format!("{text}. {pattern}")),
        (_, Some(pattern)) => Some(pattern),
        (_, None) => description.map(str::to_owned),
    }
}

fn field_schema(field: &Field) -> ObjectBuilder {
    let format = match field.format {
        _ if field.secret => Some(SchemaFormat::KnownFormat(KnownFormat::Password)),
        format => format.map(super::action::format),
    };
    // White space at both ends is dropped, and something must be left.
    let anything = field.required().then(|| r"\S".to_owned());
    let mut object = text()
        .title(field.title.clone())
        .description(told(
            field.description.as_deref(),
            field.pattern_description.as_deref(),
        ))
        .pattern(field.pattern.as_ref().map(ToString::to_string).or(anything))
        .max_length(Some(1024))
        .format(format)
        .default(field.default_value.clone().map(Into::into));
    if let Some(example) = &field.example {
        object = object.examples([example.as_str()]);
    }
    if !field.allowed.is_empty() {
        object = object.enum_values(Some(field.allowed.clone()));
    }
    object
}

fn list(provider: &Provider, model: &Model, schema: &str, mut operation: Operation) -> Operation {
    operation.operation_id = Some(format!("list_{}", model.table));
    operation.summary = Some(format!(
        "Lists {} of a connection of {}, newest first",
        model.plural, provider.display_name
    ));
    operation.description = Some(model.description.clone());
    operation.parameters = Some(parameters(model, operation.parameters.unwrap_or_default()));
    if let Some(RefOr::T(response)) = operation.responses.responses.get_mut("200")
        && let Some(content) = response.content.get_mut("application/json")
    {
        *content = Content::builder()
            .schema(Some(page(model, schema)))
            .build()
            .into();
    }
    operation
}

/// The parameters that all lists share, but for those of the path, and the model's own.
fn parameters(model: &Model, generic: Vec<RefOr<Parameter>>) -> Vec<RefOr<Parameter>> {
    let mut all = generic;
    all.retain(
        |parameter| !matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Path),
    );
    let own = |name: String, description: String, schema: ObjectBuilder| {
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Query)
            .required(Required::False)
            .description(Some(description))
            .schema(Some(schema))
            .build()
            .into()
    };
    for name in &model.filters {
        let Some(column) = model.columns.get(name) else {
            continue;
        };
        all.push(own(
            name.to_string(),
            format!("Exactly this value. {}", column.description),
            scalar(column.kind),
        ));
    }
    for name in &model.newest_by {
        let time = || text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
        all.push(own(
            format!("{name}_after"),
            format!("Only those whose {name} is then or later (ISO 8601)"),
            time(),
        ));
        all.push(own(
            format!("{name}_before"),
            format!("Only those whose {name} is earlier, not then (ISO 8601)"),
            time(),
        ));
    }
    all
}

fn page(model: &Model, schema: &str) -> Schema {
    ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::Object))
        .property(
            &model.plural,
            ArrayBuilder::new().items(Ref::from_schema_name(schema)),
        )
        .required(&model.plural)
        .property(
            "next_cursor",
            nullable(text()).description(Some("Where the list goes on; null at its end")),
        )
        .required("next_cursor")
        .build()
        .into()
}

/// The JSON Schema of a model's records.
pub(crate) fn schema_of(model: &Model) -> serde_json::Value {
    serde_json::to_value(record(model)).unwrap_or_default()
}

fn record(model: &Model) -> Schema {
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
            "What the provider sent beside the columns; left out if nothing",
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

/// The schema of a value; decimals are text, so that they stay exact.
fn scalar(kind: ColumnKind) -> ObjectBuilder {
    match kind {
        ColumnKind::Text => text(),
        ColumnKind::Decimal => text().format(Some(SchemaFormat::Custom("decimal".to_owned()))),
        ColumnKind::Timestamp => text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))),
        ColumnKind::Integer => ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::Integer))
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64))),
        ColumnKind::Boolean => ObjectBuilder::new().schema_type(SchemaType::Type(Type::Boolean)),
        ColumnKind::Json => ObjectBuilder::new().schema_type(SchemaType::AnyValue),
    }
}

fn nullable(schema: ObjectBuilder) -> ObjectBuilder {
    let mut object = schema.build();
    if let SchemaType::Type(kind) = object.schema_type {
        object.schema_type = SchemaType::Array(vec![kind, Type::Null]);
    }
    object.into()
}
