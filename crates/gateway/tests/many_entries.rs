//! Entries of a collection: connecting, verifying and requests, with every placeholder of Nango's format.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests fail by a panic"
)]

use serde_json::{Value as Json, json};
use store::environments;
use store::integrations::{self, IntegrationChange};
use testkit::{AppBuilder, Dialect, Reply, TestApp, TestContext, on_both_databases};
use upstream::{HeaderValue, Method, Request as Call};
use wiremock::matchers::{any, path_regex};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

const MANY: &str = include_str!("../../registry/tests/fixtures/many.yaml");

/// An app that has the entries, and the server of all their providers.
struct Setup {
    app: TestApp,
    server: MockServer,
}

impl TestContext for Setup {
    async fn on(dialect: Dialect) -> Option<Self> {
        let server = MockServer::start().await;
        let nobody = Mock::given(path_regex("/nobody$")).respond_with(ResponseTemplate::new(404));
        nobody.with_priority(1).mount(&server).await;
        Mock::given(any())
            .respond_with(ResponseTemplate::new(200))
            .mount(&server)
            .await;
        let address = server.address();
        // The test gives a part of the host name: 127, before the rest of the loopback address.
        let text = MANY
            .replace(
                "https://${connectionConfig.subdomain}",
                "http://${connectionConfig.subdomain}",
            )
            .replace("prefix: https://", "prefix: http://")
            .replace(".invented.example", &format!(".0.0.1:{}", address.port()))
            .replace("https://invented.example", &server.uri());
        let builder = AppBuilder::default()
            .provider_file("providers.yaml", &text)
            .upstream(|options| options.allow_private_addresses = true);
        let app = builder.start(dialect).await?;
        Some(Self { app, server })
    }
}

impl Setup {
    async fn connect(&self, entry: &str, fields: Json) -> Reply {
        let mut body = fields;
        body["connectionId"] = entry.into();
        self.app.admin().post(&format!("/{entry}/connect"), &body).await
    }

    /// Connects and returns the request that verified the credentials.
    async fn verified(&self, entry: &str, fields: Json) -> Request {
        self.connect(entry, fields).await.expect(201);
        self.last().await
    }

    /// Sends a request of the connection and returns what the provider got.
    async fn called(&self, entry: &str, call: Call) -> Request {
        let (key, name) = (entry.parse().unwrap(), entry.parse().unwrap());
        let found = self.app.store().read(move |c| {
            let environment = environments::by_name(c, &"dev".parse().unwrap())?.id;
            store::connections::find(c, environment, &key, &name)
        });
        let gateway = self.app.gateway();
        let target = gateway.target(&found.await.unwrap()).await.unwrap();
        gateway.upstream.fetch(&target, call).await.unwrap();
        self.last().await
    }

    async fn last(&self) -> Request {
        self.server.received_requests().await.unwrap().pop().unwrap()
    }
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers.get(name).map(|value| value.to_str().unwrap())
}

fn post(path: &str, kind: &'static str, body: &'static str) -> Call {
    let mut call = Call::new(Method::POST, path);
    call.headers
        .insert("content-type", HeaderValue::from_static(kind));
    call.body = Some(body.into());
    call
}

