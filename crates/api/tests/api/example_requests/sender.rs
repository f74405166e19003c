//! Sends operations of the document with their own examples.

use registry::Registry;
use reqwest::Method;
use serde_json::{Map, Value as Json, json};
use testkit::{AppBuilder, Dialect, Reply, TestApp, registry_with};
use wiremock::matchers::{any, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// The provider that the document's examples use.
const ACME: &str = r#"
display_name: Acme
auth_mode: AUTH
proxy:
  base_url: "SERVER"
  headers: { HEADER }
  verification: { endpoints: [/me] }
syncs:
  acme-messages:
    description: Messages.
    model: Message
    table: acme_messages
    runs: every hour
    request: { path: /messages }
    records: items
    paginate: { type: offset, offset_name_in_request: skip, limit_name_in_request: limit, limit: 100 }
    key: id
    newest_by: created_at
    columns: { id: text, created_at: timestamp, status: text }
    filters: [status]
actions:
  send-message:
    description: Sends a message.
    route: POST /messages
    input:
      to: { type: text, required: true, example: "+15551234567" }
      from: { type: text, required: true, example: "+15557654321" }
      body: { type: text, required: true, example: Hello. }
    request: { method: POST, path: /messages, json: { to: "${input.to}", from: "${input.from}", body: "${input.body}" } }
webhooks:
  methods: [POST, GET]
  subscriptions:
    orders:
      description: Sends the events of orders
      create: { request: { method: POST, path: /hooks, json: { url: "${webhook.url}" } } }
      end: { request: { method: DELETE, path: /hooks } }
"#;

/// Returns whether the operation requires the parameter.
pub(crate) fn is_required(parameter: &Json) -> bool {
    parameter["required"] == json!(true)
}

/// Returns what is wrong with the response to an operation's example; none if it is a documented success.
pub(crate) fn unlike(operation: &Json, reply: &Reply) -> Option<String> {
    let responses = operation["responses"].as_object().unwrap();
    let documented = responses.contains_key(&reply.status.to_string());
    // Two operations of Nango's API always refuse.
    let good = responses.keys().any(|status| status.starts_with('2'));
    let right = documented && good == (200..300).contains(&reply.status);
    let id = operation["operationId"].as_str().unwrap();
    (!right).then(|| format!("{id}: {} {}", reply.status, reply.text))
}

pub(crate) struct Sender {
    pub(crate) app: TestApp,
    pub(crate) document: Json,
    _server: MockServer,
}

impl Sender {
    /// With the built-in providers and Acme.
    pub(crate) async fn with_acme(dialect: Dialect, auth: &str, header: &str) -> Option<Self> {
        let server = MockServer::start().await;
        let record = json!({ "id": "m_1", "created_at": "2026-11-01T10:00:00Z", "status": "delivered" });
        let list = ResponseTemplate::new(200).set_body_json(json!({ "items": [record] }));
        let lists = Mock::given(method("GET")).and(path("/messages"));
        lists.respond_with(list).mount(&server).await;
        let all = ResponseTemplate::new(200).set_body_json(record);
        Mock::given(any()).respond_with(all).mount(&server).await;
        let text = ACME
            .replace("SERVER", &server.uri())
            .replace("AUTH", auth)
            .replace("HEADER", header);
        Self::start(dialect, registry_with("acme.yaml", &text), server).await
    }

    /// With the built-in providers, for which one server accepts every request.
    pub(crate) async fn with_built_in(dialect: Dialect) -> Option<Self> {
        let server = MockServer::start().await;
        // What lists and actions of the files read: empty lists, an id, and the status of an account.
        let response = json!({ "id": "1", "sid": "SM00000000000000000000000000000000", "status": "active",
            "incoming_phone_numbers": [], "available_phone_numbers": [], "usage_records": [] });
        let all = ResponseTemplate::new(200).set_body_json(response);
        Mock::given(any()).respond_with(all).mount(&server).await;
        Self::start(dialect, Registry::builtin().unwrap(), server).await
    }

    async fn start(dialect: Dialect, registry: Registry, server: MockServer) -> Option<Self> {
        let names: Vec<_> = registry.iter().map(|provider| provider.name.clone()).collect();
        let builder = AppBuilder::default().with_public_url();
        let builder = builder.registry(registry).upstream(|options| {
            options.allow_private_addresses = true;
            for name in names.into_iter().filter(|name| name.as_str() != "acme") {
                options.base_urls.insert(name, server.uri().parse().unwrap());
            }
        });
        let app = builder.start(dialect).await?;
        let document = app.anonymous().get("/openapi.json").await.expect(200).json();
        Some(Self {
            app,
            document,
            _server: server,
        })
    }

    pub(crate) fn resolve<'a>(&'a self, value: &'a Json) -> &'a Json {
        let place = value["$ref"].as_str();
        place.map_or(value, |place| {
            self.resolve(self.document.pointer(place.trim_start_matches('#')).unwrap())
        })
    }

    /// Returns the example of a schema, or one built from those of its parts.
    pub(crate) fn sample(&self, schema: &Json) -> Json {
        let schema = self.resolve(schema);
        for word in ["example", "const", "default"] {
            if let Some(example) = schema.get(word).filter(|example| !example.is_null()) {
                return example.clone();
            }
        }
        for word in ["examples", "enum"] {
            if let Some(example) = schema.get(word).and_then(|all| all.get(0)) {
                return example.clone();
            }
        }
        for word in ["oneOf", "anyOf"] {
            if let Some(first) = schema.get(word).and_then(|all| all.get(0)) {
                return self.sample(first);
            }
        }
        if let Some(parts) = schema["allOf"].as_array() {
            let parts = parts.iter().map(|part| self.sample(part));
            let parts = parts.filter_map(|part| part.as_object().cloned());
            return Json::Object(parts.flatten().collect());
        }
        let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
        match kind.unwrap_or("object") {
            "string" if schema["format"] == "date-time" => json!("2026-11-01T10:00:00Z"),
            "string" if schema["format"] == "decimal" => json!("1.10"),
            "string" => json!("x"),
            "integer" | "number" => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
            "boolean" => json!(true),
            "array" => json!([self.sample(&schema["items"])]),
            _ => {
                let required = schema["required"].as_array().into_iter().flatten();
                let required: Vec<&str> = required.map(|name| name.as_str().unwrap()).collect();
                // An optional property is sent if it has an example.
                let shown = |part: &Json| part.get("example").or_else(|| part.get("examples")).is_some();
                let properties = schema["properties"].as_object().into_iter().flatten();
                let chosen =
                    properties.filter(|(name, part)| required.contains(&name.as_str()) || shown(part));
                let sampled = chosen.map(|(name, part)| (name.clone(), self.sample(part)));
                Json::Object(sampled.collect::<Map<_, _>>())
            }
        }
    }

    /// Creates what an operation needs; an earlier deletion may have removed it.
    async fn prepare(&self, id: &str) {
        let admin = self.app.admin();
        let credentials = if self.basic() {
            json!({ "connectionId": "my-acme", "username": "ada", "password": "p" })
        } else {
            json!({ "connectionId": "my-acme", "apiKey": "k" })
        };
        admin.post("/acme/connect", &credentials).await.expect(201);
        if id == "delete_environment" {
            self.app.environment("staging").await;
        }
        self.app.run_due().await;
    }

    fn basic(&self) -> bool {
        self.app.gateway().registry.get("acme").unwrap().auth == registry::AuthMode::Basic
    }

    async fn token(&self) -> String {
        let body = json!({ "end_user": { "id": "u" } });
        let made = self
            .app
            .admin()
            .post("/connect/sessions", &body)
            .await
            .expect(201);
        made.json()["data"]["token"].as_str().unwrap().to_owned()
    }

    /// Returns the id of an endpoint that nothing listens at.
    async fn endpoint(&self) -> String {
        let body = json!({ "url": "http://127.0.0.1:9/hook", "events": ["connection.updated"] });
        let made = self
            .app
            .admin()
            .post("/webhook-endpoints", &body)
            .await
            .expect(201);
        made.json()["data"]["id"].as_str().unwrap().to_owned()
    }

    /// Returns the id of a delivery to such an endpoint.
    async fn delivery(&self) -> String {
        let endpoint = self.endpoint().await;
        self.prepare("").await;
        let path = format!("/webhook-deliveries?endpoint_id={endpoint}");
        let listed = self.app.admin().get(&path).await.expect(200).json();
        listed["deliveries"][0]["id"].as_str().unwrap().to_owned()
    }

    /// Returns the path of the connection's own webhook address.
    async fn webhook_address(&self) -> String {
        let path = "/acme/webhooks/address?connectionId=my-acme";
        let shown = self.app.admin().get(path).await.expect(200).json();
        let url = shown["data"]["url"].as_str().unwrap();
        url::Url::parse(url).unwrap().path().to_owned()
    }

    /// Returns the id of an event that the provider sent.
    async fn incoming_event(&self) -> String {
        let event = json!({ "id": "event" });
        let address = self.webhook_address().await;
        self.app.anonymous().post(&address, &event).await.expect(200);
        let listed = self.app.admin().get("/webhook-events").await.expect(200).json();
        listed["events"][0]["id"].as_str().unwrap().to_owned()
    }

    /// Returns a value that only the server knows, by operation and name.
    async fn known(&self, id: &str, name: &str) -> Option<String> {
        let admin = self.app.admin();
        let text = |value: &Json| value.as_str().unwrap().to_owned();
        Some(match (id, name) {
            (_, "connect_session_token") => self.token().await,
            (_, "connection_id") => "my-acme".to_owned(),
            ("get_run", "id") => text(&admin.get("/sync/runs").await.json()["runs"][0]["id"]),
            // Acme signs nothing, so only the address of a connection is open. At Twilio's, a signed event of no account is kept.
            ("receive_webhook_get" | "receive_webhook_post", "integration") => {
                let body = json!({ "provider": "twilio", "unique_key": "twilio" });
                let made = admin.post("/integrations", &body).await;
                assert!([200, 400, 409].contains(&made.status), "{}", made.text);
                "twilio".to_owned()
            }
            ("receive_connection_webhook_get" | "receive_connection_webhook_post", "secret") => self
                .webhook_address()
                .await
                .rsplit('/')
                .next()
                .unwrap()
                .to_owned(),
            ("get_incoming_webhook" | "replay_incoming_webhook", "id") => self.incoming_event().await,
            ("get_webhook_delivery" | "replay_webhook_delivery", "id") => self.delivery().await,
            ("unsubscribe_webhooks", "id") => {
                let made = admin
                    .post("/acme/webhooks?connectionId=my-acme", &json!({}))
                    .await;
                text(&made.json()["data"]["id"])
            }
            (id, "id") if id.contains("webhook") => self.endpoint().await,
            ("get_action_result", "id") => {
                let body = json!({ "action_name": "send-message", "input": { "to": "a", "from": "b", "body": "c" } });
                let stored = admin.request(Method::POST, "/action/trigger");
                let stored = stored
                    .header("Provider-Config-Key", "acme")
                    .header("Connection-Id", "my-acme");
                let stored = stored
                    .header("X-Async", "true")
                    .header("Content-Type", "application/json");
                let stored = admin.send(stored.body(body.to_string())).await.expect(202).json();
                self.app.run_due().await;
                text(&stored["id"])
            }
            ("revoke_api_key", "key_id") => {
                let body = json!({ "name": "spare", "scopes": ["environment:records:read"] });
                let made = admin
                    .post("/environments/dev/api-keys", &body)
                    .await
                    .expect(201)
                    .json();
                text(&made["data"]["id"])
            }
            _ => return None,
        })
    }

    /// Returns the example body of the operation, if it has one.
    pub(crate) async fn body(&self, operation: &Json) -> Option<Json> {
        let content = self
            .resolve(&operation["requestBody"])
            .pointer("/content/application~1json")?;
        let first = || content["examples"].as_object()?.values().next()?.get("value");
        let example = content.get("example").or_else(first).cloned();
        let mut body = example.unwrap_or_else(|| self.sample(&content["schema"]));
        if let Some(cursor) = body.get_mut("until_cursor") {
            *cursor = self.cursor().await;
        }
        Some(body)
    }

    /// Sends the operation with the example parameters that `wanted` picks.
    pub(crate) async fn send(
        &self,
        verb: &Method,
        path: &str,
        operation: &Json,
        wanted: impl Fn(&Json) -> bool,
        body: Option<Json>,
    ) -> Reply {
        let id = operation["operationId"].as_str().unwrap();
        let (mut path, mut query, mut headers) = (path.to_owned(), Vec::new(), Vec::new());
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap();
            if !wanted(parameter) {
                continue;
            }
            let example = parameter.get("example").cloned();
            let example = example.unwrap_or_else(|| self.sample(&parameter["schema"]));
            let example = example
                .as_str()
                .map_or_else(|| example.to_string(), str::to_owned);
            let value = self.known(id, name).await.unwrap_or(example);
            match parameter["in"].as_str().unwrap() {
                "path" => path = path.replace(&format!("{{{name}}}"), &value),
                "query" => query.push((name.to_owned(), value)),
                _ => headers.push((name.to_owned(), value)),
            }
        }
        let security = operation["security"][0].as_object().cloned().unwrap_or_default();
        let client = if security.contains_key("api_key") {
            self.app.admin().clone()
        } else if security.contains_key("connect_session") {
            self.app.admin().with_key(Some(self.token().await))
        } else {
            self.app.anonymous().clone()
        };
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(query)
            .finish();
        let mut request = client.request(verb.clone(), &format!("{path}?{query}"));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if id.starts_with("receive_webhook_") {
            request = request.header("X-Twilio-Signature", "eA==");
        }
        if let Some(body) = body {
            request = request
                .header("Content-Type", "application/json")
                .body(body.to_string());
        }
        client.send(request).await
    }

    async fn cursor(&self) -> Json {
        let feed = self.app.admin().request(Method::GET, "/records?model=Message");
        let feed = feed
            .header("Provider-Config-Key", "acme")
            .header("Connection-Id", "my-acme");
        let feed = self.app.admin().send(feed).await.expect(200).json();
        feed["records"][0]["_nango_metadata"]["cursor"].clone()
    }

    /// Sends the operations that `wanted` picks. Returns those whose response does not match the document.
    pub(crate) async fn walk(&self, wanted: impl Fn(&str, &str) -> bool) -> (usize, Vec<String>) {
        let (mut sent, mut wrong) = (0, Vec::new());
        for (path, item) in self.document["paths"].as_object().unwrap() {
            for (verb, operation) in item.as_object().unwrap() {
                let Some(id) = operation["operationId"].as_str().filter(|id| wanted(id, path)) else {
                    continue;
                };
                self.prepare(id).await;
                if id == "delete_variant" {
                    let body = json!({ "provider_config_key": "acme", "connection_id": "my-acme" });
                    self.app
                        .admin()
                        .post("/sync/acme-messages/variant/eu", &body)
                        .await;
                }
                let verb: Method = verb.to_ascii_uppercase().parse().unwrap();
                let body = self.body(operation).await;
                let reply = self.send(&verb, path, operation, is_required, body).await;
                wrong.extend(unlike(operation, &reply));
                if id == "create_variant" {
                    let request = self
                        .app
                        .admin()
                        .request(Method::DELETE, "/sync/acme-messages/variant/eu");
                    let body = json!({ "provider_config_key": "acme", "connection_id": "my-acme" });
                    let request = request
                        .header("Content-Type", "application/json")
                        .body(body.to_string());
                    self.app.admin().send(request).await.expect(200);
                }
                sent += 1;
            }
        }
        (sent, wrong)
    }
}
