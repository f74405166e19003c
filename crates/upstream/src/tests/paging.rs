//! Pagination: next pages, ends of lists, and stored cursors.

use registry::{ListEnd, OffsetStep, PageBy, Paginate, Provider};
use rstest::rstest;
use serde_json::{Value, json};

use super::{options, pairs, provider, target, template, templates, upstream, words};
use crate::{
    Doubt, End, HeaderMap, HeaderValue, Next, PageInfo, Request, RequestError, Target, Upstream, first_page,
};

fn list(by: PageBy) -> Paginate {
    Paginate {
        by,
        end: ListEnd::default(),
        limit: None,
        max_pages: None,
    }
}

fn by_link() -> Paginate {
    list(PageBy::Link {
        body: Some(words("meta.next")),
        header_rel: Some("next".to_owned()),
        header_more: None,
    })
}

fn by_token() -> Paginate {
    list(PageBy::Cursor {
        parameter: "after".to_owned(),
        body: Some(words("next")),
        last_key: None,
    })
}

fn by_last_record() -> Paginate {
    let by = PageBy::Cursor {
        parameter: "after".to_owned(),
        body: None,
        last_key: Some("id".to_owned()),
    };
    Paginate {
        end: ListEnd {
            unless: Some(words("has_more")),
            ..ListEnd::default()
        },
        ..list(by)
    }
}

fn by_offset(step: OffsetStep) -> Paginate {
    let by = PageBy::Offset {
        parameter: "skip".to_owned(),
        start: u64::from(step == OffsetStep::Pages),
        step,
        limit_parameter: Some("size".to_owned()),
        max_offset: None,
    };
    Paginate {
        limit: Some(50),
        ..list(by)
    }
}

const PROVED: Next = Next::End(End::Proved);

fn unproved(doubt: Doubt) -> Next {
    Next::End(End::Unproved(doubt))
}

fn acme() -> Provider {
    let mut provider = provider("https://api.example/v1");
    provider
        .servers
        .insert("chat".to_owned(), template("https://chat.example"));
    provider.query = templates(&[("key", "${password}")]);
    provider
}

struct List {
    upstream: Upstream,
    target: Target,
    headers: HeaderMap,
}

impl List {
    fn of(provider: Provider) -> Self {
        Self {
            upstream: upstream(options()),
            target: target(provider),
            headers: HeaderMap::new(),
        }
    }

    fn next(
        &self,
        paginate: &Paginate,
        call: &Request,
        body: &Value,
        records: usize,
    ) -> Result<Next, RequestError> {
        self.next_of(paginate, call, &self.page(body, records))
    }

    /// The second page, of as many records as the first.
    fn page<'a>(&'a self, body: &'a Value, records: usize) -> PageInfo<'a> {
        PageInfo {
            envelope: body,
            headers: &self.headers,
            records,
            last_record_key: None,
            pages: 2,
            read: u64::try_from(2 * records).ok(),
        }
    }

    fn next_of(&self, by: &Paginate, call: &Request, page: &PageInfo<'_>) -> Result<Next, RequestError> {
        self.upstream.next_page(&self.target, by, call, page)
    }

    fn link(&self, call: &Request, link: &str) -> Result<Next, RequestError> {
        self.next(&by_link(), call, &json!({"meta": {"next": link}}), 1)
    }
}

#[rstest]
#[case::path("/v1/items?page=2", "/items?page=2")]
#[case::whole("https://api.example/v1/items?page=2#top", "/items?page=2")]
#[case::query_alone("?page=2", "/items?page=2")]
#[case::relative("others?page=2", "/others?page=2")]
#[case::without_our_key("/v1/items?a=%2C1&key=s3cr3t&b=2", "/items?a=%2C1&b=2")]
#[case::other_server("https://chat.example/x?key=s3cr3t", "https://chat.example/x")]
fn a_stored_link_has_neither_server_nor_keys(#[case] link: &str, #[case] stored: &str) {
    let list = List::of(acme());
    assert_eq!(
        list.link(&Request::get("/items?page=1"), link).unwrap(),
        Next::Page(stored.to_owned())
    );
}

#[rstest]
#[case("https://evil.example/v1/items?page=2")]
#[case("//evil.example/v1/items")]
#[case("https://api.example:8443/v1/items")]
#[case("http://api.example/v1/items")]
#[case("https://api.example.evil.example/v1/items")]
#[case("/v2/items")]
fn a_link_to_another_origin_is_refused(#[case] link: &str) {
    let result = List::of(acme()).link(&Request::get("/items"), link);
    assert!(
        matches!(result, Err(RequestError::ForeignLink { .. })),
        "{result:?}"
    );
}

