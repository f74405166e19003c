//! Templates: what parses, what renders, what is escaped.

use proptest::prelude::*;

use super::*;

fn account(hole: &str) -> Option<String> {
    match hole {
        "username" => Some("Aladdin".to_owned()),
        "password" => Some("open sesame".to_owned()),
        "connectionConfig.region" => Some("eu".to_owned()),
        "connectionConfig.empty" => Some(String::new()),
        "metadata.odd" => Some("a/../b?c=d#e".to_owned()),
        "metadata.quote" => Some("say \"hi\"\\\n".to_owned()),
        "metadata.dots" => Some("..".to_owned()),
        _ => None,
    }
}

fn rendered(text: &str) -> Result<String, MissingValue> {
    Template::parse(text).unwrap().render(&account)
}

#[test]
fn holes_are_filled_and_other_dollars_stay() {
    assert_eq!(
        rendered("https://${connectionConfig.region}.example.com/$x$").unwrap(),
        "https://eu.example.com/$x$"
    );
}

#[test]
fn base64_encodes_the_text_in_it_as_rfc_7617_has_it() {
    let basic = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
    assert_eq!(
        rendered("Basic ${base64(${username}:${password})}").unwrap(),
        basic
    );
    assert_eq!(rendered("Basic base64(${username}:${password})").unwrap(), basic);
    assert_eq!(rendered("base64(f(x))").unwrap(), "Zih4KQ==");
}

#[test]
fn the_first_alternative_that_has_a_value_counts() {
    assert_eq!(rendered("${apiKey || username}").unwrap(), "Aladdin");
    assert_eq!(
        rendered("${connectionConfig.empty || username}").unwrap(),
        "Aladdin"
    );
    assert_eq!(
        rendered("https://${connectionConfig.none}.x || https://x").unwrap(),
        "https://x"
    );
    assert_eq!(
        rendered("${connectionConfig.empty} || ${connectionConfig.region}").unwrap(),
        "eu"
    );
    assert_eq!(rendered("[${connectionConfig.empty}]").unwrap(), "[]");
}

#[test]
fn a_missing_value_names_its_hole() {
    let error = rendered("Bearer ${apiKey}").unwrap_err();
    assert_eq!(error.hole, "apiKey");
}

#[test]
fn what_signs_is_refused_by_name() {
    for text in [
        "${hmacSha1Hex(${apiKey}, x)}",
        "x hmacSha1Hex(${apiKey})",
        "${awsSigV4(x)}",
        "${md5(${apiKey})}",
    ] {
        assert!(
            matches!(Template::parse(text), Err(TemplateError::Unsupported(_))),
            "{text}"
        );
    }
}

#[test]
fn hashes_are_made_of_the_text_in_them() {
    // FIPS 180-2, appendix B.1.
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(rendered("${sha256Hex(abc)}").unwrap(), abc);
    assert_eq!(rendered("v1=sha256Hex(abc)").unwrap(), format!("v1={abc}"));
    assert_eq!(
        rendered("${sha256Base64(abc)}").unwrap(),
        "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
    );
    assert_eq!(
        rendered("base64(${sha256Hex(abc)})").unwrap(),
        STANDARD.encode(abc)
    );
}

#[test]
fn a_hole_of_the_time_keeps_its_format_and_asks_for_it_whole() {
    let lookup = |hole: &str| Some(format!("<{hole}>"));
    let text = "${now:YYYY-MM-DD HH:mm} ${now+1:minutes:X} ${now-2:days} ${ now } ${now-playing}";
    let template = Template::parse(text).unwrap();
    assert_eq!(
        template.render(&lookup).unwrap(),
        "<now:YYYY-MM-DD HH:mm> <now+1:minutes:X> <now-2:days> <now> <now-playing>"
    );
}

#[test]
fn broken_templates_are_refused() {
    for text in [
        "${",
        "${}",
        "${a",
        "${a || }",
        "${a b}",
        "base64(${a}",
        "${now+soon}",
        "${now+1:lightyears:X}",
        "sha256Hex(${a}",
        "|| x",
        "${a..b}",
    ] {
        assert!(
            matches!(Template::parse(text), Err(TemplateError::Malformed(_))),
            "{text}"
        );
    }
}

#[test]
fn a_path_keeps_each_value_in_its_segment() {
    let path = |text: &str| Template::parse(text).unwrap().render_path(&account);
    assert_eq!(
        path("/a/${metadata.odd}.json?x=1").unwrap(),
        "/a/a%2F..%2Fb%3Fc%3Dd%23e.json?x=1"
    );
    assert!(path("/a/${metadata.dots}/b").is_err());
    assert!(path("/a/${connectionConfig.empty}").is_err());
}

#[test]
fn json_text_keeps_each_value_in_its_string() {
    let json = Template::parse(r#"{"text":"${metadata.quote}"}"#)
        .unwrap()
        .render_json(&account)
        .unwrap();
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["text"], "say \"hi\"\\\n");
}

#[test]
fn only_text_without_holes_is_literal() {
    assert_eq!(Template::parse("https://x").unwrap().literal(), Some("https://x"));
    assert_eq!(Template::parse("").unwrap().literal(), Some(""));
    assert_eq!(Template::parse("${apiKey}").unwrap().literal(), None);
    assert_eq!(
        Template::parse("${apiKey || base} base64(${x})").unwrap().holes(),
        ["apiKey", "base", "x"]
    );
}

/// Text made of the pieces that the grammar cares for.
fn source() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => proptest::sample::select(vec![
            "${apiKey}", "${ username }", "${connectionConfig.a-b}", "${a || metadata.b}", " || ", "${base64(${username}:)}",
            "base64(x(y)${apiKey})", "${now:YYYY-MM }", "${sha256Hex(", "$", "{", "}", "(", ")", "|", " ", "${", "${now}", "base64(",
        ]).prop_map(str::to_owned),
        1 => ".{0,4}",
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn what_was_parsed_reads_the_same_when_written_again(text in source()) {
        if let Ok(template) = Template::parse(&text) {
            prop_assert_eq!(Template::parse(&template.to_string()), Ok(template));
        }
    }

    #[test]
    fn rendering_never_panics(text in source(), value in proptest::option::of(".*")) {
        if let Ok(template) = Template::parse(&text) {
            let lookup = |_: &str| value.clone();
            let _ = template.render(&lookup);
            let _ = template.render_path(&lookup);
            let _ = template.render_json(&lookup);
        }
    }

    #[test]
    fn a_value_in_a_path_is_one_segment_to_a_url_parser(value in ".*") {
        let template = Template::parse("/a/${metadata.x}/b").unwrap();
        if let Ok(path) = template.render_path(&|_| Some(value.clone())) {
            let url = url::Url::parse("https://example.com").unwrap().join(&path).unwrap();
            let segments: Vec<_> = url.path_segments().unwrap().collect();
            prop_assert_eq!(segments.len(), 3);
            prop_assert_eq!(percent_encoding::percent_decode_str(segments[1]).decode_utf8().unwrap(), value);
            prop_assert_eq!(url.query(), None);
        }
    }
}
