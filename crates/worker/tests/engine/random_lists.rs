//! Random lists that change and fail while they are read, compared with their source.

use domain::StoredRecord;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value as Json, json};
use testkit::{Dialect, on_both_databases};
use wiremock::ResponseTemplate;

use crate::acme::{self, Acme, ReceivedRequest, page};

/// The pagination of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    LinkInBody,
    LinkInHeader,
    Token,
    TokenWithFlag,
    LastKey,
    Offset,
    OffsetWithTotal,
    Pages,
    PagesWithFlag,
    EmptyPage,
    Nothing,
}

const KINDS: [Kind; 11] = [
    Kind::LinkInBody,
    Kind::LinkInHeader,
    Kind::Token,
    Kind::TokenWithFlag,
    Kind::LastKey,
    Kind::Offset,
    Kind::OffsetWithTotal,
    Kind::Pages,
    Kind::PagesWithFlag,
    Kind::EmptyPage,
    Kind::Nothing,
];

impl Kind {
    fn paginate(self, size: usize) -> String {
        let by = match self {
            Self::LinkInBody => "type: link, link_path_in_response_body: meta.next",
            Self::LinkInHeader => "type: link, link_rel_in_response_header: next",
            Self::Token => "type: cursor, cursor_name_in_request: after, cursor_path_in_response: meta.next",
            Self::TokenWithFlag => {
                "type: cursor, cursor_name_in_request: after, cursor_path_in_response: meta.next, more_path_in_response: meta.more"
            }
            Self::LastKey => "type: cursor, cursor_name_in_request: after, cursor_from_last_record: id",
            Self::Offset => "type: offset, offset_name_in_request: skip",
            Self::OffsetWithTotal => {
                "type: offset, offset_name_in_request: skip, total_path_in_response: meta.total"
            }
            Self::Pages => "type: offset, offset_name_in_request: page, offset_calculation_method: per-page",
            Self::PagesWithFlag => {
                "type: offset, offset_name_in_request: page, offset_calculation_method: per-page, more_path_in_response: meta.more"
            }
            Self::EmptyPage => {
                "type: link, link_path_in_response_body: meta.next, ends_with_empty_page: true"
            }
            Self::Nothing => "type: none",
        };
        format!("paginate: {{ {by}, limit_name_in_request: size, limit: {size} }}")
    }
}

/// A fault of one response, or a change before it.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Insert,
    Remove(usize),
    MoveToFront(usize),
    Short,
    Empty,
    SameTokenAgain,
    NextIsAnObject,
    Unreadable(usize),
    TwiceTheSame,
}

/// A change between two runs.
#[derive(Debug, Clone, Copy)]
enum Change {
    Insert,
    Remove(usize),
    Rewrite(usize),
}

#[derive(Debug, Clone)]
struct Case {
    kind: Kind,
    size: usize,
    records: usize,
    runs: Vec<Run>,
}

#[derive(Debug, Clone)]
struct Run {
    /// Before it.
    changes: Vec<Change>,
    /// A fault, and the number of the request that it affects.
    fault: Option<(usize, Fault)>,
}

fn cases() -> impl Strategy<Value = Case> {
    let fault = prop_oneof![
        Just(Fault::Insert),
        any::<usize>().prop_map(Fault::Remove),
        any::<usize>().prop_map(Fault::MoveToFront),
        Just(Fault::Short),
        Just(Fault::Empty),
        Just(Fault::SameTokenAgain),
        Just(Fault::NextIsAnObject),
        any::<usize>().prop_map(Fault::Unreadable),
        Just(Fault::TwiceTheSame),
    ];
    let change = prop_oneof![
        Just(Change::Insert),
        any::<usize>().prop_map(Change::Remove),
        any::<usize>().prop_map(Change::Rewrite),
    ];
    let run = (
        prop::collection::vec(change, 0..4),
        prop::option::weighted(0.8, (0..8_usize, fault)),
    )
        .prop_map(|(changes, fault)| Run { changes, fault });
    let runs = prop::collection::vec(run, 1..5);
    (prop::sample::select(&KINDS[..]), 1..5_usize, 0..14_usize, runs).prop_map(
        |(kind, size, records, runs)| Case {
            kind,
            size,
            records,
            runs,
        },
    )
}

/// The provider: its records in list order, each with a version.
#[derive(Debug, Default)]
struct Source {
    records: Vec<(String, u32)>,
    made: usize,
    /// Requests until the fault.
    fault: Option<(usize, Fault)>,
}

impl Source {
    fn insert(&mut self) {
        self.made += 1;
        self.records.insert(0, (format!("{:03}", self.made), 0));
    }

    fn apply(&mut self, change: Change) {
        let count = self.records.len().max(1);
        match change {
            Change::Insert => self.insert(),
            Change::Remove(place) if !self.records.is_empty() => drop(self.records.remove(place % count)),
            Change::Rewrite(place) if !self.records.is_empty() => self.records[place % count].1 += 1,
            Change::Remove(_) | Change::Rewrite(_) => {}
        }
    }

    fn contents(&self) -> BTreeMap<String, String> {
        let of = |(id, version): &(String, u32)| (id.clone(), version.to_string());
        self.records.iter().map(of).collect()
    }

    fn strikes(&mut self) -> Option<Fault> {
        let (wait, fault) = self.fault?;
        self.fault = wait.checked_sub(1).map(|wait| (wait, fault));
        (wait == 0).then_some(fault)
    }

