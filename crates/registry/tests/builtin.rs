//! The built-in provider files.

use registry::{AuthMode, BoundFormat, Inclusive, ListEnd, OffsetStep, PageBy, Paginate, Registry};

/// Returns the folder of the files.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../integrations");

#[test]
fn built_in_files_pass_every_check_without_a_warning() {
    let registry = Registry::builtin().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(registry.warnings(), []);
    assert_eq!(registry.skipped(), []);
    let names: Vec<_> = registry.iter().map(|provider| provider.name.as_str()).collect();
    let built_in = std::fs::read_dir(FOLDER)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = built_in
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    files.sort();
    assert_eq!(names, files);
}

#[test]
fn the_committed_schema_is_the_one_of_the_code() {
    let committed: serde_json::Value =
        serde_json::from_str(include_str!("../../../integrations/schema.json")).unwrap();
    let made = registry::json_schema();
    assert!(
        committed == made,
        "run: cargo run -p registry --example schema > integrations/schema.json"
    );
}

#[test]
fn the_committed_page_of_tables_is_the_one_of_the_files() {
    let made = registry::tables_page(&Registry::builtin().unwrap());
    assert!(
        include_str!("../../../docs/tables.md") == made,
        "run: cargo run -p registry --example tables > docs/tables.md"
    );
}

#[test]
fn every_built_in_file_names_the_schema_for_editors() {
    for entry in std::fs::read_dir(FOLDER).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "yaml") {
            let text = std::fs::read_to_string(&path).unwrap();
            assert_eq!(
                text.lines().next(),
                Some("# yaml-language-server: $schema=./schema.json"),
                "{}",
                path.display()
            );
        }
    }
}

#[test]
fn messages_are_read_by_days_newest_first() {
    let registry = Registry::builtin().unwrap();
    let twilio = registry.get("twilio").unwrap();
    assert_eq!(twilio.auth, AuthMode::Basic);
    assert_eq!(twilio.connect.len(), 2);
    let sync = twilio.syncs.get("twilio-messages").unwrap();
    let window = sync.window.as_ref().unwrap();
    assert_eq!(window.format, BoundFormat::Date);
    assert_eq!(window.inclusive, Some(Inclusive::Both));
    assert_eq!(window.beyond_retention, None);
    assert_eq!(window.shortest_retention, 7 * domain::Timestamp::DAY);
    assert!(sync.newest_first && sync.track_deletes);
    assert_eq!(sync.model.plural, "messages");
    assert_eq!(sync.schedule.to_string(), "every 5 minutes");
    assert_eq!(sync.records, ["messages"]);
    assert_eq!(sync.lookback.len(), 2);
    assert_eq!(
        twilio.errors.hints.get("20003").map(String::is_empty),
        Some(false)
    );
    let lookup = |placeholder: &str| match placeholder {
        "connectionConfig.accountSid" => Some("AC1".to_owned()),
        "record.sid" => Some("SM/1".to_owned()),
        _ => None,
    };
    let path = sync.reread.as_ref().unwrap().path.render_path(&lookup).unwrap();
    assert_eq!(path, "/2010-04-01/Accounts/AC1/Messages/SM%2F1.json");
}

#[test]
fn a_provider_without_connect_forms_gets_one_from_its_fields() {
    let registry = Registry::builtin().unwrap();
    let sendgrid = registry.get("sendgrid").unwrap();
    let [form] = sendgrid.connect.as_slice() else {
        panic!("one form")
    };
    assert_eq!(form.fields.keys().collect::<Vec<_>>(), ["apiKey", "hostname"]);
    assert_eq!(form.credentials["apiKey"].to_string(), "${apiKey}");
    assert_eq!(form.connection_config["hostname"].to_string(), "${hostname}");
    assert!(form.fields["apiKey"].secret);
    let sync = sendgrid.syncs.get("sendgrid-bounces").unwrap();
    assert_eq!(
        sync.paginate,
        Paginate {
            by: PageBy::Offset {
                parameter: "offset".to_owned(),
                start: 0,
                step: OffsetStep::Records,
                limit_parameter: Some("limit".to_owned()),
                max_offset: None,
            },
            end: ListEnd::default(),
            limit: Some(500),
            max_pages: None,
        }
    );
    assert!(sync.records.is_empty() && sync.window.is_none());
    assert_eq!(sync.model.plural, "bounces");
    assert_eq!(sendgrid.errors.message, ["errors", "0", "message"]);
}

