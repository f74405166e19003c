//! The provider itself, without syncs and actions.

use super::*;

#[test]
fn a_valid_file_passes_with_a_summary() {
    let checked = check("shop.yaml", SHOP).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(checked[0].name.as_str(), "shop");
    assert_eq!(checked[0].syncs[0].as_str(), "shop-orders");
    assert_eq!(checked[0].warnings, []);
}

#[test]
fn an_unknown_key_is_reported_with_the_most_similar_one() {
    refused(
        "display_name: Shop",
        "display_nam: Shop",
        &["1: display_nam:", "did you mean \"display_name\"?"],
    );
    refused(
        "    records: data.orders",
        "    recrods: data.orders",
        &["20: syncs.shop-orders.recrods", "\"records\""],
    );
    refused(
        "step: 2 days",
        "zebra: 2 days",
        &[
            "25: syncs.shop-orders.window.zebra",
            "the keys are column, from, to",
        ],
    );
    refused(
        "parse: unix_seconds",
        "prase: unix_seconds",
        &["33: syncs.shop-orders.columns.changed.prase", "\"parse\""],
    );
}

#[test]
fn translations_are_by_language() {
    let with = |translations: &str| format!("display_name: Shop\ntranslations: {translations}");
    let good = with("{ de: { notice: Hallo }, pt: {} }");
    assert_eq!(problems("display_name: Shop", &good), Vec::<String>::new());
    for (language, words) in [
        ("german", "write `de`, for example"),
        ("DE", "write `de`, for example"),
        ("en", "are the English ones"),
    ] {
        let wrong = with(&format!("{{ {language}: {{ notice: Hallo }} }}"));
        refused("display_name: Shop", &wrong, &["2: translations.", words]);
    }
    refused(
        "display_name: Shop",
        &with("{ de: { title: Hallo } }"),
        &["translations.de.title", "notice"],
    );
    refused(
        "region: { title: Region,",
        "region: { title: Region, translations: { d: { title: Gebiet } },",
        &["connection_config.region.translations.d"],
    );
}

#[test]
fn a_form_hides_what_becomes_a_secret() {
    let form = "connect: [{ title: Key, fields: { key: {}, region: {} }, gives: { apiKey: \"${key}\", connection_config: { region: \"${region}\" } } }]";
    let folder = tempfile::tempdir().unwrap();
    let text = SHOP.replace("proxy:\n", &format!("{form}\nproxy:\n"));
    std::fs::write(folder.path().join("shop.yaml"), text).unwrap();
    let registry = Registry::load(Some(folder.path())).unwrap();
    let fields = &registry.get("shop").unwrap().connect[0].fields;
    assert!(fields["key"].secret && !fields["region"].secret);
}

#[test]
fn a_value_of_the_wrong_type_is_reported_with_the_right_one() {
    refused(
        "display_name: Shop",
        "display_name: 5",
        &["1: display_name: must be text: put it in quotes"],
    );
    refused("secret: true", "secret: yes", &["must be true or false"]);
    refused(
        "concurrency: 2",
        "concurrency: 0",
        &["12: limits.concurrency: must be 1 or more"],
    );
    refused(
        "state: text",
        "state: words",
        &[
            "31: ",
            "must be text, integer, boolean, timestamp, decimal, json or a map",
        ],
    );
    refused(
        "size: 100",
        "size: 1.10",
        &["size: must be true or false, a whole number or text: put it in quotes"],
    );
    refused(
        "    key: id\n",
        "",
        &["syncs.shop-orders: \"key\" is missing here"],
    );
    refused("[state]", "state", &["must be a list"]);
}

#[test]
fn an_item_of_the_wrong_type_is_reported_with_its_position() {
    refused(
        "region: { title: Region, enum: [eu, us] }",
        "region:\n    enum:\n      - eu\n      - 1.0",
        &["9: connection_config.region.enum.1: must be text, a whole number, true or false"],
    );
}

#[test]
fn an_unknown_word_is_reported_with_the_allowed_ones() {
    refused(
        "auth_mode: API_KEY",
        "auth_mode: MAGIC",
        &["2: auth_mode: must be API_KEY or BASIC"],
    );
    refused(
        "type: cursor",
        "type: scroll",
        &["must be link, cursor, offset or none"],
    );
    refused(
        "title: Region",
        "title: Region, format: host",
        &["must be hostname, uri, uuid, email, phone, sender, date or date_time"],
    );
    refused(
        "format: date,",
        "format: day,",
        &["must be date, date_time, unix_seconds or unix_millis"],
    );
}

