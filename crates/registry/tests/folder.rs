//! Files of a folder, and collections like Nango's.

#![expect(clippy::unwrap_used, reason = "tests fail by a panic")]

use std::path::Path;

use registry::{AuthMode, FieldFormat, LoadError, PageBy, Paginate, Registry, SkipReason};

fn load(files: &[(&str, &str)]) -> Result<Registry, LoadError> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    Registry::load(Some(folder.path()))
}

/// Entries with every key and placeholder that Nango's entries of the supported auth modes use.
const MANY: &str = include_str!("fixtures/many.yaml");

#[test]
fn a_collection_loads_and_lists_unsupported_entries() {
    let registry = load(&[("providers.yaml", MANY)]).unwrap_or_else(|error| panic!("{error}"));
    let named: Vec<_> = registry
        .skipped()
        .iter()
        .map(|entry| (entry.name.as_str(), entry.auth_mode.as_str(), entry.why))
        .collect();
    assert_eq!(
        named,
        [
            ("signed", "API_KEY", SkipReason::Unsupported),
            ("signed-too", "BASIC", SkipReason::Unsupported),
            ("oauth", "OAUTH2", SkipReason::Unsupported),
            ("telepathy", "TELEPATHY", SkipReason::Unsupported),
            ("wrong", "API_KEY", SkipReason::Wrong),
            ("lost", "-", SkipReason::Wrong),
            ("twilio", "BASIC", SkipReason::Shadowed),
        ]
    );
    for (index, part) in [
        (0, "hmacSha1Hex"),
        (1, "awsSigV4"),
        (2, "not OAUTH2"),
        (3, "not TELEPATHY"),
        (4, "wrong.proxy: \"base_url\" is missing here"),
        (5, "\"nobody\" is not an entry of this file"),
        (6, "twilio.yaml"),
    ] {
        let reason = &registry.skipped()[index].reason;
        assert!(reason.contains(part), "{part:?} is not in {reason:?}");
    }
    assert_eq!(registry.get("twilio").unwrap().display_name, "Twilio");
    assert_eq!(
        registry.warnings(),
        [],
        "warnings about such a file are shown when it is checked"
    );

    let plain = registry.get("plainkey").unwrap();
    assert_eq!(plain.document["docs_connect"], "https://invented.example/connect");
    assert_eq!(plain.headers[1].1.literal(), Some("1.5"));
    let patient = registry.get("patient").unwrap();
    assert_eq!(patient.retry.at, ["x-reset", "x-other"]);
    assert_eq!(
        patient.retry.statuses,
        [429..=429, 500..=599, 500..=502, 409..=409]
    );
    assert_eq!(patient.retry.in_body.as_ref().unwrap().path, ["error", "message"]);
    assert!(matches!(
        patient.paginate,
        Some(Paginate {
            by: PageBy::Cursor { .. },
            ..
        })
    ));
    let subdomain = registry.get("subdomain").unwrap();
    assert_eq!(
        subdomain.connection_config["subdomain"].format,
        Some(FieldFormat::Hostname)
    );
    assert_eq!(
        subdomain.connect[0].fields.keys().collect::<Vec<_>>(),
        ["apiKey", "subdomain", "contact", "site"]
    );
    assert_eq!(
        registry.get("configured").unwrap().connect[0]
            .fields
            .keys()
            .collect::<Vec<_>>(),
        ["apiKey", "tenant"]
    );
}

#[test]
fn checking_a_collection_reports_what_works_and_what_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("providers.yaml");
    std::fs::write(&path, MANY).unwrap();
    let checked = Registry::check_file(&path).unwrap_or_else(|error| panic!("{error}"));
    assert!(checked.is_collection);
    assert_eq!(checked.skipped.len(), 7);
    assert_eq!(checked.providers.len(), 19);
    let reported: Vec<_> = checked
        .providers
        .iter()
        .flat_map(|provider| &provider.warnings)
        .map(|problem| problem.path.as_str())
        .collect();
    assert_eq!(
        reported,
        [
            "bodykey.proxy.body.gone",
            "formkey.proxy.verification.data.gone",
            "basic-token.connection_config.username",
            "tokenless.proxy.headers.authorization",
            "tokenless.proxy.query.token",
        ]
    );
}

