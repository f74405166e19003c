//! A folder's files, and files of many entries as Nango has them.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::path::Path;

use registry::{AuthMode, FieldFormat, LoadError, Paginate, Registry};

fn load(files: &[(&str, &str)]) -> Result<Registry, LoadError> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    Registry::load(Some(folder.path()))
}

/// Entries with every key that Nango's entries of the served auth modes use.
const MANY: &str = r#"
acme:
  display_name: Acme
  categories: [crm, popular]
  auth_mode: API_KEY
  proxy:
    base_url: https://${connectionConfig.subdomain}.acme.example || https://acme.example
    headers: { x-api-key: "${apiKey}", x-version: 2 }
    query: { key: "${apiKey}" }
    body: { a: b }
    decompress: true
    verification:
      method: POST
      endpoints: [/me, /you]
      headers: { content-type: application/json }
      data: { query: "{ viewer { id } }" }
      base_url_override: https://api.acme.example
    retry: { after: retry-after, at: [x-reset, x-other], remaining: x-left, error_code: ['429', 5xx], in_body: { path: a } }
    paginate: { type: offset, offset_name_in_request: skip, limit_name_in_request: top, limit: 50, response_path: items, offset_calculation_method: per-page }
  webhook_routing_script: acmeWebhook
  webhook_user_defined_secret: true
  credentials_verification_script: acmeVerify
  post_connection_script: acmePost
  docs: https://acme.example/docs
  docs_connect: https://acme.example/connect
  setup_guide_url: https://acme.example/setup
  integration_config: { a: { type: string } }
  connection_config:
    subdomain: { type: string, title: Subdomain, description: Yours, example: acme, format: hostname, order: 2, prefix: https://, suffix: .acme.example, doc_section: '#a' }
    hidden: { type: string, hidden: true, default_value: x, automated: true, visible_when: { field: a, equals: b }, warnings: [a] }
  credentials:
    apiKey: { type: string, title: Key, description: The key, doc_section: '#b', secret: true, order: 1 }
acme-eu:
  display_name: Acme EU
  alias: acme
  auth_mode: BASIC
  proxy:
    base_url: https://eu.acme.example
    headers: { authorization: "Basic ${base64(${username}:${password})}" }
  credentials:
    username: { title: User }
acme-eu-test:
  display_name: Acme EU test
  alias: acme-eu
signed:
  display_name: Signed
  auth_mode: API_KEY
  proxy: { base_url: https://signed.example, headers: { sign: "${hmacSha1Hex(${apiKey})}" } }
oauth:
  display_name: Oauth
  auth_mode: OAUTH2
  authorization_url: https://oauth.example
  proxy: { base_url: https://oauth.example }
"#;

#[test]
fn a_file_of_many_entries_loads_and_lists_what_is_not_served() {
    let registry = load(&[("providers.yaml", MANY)]).unwrap_or_else(|error| panic!("{error}"));
    let names: Vec<_> = registry
        .unsupported()
        .iter()
        .map(|entry| (entry.name.as_str(), entry.auth_mode.as_str()))
        .collect();
    assert_eq!(names, [("signed", "API_KEY"), ("oauth", "OAUTH2")]);
    assert!(registry.unsupported()[0].reason.contains("hmacSha1Hex"));
    let acme = registry.get("acme").unwrap();
    assert_eq!(acme.retry.at, ["x-reset", "x-other"]);
    assert_eq!(acme.retry.statuses, [429..=429, 500..=599]);
    assert_eq!(
        acme.connection_config["subdomain"].format,
        Some(FieldFormat::Hostname)
    );
    assert_eq!(
        acme.connect[0].fields.keys().collect::<Vec<_>>(),
        ["apiKey", "subdomain"]
    );
    assert!(matches!(
        acme.paginate,
        Some(Paginate::Offset { limit: Some(50), .. })
    ));
    let verification = acme.verification.as_ref().unwrap();
    assert_eq!(verification.method, "POST");
    assert_eq!(
        verification.data.as_ref().unwrap().to_string(),
        r#"{"query":"{ viewer { id } }"}"#
    );
    assert_eq!(acme.document["docs_connect"], "https://acme.example/connect");
}

#[test]
fn an_alias_brings_whole_keys_and_may_be_chained() {
    let registry = load(&[("providers.yaml", MANY)]).unwrap();
    let test = registry.get("acme-eu-test").unwrap();
    assert_eq!(test.auth, AuthMode::Basic);
    assert_eq!(test.display_name, "Acme EU test");
    assert_eq!(test.base_url.literal(), Some("https://eu.acme.example"));
    assert_eq!(test.docs.as_deref(), Some("https://acme.example/docs"));
    assert!(test.verification.is_none(), "proxy is replaced as a whole");
    assert!(test.credentials["password"].secret);
    assert!(
        test.credentials["password"].optional,
        "the entry declares a user name alone"
    );
}

#[test]
fn aliases_that_go_nowhere_or_in_a_circle_are_refused() {
    let error = load(&[("p.yaml", "a:\n  alias: b\nb:\n  alias: a\nc:\n  alias: d\n")]).unwrap_err();
    let told: Vec<_> = error
        .problems
        .iter()
        .map(|problem| (problem.line, problem.message.as_str()))
        .collect();
    assert_eq!(told[0].0, Some(2));
    assert!(told[0].1.contains("in a circle"));
    assert!(told[2].1.contains("\"d\" is no entry of this file"));
}

#[test]
fn what_is_unknown_in_a_file_of_many_entries_is_a_warning() {
    let text = "a:\n  auth_mode: BASIC\n  novelty: 1\n  proxy:\n    base_url: https://${connectionConfig.found}.example\n    verification: { endpoints: [/x] }\n  credentials:\n    username: { pattern: '(?!x)' }\n";
    let registry = load(&[("p.yaml", text)]).unwrap_or_else(|error| panic!("{error}"));
    let told: Vec<_> = registry
        .warnings()
        .iter()
        .map(|problem| problem.path.as_str())
        .collect();
    assert_eq!(
        told,
        ["a.novelty", "a.credentials.username.pattern", "a.proxy.base_url"]
    );
    assert!(registry.get("a").is_some());
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
fn the_problems_of_all_files_are_told_together() {
    let error = load(&[("b.yml", "auth_mode: BASIC\n"), ("a.yaml", "a: [\n")]).unwrap_err();
    let files: Vec<_> = error
        .problems
        .iter()
        .map(|problem| Path::new(&problem.file).file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(files, ["a.yaml", "b.yml"]);
}

#[test]
fn a_folder_that_is_not_there_is_an_error() {
    let error = Registry::load(Some(Path::new("/nonexistent/integrations"))).unwrap_err();
    assert!(error.to_string().contains("cannot be read"));
}
