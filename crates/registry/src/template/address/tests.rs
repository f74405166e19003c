//! What a value may make of an address.

use proptest::prelude::*;

use super::*;

fn render(template: &str, value: &str) -> Result<String, RenderError> {
    let template = Template::parse(template).unwrap();
    template
        .render_address(&|_| Some(value.to_owned()))
        .map(String::from)
}

/// Fails unless the value is refused at its position.
#[track_caller]
fn refuses(template: &str, value: &str) {
    let refused = render(template, value);
    assert!(
        matches!(refused, Err(RenderError::Unfit { .. })),
        "{template} {value:?}: {refused:?}"
    );
}

#[test]
fn a_value_at_the_end_of_the_host_may_have_a_port_and_a_path() {
    for (template, value, address) in [
        ("https://${c.host}", "api.example.com", "https://api.example.com/"),
        (
            "https://${c.host}",
            "example.com/my-org",
            "https://example.com/my-org",
        ),
        ("https://${c.host}", "host:8443/path", "https://host:8443/path"),
        ("https://${c.host}/rest", "host/shop", "https://host/shop/rest"),
        ("https://${c.host}/rest", "host/shop/", "https://host/shop/rest"),
        ("https://${c.host}/rest", "host/", "https://host/rest"),
        (
            "https://api.${c.host}",
            "example.com/a%20b",
            "https://api.example.com/a%20b",
        ),
        (
            "https://${c.host}",
            "example.com/größe",
            "https://example.com/gr%C3%B6%C3%9Fe",
        ),
        (
            "https://${c.host}",
            "[2001:4860::8888]:8443",
            "https://[2001:4860::8888]:8443/",
        ),
        ("https://x.example:${c.port}", "8443", "https://x.example:8443/"),
        ("${c.url}", "https://x.example/base/", "https://x.example/base/"),
        (
            "${c.url}/api",
            "HTTPS://x.example:99/base/",
            "https://x.example:99/base/api",
        ),
        ("${c.scheme}://x.example", "https", "https://x.example/"),
        (
            "https://x.example/bot${c.key}",
            "1:a/b",
            "https://x.example/bot1:a%2Fb",
        ),
        ("https://a${c.rest}", ".example/x", "https://a.example/x"),
    ] {
        assert_eq!(
            render(template, value).as_deref(),
            Ok(address),
            "{template} {value}"
        );
    }
}

#[test]
fn a_value_that_would_change_the_server_is_refused() {
    let everywhere = [
        "evil.example/#",
        "evil.example?",
        "evil.example#",
        "user@evil.example",
        "user:pw@evil.example",
        "evil.example\\",
        "evil.example\\@x",
        "evil .example",
        "evil.example\t",
        "evil.example\n",
        "\u{0}",
        "evil。example",
        "evil.example／x",
        "ｅvil.example",
        "ex℀mple",
        "é.example",
        "%65vil.example",
        "https://evil.example",
        "//evil.example",
        "/evil",
        "..",
        ".",
        "a..b",
        ".evil",
        "evil.",
        "evil:99999",
        "evil:0",
        "evil:",
        "evil:+1",
        "evil:8 0",
        "evil:80:80",
        "evil/..",
        "evil/a/../../b",
        "evil/%2e%2E/x",
        "evil/a%2fb",
        "evil/%5c",
        "evil/%",
        "evil/%zz",
        "evil/a b",
        "evil/<",
        "evil/\u{202e}",
        "[::1",
        "[::1]x",
        "[evil]",
        "::1",
        "[::1]/?x",
        "evil:80/x?y",
        "javascript:alert(1)",
        "@evil",
        ":80",
        "evil/\u{feff}",
    ];
    for value in everywhere {
        refuses("https://${c.host}", value);
        refuses("${c.url}", &format!("https://{value}"));
    }
    for value in [
        "evil.example/",
        "evil.example:80",
        "evil.example/x",
        "evil.example:80/x",
        "[::1]",
    ] {
        refuses("https://${c.sub}.provider.example", value);
        refuses("${c.url}.provider.example", &format!("https://{value}"));
    }
    for (template, value) in [
        ("${c.url}", "x.example"),
        ("${c.url}", "ftp://x.example"),
        ("${c.url}", "https:x.example"),
        ("${c.url}", "https:///x"),
        ("${c.scheme}://x.example", "https://evil.example/x"),
        ("https://x.example:${c.port}", "80/x"),
        ("https://x.example:${c.port}", "80@evil.example"),
        ("https://${c.host}:443", "evil/x"),
        ("https://x.example/${c.path}", ".."),
        ("https://x.example/${c.path}/y", "."),
    ] {
        refuses(template, value);
    }
}

#[test]
fn an_empty_value_counts_as_missing_and_an_invalid_one_never_selects_another_server() {
    let missing = |placeholder: &str| {
        Err(RenderError::Missing {
            placeholder: placeholder.to_owned(),
        })
    };
    assert_eq!(render("https://${c.host}", ""), missing("c.host"));
    assert_eq!(render("https://x.example/${c.path}", ""), missing("c.path"));
    assert_eq!(
        render("https://${c.host} || https://x.example", "").as_deref(),
        Ok("https://x.example/")
    );
    refuses("https://${c.host} || https://x.example", "a b");
}

#[test]
fn an_address_with_a_user_or_a_query_is_invalid() {
    for text in [
        "https://user@x.example",
        "https://x.example?a",
        "https://x.example/#a",
        "mailto:x",
        "x",
    ] {
        let refused = render(text, "");
        assert!(
            matches!(refused, Err(RenderError::NoAddress(_))),
            "{text}: {refused:?}"
        );
    }
}

proptest! {
    #[test]
    fn a_part_of_the_host_never_leaves_the_providers_domain(value in "[a-z0-9./:@#?\\\\\\[\\]%_ -]{0,12}|.*") {
        if let Ok(address) = render("https://${c.sub}.provider.example/base", &value) {
            let url = Url::parse(&address).unwrap();
            prop_assert!(url.host_str().unwrap().ends_with(".provider.example"), "{}", address);
            prop_assert_eq!(url.path(), "/base");
            prop_assert_eq!(url.port(), None);
        }
    }

    #[test]
    fn the_host_is_the_one_that_the_value_names(value in "[a-z0-9./:@#?\\\\\\[\\]%_ -]{0,12}|.*") {
        if let Ok(address) = render("https://${c.host}/base", &value) {
            let url = Url::parse(&address).unwrap();
            let named = value.split(['/', ':']).next().unwrap().to_ascii_lowercase();
            let number = matches!(url.host(), Some(url::Host::Ipv4(_) | url::Host::Ipv6(_)));
            prop_assert!(number || url.host_str() == Some(named.as_str()), "{} {}", value, address);
            prop_assert!(url.username().is_empty() && url.query().is_none() && url.fragment().is_none());
        }
    }
}