#[test]
fn the_error_for_a_foreign_link_names_the_host() {
    let error = List::of(acme())
        .link(&Request::get("/items"), "https://evil.example/x?key=s3cr3t")
        .unwrap_err();
    assert!(error.to_string().contains("evil.example") && !error.to_string().contains("s3cr3t"));
}

#[rstest]
#[case::done(json!({"meta": {"next": "/v1/items?page=3", "done": true}}), 1, true)]
#[case::not_done(json!({"meta": {"next": "/v1/items?page=3", "done": false}}), 1, false)]
#[case::silent(json!({"meta": {"next": "/v1/items?page=3"}}), 1, false)]
#[case::an_empty_page(json!({"meta": {"next": "/v1/items?page=3"}}), 0, true)]
fn a_list_with_a_link_on_each_page_ends_as_the_file_says(
    #[case] body: Value,
    #[case] records: usize,
    #[case] ended: bool,
) {
    let paginate = Paginate {
        end: ListEnd {
            when: Some(words("meta.done")),
            empty_page: true,
            ..ListEnd::default()
        },
        ..by_link()
    };
    let next = List::of(acme())
        .next(&paginate, &Request::get("/items?page=2"), &body, records)
        .unwrap();
    assert_eq!(next == PROVED, ended, "{next:?}");
}

#[rstest]
#[case::null(json!({"meta": {"next": null}}))]
#[case::missing(json!({}))]
#[case::empty(json!({"meta": {"next": ""}}))]
#[case::no_place_for_it(json!({"meta": null}))]
fn a_list_ends_without_a_link(#[case] body: Value) {
    let next = List::of(acme()).next(&by_link(), &Request::get("/items?page=2"), &body, 1);
    assert_eq!(next.unwrap(), PROVED);
}

#[test]
fn a_link_to_the_page_itself_is_detected_in_any_spelling() {
    let call = Request::get("/items?page=2&b=%2C");
    let next = List::of(acme()).link(&call, "/v1/items?b=,&page=2&key=x");
    assert_eq!(next.unwrap(), Next::Again(End::Proved));
}

#[rstest]
#[case(by_link(), json!({"meta": {"next": {"href": "/v1/items?page=3"}}}))]
#[case(by_link(), json!({"meta": {"next": ["/v1/items?page=3"]}}))]
#[case(by_link(), json!({"meta": {"next": true}}))]
#[case(by_link(), json!({"meta": {"next": false}}))]
#[case(by_link(), json!({"meta": {"next": 3}}))]
#[case(by_link(), json!({"meta": "/v1/items?page=3"}))]
#[case(by_token(), json!({"next": {"after": "x"}}))]
#[case(by_token(), json!({"next": ["x"]}))]
#[case(by_token(), json!({"next": true}))]
#[case(by_token(), json!({"next": false}))]
fn a_link_or_token_of_another_type_is_an_error(#[case] paginate: Paginate, #[case] body: Value) {
    let next = List::of(acme()).next(&paginate, &Request::get("/items"), &body, 1);
    assert!(matches!(next, Err(RequestError::BadNext { .. })), "{next:?}");
}

#[test]
fn an_unreadable_link_header_is_not_the_end() {
    let mut list = List::of(acme());
    let value = HeaderValue::from_static("</v1/items?page=3; rel=next");
    list.headers.append("link", value);
    let next = list.next(&by_link(), &Request::get("/items"), &json!([]), 1);
    assert!(matches!(next, Err(RequestError::BadNext { .. })), "{next:?}");
}

#[test]
fn the_link_header_is_read_too() {
    let mut list = List::of(acme());
    let value = "<https://api.example/v1/items?page=1>; rel=\"prev\", </v1/items?a=1,2&page=3>; title=\"x\"; rel=\"last next\"";
    list.headers.append("link", HeaderValue::from_static(value));
    let next = list
        .next(&by_link(), &Request::get("/items?page=2"), &json!([]), 1)
        .unwrap();
    assert_eq!(next, Next::Page("/items?a=1,2&page=3".to_owned()));
}

