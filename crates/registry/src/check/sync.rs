//! A sync: the list, when it is read, and by which windows.

use std::sync::Arc;
use std::time::Duration;

use domain::{ColumnKind, SyncName};
use indexmap::IndexMap;

use super::model::{self, Columns, declared, timestamp};
use super::paginate;
use super::scope::Scope;
use super::whole;
use crate::duration;
use crate::file::{
    FormatName, InclusiveName, OneOrMany, OrderName, PaginateFile, PaginateType, ProxyFile, RereadFile,
    Scalar, SyncFile, UndatedFile, WindowFile,
};
use crate::path::{Path, dotted};
use crate::shape::list as words;
use crate::source::Report;
use crate::{
    BoundFormat, ListRequest, Lookback, Reread, Schedule, Sync, Template, Undated, Unfinished, Window,
};

const GUARD: f64 = 0.3;
const STEP: &str = "7 days";
const PARALLEL: u32 = 4;
const SPLIT_AFTER: u32 = 50;
const REREAD_BUDGET: u32 = 100;
const UNDATED_PAGES: u32 = 100;

/// What of the provider a sync builds on.
pub(super) struct Around<'a> {
    pub(super) scope: &'a Scope,
    pub(super) servers: &'a IndexMap<String, Template>,
    pub(super) proxy: &'a ProxyFile,
}

pub(super) fn sync(
    name: &str,
    file: &SyncFile,
    around: &Around<'_>,
    path: &Path,
    report: &mut Report<'_>,
) -> Option<Sync> {
    let sync_name = report.take(path, name.parse::<SyncName>());
    let schedule = schedule(file, path, report);
    let proxy_list = || {
        around
            .proxy
            .paginate
            .as_ref()
            .map(|list| (list, Path::default().at("proxy").at("paginate")))
    };
    let list = file
        .paginate
        .as_ref()
        .map(|list| (list, path.at("paginate")))
        .or_else(proxy_list);
    if list.is_none() {
        report.error(
            path,
            "there is no \"paginate\", neither here nor under proxy: say how the list goes on",
        );
    }
    let paginate = list
        .as_ref()
        .and_then(|(list, at)| paginate::rules(list, at, report));
    let list = list.map(|(list, _)| list);
    let request = request(file, list, around, &path.at("request"), report);
    let records = file
        .records
        .as_ref()
        .or_else(|| list.and_then(|list| list.response_path.as_ref()));
    let columns = model::columns(&file.columns, &path.at("columns"), report);
    let model = model::model(file, &columns, path, report);
    let lookback = lookback(file, &path.at("lookback"), report);
    let window = file.window.as_ref().map(|window| {
        self::window(
            window,
            file.order,
            &columns,
            &lookback,
            &path.at("window"),
            report,
        )
    });
    let undated = file
        .undated
        .as_ref()
        .map(|undated| self::undated(undated, file, &path.at("undated"), report));
    let reread = file.reread.as_ref().map(|reread| {
        Follow {
            file: reread,
            key: &file.key,
            columns: &columns,
            scope: around.scope,
        }
        .reread(&path.at("reread"), report)
    });
    Some(Sync {
        name: sync_name?,
        description: file.description.clone(),
        model: Arc::new(model?),
        schedule: schedule?,
        auto_start: file.auto_start.unwrap_or(true),
        request: request?,
        records: records.map(|text| dotted(text)).unwrap_or_default(),
        paginate: paginate?,
        newest_first: file.order == OrderName::NewestFirst,
        window: whole(window)?,
        lookback,
        reread: whole(reread)?,
        undated: whole(undated)?,
        track_deletes: file.deletes.track,
        delete_guard: file.deletes.guard.unwrap_or(GUARD),
    })
}

fn schedule(file: &SyncFile, path: &Path, report: &mut Report<'_>) -> Option<Schedule> {
    if file.timezone.is_some() && file.cron.is_none() {
        report.error(
            &path.at("timezone"),
            "goes with \"cron\" alone: an interval knows no time of day",
        );
    }
    match (&file.runs, &file.cron) {
        (Some(every), None) => report.take(&path.at("runs"), Schedule::parse_every(every)),
        (None, Some(cron)) => report.take(
            &path.at("cron"),
            Schedule::parse_cron(cron, file.timezone.as_deref()),
        ),
        _ => {
            report.error(
                path,
                "needs either \"runs\", such as every 5 minutes, or \"cron\"",
            );
            None
        }
    }
}