#[test]
fn a_separate_file_wins_over_an_entry_of_a_collection() {
    let own = "display_name: Mine\nauth_mode: BASIC\nproxy: { base_url: https://mine.example, verification: { endpoints: /me } }\n";
    for many in ["a.yaml", "z.yaml"] {
        let registry =
            load(&[("plainkey.yaml", own), (many, MANY)]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(registry.get("plainkey").unwrap().display_name, "Mine", "{many}");
        let shadowed = registry
            .skipped()
            .iter()
            .filter(|entry| entry.name == "plainkey" && entry.why == SkipReason::Shadowed);
        assert_eq!(shadowed.count(), 1);
    }
}

#[test]
fn a_thousand_entries_load() {
    let entries = (0..1_000).map(|number| {
        format!(
            "acme-{number}:\n  display_name: Acme {number}\n  categories: [crm]\n  auth_mode: API_KEY\n  docs: https://acme.example\n  \
             proxy:\n    base_url: https://${{connectionConfig.subdomain}}.acme.example\n    headers:\n      x-key: ${{apiKey}}\n    \
             verification:\n      method: GET\n      endpoints:\n        - /me\n        - /you\n  connection_config:\n    \
             subdomain:\n      type: string\n      title: Subdomain\n      description: What stands before acme.example\n      \
             example: shop\n      order: 1\n  credentials:\n    apiKey:\n      type: string\n      title: Key\n      secret: true\n"
        )
    });
    let registry =
        load(&[("providers.yaml", &entries.collect::<String>())]).unwrap_or_else(|error| panic!("{error}"));
    assert!(registry.iter().count() >= 1_000);
}

#[test]
fn an_alias_copies_whole_keys_and_may_be_chained() {
    let registry = load(&[("providers.yaml", MANY)]).unwrap();
    let test = registry.get("plainkey-eu-test").unwrap();
    assert_eq!(test.auth, AuthMode::ApiKey);
    assert_eq!(test.display_name, "Plain key EU (test)");
    assert_eq!(test.base_url.literal(), Some("https://invented.example/eu"));
    assert_eq!(test.docs.as_deref(), Some("https://invented.example/docs"));
    assert!(test.query.is_empty(), "proxy is replaced as a whole");
    let bare = registry.get("basic-bare").unwrap();
    let user = registry.get("basic-user").unwrap();
    assert!(!bare.credentials["username"].optional);
    for provider in [bare, user] {
        assert!(provider.credentials["password"].optional && provider.credentials["password"].secret);
    }
}

#[test]
fn aliases_to_nothing_or_in_a_circle_are_reported() {
    let registry = load(&[("p.yaml", "a:\n  alias: b\nb:\n  alias: a\nc:\n  alias: d\n")]).unwrap();
    let reported: Vec<_> = registry
        .skipped()
        .iter()
        .map(|entry| entry.reason.as_str())
        .collect();
    assert!(reported[0].contains("p.yaml:2:") && reported[0].contains("in a circle"));
    assert!(reported[2].contains("\"d\" is not an entry of this file"));
}

#[test]
fn an_unknown_key_in_a_collection_is_a_warning() {
    let text = "a:\n  auth_mode: BASIC\n  novelty: 1\n  proxy:\n    base_url: https://${connectionConfig.found}.example\n    verification: { endpoints: [/x] }\n  credentials:\n    username: { pattern: '(?!x)' }\n";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.yaml");
    std::fs::write(&path, text).unwrap();
    let checked = Registry::check_file(&path).unwrap_or_else(|error| panic!("{error}"));
    let reported: Vec<_> = checked.providers[0]
        .warnings
        .iter()
        .map(|problem| problem.path.as_str())
        .collect();
    assert_eq!(
        reported,
        ["a.novelty", "a.credentials.username.pattern", "a.proxy.base_url"]
    );
}

#[test]
fn a_folders_file_wins_over_the_built_in_one() {
    let own = "display_name: Mine\nauth_mode: BASIC\nproxy: { base_url: https://mine.example, verification: { endpoints: /me } }\n";
    let registry = load(&[("twilio.yaml", own), ("notes.txt", "no: [yaml")]).unwrap();
    assert_eq!(registry.get("twilio").unwrap().display_name, "Mine");
    assert_eq!(
        registry.iter().count(),
        Registry::builtin().unwrap().iter().count()
    );
}

#[test]
fn problems_of_all_files_are_reported_together() {
    let error = load(&[("b.yml", "auth_mode: BASIC\n"), ("a.yaml", "a: [\n")]).unwrap_err();
    let files: Vec<_> = error
        .problems
        .iter()
        .map(|problem| Path::new(&problem.file).file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(files, ["a.yaml", "b.yml"]);
}

#[test]
fn a_missing_folder_is_an_error() {
    let error = Registry::load(Some(Path::new("/nonexistent/integrations"))).unwrap_err();
    assert!(error.to_string().contains("cannot be read"));
}

#[test]
fn the_address_of_an_integration_replaces_that_of_the_file() {
    let entry = |config: &str| {
        format!(
            "own:\n  auth_mode: API_KEY\n  proxy: {{ base_url: https://placeholder.example }}\n  integration_config:\n    \
             keyName: {{ type: string }}\n    baseUrl: {{ type: string{config} }}\n"
        )
    };
    for (config, template) in [
        ("", "${integrationConfig.baseUrl}"),
        (
            ", default_value: https://x.example",
            "${integrationConfig.baseUrl}",
        ),
        (
            ", optional: true",
            "${integrationConfig.baseUrl} || https://placeholder.example",
        ),
    ] {
        let registry = load(&[("providers.yaml", &entry(config))]).unwrap();
        let provider = registry.get("own").unwrap();
        assert_eq!(provider.base_url.to_string(), template, "{config}");
        assert!(provider.needs_key_name());
    }
    let registry = load(&[("providers.yaml", &entry(""))]).unwrap();
    let lacking = |names: &[&str]| {
        let config = names
            .iter()
            .map(|name| ((*name).to_owned(), "x".to_owned()))
            .collect();
        registry.get("own").unwrap().lacking_integration_config(&config)
    };
    assert_eq!(lacking(&[]), ["baseUrl", "keyName"]);
    assert_eq!(lacking(&["keyName"]), ["baseUrl"]);
    assert_eq!(lacking(&["keyName", "baseUrl"]), [""; 0]);
}

#[test]
fn a_provider_may_not_have_the_name_of_a_route() {
    let file =
        "auth_mode: API_KEY\nproxy: { base_url: https://x.example, headers: { x-key: \"${apiKey}\" } }\n";
    for name in ["connections.yaml", "webhooks.yaml", "mcp.yaml"] {
        let error = load(&[(name, file)]).unwrap_err().to_string();
        assert!(
            error.contains("is reserved for routes of Trunkline itself"),
            "{error}"
        );
    }
    let entry = "events:\n  auth_mode: API_KEY\n  proxy: { base_url: https://x.example, headers: { x-key: \"${apiKey}\" } }\n";
    let registry = load(&[("providers.yaml", entry)]).unwrap();
    assert!(registry.get("events").is_none());
    let reported = &registry
        .skipped()
        .iter()
        .find(|entry| entry.name == "events")
        .unwrap()
        .reason;
    assert!(reported.contains("reserved"), "{reported}");
}
