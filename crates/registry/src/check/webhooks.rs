//! Checks the section `webhooks`.

mod events;
mod scheme;
mod subscription;

use domain::SyncName;

use super::Syncs;
use super::scope::Scope;
use crate::field::Fields;
use crate::source::Report;
use crate::webhooks::{
    Challenge, ConnectionMatch, SUBSCRIPTION_SECRET, Subscription, Webhooks, WebhooksFile,
};
use crate::wording::list;

/// What of the rest of the file the section refers to.
pub(super) struct Known<'a> {
    /// What is known of a connection.
    pub(super) scope: &'a Scope,
    pub(super) connection_config: &'a Fields,
    pub(super) syncs: &'a Syncs,
}

pub(super) fn webhooks(file: WebhooksFile, known: &Known<'_>, report: &Report<'_>) -> Webhooks {
    let message = message_scope();
    if file.methods.is_empty() {
        report.at("methods").error("must name at least one method");
    }
    for (key, template) in [("id", &file.id), ("type", &file.kind)] {
        if let Some(template) = template {
            message.template(template, &report.at(key));
        }
    }
    if file.kind.is_none() && !file.events.is_empty() {
        report.error("\"type\" is missing: say where the type of an event is, by which \"events\" selects");
    }
    if let Some(connection) = &file.connection {
        self::connection(connection, known, &message, &report.at("connection"));
    }
    let signature = scheme::schemes(file.signature, known.scope, &report.at("signature"));
    for (index, challenge) in file.challenges.iter().enumerate() {
        self::challenge(challenge, &message, &report.at("challenges").item(index));
    }
    let events = events::events(file.events, known.syncs, &message, &report.at("events"));
    let subscriptions = &report.at("subscriptions");
    let subscriptions = subscription::subscriptions(file.subscriptions, known.scope, subscriptions);
    let webhooks = Webhooks {
        setup: file.setup,
        methods: file.methods,
        signature,
        connection: file.connection,
        batch: file.batch,
        id: file.id,
        kind: file.kind,
        events,
        challenges: file.challenges,
        subscriptions,
    };
    secret_of_subscription(&webhooks, report);
    webhooks
}

/// Returns the parts of a request and of an event that templates may name.
fn message_scope() -> Scope {
    Scope::of(["method"]).and_all_below(&["header.", "query.", "body.", "event."])
}

fn connection(connection: &ConnectionMatch, known: &Known<'_>, message: &Scope, report: &Report<'_>) {
    message.template(&connection.from, &report.at("from"));
    if !known.connection_config.contains_key(&connection.config) {
        let fields = list(known.connection_config.keys(), "and");
        let message = format!(
            "{:?} is not declared under connection_config: the fields are {fields}",
            connection.config
        );
        report.at("config").error(message);
    }
}

fn challenge(challenge: &Challenge, message: &Scope, report: &Report<'_>) {
    for (key, template) in [("echo", &challenge.echo), ("secret", &challenge.secret)] {
        if let Some(template) = template {
            message.template(template, &report.at(key));
        }
    }
    if let Some(json) = &challenge.json {
        message.json(json, &report.at("json"));
    }
    if challenge.echo.is_some() && challenge.json.is_some() {
        report.error("has \"echo\" and \"json\": a response has one body");
    }
    if challenge.placeholders().is_empty() {
        report.error(
            "needs a placeholder in \"echo\", \"json\" or \"secret\", such as ${body.challenge}: by it the request is recognised",
        );
    }
}

/// Checks that a secret that signatures use comes from somewhere, and that one that is kept is used.
fn secret_of_subscription(webhooks: &Webhooks, report: &Report<'_>) {
    let secrets = webhooks.signature.iter().flat_map(|scheme| &scheme.secrets);
    let used = secrets
        .flat_map(|secret| secret.value.placeholders())
        .any(|name| name == SUBSCRIPTION_SECRET);
    let by_subscription = webhooks.subscriptions.values().any(Subscription::brings_secret);
    let by_challenge = |challenge: &Challenge| challenge.secret.is_some();
    let brought = by_subscription || webhooks.challenges.iter().any(by_challenge);
    if used && !brought {
        report.at("signature").error(
            "nothing brings ${subscription.secret}: say in \"keep\" of a subscription where the response has the \"secret\", or write \
             \"generate_secret: true\", or \"secret\" in \"challenges\"",
        );
    }
    if brought && !used {
        report
            .at("signature")
            .error("no \"secret\" holds ${subscription.secret}, which a subscription or a challenge brings");
    }
}

/// Reports a name that is not one of the file's syncs, and returns the sync otherwise.
fn sync<'a>(
    name: &SyncName,
    syncs: &'a Syncs,
    report: &Report<'_>,
) -> Option<&'a std::sync::Arc<crate::sync::Sync>> {
    super::action::sync_of(name, syncs, report);
    syncs.get(name)
}