#[test]
fn every_pattern_of_a_built_in_file_is_described_in_words() {
    let registry = Registry::builtin().unwrap();
    let mut seen = 0;
    for provider in registry.iter() {
        let forms = provider.connect.iter().flat_map(|form| &form.fields);
        let fields = provider
            .credentials
            .iter()
            .chain(&provider.connection_config)
            .chain(forms);
        let fields = fields.map(|(name, field)| (name, &field.pattern, &field.pattern_description));
        let inputs = provider.actions.values().flat_map(|action| &action.inputs);
        let inputs = inputs.map(|(name, input)| (name, &input.pattern, &input.pattern_description));
        for (name, pattern, words) in fields.chain(inputs) {
            assert_eq!(pattern.is_some(), words.is_some(), "{}: {name}", provider.name);
            seen += usize::from(words.is_some());
        }
    }
    assert!(seen >= 40, "{seen}");
}

/// Words that a description must contain, by what the pattern matches.
const SPOKEN_OF: [(&str, &[&str]); 5] = [
    ("0-9", &["digit", "E.164", "[0-9]"]),
    ("a-z", &["letter", "hexadecimal", "e-mail"]),
    ("A-Z", &["letter", "hexadecimal"]),
    ("-]", &["hyphen", "or -", "_ or -"]),
    ("_]", &["underscore", "_"]),
];

#[test]
fn the_description_of_a_pattern_covers_everything_that_it_matches() {
    let registry = Registry::builtin().unwrap();
    let mut seen = 0;
    for provider in registry.iter() {
        let forms = provider.connect.iter().flat_map(|form| &form.fields);
        let fields = forms
            .chain(&provider.connection_config)
            .chain(&provider.integration_config)
            .chain(&provider.credentials);
        let fields = fields.map(|(name, field)| (name, &field.pattern, &field.pattern_description));
        let inputs = provider.actions.values().flat_map(|action| &action.inputs);
        let inputs = inputs.map(|(name, input)| (name, &input.pattern, &input.pattern_description));
        for (name, pattern, words) in fields.chain(inputs) {
            let (Some(pattern), Some(words)) = (pattern, words) else {
                continue;
            };
            seen += 1;
            for (class, spoken_of) in SPOKEN_OF {
                assert!(
                    !pattern.as_str().contains(class) || spoken_of.iter().any(|word| words.contains(word)),
                    "{}: {name}: {words:?} does not tell that {pattern} lets in {class}",
                    provider.name
                );
            }
        }
    }
    assert!(seen > 40, "{seen}");
}

#[test]
fn the_descriptions_of_some_patterns_are_right_for_values_that_were_once_wrong() {
    let registry = Registry::builtin().unwrap();
    for (provider, name, words, right, wrong) in [
        (
            "twilio",
            "region",
            "two lower-case letters and a digit",
            "sao-paulo.br1",
            "dublin.ie",
        ),
        ("postmark", "messageStream", "beginning with a letter", "a", "1a"),
        ("shopify", "apiVersion", "01, 04, 07 or 10", "2026-10", "2026-09"),
    ] {
        let provider = registry.get(provider).unwrap();
        let config = &provider.connection_config;
        let field = config
            .get(name)
            .or_else(|| provider.integration_config.get(name))
            .unwrap();
        assert!(field.pattern_description.as_deref().unwrap().contains(words));
        assert!(field.check(right).is_ok(), "{right}");
        assert!(field.check(wrong).unwrap_err().contains(words), "{wrong}");
    }
}

#[test]
fn a_webhook_secret_is_sealed_and_no_form_asks_for_it() {
    let registry = Registry::builtin().unwrap();
    let mut seen = 0;
    for provider in registry.iter() {
        let Some(webhooks) = &provider.webhooks else {
            continue;
        };
        seen += 1;
        assert!(
            webhooks.setup.is_some() && webhooks.kind.is_some() && webhooks.id.is_some(),
            "{}",
            provider.name
        );
        let secrets = webhooks.signature.iter().flat_map(|scheme| &scheme.secrets);
        for name in secrets.flat_map(|secret| secret.value.placeholders()) {
            let Some(name) = name.strip_prefix("connectionConfig.") else {
                continue;
            };
            let field = &provider.connection_config[name];
            assert!(
                field.secret && field.optional && field.hidden,
                "{}: {name}",
                provider.name
            );
            assert!(
                provider
                    .connect
                    .iter()
                    .all(|form| !form.fields.contains_key(name))
            );
        }
    }
    assert_eq!(seen, 18);
}