    fn answer(&mut self, kind: Kind, size: usize, request: &ReceivedRequest) -> ResponseTemplate {
        let fault = self.strikes();
        let count = self.records.len().max(1);
        match fault {
            Some(Fault::Insert) => self.insert(),
            Some(Fault::Remove(place)) => self.apply(Change::Remove(place)),
            Some(Fault::MoveToFront(place)) if !self.records.is_empty() => {
                let moved = self.records.remove(place % count);
                self.records.insert(0, moved);
            }
            _ => {}
        }
        let start = match kind {
            Kind::Offset | Kind::OffsetWithTotal => request.number_of("skip").unwrap(),
            Kind::Pages | Kind::PagesWithFlag => request.number_of("page").unwrap() * size,
            Kind::Nothing => 0,
            // If the record of a token was deleted, the list continues where that record was.
            _ => request.number_of("after").map_or(0, |after| {
                let place = self.records.iter().position(|(id, _)| id.parse() == Ok(after));
                place.map_or_else(
                    || {
                        self.records
                            .iter()
                            .take_while(|(id, _)| id.parse::<usize>().unwrap() > after)
                            .count()
                    },
                    |place| place + 1,
                )
            }),
        };
        let size = if kind == Kind::Nothing { usize::MAX } else { size };
        let mut shown: Vec<_> = self.records.iter().skip(start).take(size).cloned().collect();
        let more = start.saturating_add(shown.len()) < self.records.len();
        let last = shown.last().map(|(id, _)| id.clone());
        match fault {
            Some(Fault::Short) => drop(shown.pop()),
            Some(Fault::Empty) => shown.clear(),
            _ => {}
        }
        let last = if matches!(kind, Kind::LastKey) { None } else { last };
        let mut items: Vec<Json> = shown
            .iter()
            .map(|(id, version)| json!({ "id": id, "state": version.to_string() }))
            .collect();
        if let (Some(Fault::Unreadable(place)), false) = (fault, items.is_empty()) {
            let place = place % items.len();
            items[place] = json!({ "id": null });
        }
        if let (Some(Fault::TwiceTheSame), Some(first)) = (fault, items.first().cloned()) {
            items.push(first);
        }
        self.page(kind, request, fault, &items, more, last)
    }

    fn page(
        &self,
        kind: Kind,
        request: &ReceivedRequest,
        fault: Option<Fault>,
        items: &[Json],
        more: bool,
        last: Option<String>,
    ) -> ResponseTemplate {
        let goes_on = more || kind == Kind::EmptyPage;
        let token = match fault {
            Some(Fault::SameTokenAgain) => request.text("after").map(str::to_owned),
            _ => last
                .or_else(|| request.text("after").map(str::to_owned))
                .filter(|_| goes_on),
        };
        let link = |token: &String| format!("{}/things?after={token}", request.origin);
        let next = match kind {
            Kind::LinkInBody | Kind::EmptyPage => json!(token.as_ref().map(link)),
            _ => json!(token),
        };
        let next = match fault {
            Some(Fault::NextIsAnObject) => json!({ "id": next }),
            _ => next,
        };
        let meta = json!({ "next": next, "more": more, "total": self.records.len() });
        let response = page(items, json!({ "meta": meta }));
        match (kind, fault, &token) {
            (Kind::LinkInHeader, Some(Fault::NextIsAnObject), _) => {
                response.insert_header("Link", "<oops; rel=next")
            }
            (Kind::LinkInHeader, _, Some(token)) => {
                response.insert_header("Link", format!("<{}>; rel=\"next\"", link(token)))
            }
            _ => response,
        }
    }
}

fn versions(rows: &BTreeMap<String, StoredRecord>) -> BTreeMap<String, String> {
    let live = rows.iter().filter(|(_, row)| row.deleted_at.is_none());
    live.map(|(key, row)| match &row.values[1] {
        domain::Value::Text(state) => (key.clone(), state.clone()),
        other => panic!("{other:?}"),
    })
    .collect()
}

/// Fails if a row is marked deleted that the source has.
async fn assert_deletions_are_true(acme: &Acme, source: &Mutex<Source>, case: &Case) {
    let contents = source.lock().unwrap().contents();
    for (key, row) in acme.rows().await {
        assert!(
            row.deleted_at.is_none() || !contents.contains_key(&key),
            "{key} is there and was marked deleted: {case:#?}"
        );
    }
}

async fn run_case(dialect: Dialect, case: Case) {
    let source = Arc::new(Mutex::new(Source::default()));
    for _ in 0..case.records {
        source.lock().unwrap().insert();
    }
    let (kind, size, shown) = (case.kind, case.size, Arc::clone(&source));
    let answer = move |request: &ReceivedRequest| shown.lock().unwrap().answer(kind, size, request);
    let sync = case.kind.paginate(case.size);
    acme::on(dialect, &sync, answer, async |acme| {
        for run in &case.runs {
            {
                let mut source = source.lock().unwrap();
                for change in &run.changes {
                    source.apply(*change);
                }
                source.fault = run.fault;
            }
            acme.next_hour().await;
            assert_deletions_are_true(&acme, &source, &case).await;
        }
        source.lock().unwrap().fault = None;
        for _ in 0..2 {
            acme.next_hour().await;
            assert_deletions_are_true(&acme, &source, &case).await;
        }
        assert_eq!(acme.incomplete().await, None, "{case:#?}");
        let contents = source.lock().unwrap().contents();
        assert_eq!(versions(&acme.rows().await), contents, "{case:#?}");
    })
    .await;
}

#[on_both_databases]
async fn random_lists_end_up_equal_to_their_source(dialect: Dialect) {
    let count = match dialect {
        Dialect::Sqlite => 40,
        Dialect::Postgres => 12,
    };
    let mut runner = TestRunner::new(Config::default());
    for _ in 0..count {
        let case = cases().new_tree(&mut runner).unwrap().current();
        run_case(dialect, case).await;
    }
}
