//! Turns a file of the right shape into a provider that has nothing left to interpret, and reports all errors.
//!
//! The deserialized sections are moved into the provider. Their checks report wrong references, templates and rules. If an error was
//! reported, the provider is dropped, so checks need not tell their callers about errors.

mod action;
mod connect;
mod fields;
mod model;
mod requests;
mod route;
mod scope;
mod sync;
mod webhooks;

use std::sync::Arc;

use domain::{ProviderName, SyncName};
use indexmap::IndexMap;

use self::scope::Scope;
use crate::file::{ProviderFile, SyncFile};
use crate::paginate::PaginateFile;
use crate::placement;
use crate::provider::{AuthMode, Provider};
use crate::source::Report;
use crate::sync::Sync;
use crate::translation;
use crate::webhooks::WEBHOOK_URL;

/// Returns the provider. It must be dropped if the report has an error or says that the entry is not supported.
pub(crate) fn provider(name: ProviderName, file: ProviderFile, report: &Report<'_>) -> Provider {
    let auth = file.auth_mode;
    let credentials = fields::credentials(auth, file.credentials, report);
    let proxy = &report.at("proxy");
    let mut connection_config = fields::all(file.connection_config, &report.at("connection_config"));
    let further = fields::of_proxy(file.proxy.connection_config, &proxy.at("connection_config"));
    for (name, field) in further {
        connection_config.entry(name).or_insert(field);
    }
    let integration_config = fields::all(file.integration_config, &report.at("integration_config"));
    let scope = Scope::of_requests(
        &credentials,
        &connection_config,
        &integration_config,
        &file.servers,
    );
    for (server, url) in &file.servers {
        scope.url(url, &report.at("servers").at(server));
    }
    let base_url = placement::base_url(file.proxy.base_url, &integration_config);
    scope.url(&base_url, &proxy.at("base_url"));
    let (headers, query, body) = (file.proxy.headers, file.proxy.query, file.proxy.body);
    let within = scope.within_request();
    within.pairs(&headers, &proxy.at("headers"));
    within.pairs(&query, &proxy.at("query"));
    within.json_pairs(&body, &proxy.at("body"));

    let addresses = std::iter::once(&base_url).chain(file.servers.values());
    let pairs = headers.iter().chain(&query).map(|(_, value)| value);
    let texts = addresses.chain(pairs);
    fields::note_added(&mut connection_config, &texts);
    // An integration may itself say where requests contain the key.
    let placed = integration_config.contains_key(placement::KEY_NAME);
    if auth == AuthMode::ApiKey && !placed && !placement::contain_key(texts, &body) {
        proxy.doubt(
            "no header, parameter, body or address contains ${apiKey}, so no request would be authorized",
        );
    }
    translation::check(&file.translations, report);
    let connect = connect::forms(auth, file.connect, &credentials, &connection_config, report);
    let verification = requests::verification(file.proxy.verification, &scope, report);
    let retry = requests::retry(file.proxy.retry, report);
    requests::errors(&file.errors, report);
    let list = file.proxy.paginate.as_ref();
    let paginate = list.and_then(|list| list.check(&proxy.at("paginate")));
    let syncs = syncs(file.syncs, &scope.and("variant".to_owned()), list, report);
    let action_scope = if file.webhooks.is_some() {
        scope.and(WEBHOOK_URL.to_owned())
    } else {
        scope.clone()
    };
    let actions = action::actions(file.actions, &action_scope, &syncs, report);
    let webhooks = file.webhooks.map(|webhooks| {
        let of = webhooks::Known {
            scope: &scope,
            connection_config: &connection_config,
            syncs: &syncs,
        };
        webhooks::webhooks(webhooks, &of, &report.at("webhooks"))
    });
    Provider {
        display_name: file.display_name.unwrap_or_else(|| name.to_string()),
        name,
        categories: file.categories,
        docs: file.docs,
        notice: file.notice,
        translations: file.translations,
        auth,
        credentials,
        connection_config,
        integration_config,
        connect,
        base_url,
        servers: file.servers,
        headers,
        query,
        body,
        verification,
        retry,
        paginate,
        limits: file.limits,
        errors: file.errors,
        syncs,
        actions,
        webhooks,
        document: report.source().root.to_json(),
    }
}

type Syncs = IndexMap<SyncName, Arc<Sync>>;

fn syncs(
    files: IndexMap<String, SyncFile>,
    scope: &Scope,
    list: Option<&PaginateFile>,
    report: &Report<'_>,
) -> Syncs {
    let mut syncs = Syncs::new();
    for (name, file) in files {
        let report = &report.at("syncs").at(&name);
        let Some(sync) = sync::sync(&name, file, scope, list, report) else {
            continue;
        };
        for other in syncs.values() {
            if other.model.name == sync.model.name {
                let message = format!(
                    "the sync {:?} has the model {} too; each model is filled by one sync",
                    other.name, sync.model.name
                );
                report.at("model").error(message);
            } else if other.model.plural == sync.model.plural {
                let message = format!(
                    "the model of {:?} is called {:?} too; give one of them a \"plural\"",
                    other.name, sync.model.plural
                );
                report.at("model").error(message);
            }
        }
        syncs.insert(sync.name.clone(), Arc::new(sync));
    }
    syncs
}
