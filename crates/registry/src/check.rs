//! From a file that has the right shape to a provider that has nothing left to interpret; all that is wrong is reported.

mod action;
mod call;
mod connect;
mod fields;
mod model;
mod paginate;
mod route;
mod scope;
mod sync;

use std::sync::Arc;

use domain::{ProviderName, SyncName};
use indexmap::IndexMap;

use self::scope::Scope;
use crate::file::{AuthModeName, ProviderFile};
use crate::path::Path;
use crate::source::Report;
use crate::{AuthMode, Provider, Sync, Template, placement};

/// The provider. It is of use only if the report is left without errors and the entry is not unsupported.
pub(crate) fn provider(name: ProviderName, file: &ProviderFile, report: &mut Report<'_>) -> Option<Provider> {
    let root = Path::default();
    let auth = match file.auth_mode {
        AuthModeName::ApiKey => AuthMode::ApiKey,
        AuthModeName::Basic => AuthMode::Basic,
    };
    let credentials = fields::credentials(auth, file.credentials.as_ref(), report);
    let proxy = root.at("proxy");
    let mut connection_config = fields::all(&file.connection_config, &root.at("connection_config"), report);
    let further = fields::of_proxy(
        &file.proxy.connection_config,
        &proxy.at("connection_config"),
        report,
    );
    for (name, field) in further {
        connection_config.entry(name).or_insert(field);
    }
    let integration_config = fields::all(&file.integration_config, &root.at("integration_config"), report);
    let scope = Scope::of_calls(&credentials, &connection_config, &integration_config);
    let servers = file.servers.iter().filter_map(|(server, url)| {
        let url = scope.url(url, &root.at("servers").at(server), report)?;
        Some((server.clone(), url))
    });
    let servers: IndexMap<_, _> = servers.collect();
    let base_url = placement::base_url(&file.proxy.base_url, &integration_config);
    let base_url = scope.url(&base_url, &proxy.at("base_url"), report);
    let within = scope.within_call();
    let headers = within.pairs(&file.proxy.headers, &proxy.at("headers"), report);
    let query = within.pairs(&file.proxy.query, &proxy.at("query"), report);
    let body = within.json_pairs(&file.proxy.body, &proxy.at("body"), report);
    let addresses = base_url.iter().chain(servers.values());
    let pairs = headers.iter().chain(&query).map(|(_, value)| value);
    fields::note_added(&mut connection_config, &addresses.clone().chain(pairs.clone()));
    let connect = connect::forms(auth, file, &credentials, &connection_config, report);
    let in_body = body.iter().flat_map(|(_, value)| value.holes());
    // An integration may say itself where the key stands.
    let placed = integration_config.contains_key(placement::KEY_NAME);
    if auth == AuthMode::ApiKey
        && !placed
        && !addresses
            .chain(pairs)
            .flat_map(Template::holes)
            .chain(in_body)
            .any(is_key)
    {
        report.doubt(
            &proxy,
            "no header, parameter, body or address holds ${apiKey}, so that no call would be authorised",
        );
    }
    let verification = call::verification(file.proxy.verification.as_ref(), &scope, report);
    let retry = call::retry(&file.proxy.retry, report);
    let paginate = file
        .proxy
        .paginate
        .as_ref()
        .and_then(|list| paginate::rules(list, &proxy.at("paginate"), report));
    let syncs = syncs(file, &scope, &servers, report);
    let actions = action::actions(
        &file.actions,
        &action::Around {
            scope: &scope,
            servers: &servers,
            syncs: &syncs,
        },
        report,
    );
    Some(Provider {
        display_name: file.display_name.clone().unwrap_or_else(|| name.to_string()),
        name,
        categories: file.categories.clone(),
        docs: file.docs.clone(),
        notice: file.notice.clone(),
        auth,
        credentials,
        connection_config,
        integration_config,
        connect,
        base_url: base_url?,
        servers,
        headers,
        query,
        body,
        verification,
        retry,
        paginate,
        limits: call::limits(&file.limits),
        errors: call::errors(&file.errors, report),
        syncs,
        actions,
        document: report.source.root.to_json(),
    })
}

fn is_key(hole: &str) -> bool {
    hole == "apiKey" || hole == "credentials.apiKey"
}

fn syncs(
    file: &ProviderFile,
    scope: &Scope,
    servers: &IndexMap<String, Template>,
    report: &mut Report<'_>,
) -> IndexMap<SyncName, Arc<Sync>> {
    let mut syncs: IndexMap<SyncName, Arc<Sync>> = IndexMap::new();
    for (name, sync) in &file.syncs {
        let path = Path::default().at("syncs").at(name);
        let Some(sync) = sync::sync(
            name,
            sync,
            &sync::Around {
                scope: &scope.and("variant".to_owned()),
                servers,
                proxy: &file.proxy,
            },
            &path,
            report,
        ) else {
            continue;
        };
        for other in syncs.values() {
            if other.model.name == sync.model.name {
                let message = format!(
                    "the sync {:?} has the model {} too; each model is filled by one sync",
                    other.name, sync.model.name
                );
                report.error(&path.at("model"), message);
            } else if other.model.plural == sync.model.plural {
                let message = format!(
                    "the model of {:?} is called {:?} too; give one of them a \"plural\"",
                    other.name, sync.model.plural
                );
                report.error(&path.at("model"), message);
            }
        }
        syncs.insert(sync.name.clone(), Arc::new(sync));
    }
    syncs
}

/// A section that is not there is well; one that is there must be whole.
#[expect(
    clippy::option_option,
    reason = "the outer option is the section's absence, the inner one its failure"
)]
fn whole<T>(section: Option<Option<T>>) -> Option<Option<T>> {
    match section {
        None => Some(None),
        Some(section) => section.map(Some),
    }
}