#[test]
fn an_unknown_placeholder_is_reported_with_the_known_ones() {
    refused(
        "\"/orders\"",
        "\"/${connectionConfig.regoin}/orders\"",
        &[
            "19: ",
            "no value for ${connectionConfig.regoin}",
            "${connectionConfig.region}",
        ],
    );
    refused(
        "Bearer ${apiKey}",
        "Bearer ${apiKey} ${password}",
        &["no value for ${password}"],
    );
    refused("\"/orders\"", "\"/orders?at=${now}\"", &["no value for ${now}"]);
    refused("\"/orders\"", "\"/orders/${apiKey\"", &["not closed by }"]);
    refused(
        "/orders/${record.id}",
        "/orders/${record.id}/${record.state}",
        &["no value for ${record.state}"],
    );
}

#[test]
fn credentials_that_no_request_sends_are_refused() {
    refused(
        "Bearer ${apiKey}",
        "Bearer",
        &["7: proxy: no header, parameter, body or address contains ${apiKey}"],
    );
}

#[test]
fn a_pattern_must_be_a_regular_expression() {
    refused(
        "\"^key_\"",
        "\"key_(\"",
        &["4: credentials.apiKey.pattern: is not a regular expression"],
    );
}

#[test]
fn an_example_must_match_the_rule_of_its_field() {
    refused(
        "title: Region",
        "title: Region, example: mars",
        &["connection_config.region.example", "must be eu or us"],
    );
}

#[test]
fn credentials_are_those_of_the_auth_mode() {
    refused(
        "  apiKey: {",
        "  token: { title: Token }\n  apiKey: {",
        &["4: credentials.token", "this auth_mode has only apiKey"],
    );
}

#[test]
fn paths_begin_with_a_slash_and_servers_with_a_scheme() {
    refused(
        "\"/orders\"",
        "orders",
        &["19: syncs.shop-orders.request.path: must begin with /"],
    );
    refused(
        "\"/me\"",
        "me",
        &["10: proxy.verification.endpoints.0: must begin with /"],
    );
    refused(
        "https://files",
        "files",
        &["11: servers.files: must be an address"],
    );
    refused(
        "path: \"/orders\"",
        "path: \"/orders\", server: film",
        &[
            "19: ",
            "\"film\" is not declared under servers: the servers are files",
        ],
    );
}

#[test]
fn a_connect_form_has_every_field_that_a_connection_needs() {
    let form = |gives: &str| {
        let connect = format!(
            "connect:\n  - title: Key\n    fields: {{ key: {{ title: Key }} }}\n    gives: {gives}\nproxy:"
        );
        problems("proxy:", &connect)
    };
    assert_eq!(
        form("{ apiKey: \"${key}\", connection_config: { region: eu } }"),
        Vec::<String>::new()
    );
    assert!(form("{ apiKey: \"${key}\" }")[0].contains("\"region\" is missing here"));
    assert!(form("{ connection_config: { region: eu } }")[0].contains("\"apiKey\" is missing here"));
    assert!(
        form("{ apiKey: \"${kye}\", connection_config: { region: eu } }")[0]
            .contains("no value for ${kye}: available are ${key}")
    );
    assert!(
        form("{ apiKey: \"${key}\", password: x, connection_config: { region: eu } }")[0]
            .contains("is not a credential")
    );
    assert!(
        form("{ apiKey: \"${key}\", connection_config: { region: eu, zone: x } }")[0]
            .contains("not declared under connection_config")
    );
}

#[test]
fn a_missing_verification_is_a_warning() {
    let checked = check(
        "shop.yaml",
        &SHOP.replace("  verification: { endpoints: [\"/me\"] }\n", ""),
    )
    .unwrap();
    assert!(checked[0].warnings[0].message.contains("no verification"));
}