fn request(
    file: &SyncFile,
    list: Option<&PaginateFile>,
    around: &Around<'_>,
    path: &Path,
    report: &mut Report<'_>,
) -> Option<ListRequest> {
    let call = &file.request;
    if let Some(server) = call
        .server
        .as_ref()
        .filter(|server| !around.servers.contains_key(*server))
    {
        let known: Vec<&str> = around.servers.keys().map(String::as_str).collect();
        report.error(
            &path.at("server"),
            format!(
                "{server:?} is not declared under servers: there are {}",
                words(&known, "and")
            ),
        );
    }
    let template = around.scope.path(&call.path, &path.at("path"), report);
    let mut query = around.scope.pairs(&call.query, &path.at("query"), report);
    // An offset names its page size itself; the others ask for one by a plain parameter.
    let sized = list.filter(|list| list.kind != PaginateType::Offset);
    let size = sized.and_then(|list| list.limit_name_in_request.as_ref().zip(list.limit));
    if let Some((name, limit)) = size.filter(|(name, _)| !call.query.contains_key(*name)) {
        query.extend(Template::parse(&limit.to_string()).map(|limit| (name.clone(), limit)));
    }
    let headers = around.scope.pairs(&call.headers, &path.at("headers"), report);
    Some(ListRequest {
        server: call.server.clone(),
        path: template?,
        query,
        headers,
        size_parameter: list.and_then(|list| list.limit_name_in_request.clone()),
    })
}

/// A length of time, or an error at `path`.
fn length(text: &str, path: &Path, report: &mut Report<'_>) -> Option<Duration> {
    report.take(
        path,
        duration::parse(text)
            .ok_or("is no length of time: write 3 days, 12 hours or 30 minutes; the longest is 36525 days"),
    )
}

/// A length of time that bounds written as dates can express.
fn length_in(format: FormatName, text: &str, path: &Path, report: &mut Report<'_>) -> Option<Duration> {
    let length = length(text, path, report)?;
    if format == FormatName::Date && length.as_secs() % 86_400 != 0 {
        report.error(
            path,
            "must be whole days, since the window's bounds are written as dates",
        );
    }
    Some(length)
}

fn window(
    file: &WindowFile,
    order: OrderName,
    columns: &Columns,
    lookback: &[Lookback],
    path: &Path,
    report: &mut Report<'_>,
) -> Option<Window> {
    bounds(file, order, path, report);
    let format = format(file);
    let column = timestamp(&file.column, columns, &path.at("column"), report);
    let step = length_in(
        format,
        file.step.as_deref().unwrap_or(STEP),
        &path.at("step"),
        report,
    );
    let longest = file
        .longest
        .as_ref()
        .map(|longest| length_in(format, longest, &path.at("longest"), report));
    let retention = length_in(format, &file.retention, &path.at("retention"), report);
    let shortest = file
        .shortest_retention
        .as_ref()
        .map(|shortest| length_in(format, shortest, &path.at("shortest_retention"), report));
    // Runs read the longest lookback again and again, so the provider must keep that much.
    let reach = || lookback.iter().map(|lookback| lookback.reach).max();
    Some(Window {
        column: column?,
        from: file.from.clone(),
        to: file.to.clone(),
        format: match format {
            FormatName::Date => BoundFormat::Date,
            FormatName::DateTime => BoundFormat::DateTime,
            FormatName::UnixSeconds => BoundFormat::UnixSeconds,
            FormatName::UnixMillis => BoundFormat::UnixMillis,
        },
        to_inclusive: file.inclusive == Some(InclusiveName::Both),
        step: step?,
        longest: whole(longest)?,
        parallel: file.parallel.unwrap_or(PARALLEL),
        split_after: file.split_after.unwrap_or(SPLIT_AFTER),
        retention: retention?,
        beyond_retention: file.beyond_retention.as_ref().map(|beyond| beyond.code.0.clone()),
        shortest_retention: whole(shortest)?.or_else(reach).unwrap_or_default(),
    })
}

/// A window without `from` writes no bounds, so that any unit of time serves.
fn format(file: &WindowFile) -> FormatName {
    file.format.unwrap_or(FormatName::DateTime)
}

