//! Templates: what parses, what renders, what is escaped.

use proptest::prelude::*;

use super::*;

fn account(placeholder: &str) -> Option<String> {
    match placeholder {
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

fn rendered(text: &str) -> Result<String, RenderError> {
    Template::parse(text).unwrap().render(&account)
}

/// Fails unless each template renders to its text.
#[track_caller]
fn all_render(cases: &[(&str, &str)]) {
    for (template, text) in cases {
        assert_eq!(rendered(template).as_deref(), Ok(*text), "{template}");
    }
}

#[test]
fn placeholders_are_filled_and_other_dollar_signs_stay() {
    all_render(&[(
        "https://${connectionConfig.region}.example.com/$x$",
        "https://eu.example.com/$x$",
    )]);
}

#[test]
fn base64_encodes_its_text_as_in_rfc_7617() {
    let basic = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
    all_render(&[
        ("Basic ${base64(${username}:${password})}", basic),
        ("Basic base64(${username}:${password})", basic),
        ("base64(f(x))", "Zih4KQ=="),
    ]);
}

#[test]
fn the_first_alternative_with_a_value_wins() {
    all_render(&[
        ("${apiKey || username}", "Aladdin"),
        ("${connectionConfig.empty || username}", "Aladdin"),
        ("https://${connectionConfig.none}.x || https://x", "https://x"),
        ("${connectionConfig.empty} || ${connectionConfig.region}", "eu"),
        ("[${connectionConfig.empty}]", "[]"),
    ]);
}

#[test]
fn a_missing_value_names_its_placeholder() {
    let missing = RenderError::Missing {
        placeholder: "apiKey".to_owned(),
    };
    assert_eq!(rendered("Bearer ${apiKey}"), Err(missing));
}

#[test]
fn signing_functions_are_refused_by_name() {
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
fn hashes_are_computed_from_their_text() {
    // FIPS 180-2, appendix B.1.
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    all_render(&[
        ("${sha256Hex(abc)}", abc),
        ("v1=sha256Hex(abc)", &format!("v1={abc}")),
        (
            "${sha256Base64(abc)}",
            "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
        ),
        ("base64(${sha256Hex(abc)})", &STANDARD.encode(abc)),
    ]);
}

#[test]
fn a_time_placeholder_keeps_its_complete_format() {
    let lookup = |placeholder: &str| Some(format!("<{placeholder}>"));
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
fn only_text_without_placeholders_is_literal() {
    assert_eq!(Template::parse("https://x").unwrap().literal(), Some("https://x"));
    assert_eq!(Template::parse("").unwrap().literal(), Some(""));
    assert_eq!(Template::parse("${apiKey}").unwrap().literal(), None);
    assert_eq!(
        Template::parse("${apiKey || base} base64(${x})")
            .unwrap()
            .placeholders(),
        ["apiKey", "base", "x"]
    );
}

/// `x` within `levels` functions, each within the one before.
fn nested(levels: usize) -> String {
    format!("{}x{}", "${base64(".repeat(levels), ")}".repeat(levels))
}

#[test]
fn functions_are_nested_a_few_levels_deep_and_no_template_is_long() {
    assert!(Template::parse(&nested(4)).is_ok());
    for text in [
        nested(5),
        nested(64),
        nested(1_000),
        "base64(".repeat(2_000),
        "${base64(".repeat(100_000),
        "x".repeat(MAX_TEMPLATE + 1),
    ] {
        let error = Template::parse(&text).unwrap_err().to_string();
        assert!(error.len() < 300, "{error}");
    }
}

#[test]
fn an_error_quotes_only_the_beginning_of_a_template() {
    for begin in ["${", "${a || ", "${now+", "${${", "md5(", "${base64(${"] {
        for middle in ["x", "é", "a."] {
            let text = format!("{begin}{}(", middle.repeat(5_000));
            if let Err(error) = Template::parse(&text) {
                assert!(error.to_string().len() < 400, "{}", error.to_string().len());
            }
        }
    }
}

#[test]
fn a_rendered_text_is_bounded() {
    let large = "x".repeat(300_000);
    let lookup = |_: &str| Some(large.clone());
    let quotes = |_: &str| Some("\"".repeat(300_000));
    for text in [
        "${a}${a}${a}${a}".to_owned(),
        "${base64(${a}${a}${a})}".to_owned(),
        "${sha256Hex(${a})}".repeat(4),
        "${base64(${base64(${base64(${a}${a})})})}".to_owned(),
        format!("{} || x", "${sha256Hex(${a})}".repeat(4)),
    ] {
        let template = Template::parse(&text).unwrap();
        let told = template.render(&lookup).unwrap_err();
        assert!(matches!(told, RenderError::TooLong { .. }), "{text}: {told}");
        assert_eq!(template.render_if_filled(&lookup), Err(told), "{text}");
    }
    let json = Template::parse("${a}${a}").unwrap().render_json(&quotes);
    let of_a = RenderError::TooLong {
        placeholder: "a".to_owned(),
    };
    assert_eq!(json, Err(of_a.clone()));
    let list = JsonTemplate::List(vec![JsonTemplate::Text(Template::placeholder("a")); 4]);
    assert_eq!(list.render(&lookup), Err(of_a));
}

#[test]
fn a_callers_text_has_known_placeholders_and_little_else() {
    let known = |placeholder: &str| matches!(placeholder, "apiKey" | "connectionConfig.region");
    let parse = |text: &str, functions| Template::parse_placeholders(text, functions, known);
    for text in [
        "",
        "https://x",
        "Api-Key ${apiKey}",
        "${ connectionConfig.region }$",
        "a|b ${apiKey}",
    ] {
        assert!(parse(text, false).is_ok(), "{text}");
    }
    assert!(parse("Basic ${base64(${apiKey}:)}", true).is_ok());
    assert!(parse("Basic base64(${apiKey}:)", true).is_ok());
    for text in [
        "${metadata.x}",
        "${apiKey || connectionConfig.region}",
        "${apiKey} || x",
        "${now}",
        "${now:YYYY}",
        "${random}",
        "${",
        "${base64(${base64(x)})}",
        "base64(sha256Hex(x))",
        "${base64(${metadata.x})}",
        "${hmacSha1Hex(x)}",
    ] {
        for functions in [false, true] {
            assert!(parse(text, functions).is_err(), "{text}");
        }
    }
    assert!(parse("${base64(${apiKey})}", false).is_err());
    assert!(parse("base64(x)", false).is_err());
}

#[test]
fn a_template_requires_what_every_alternative_requires() {
    let lacks = |text: &str, has: &[&str]| -> Vec<String> {
        let template = Template::parse(text).unwrap();
        let lacking = template.lacks(|placeholder| has.contains(&placeholder));
        lacking.into_iter().map(str::to_owned).collect()
    };
    assert_eq!(lacks("https://${a}.x/${base64(${b})}", &["a"]), ["b"]);
    assert_eq!(lacks("${a || b}", &["a"]), [""; 0]);
    assert_eq!(lacks("${a || b}", &[]), ["b"]);
    assert_eq!(lacks("https://${a} || https://${b}", &["b"]), [""; 0]);
    assert_eq!(lacks("https://${a} || https://x", &[]), [""; 0]);
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
    fn a_parsed_template_is_the_same_after_writing_and_parsing_it(text in source()) {
        if let Ok(template) = Template::parse(&text) {
            prop_assert_eq!(Template::parse(&template.to_string()), Ok(template));
        }
    }

    #[test]
    fn rendering_never_panics_and_is_bounded(
        text in source(), value in proptest::option::of(".*"), times in 1..200_000_usize,
    ) {
        if let Ok(template) = Template::parse(&text) {
            let lookup = |_: &str| value.as_ref().map(|value| value.repeat(times / value.len().max(1)));
            for made in [template.render(&lookup), template.render_path(&lookup), template.render_json(&lookup)] {
                prop_assert!(made.is_err() || made.is_ok_and(|text| text.len() <= MAX_RENDERED));
            }
            let _ = template.render_address(&lookup);
        }
    }

    #[test]
    fn parsing_never_panics_and_a_callers_text_is_also_valid_in_a_file(text in ".*") {
        let whole = Template::parse(&text);
        if let Ok(template) = Template::parse_placeholders(&text, true, |_| true) {
            prop_assert_eq!(whole, Ok(template));
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