/// Returns the only warning about the valid file with `from` replaced by `to`.
fn warned(from: &str, to: &str) -> String {
    assert!(SHOP.contains(from), "{from:?} is not in the good file");
    let checked = check("shop.yaml", &SHOP.replacen(from, to, 1)).unwrap_or_else(|error| panic!("{error}"));
    let [warning] = checked[0].warnings.as_slice() else {
        panic!("{:#?}", checked[0].warnings)
    };
    warning.to_string()
}

#[test]
fn an_address_without_tls_is_a_warning_unless_it_is_local() {
    let reported = warned("https://files.shop.example", "http://files.shop.example");
    assert!(
        reported.contains("servers.files") && reported.contains("use https://"),
        "{reported}"
    );
    for own in ["http://localhost:8080", "http://10.0.0.7/api", "http://[::1]:80"] {
        assert_eq!(problems("https://files.shop.example", own), Vec::<String>::new());
        let checked = check("shop.yaml", &SHOP.replace("https://files.shop.example", own)).unwrap();
        assert_eq!(checked[0].warnings, [], "{own}");
    }
}

#[test]
fn two_columns_of_one_field_are_a_warning() {
    let reported = warned(
        "      state: text\n",
        "      state: text\n      status: { type: text, path: state }\n",
    );
    assert!(
        reported.contains("columns.status") && reported.contains("\"state\""),
        "{reported}"
    );
}

#[test]
fn a_condition_on_an_unknown_field_and_an_invalid_wait_are_refused() {
    refused(
        "title: Region",
        "title: Region, visible_when: { field: plan, equals: pro }",
        &["connection_config.region.visible_when", "unknown field \"plan\""],
    );
    refused(
        "  headers:",
        "  retry: { in_body: { path: error, value: '(', strategy: after } }\n  headers:",
        &["proxy.retry.in_body.value: is not a regular expression"],
    );
    refused(
        "  headers:",
        "  retry: { in_body: { path: error, strategy: later } }\n  headers:",
        &["proxy.retry.in_body.strategy: must be after or at"],
    );
    refused(
        "cursor_path_in_response: next",
        "cursor_path_in_response: next, in_body: true",
        &["paginate.in_body: lists are read with GET"],
    );
}

#[test]
fn signing_is_refused_and_a_form_may_name_its_fields_freely() {
    refused(
        "size: 100",
        "size: \"${hmacSha1Hex(${apiKey})}\"",
        &["the function hmacSha1Hex is not supported"],
    );
    refused(
        "size: 100",
        "size: \"${fingerprint}\"",
        &["the function fingerprint is not supported"],
    );
    let form = "connect:\n  - title: Key\n    fields: { host: { title: Host }, fingerprint: { title: Print } }\n    gives: { apiKey: \
                \"${fingerprint}\", connection_config: { region: \"${host}\" } }\nproxy:";
    assert_eq!(problems("proxy:", form), Vec::<String>::new());
}

#[test]
fn broken_yaml_and_a_duplicate_key_are_reported_with_their_line() {
    refused(
        "display_name: Shop",
        "display_name: [",
        &["3: ", "did not find expected"],
    );
    refused(
        "auth_mode: API_KEY",
        "auth_mode: API_KEY\nauth_mode: BASIC",
        &["3: ", "auth_mode"],
    );
}

#[test]
fn all_errors_in_a_file_are_reported_at_once() {
    let text = SHOP
        .replace("display_name", "displayname")
        .replace("\"^key_\"", "\"key_(\"")
        .replace("step: 2 days", "step: 2 hours")
        .replace("key: id", "key: number")
        .replace("\"/me\"", "me");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.yaml");
    std::fs::write(&path, text).unwrap();
    let reported = Registry::check_file(&path).unwrap_err().to_string();
    insta::assert_snapshot!(reported.replace(&*folder.path().to_string_lossy(), "integrations"));
}

#[test]
fn durations_and_rates_have_bounds() {
    for length in ["0 days", "36526 days", "99999999999999999999 days", "-1 day"] {
        refused(
            "step: 2 days",
            &format!("step: {length}"),
            &["syncs.shop-orders.window.step", "the longest is 36525 days"],
        );
    }
    for rate in ["0", "1.0e-300", "1.0e+300"] {
        refused(
            "concurrency: 2",
            &format!("per_second: {rate}"),
            &["limits.per_second: must be"],
        );
    }
}