/// Which bounds the provider takes, and what must be known of them.
fn bounds(file: &WindowFile, order: OrderName, path: &Path, report: &mut Report<'_>) {
    if file.from.is_some() && file.format.is_none() {
        report.error(path, "\"format\" is missing: say how bounds are written");
    }
    if file.to.is_some() && file.inclusive.is_none() {
        report.error(
            path,
            "\"inclusive\" is missing: say whether records at the upper bound are included",
        );
    }
    match (&file.from, &file.to) {
        (None, Some(_)) => report.error(&path.at("to"), "goes with \"from\" alone"),
        (None, None) if order != OrderName::NewestFirst => report.error(
            path,
            "needs \"from\", or \"order: newest_first\": without either nothing tells where a range ends",
        ),
        _ => {}
    }
    if file.to.is_none() {
        let slices = [
            ("longest", file.longest.is_some()),
            ("beyond_retention", file.beyond_retention.is_some()),
            ("shortest_retention", file.shortest_retention.is_some()),
        ];
        for (key, _) in slices.iter().filter(|(_, there)| *there) {
            report.error(
                &path.at(*key),
                "goes with \"to\" alone: without an upper bound a range cannot be cut",
            );
        }
    }
}

fn lookback(file: &SyncFile, path: &Path, report: &mut Report<'_>) -> Vec<Lookback> {
    let Some(window) = &file.window else {
        if !file.lookback.0.is_empty() {
            report.error(
                path,
                "goes with \"window\" alone: without one, each run reads the whole list",
            );
        }
        return Vec::new();
    };
    if file.lookback.0.is_empty() {
        report.error(
            path,
            "is needed with \"window\": what each run reads again, such as { reach: 3 days }; without it nothing new would be read",
        );
    }
    let mut ranges = Vec::new();
    for (index, file) in file.lookback.0.iter().enumerate() {
        let path = path.at(index);
        let reach = length_in(format(window), &file.reach, &path.at("reach"), report);
        let every = file
            .every
            .as_ref()
            .map(|every| length(every, &path.at("every"), report));
        let longest = window.longest.as_deref().and_then(duration::parse);
        if reach.is_some_and(|reach| longest.is_some_and(|longest| reach > longest)) {
            report.error(
                &path.at("reach"),
                "is longer than the window's \"longest\": the provider would refuse it",
            );
        }
        if let (Some(reach), Some(every)) = (reach, whole(every)) {
            ranges.push(Lookback { reach, every });
        }
    }
    ranges
}

fn undated(file: &UndatedFile, sync: &SyncFile, path: &Path, report: &mut Report<'_>) -> Option<Undated> {
    if sync.window.is_none() {
        report.error(
            path,
            "goes with \"window\" alone: without one, each run reads the whole list",
        );
    }
    let every = length(&file.every, &path.at("every"), report)?;
    Some(Undated {
        every,
        pages: file.pages.unwrap_or(UNDATED_PAGES),
    })
}

struct Follow<'a> {
    file: &'a RereadFile,
    key: &'a str,
    columns: &'a Columns,
    scope: &'a Scope,
}

impl Follow<'_> {
    fn unfinished(
        &self,
        column: &str,
        values: &OneOrMany<Scalar>,
        path: &Path,
        report: &mut Report<'_>,
    ) -> Option<Unfinished> {
        let at = path.at("where").at(column);
        let (column, declared) = declared(column, self.columns, &at, report)?;
        if declared.kind != ColumnKind::Text {
            report.error(
                &at,
                "must be a column of type text, since its values are compared as text",
            );
        }
        Some(Unfinished {
            column,
            values: values.0.iter().map(|value| value.0.clone()).collect(),
        })
    }

    fn reread(&self, path: &Path, report: &mut Report<'_>) -> Option<Reread> {
        let unfinished = self
            .file
            .condition
            .iter()
            .next()
            .map(|(column, values)| self.unfinished(column, values, path, report));
        let key = format!("record.{}", self.key);
        let template = self
            .scope
            .and(key.clone())
            .path(&self.file.path, &path.at("path"), report)?;
        if !template.holes().iter().any(|hole| hole.starts_with("record.")) {
            report.error(
                &path.at("path"),
                format!("must hold ${{{key}}}, or every call would read the same record"),
            );
        }
        Some(Reread {
            unfinished: whole(unfinished)?,
            path: template,
            record: self.file.record.as_deref().map(dotted).unwrap_or_default(),
            budget: self.file.budget.unwrap_or(REREAD_BUDGET),
        })
    }
}