#[on_both_databases]
async fn a_key_is_sent_in_headers_parameters_bodies_and_forms(setup: Setup) {
    let sent = setup.verified("plainkey", json!({ "apiKey": "pk_1" })).await;
    assert_eq!(sent.url.path(), "/plainkey/me", "the second endpoint passes");
    assert_eq!(header(&sent, "authorization"), Some("Bearer pk_1"));
    assert_eq!(header(&sent, "x-api-version"), Some("1.5"));
    assert_eq!(sent.url.query(), Some("version=2"));
    let sent = setup.called("plainkey", Call::get("/things?a=1")).await;
    assert_eq!(
        (sent.url.path(), sent.url.query()),
        ("/plainkey/things", Some("a=1&version=2"))
    );

    let sent = setup
        .verified("plainkey-eu-test", json!({ "apiKey": "pk_2" }))
        .await;
    assert_eq!(
        (sent.url.path(), header(&sent, "authorization")),
        ("/eu/me", Some("Bearer pk_2"))
    );

    let sent = setup.verified("querykey", json!({ "apiKey": "k 1" })).await;
    assert_eq!(
        sent.url.query(),
        Some("full=1&key=k+1"),
        "what has no value is left out"
    );

    let sent = setup.verified("bodykey", json!({ "apiKey": "k\"1" })).await;
    let whole = json!({ "key": "k\"1", "nested": { "token": "k\"1", "version": 2 } });
    assert_eq!(sent.body_json::<Json>().unwrap(), whole);
    let sent = setup
        .called(
            "bodykey",
            post("/things", "application/json", r#"{"n":1.10,"key":"mine"}"#),
        )
        .await;
    assert_eq!(
        String::from_utf8(sent.body).unwrap(),
        r#"{"n":1.10,"key":"mine","nested":{"token":"k\"1","version":2}}"#
    );

    let sent = setup.verified("formkey", json!({ "apiKey": "a&b" })).await;
    assert_eq!(sent.url.path(), "/formkey/token");
    assert_eq!(
        header(&sent, "content-type"),
        Some("application/x-www-form-urlencoded")
    );
    assert_eq!(
        String::from_utf8(sent.body.clone()).unwrap(),
        "key=a%26b&at=1793793600"
    );
    assert_eq!(header(&sent, "x-only"), Some("verification"));
    let sent = setup.called("formkey", Call::get("/things")).await;
    assert_eq!(
        (header(&sent, "x-key"), header(&sent, "x-only")),
        (Some("a&b"), None)
    );
}

#[on_both_databases]
async fn time_nonce_and_hashes_are_computed_for_each_request(setup: Setup) {
    let sent = setup.verified("clocked", json!({ "apiKey": "k" })).await;
    assert_eq!(sent.url.path(), "/clocked/on/2026-11-04");
    for (name, value) in [
        ("x-date", "2026-11-04T12:00:00.000Z"),
        ("x-day", "2026-11-04"),
        ("x-expires", "1793793660"),
        ("x-millis", "1793793600000"),
        // printf k | sha256sum | xxd -r -p | base64
        ("x-hash", "glTDKakoUPbVOd03b0gW7idkUX2l4CNVFK9DMWRIDXo="),
    ] {
        assert_eq!(header(&sent, name), Some(value), "{name}");
    }
    let again = setup.called("clocked", Call::get("/things")).await;
    assert_ne!(header(&sent, "x-nonce"), header(&again, "x-nonce"));
    for request in [&sent, &again] {
        let nonce = header(request, "x-nonce").unwrap();
        assert_eq!(nonce.len(), 32);
        // The hash is that of the nonce in the same request.
        let sealed = registry::Template::parse(&format!("sha256Hex(k:1793793600:{nonce})")).unwrap();
        assert_eq!(
            header(request, "x-seal"),
            Some(sealed.render(&|_| None).unwrap().as_str())
        );
    }
}

#[on_both_databases]
async fn templates_can_use_the_method_path_and_body_of_the_request(setup: Setup) {
    let sent = setup.verified("selfaware", json!({ "apiKey": "k" })).await;
    let host = setup.server.address().to_string();
    for (name, value) in [
        ("x-method", "GET"),
        ("x-endpoint", "/me"),
        ("x-path", "/selfaware/me"),
        ("x-host", host.as_str()),
        ("x-params", "a=1&b=2"),
    ] {
        assert_eq!(header(&sent, name), Some(value), "{name}");
    }
    // A GET has no body, and an empty header is left out.
    assert_eq!(header(&sent, "x-body"), None);
    for (kind, body) in [
        ("application/x-www-form-urlencoded", "To=%2B1&Body=a+b"),
        ("application/json", r#"{"To":"+1","Body":"a b","list":[1]}"#),
    ] {
        let sent = setup.called("selfaware", post("/things", kind, body)).await;
        assert_eq!(header(&sent, "x-body"), Some("Body=a%20b&To=%2B1"), "{kind}");
        // base64 of "POST /selfaware/things"
        assert_eq!(header(&sent, "x-line"), Some("UE9TVCAvc2VsZmF3YXJlL3RoaW5ncw=="));
    }
}

#[on_both_databases]
async fn a_field_without_a_value_is_left_out_or_falls_back(setup: Setup) {
    let sent = setup.verified("fallback", json!({ "apiKey": "k" })).await;
    assert_eq!((sent.url.path(), sent.url.query()), ("/us/me", None));
    assert_eq!(header(&sent, "x-team"), Some("blue"));
    assert_eq!(header(&sent, "x-organization"), None);
    let reply = setup
        .connect("fallback", json!({ "apiKey": "k", "region": "mars" }))
        .await
        .expect(400);
    assert_eq!(reply.fields(), ["region"]);

    let sent = setup.verified("tokenless", json!({ "apiKey": "k" })).await;
    assert_eq!(
        (header(&sent, "x-key"), header(&sent, "authorization")),
        (Some("k"), None)
    );
    assert_eq!(sent.url.query(), None);
}

#[on_both_databases]
async fn basic_takes_a_user_name_alone_or_a_form_of_the_file(setup: Setup) {
    let sent = setup
        .verified("basic-full", json!({ "username": "u_1", "password": "p" }))
        .await;
    assert_eq!(sent.url.path(), "/basic-full/users/u_1");
    assert_eq!(header(&sent, "authorization"), Some("Basic dV8xOnA="));
    assert_eq!(header(&sent, "x-user"), Some("u_1"));
    setup
        .connect("basic-full", json!({ "username": "u_1" }))
        .await
        .expect(400);

    let sent = setup.verified("basic-user", json!({ "username": "k" })).await;
    assert_eq!(
        header(&sent, "authorization"),
        Some("Basic azo="),
        "k and nothing"
    );
    assert_eq!(header(&sent, "x-pair"), Some("k:"));

    let sent = setup
        .verified("basic-bare", json!({ "username": "k", "password": "" }))
        .await;
    assert_eq!(header(&sent, "authorization"), Some("Basic azo="));
    let reply = setup.connect("basic-bare", json!({})).await.expect(400);
    assert_eq!(reply.fields(), ["username"]);

    let sent = setup
        .verified(
            "basic-token",
            json!({ "username": "a@x.example", "password": "t", "connectionConfig.username": "other" }),
        )
        .await;
    // base64 of "a@x.example/token:t"
    assert_eq!(
        header(&sent, "authorization"),
        Some("Basic YUB4LmV4YW1wbGUvdG9rZW46dA==")
    );
}

#[on_both_databases]
async fn the_rules_of_fields_hold_on_the_server(setup: Setup) {
    let reply = setup
        .connect("plainkey", json!({ "apiKey": "wrong" }))
        .await
        .expect(400);
    assert_eq!(reply.fields(), ["apiKey"], "pattern");
    let port = setup.server.address().port();
    for typed in [
        "127".to_owned(),
        format!("127.0.0.1:{port}"),
        format!("http://127.0.0.1:{port}/"),
    ] {
        let sent = setup
            .verified("subdomain", json!({ "apiKey": "k", "subdomain": typed }))
            .await;
        assert_eq!(sent.url.path(), "/me", "{typed}");
    }
    for (field, value) in [
        ("subdomain", "a b"),
        ("contact", "nobody"),
        ("site", "ftp://x"),
        ("team", "7"),
    ] {
        let entry = if field == "team" { "querykey" } else { "subdomain" };
        let mut fields = json!({ "apiKey": "k" });
        if entry == "subdomain" {
            fields["subdomain"] = "127".into();
        }
        fields[field] = value.into();
        let reply = setup.connect(entry, fields).await.expect(400);
        assert_eq!(reply.fields(), [field], "format");
    }

    let sent = setup.verified("conditional", json!({ "apiKey": "k" })).await;
    assert_eq!(
        (header(&sent, "x-plan"), header(&sent, "x-site")),
        (Some("cloud"), None)
    );
    let hosted = json!({ "apiKey": "k", "plan": "hosted" });
    let reply = setup.connect("conditional", hosted).await.expect(400);
    assert_eq!(reply.fields(), ["site"], "is required with that plan");
}

#[on_both_databases]
async fn an_import_follows_the_same_rules_by_the_names_of_the_entry(setup: Setup) {
    let import = async |entry: &str, credentials: Json, config: Json| {
        let body = json!({
            "provider_config_key": entry, "connection_id": entry, "credentials": credentials, "connection_config": config,
        });
        setup.app.admin().post("/connections", &body).await
    };
    let key = || json!({ "type": "API_KEY", "apiKey": "k" });

    let port = setup.server.address().port();
    let typed = json!({ "subdomain": format!("127.0.0.1:{port}") });
    let made = import("subdomain", key(), typed).await.expect(201).json();
    assert_eq!(made["connection_config"], json!({ "subdomain": "127" }));
    let bare = json!({ "type": "BASIC", "username": "u" });
    let made = import("basic-bare", bare, json!({})).await.expect(201).json();
    let whole = json!({ "type": "BASIC", "username": "u", "password": "" });
    assert_eq!(made["credentials"], whole);
    let made = import("conditional", key(), json!({})).await.expect(201).json();
    assert_eq!(made["connection_config"], json!({ "plan": "cloud" }));
    // A key that connecting does not need may come later.
    let mut later = json!({ "provider_config_key": "conditional", "connection_id": "later" });
    (later["credentials"], later["connection_config"]) = (key(), json!({ "plan": "hosted" }));
    setup.app.admin().post("/connections", &later).await.expect(201);
    let wrong = json!({ "type": "API_KEY", "apiKey": "wrong" });
    let reply = import("plainkey", wrong, json!({})).await.expect(400);
    assert_eq!(reply.fields(), ["credentials.apiKey"]);
}

#[on_both_databases]
async fn configuration_of_the_file_and_the_integration_fills_placeholders(setup: Setup) {
    let sent = setup
        .verified("configured", json!({ "apiKey": "k", "tenant": "t1" }))
        .await;
    assert_eq!(
        (header(&sent, "x-release"), header(&sent, "x-tenant")),
        (Some("2026-01"), Some("t1"))
    );

    let sent = setup.verified("generic", json!({ "apiKey": "k" })).await;
    assert_eq!(
        (sent.url.path(), header(&sent, "x-placed")),
        ("/generic/me", Some("Key k"))
    );
    let own = [
        ("baseUrl", format!("{}/mine", setup.server.uri())),
        ("keyPlacement", "query".to_owned()),
        ("keyName", "token".to_owned()),
        ("valueTemplate", "${apiKey}".to_owned()),
    ];
    let now = setup.app.clock().now();
    let made = setup.app.store().write(move |c| {
        let environment = environments::by_name(c, &"dev".parse().unwrap())?.id;
        let key = "mine".parse().unwrap();
        assert!(integrations::ensure(
            c,
            environment,
            &key,
            &"generic".parse().unwrap(),
            now
        )?);
        let row = integrations::find(c, environment, &key)?.unwrap();
        let change = IntegrationChange {
            config: Some(own.map(|(name, value)| (name.to_owned(), value)).into()),
            ..IntegrationChange::default()
        };
        integrations::change(c, row.id, &change, now)
    });
    made.await.unwrap();
    let sent = setup.verified("mine", json!({ "apiKey": "k" })).await;
    assert_eq!((sent.url.path(), sent.url.query()), ("/mine/me", Some("token=k")));
    assert_eq!(header(&sent, "x-placed"), None);
    let sent = setup.called("mine", Call::get("/things")).await;
    assert_eq!(
        (sent.url.path(), sent.url.query()),
        ("/mine/things", Some("token=k"))
    );
}

#[on_both_databases]
async fn an_integration_configuration_follows_the_file_and_keeps_the_address_of_keys(setup: Setup) {
    let admin = setup.app.admin();
    let make =
        |config: Json| json!({ "provider": "generic", "unique_key": "mine", "integration_config": config });
    for (config, field) in [
        (json!({ "baseUrl": "no address" }), "baseUrl"),
        (json!({ "keyPlacement": "cookie" }), "keyPlacement"),
        (json!({ "keyName": "Host" }), "keyName"),
        (json!({ "valueTemplate": "${" }), "valueTemplate"),
        (json!({ "other": "x" }), "other"),
    ] {
        let refused = admin.post("/integrations", &make(config)).await.expect(400);
        assert_eq!(refused.fields(), [format!("integration_config.{field}")]);
    }
    let config = json!({ "keyName": "x-mine", "keyLabel": "Mine" });
    admin
        .post("/integrations", &make(config.clone()))
        .await
        .expect(200);
    let patch = async |config: &Json| {
        admin
            .patch("/integrations/mine", &json!({ "integration_config": config }))
            .await
    };
    patch(&config).await.expect(200);
    let body = json!({ "connectionId": "one", "apiKey": "k" });
    admin.post("/mine/connect", &body).await.expect(201);

    for (name, value) in [("baseUrl", "https://evil.example"), ("keyName", "x-other")] {
        let mut moved = config.clone();
        moved[name] = value.into();
        let refused = patch(&moved).await.expect(400);
        assert_eq!(refused.fields(), [format!("integration_config.{name}")]);
        assert!(
            refused.text.contains("make another integration"),
            "{}",
            refused.text
        );
    }
    patch(&json!({ "keyName": "x-mine", "keyLabel": "Ours" }))
        .await
        .expect(200);
}
