//! What one provider adds to the document: its connect forms, a typed list for each of its models, and the short routes of its actions.

use domain::Model;
use gateway::ConnectRequest;
use registry::{ConnectForm, Field, Provider};
use utoipa::PartialSchema;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn, Paths};
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, KnownFormat, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat,
};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr};

use super::action::{json_body, parameter, short_route};
use super::find;
use crate::routes::{Kind, provider_routes};
use crate::schema::{action_schema, described, format_of, nullable, record_schema, scalar, text};

/// Adds the operations and schemas of a provider. `general` has the operations that all providers share.
pub(super) fn describe(provider: &Provider, general: &Paths, document: &mut OpenApi) {
    let name = &provider.name;
    for route in provider_routes(provider) {
        let Some((_, _, operation)) = find(general, route.kind.general_id()) else {
            continue;
        };
        let mut operation = match route.kind {
            Kind::Connect => connect(provider, operation),
            Kind::Forms => forms(provider, operation),
            Kind::List(model) => list(provider, model, operation),
            Kind::Action(action) => short_route(provider, action, operation),
        };
        operation.operation_id = Some(route.id());
        let path = format!("/{name}{}", route.path);
        document
            .paths
            .add_path_operation(path, vec![route.method], operation);
    }
    let schemas = &mut document.components.get_or_insert_default().schemas;
    for sync in provider.syncs.values() {
        schemas.insert(
            model_name(provider, &sync.model),
            record_schema(&sync.model).into(),
        );
    }
    for action in provider.actions.values() {
        schemas.insert(format!("{name}.{}", action.name), action_schema(action).into());
    }
}

/// The name of the schema of a model's records.
fn model_name(provider: &Provider, model: &Model) -> String {
    format!("{}.{}", provider.name, model.name)
}

fn connect(provider: &Provider, mut operation: Operation) -> Operation {
    let forms = provider
        .connect
        .iter()
        .fold(OneOfBuilder::new(), |all, form| all.item(form_schema(form)));
    let schema: Schema = forms
        .description(Some(
            "One of the forms. If several are complete, the first is used.",
        ))
        .build()
        .into();
    operation.summary = Some(format!("Connects an account of {}", provider.display_name));
    if let Some(notice) = &provider.notice {
        let about = operation.description.take().unwrap_or_default();
        operation.description = Some(format!("{notice}\n\n{about}"));
    }
    operation.request_body = Some(json_body(schema));
    operation
}

fn forms(provider: &Provider, mut operation: Operation) -> Operation {
    operation.summary = Some(format!("Shows the forms of {}", provider.display_name));
    operation
}

fn form_schema(form: &ConnectForm) -> Schema {
    // The fields that all providers share.
    let mut object = match ConnectRequest::schema() {
        RefOr::T(Schema::Object(shared)) => ObjectBuilder::from(shared),
        _ => ObjectBuilder::new(),
    };
    object = object
        .title(Some(&form.title))
        .description(None::<String>)
        .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)));
    for (name, field) in &form.fields {
        object = object.property(name, field_schema(field));
        if field.required() {
            object = object.required(name);
        }
    }
    object.build().into()
}

fn field_schema(field: &Field) -> ObjectBuilder {
    let format = match field.format {
        _ if field.secret => Some(SchemaFormat::KnownFormat(KnownFormat::Password)),
        format => format.map(format_of),
    };
    // White space at both ends is trimmed, and the rest must not be empty.
    let anything = field.required().then(|| r"\S".to_owned());
    let mut object = text()
        .title(field.title.clone())
        .description(described(
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

fn list(provider: &Provider, model: &Model, mut operation: Operation) -> Operation {
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
            .schema(Some(page(model, &model_name(provider, model))))
            .build()
            .into();
    }
    operation
}

/// Returns the parameters of all lists, except those of the path, and those of the model.
fn parameters(model: &Model, generic: Vec<RefOr<Parameter>>) -> Vec<RefOr<Parameter>> {
    let mut all = generic;
    all.retain(
        |parameter| !matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Path),
    );
    let mut add = |name: &str, description: &str, schema: ObjectBuilder| {
        all.push(parameter(
            name,
            ParameterIn::Query,
            description,
            false,
            schema.into(),
        ));
    };
    for name in &model.filters {
        if let Some(column) = model.columns.get(name) {
            let description = format!("The exact value. {}", column.description);
            add(name.as_str(), &description, scalar(column.kind));
        }
    }
    for name in &model.newest_by {
        let time = || text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
        let after = format!("Only records whose {name} is at this time or later (ISO 8601)");
        add(&format!("{name}_after"), &after, time());
        let before = format!("Only records whose {name} is before this time (ISO 8601)");
        add(&format!("{name}_before"), &before, time());
    }
    all
}

fn page(model: &Model, schema: &str) -> Schema {
    ObjectBuilder::new()
        .property(
            &model.plural,
            ArrayBuilder::new().items(Ref::from_schema_name(schema)),
        )
        .required(&model.plural)
        .property(
            "next_cursor",
            nullable(text().description(Some("The cursor of the next page; null on the last page"))),
        )
        .required("next_cursor")
        .into()
}
