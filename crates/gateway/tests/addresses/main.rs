//! Credentials are sent only to addresses that the provider file, the integration or the connection names.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests fail by a panic"
)]

mod connections;
mod integrations;

use serde_json::{Value as Json, json};
use store::environments;
use store::integrations::{self as rows, IntegrationChange};
use testkit::{AppBuilder, Dialect, Reply, TestApp, TestContext};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

/// Entries as people write them for APIs of their own. `PLACEHOLDER` is a server to which no key may ever go.
const ENTRIES: &str = r#"
own-api:
  display_name: An API of one's own
  auth_mode: API_KEY
  proxy: { base_url: "PLACEHOLDER" }
  integration_config:
    keyPlacement: { type: string, enum: [header, query], default_value: header }
    keyName: { type: string, title: Name of the key }
    valueTemplate: { type: string, default_value: "${apiKey}", pattern: '\$\{apiKey\}' }
    baseUrl: { type: string, title: Base URL, description: Where the API is., format: uri, pattern: '^https?://' }
    keyLabel: { type: string, default_value: API key, optional: true }
  credentials: { apiKey: { type: string, title: Key } }
own-api-verified:
  alias: own-api
  proxy: { base_url: "PLACEHOLDER", verification: { endpoints: [/me] } }
own-api-bearer:
  display_name: An API of one's own, with a bearer token
  auth_mode: API_KEY
  proxy: { base_url: "https://our-private-api", headers: { authorization: "Bearer ${apiKey}" } }
  credentials: { apiKey: { title: Key } }
at-a-host:
  display_name: At a host
  auth_mode: API_KEY
  proxy:
    base_url: http://${connectionConfig.host}/rest
    headers: { x-key: "${apiKey}", x-team: "${connectionConfig.team}", x-extra: "${connectionConfig.portal}" }
    verification: { endpoints: [/me] }
  connection_config:
    host: { type: string, title: Host, description: The host of your account. }
    team: { type: string, title: Team }
  credentials: { apiKey: { title: Key } }
unverified-host:
  alias: at-a-host
  proxy:
    base_url: http://${connectionConfig.host}/rest
    headers: { x-key: "${apiKey}" }
below-a-domain:
  display_name: Below a domain
  auth_mode: API_KEY
  proxy:
    base_url: http://${connectionConfig.sub}.0.0.1:PORT
    headers: { x-key: "${apiKey}" }
    verification: { endpoints: [/me] }
  connection_config: { sub: { type: string } }
  credentials: { apiKey: { title: Key } }
"#;

/// An app that has the entries, the server of their APIs, and a server that must never get a key.
struct Setup {
    app: TestApp,
    server: MockServer,
    placeholder: MockServer,
}

impl TestContext for Setup {
    async fn on(dialect: Dialect) -> Option<Self> {
        let (server, placeholder) = (MockServer::start().await, MockServer::start().await);
        for each in [&server, &placeholder] {
            let everything = Mock::given(any()).respond_with(ResponseTemplate::new(200));
            everything.mount(each).await;
        }
        let text = ENTRIES
            .replace("PLACEHOLDER", &placeholder.uri())
            .replace("PORT", &server.address().port().to_string());
        let builder = AppBuilder::default()
            .provider_file("providers.yaml", &text)
            .upstream(|options| options.allow_private_addresses = true);
        let app = builder.start(dialect).await?;
        Some(Self {
            app,
            server,
            placeholder,
        })
    }
}

impl Setup {
    async fn make(&self, provider: &str, key: &str, config: Json) -> Reply {
        let body = json!({ "provider": provider, "unique_key": key, "integration_config": config });
        self.app.admin().post("/integrations", &body).await
    }

    async fn connect(&self, key: &str, mut body: Json) -> Reply {
        body["connectionId"] = "one".into();
        body["apiKey"] = "hush".into();
        self.app.admin().post(&format!("/{key}/connect"), &body).await
    }

    async fn import(&self, key: &str, config: Json) -> Reply {
        let body = json!({
            "provider_config_key": key, "connection_id": "one", "credentials": { "type": "API_KEY", "apiKey": "hush" },
            "connection_config": config,
        });
        self.app.admin().post("/connections", &body).await
    }

    async fn proxied(&self, key: &str, base: Option<&str>) -> Reply {
        let request = self.app.admin().request(upstream::Method::GET, "/proxy/things");
        let mut request = request
            .header("Provider-Config-Key", key)
            .header("Connection-Id", "one");
        if let Some(base) = base {
            request = request.header("Base-Url-Override", base);
        }
        self.app.admin().send(request).await
    }

    async fn patch(&self, key: &str, config: Json) -> Reply {
        let body = json!({ "integration_config": config });
        self.app
            .admin()
            .patch(&format!("/integrations/{key}"), &body)
            .await
    }

    /// Stores an integration without any check, like an older version did.
    async fn store(&self, provider: &str, key: &str, config: &[(&str, &str)]) {
        let now = self.app.clock().now();
        let (provider, key) = (provider.parse().unwrap(), key.parse().unwrap());
        let config = config
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let config = config.collect();
        let stored = self.app.store().write(move |c| {
            let environment = environments::by_name(c, &"dev".parse().unwrap())?.id;
            assert!(rows::ensure(c, environment, &key, &provider, now)?);
            let row = rows::find(c, environment, &key)?.unwrap();
            let change = IntegrationChange {
                config: Some(config),
                ..IntegrationChange::default()
            };
            rows::change(c, row.id, &change, now)
        });
        stored.await.unwrap();
    }

    async fn last(&self) -> Request {
        self.server.received_requests().await.unwrap().pop().unwrap()
    }

    /// Returns how many requests the API got; fails if the placeholder got any.
    async fn requests(&self) -> usize {
        assert_eq!(self.placeholder.received_requests().await.unwrap().len(), 0);
        self.server.received_requests().await.unwrap().len()
    }
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers.get(name).map(|value| value.to_str().unwrap())
}