#[rstest]
#[case::more("results=\"true\"; cursor=\"0:100:0\"", Next::Page("/items?cursor=0:100:0".to_owned()))]
#[case::no_more("results=\"false\"; cursor=\"0:100:0\"", PROVED)]
#[case::unsaid("cursor=\"0:100:0\"", Next::Page("/items?cursor=0:100:0".to_owned()))]
fn a_link_that_says_that_nothing_follows_ends_the_list(#[case] parameters: &str, #[case] expected: Next) {
    let paginate = list(PageBy::Link {
        body: None,
        header_rel: Some("next".to_owned()),
        header_more: Some("results".to_owned()),
    });
    let mut list = List::of(acme());
    let value = format!(
        "<https://api.example/v1/items?cursor=0:0:1>; rel=\"previous\"; results=\"true\", \
         <https://api.example/v1/items?cursor=0:100:0>; rel=\"next\"; {parameters}"
    );
    list.headers
        .append("link", HeaderValue::from_str(&value).unwrap());
    let next = list
        .next(&paginate, &Request::get("/items"), &json!([]), 1)
        .unwrap();
    assert_eq!(next, expected);
}

#[test]
fn a_link_to_the_address_of_the_file_is_requested_at_the_override() {
    let mut options = options();
    options
        .base_urls
        .insert("acme".parse().unwrap(), "http://127.0.0.1:9/rec".parse().unwrap());
    let list = List {
        upstream: upstream(options),
        ..List::of(acme())
    };
    let next = list
        .link(&Request::get("/items"), "https://api.example/v1/items?page=2")
        .unwrap();
    assert_eq!(next, Next::Page("/items?page=2".to_owned()));
}

#[test]
fn a_stored_link_is_requested_on_its_server_with_the_headers_of_the_list_and_without_its_query() {
    let list = List::of(acme());
    let mut first = Request::get("/items?page=1");
    first.query = pairs(&[("size", "5")]);
    first.headers.insert("x-a", HeaderValue::from_static("1"));
    let resume = |cursor| {
        list.upstream
            .page_request(&list.target, &by_link(), &first, cursor)
    };

    let call = resume("/items?page=2&size=5").unwrap();
    assert_eq!(
        (call.server, call.path.as_str(), call.query.len()),
        (None, "/items?page=2&size=5", 0)
    );
    assert_eq!(call.headers["x-a"], "1");
    let call = resume("https://chat.example/x?a=1").unwrap();
    assert_eq!(
        (call.server.as_deref(), call.path.as_str()),
        (Some("chat"), "/x?a=1")
    );
    assert!(matches!(
        resume("https://evil.example/x"),
        Err(RequestError::ForeignLink { .. })
    ));
    assert!(matches!(resume("garbage"), Err(RequestError::BadCursor)));
}

#[test]
fn a_token_becomes_a_parameter_of_the_next_request() {
    let list = List::of(acme());
    let mut first = Request::get("/items");
    first.query = pairs(&[("after", ""), ("size", "5")]);
    let next = list.next(&by_token(), &first, &json!({"next": 17}), 5).unwrap();
    assert_eq!(next, Next::Page("17".to_owned()));
    let second = list
        .upstream
        .page_request(&list.target, &by_token(), &first, "17")
        .unwrap();
    assert_eq!(second.query, pairs(&[("size", "5"), ("after", "17")]));

    let again = list.next(&by_token(), &second, &json!({"next": 17}), 5);
    assert_eq!(again.unwrap(), Next::Again(End::Proved));
    for end in [json!({"next": null}), json!({"next": ""}), json!({})] {
        assert_eq!(list.next(&by_token(), &second, &end, 5).unwrap(), PROVED);
    }
}

#[rstest]
#[case(json!({"has_more": true}), 1, Some("id-9"), Next::Page("id-9".to_owned()))]
#[case(json!({"has_more": false}), 1, Some("id-9"), PROVED)]
#[case(json!({"has_more": "false"}), 1, Some("id-9"), PROVED)]
#[case(json!({}), 1, Some("id-9"), Next::Page("id-9".to_owned()))]
#[case(json!({}), 0, None, unproved(Doubt::NoSign("more_path_in_response")))]
#[case(json!({"has_more": true}), 0, None, unproved(Doubt::MoreAnnounced))]
#[case(json!({"has_more": true}), 1, None, unproved(Doubt::NoLastKey("id".to_owned())))]
fn the_key_of_the_last_record_continues_while_there_is_more(
    #[case] body: Value,
    #[case] records: usize,
    #[case] last: Option<&str>,
    #[case] expected: Next,
) {
    let list = List::of(acme());
    let page = PageInfo {
        last_record_key: last,
        ..list.page(&body, records)
    };
    let next = list.next_of(&by_last_record(), &Request::get("/items"), &page);
    assert_eq!(next.unwrap(), expected);
}

