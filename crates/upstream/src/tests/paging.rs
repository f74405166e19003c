//! Pagination: next pages, ends of lists, and stored cursors.

use registry::{ListEnd, OffsetStep, PageBy, Paginate};
use rstest::rstest;
use serde_json::{Value, json};

use super::{options, pairs, provider, target, template, templates, upstream, words};
use crate::{
    End, HeaderMap, HeaderValue, IncompleteReason, Next, PageInfo, Request, RequestError, Target, Upstream,
    first_page,
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

fn unproved(reason: IncompleteReason) -> Next {
    Next::End(End::Unproved(reason))
}

fn page(cursor: &str) -> Next {
    Next::Page(cursor.to_owned())
}

/// A provider's list, and the headers of its pages.
struct List {
    upstream: Upstream,
    target: Target,
    headers: HeaderMap,
}

impl List {
    fn new() -> Self {
        let mut provider = provider("https://api.example/v1");
        let chat = ("chat".to_owned(), template("https://chat.example"));
        provider.servers = [chat].into();
        provider.query = templates(&[("key", "${password}")]);
        Self {
            upstream: upstream(options()),
            target: target(provider),
            headers: HeaderMap::new(),
        }
    }

    fn with_link_header(value: &str) -> Self {
        let mut list = Self::new();
        list.headers.append("link", HeaderValue::from_str(value).unwrap());
        list
    }

    /// What follows the page of `GET /items`.
    fn next_of_items(&self, by: &Paginate, body: &Value, records: usize) -> Result<Next, RequestError> {
        self.next(by, &Request::get("/items"), body, records)
    }

    /// What follows a page of this body and so many records.
    fn next(
        &self,
        by: &Paginate,
        request: &Request,
        body: &Value,
        records: usize,
    ) -> Result<Next, RequestError> {
        let page = self.page(body, records);
        self.upstream.next_page(&self.target, by, request, &page)
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

    /// What follows a page whose body has this link.
    fn next_by_link(&self, request: &Request, link: &str) -> Result<Next, RequestError> {
        self.next(&by_link(), request, &json!({"meta": {"next": link}}), 1)
    }

    fn page_request(&self, by: &Paginate, first: &Request, cursor: &str) -> Result<Request, RequestError> {
        self.upstream.page_request(&self.target, by, first, cursor)
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
    let next = List::new().next_by_link(&Request::get("/items?page=1"), link);
    assert_eq!(next.unwrap(), page(stored));
}

#[rstest]
#[case("https://evil.example/v1/items?page=2", "evil.example")]
#[case("https://evil.example/x?key=s3cr3t", "evil.example")]
#[case("//evil.example/v1/items", "evil.example")]
#[case("https://api.example:8443/v1/items", "api.example")]
#[case("http://api.example/v1/items", "api.example")]
#[case("https://api.example.evil.example/v1/items", "api.example.evil.example")]
#[case("/v2/items", "api.example")]
fn a_link_to_another_origin_is_refused_and_its_host_named(#[case] link: &str, #[case] host: &str) {
    let next = List::new().next_by_link(&Request::get("/items"), link);
    assert!(
        matches!(&next, Err(RequestError::ForeignLink(named)) if named == host),
        "{next:?}"
    );
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
    let request = Request::get("/items?page=2");
    let next = List::new().next(&paginate, &request, &body, records).unwrap();
    assert_eq!(next == PROVED, ended, "{next:?}");
}

#[test]
fn of_two_missing_signs_the_first_is_named() {
    let paginate = Paginate {
        end: ListEnd {
            unless: Some(words("has_more")),
            when: Some(words("done")),
            ..ListEnd::default()
        },
        ..by_token()
    };
    let next = List::new().next_of_items(&paginate, &json!({}), 1);
    let expected = unproved(IncompleteReason::NoSign("more_path_in_response"));
    assert_eq!(next.unwrap(), expected);
}

#[rstest]
#[case::null(json!({"meta": {"next": null}}))]
#[case::missing(json!({}))]
#[case::empty(json!({"meta": {"next": ""}}))]
#[case::no_place_for_it(json!({"meta": null}))]
fn a_list_ends_without_a_link(#[case] body: Value) {
    let next = List::new().next(&by_link(), &Request::get("/items?page=2"), &body, 1);
    assert_eq!(next.unwrap(), PROVED);
}

#[test]
fn a_link_to_the_page_itself_is_detected_in_any_spelling() {
    let request = Request::get("/items?page=2&b=%2C");
    let next = List::new().next_by_link(&request, "/v1/items?b=,&page=2&key=x");
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
    let next = List::new().next_of_items(&paginate, &body, 1);
    assert!(matches!(next, Err(RequestError::BadNext { .. })), "{next:?}");
}

#[test]
fn an_unreadable_link_header_is_not_the_end() {
    let list = List::with_link_header("</v1/items?page=3; rel=next");
    let next = list.next_of_items(&by_link(), &json!([]), 1);
    assert!(matches!(next, Err(RequestError::BadNext { .. })), "{next:?}");
}

#[test]
fn the_link_header_is_read_too() {
    let list = List::with_link_header(
        "<https://api.example/v1/items?page=1>; rel=\"prev\", </v1/items?a=1,2&page=3>; title=\"x\"; rel=\"last next\"",
    );
    let next = list.next(&by_link(), &Request::get("/items?page=2"), &json!([]), 1);
    assert_eq!(next.unwrap(), page("/items?a=1,2&page=3"));
}

#[rstest]
#[case::more("results=\"true\"; cursor=\"0:100:0\"", page("/items?cursor=0:100:0"))]
#[case::no_more("results=\"false\"; cursor=\"0:100:0\"", PROVED)]
#[case::unsaid("cursor=\"0:100:0\"", page("/items?cursor=0:100:0"))]
fn a_link_that_says_that_nothing_follows_ends_the_list(#[case] parameters: &str, #[case] expected: Next) {
    let paginate = list(PageBy::Link {
        body: None,
        header_rel: Some("next".to_owned()),
        header_more: Some("results".to_owned()),
    });
    let list = List::with_link_header(&format!(
        "<https://api.example/v1/items?cursor=0:0:1>; rel=\"previous\"; results=\"true\", \
         <https://api.example/v1/items?cursor=0:100:0>; rel=\"next\"; {parameters}"
    ));
    let next = list.next_of_items(&paginate, &json!([]), 1);
    assert_eq!(next.unwrap(), expected);
}

#[test]
fn a_link_to_the_address_of_the_file_is_requested_at_the_override() {
    let mut options = options();
    options
        .base_urls
        .insert("acme".parse().unwrap(), "http://127.0.0.1:9/rec".parse().unwrap());
    let list = List {
        upstream: upstream(options),
        ..List::new()
    };
    let next = list.next_by_link(&Request::get("/items"), "https://api.example/v1/items?page=2");
    assert_eq!(next.unwrap(), page("/items?page=2"));
}

#[test]
fn a_stored_link_is_requested_on_its_server_with_the_headers_of_the_list_and_without_its_query() {
    let list = List::new();
    let mut first = Request::get("/items?page=1");
    first.query = pairs(&[("size", "5")]);
    first.headers.insert("x-a", HeaderValue::from_static("1"));
    let resume = |cursor| list.page_request(&by_link(), &first, cursor);

    let request = resume("/items?page=2&size=5").unwrap();
    assert_eq!((request.server, request.query), (None, Vec::new()));
    assert_eq!(request.path, "/items?page=2&size=5");
    assert_eq!(request.headers["x-a"], "1");
    let request = resume("https://chat.example/x?a=1").unwrap();
    assert_eq!(request.server.as_deref(), Some("chat"));
    assert_eq!(request.path, "/x?a=1");
    let foreign = resume("https://evil.example/x");
    assert!(matches!(foreign, Err(RequestError::ForeignLink { .. })));
    assert!(matches!(resume("garbage"), Err(RequestError::BadCursor)));
}

#[test]
fn a_token_becomes_a_parameter_of_the_next_request() {
    let list = List::new();
    let mut first = Request::get("/items");
    first.query = pairs(&[("after", ""), ("size", "5")]);
    let next = list.next(&by_token(), &first, &json!({"next": 17}), 5);
    assert_eq!(next.unwrap(), page("17"));
    let second = list.page_request(&by_token(), &first, "17").unwrap();
    assert_eq!(second.query, pairs(&[("size", "5"), ("after", "17")]));

    let again = list.next(&by_token(), &second, &json!({"next": 17}), 5);
    assert_eq!(again.unwrap(), Next::Again(End::Proved));
    for end in [json!({"next": null}), json!({"next": ""}), json!({})] {
        assert_eq!(list.next(&by_token(), &second, &end, 5).unwrap(), PROVED);
    }
}

#[rstest]
#[case(json!({"has_more": true}), 1, Some("id-9"), page("id-9"))]
#[case(json!({"has_more": false}), 1, Some("id-9"), PROVED)]
#[case(json!({"has_more": "false"}), 1, Some("id-9"), PROVED)]
#[case(json!({}), 1, Some("id-9"), page("id-9"))]
#[case(json!({}), 0, None, unproved(IncompleteReason::NoSign("more_path_in_response")))]
#[case(json!({"has_more": true}), 0, None, unproved(IncompleteReason::MoreAnnounced))]
#[case(json!({"has_more": true}), 1, None, unproved(IncompleteReason::NoLastKey("id".to_owned())))]
fn the_key_of_the_last_record_continues_while_there_is_more(
    #[case] body: Value,
    #[case] records: usize,
    #[case] last: Option<&str>,
    #[case] expected: Next,
) {
    let list = List::new();
    let page = PageInfo {
        last_record_key: last,
        ..list.page(&body, records)
    };
    let request = Request::get("/items");
    let next = list
        .upstream
        .next_page(&list.target, &by_last_record(), &request, &page);
    assert_eq!(next.unwrap(), expected);
}

#[rstest]
#[case::all_were_shown(json!({"total": 80}), 40, PROVED)]
#[case::as_text(json!({"total": "80"}), 40, PROVED)]
#[case::some_are_missing(json!({"total": 81}), 40, page("90"))]
#[case::a_full_page_may_hide_more(json!({"total": 100}), 50, page("100"))]
#[case::an_empty_page_too_early(json!({"total": 7}), 0, unproved(IncompleteReason::Total { read: 0, total: 7 }))]
#[case::no_total(json!({}), 40, page("90"))]
#[case::no_total_at_the_end(json!({"total": "many"}), 0, unproved(IncompleteReason::NoSign("total_path_in_response")))]
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
    let mut request = Request::get("/items");
    request.query = pairs(&[("size", "50"), ("skip", "50")]);
    let next = List::new().next(&paginate, &request, &body, records);
    assert_eq!(next.unwrap(), expected);
}

#[rstest]
#[case(60, page("50"))]
#[case(40, unproved(IncompleteReason::Cap { pages: 2 }))]
fn an_offset_beyond_the_limit_of_the_provider_is_not_requested(#[case] max: u64, #[case] expected: Next) {
    let mut paginate = by_offset(OffsetStep::Records);
    if let PageBy::Offset { max_offset, .. } = &mut paginate.by {
        *max_offset = Some(max);
    }
    let next = List::new().next_of_items(&paginate, &json!([]), 50);
    assert_eq!(next.unwrap(), expected);
}

#[rstest]
#[case::more(None, json!({"next": "x"}), 5, unproved(IncompleteReason::Cap { pages: 2 }))]
#[case::the_provider_may_stop_here(Some(5), json!({}), 5, unproved(IncompleteReason::Cap { pages: 2 }))]
#[case::a_short_page(Some(5), json!({}), 4, PROVED)]
fn a_page_beyond_the_limit_of_the_provider_is_not_requested(
    #[case] limit: Option<u64>,
    #[case] body: Value,
    #[case] records: usize,
    #[case] expected: Next,
) {
    let paginate = Paginate {
        max_pages: Some(2),
        limit,
        ..by_token()
    };
    let next = List::new().next_of_items(&paginate, &body, records);
    assert_eq!(next.unwrap(), expected);
}

#[rstest]
#[case::records(OffsetStep::Records, ["0", "50", "100"])]
#[case::pages(OffsetStep::Pages, ["1", "2", "3"])]
fn an_offset_grows_until_a_page_is_empty(#[case] step: OffsetStep, #[case] offsets: [&str; 3]) {
    let (list, paginate) = (List::new(), by_offset(step));
    let first = first_page(&paginate, Request::get("/items"));
    assert_eq!(first.query, pairs(&[("size", "50"), ("skip", offsets[0])]));

    let mut request = first.clone();
    for offset in &offsets[1..] {
        let next = list.next(&paginate, &request, &json!([]), 50);
        assert_eq!(next.unwrap(), page(offset));
        request = list.page_request(&paginate, &first, offset).unwrap();
        assert_eq!(request.query, pairs(&[("size", "50"), ("skip", offset)]));
    }
    let next = |records| list.next(&paginate, &request, &json!([]), records).unwrap();
    assert_ne!(next(49), PROVED, "a short page");
    assert_eq!(next(0), PROVED);
    let garbled = list.page_request(&paginate, &first, "ten");
    assert!(matches!(garbled, Err(RequestError::BadCursor)));
}

#[test]
fn parameters_of_the_file_are_not_sent_twice() {
    let mut request = Request::get("/items");
    request.query = pairs(&[("size", "10"), ("skip", "20")]);
    let first = first_page(&by_offset(OffsetStep::Records), request.clone());
    assert_eq!(first.query, request.query);
}
