//! Checks how Trunkline subscribes.

use indexmap::IndexMap;

use super::super::action::{self, Call};
use super::super::scope::Scope;
use crate::action::ActionRequest;
use crate::source::Report;
use crate::template::{JsonTemplate, Template};
use crate::webhooks::{SUBSCRIPTION_SECRET, Step, Subscription, SubscriptionFile, WEBHOOK_URL};

pub(super) fn subscriptions(
    files: IndexMap<String, SubscriptionFile>,
    scope: &Scope,
    report: &Report<'_>,
) -> IndexMap<String, Subscription> {
    let checked = files.into_iter().map(|(name, file)| {
        let report = report.at(&name);
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || !name.chars().all(plain) {
            report.error("must be a name of lower-case letters, digits and -");
        }
        let subscription = subscription(file, scope, &report);
        (name, subscription)
    });
    checked.collect()
}

fn subscription(file: SubscriptionFile, scope: &Scope, report: &Report<'_>) -> Subscription {
    let inputs = action::inputs(file.input, &report.at("input"));
    let with_input = |scope: Scope, name| scope.and(format!("input.{name}"));
    let scope = inputs.keys().fold(scope.and(WEBHOOK_URL.to_owned()), with_input);
    let scope = if file.generate_secret {
        scope.and(SUBSCRIPTION_SECRET.to_owned())
    } else {
        scope
    };
    let (create, scope) = steps(file.create, &inputs, scope, &report.at("create"));
    if create.is_empty() {
        report.at("create").error("must have at least one request");
    } else if !create.iter().any(|step| holds_url(&step.request)) {
        report
            .at("create")
            .error("no request holds ${webhook.url}, the address that the provider calls");
    }
    let show = file.show.map(|mut show| {
        let report = report.at("show");
        let call = Call {
            inputs: &inputs,
            scope: &scope,
        };
        call.request(&mut show.request, &report.at("request"));
        scope.pairs(&show.expect, &report.at("expect"));
        show
    });
    let renew = file.renew.map(|mut renew| {
        let report = report.at("renew").at("request");
        Call {
            inputs: &inputs,
            scope: &scope,
        }
        .request(&mut renew.request, &report);
        renew
    });
    let (end, _) = steps(file.end, &inputs, scope.clone(), &report.at("end"));
    Subscription {
        description: file.description,
        inputs,
        generate_secret: file.generate_secret,
        create,
        show,
        renew,
        end,
    }
}

/// Checks requests in order. Each may use what those before it kept.
fn steps(
    mut steps: Vec<Step>,
    inputs: &IndexMap<String, crate::input::Input>,
    mut scope: Scope,
    report: &Report<'_>,
) -> (Vec<Step>, Scope) {
    for (index, step) in steps.iter_mut().enumerate() {
        let report = report.item(index);
        let call = Call {
            inputs,
            scope: &scope,
        };
        call.request(&mut step.request, &report.at("request"));
        for (name, path) in &step.keep {
            let report = report.at("keep").at(name);
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.is_empty() || !name.chars().all(plain) {
                report.error("must be a name of letters, digits and _");
            }
            if path.0.is_empty() {
                report.error("must be a path in the response, such as data.id");
            }
            scope = scope.and(format!("subscription.{name}"));
        }
    }
    (steps, scope)
}

fn holds_url(request: &ActionRequest) -> bool {
    let form = request.form.iter().flat_map(IndexMap::values);
    let values = request.query.values().chain(form);
    let texts = values.flat_map(crate::action::Parameter::values);
    let in_json = request.json.iter().flat_map(JsonTemplate::placeholders);
    texts
        .flat_map(Template::placeholders)
        .chain(in_json)
        .any(|name| name == WEBHOOK_URL)
}