#[rstest]
#[case::all_were_shown(json!({"total": 80}), 40, PROVED)]
#[case::as_text(json!({"total": "80"}), 40, PROVED)]
#[case::some_are_missing(json!({"total": 81}), 40, Next::Page("90".to_owned()))]
#[case::a_full_page_may_hide_more(json!({"total": 100}), 50, Next::Page("100".to_owned()))]
#[case::an_empty_page_too_early(json!({"total": 7}), 0, unproved(Doubt::Total { read: 0, total: 7 }))]
#[case::no_total(json!({}), 40, Next::Page("90".to_owned()))]
#[case::no_total_at_the_end(json!({"total": "many"}), 0, unproved(Doubt::NoSign("total_path_in_response")))]
fn a_total_shows_whether_an_offset_list_is_complete(
    #[case] body: Value,
    #[case] records: usize,
    #[case] expected: Next,
) {
    let paginate = Paginate {
        end: ListEnd {
            total: Some(words("total")),
            ..ListEnd::default()
        },
        ..by_offset(OffsetStep::Records)
    };
    let (list, mut call) = (List::of(acme()), Request::get("/items"));
    call.query = pairs(&[("size", "50"), ("skip", "50")]);
    assert_eq!(list.next(&paginate, &call, &body, records).unwrap(), expected);
}

#[rstest]
#[case(60, Next::Page("50".to_owned()))]
#[case(40, unproved(Doubt::Cap { pages: 2 }))]
fn an_offset_beyond_the_limit_of_the_provider_is_not_requested(#[case] max: u64, #[case] expected: Next) {
    let mut paginate = by_offset(OffsetStep::Records);
    if let PageBy::Offset { max_offset, .. } = &mut paginate.by {
        *max_offset = Some(max);
    }
    let list = List::of(acme());
    let next = list.next(&paginate, &Request::get("/items"), &json!([]), 50);
    assert_eq!(next.unwrap(), expected);
    let pages = Paginate {
        max_pages: Some(2),
        ..by_token()
    };
    let next = list.next(&pages, &Request::get("/items"), &json!({"next": "x"}), 5);
    assert_eq!(next.unwrap(), unproved(Doubt::Cap { pages: 2 }));
    let of_five = Paginate {
        limit: Some(5),
        ..pages
    };
    let next = |records| {
        list.next(&of_five, &Request::get("/items"), &json!({}), records)
            .unwrap()
    };
    assert_eq!(
        next(5),
        unproved(Doubt::Cap { pages: 2 }),
        "the provider may stop here"
    );
    assert_eq!(next(4), PROVED);
}

#[rstest]
#[case::records(OffsetStep::Records, ["0", "50", "100"])]
#[case::pages(OffsetStep::Pages, ["1", "2", "3"])]
fn an_offset_grows_until_a_page_is_empty(#[case] step: OffsetStep, #[case] offsets: [&str; 3]) {
    let (list, paginate) = (List::of(acme()), by_offset(step));
    let first = first_page(&paginate, Request::get("/items"));
    assert_eq!(first.query, pairs(&[("size", "50"), ("skip", offsets[0])]));

    let mut call = first.clone();
    for offset in &offsets[1..] {
        assert_eq!(
            list.next(&paginate, &call, &json!([]), 50).unwrap(),
            Next::Page((*offset).to_owned())
        );
        call = list
            .upstream
            .page_request(&list.target, &paginate, &first, offset)
            .unwrap();
        assert_eq!(call.query, pairs(&[("size", "50"), ("skip", offset)]));
    }
    let after_a_short_page = list.next(&paginate, &call, &json!([]), 49).unwrap();
    assert_ne!(after_a_short_page, PROVED);
    assert_eq!(list.next(&paginate, &call, &json!([]), 0).unwrap(), PROVED);
    let garbled = list.upstream.page_request(&list.target, &paginate, &first, "ten");
    assert!(matches!(garbled, Err(RequestError::BadCursor)));
}

#[test]
fn parameters_of_the_file_are_not_sent_twice() {
    let mut call = Request::get("/items");
    call.query = pairs(&[("size", "10"), ("skip", "20")]);
    assert_eq!(
        first_page(&by_offset(OffsetStep::Records), call.clone()).query,
        call.query
    );
}
