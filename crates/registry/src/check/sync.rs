//! Checks a sync: the list, its schedule, and its windows.

use std::sync::Arc;
use std::time::Duration;

use domain::{ColumnKind, SyncName, Timestamp};
use indexmap::IndexMap;

use super::model::{self, Columns, declared, timestamp};
use super::scope::Scope;
use crate::file::{Order, SyncFile};
use crate::paginate::PaginateFile;
use crate::path::Path;
use crate::schedule::Schedule;
use crate::source::Report;
use crate::sync::{BoundFormat, ListRequest, Lookback, Reread, Sync, Window};
use crate::template::Template;
use crate::wording::list as words;

/// The parts of the provider that the checks of syncs need.
pub(super) struct SyncContext<'a> {
    pub(super) scope: &'a Scope,
    pub(super) servers: &'a IndexMap<String, Template>,
    /// How the provider's lists continue, unless a sync has its own rules.
    pub(super) list: Option<&'a PaginateFile>,
}

pub(super) fn sync(
    name: &str,
    mut file: SyncFile,
    context: &SyncContext<'_>,
    path: &Path,
    report: &mut Report<'_>,
) -> Option<Sync> {
    let sync_name = report.take(path, name.parse::<SyncName>());
    let schedule = schedule(&file, path, report);
    let columns = model::columns(std::mem::take(&mut file.columns), &path.at("columns"), report);
    let model = model::model(&file, columns.clone(), path, report);
    lookback(&file, &path.at("lookback"), report);
    let (list, list_path) = match &file.paginate {
        Some(list) => (Some(list), path.at("paginate")),
        None => (context.list, Path::default().at("proxy").at("paginate")),
    };
    if list.is_none() {
        report.error(
            path,
            "there is no \"paginate\", neither here nor under proxy: say how the list goes on",
        );
    }
    let paginate = list.and_then(|list| list.check(&list_path, report));
    let request = request(file.request, list, context, &path.at("request"), report);
    let records = file
        .records
        .or_else(|| list.and_then(|list| list.response_path.clone()));
    if let Some(window) = &mut file.window {
        let path = path.at("window");
        self::window(window, file.order, &columns, &path, report);
        if !report.source.has(&path.at("shortest_retention")) {
            // Runs read the longest lookback window regularly, so the provider must keep that much.
            let reach = file.lookback.iter().map(|lookback| lookback.reach).max();
            window.shortest_retention = reach.unwrap_or_default();
        }
    }
    if file.undated.is_some() && file.window.is_none() {
        report.error(
            &path.at("undated"),
            "goes with \"window\" alone: without one, each run reads the whole list",
        );
    }
    if let Some(reread) = &mut file.reread {
        self::reread(
            reread,
            &file.key,
            &columns,
            context.scope,
            &path.at("reread"),
            report,
        );
    }
    Some(Sync {
        name: sync_name?,
        description: file.description,
        model: Arc::new(model?),
        schedule: schedule?,
        auto_start: file.auto_start.unwrap_or(true),
        request,
        records: records.unwrap_or_default(),
        paginate: paginate?,
        newest_first: file.order == Order::NewestFirst,
        window: file.window,
        lookback: file.lookback,
        reread: file.reread,
        undated: file.undated,
        track_deletes: file.deletes.track,
        delete_guard: file.deletes.guard,
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
    mut request: ListRequest,
    list: Option<&PaginateFile>,
    context: &SyncContext<'_>,
    path: &Path,
    report: &mut Report<'_>,
) -> ListRequest {
    server(request.server.as_ref(), context.servers, path, report);
    context.scope.path(&mut request.path, &path.at("path"), report);
    context.scope.pairs(&request.query, &path.at("query"), report);
    context.scope.pairs(&request.headers, &path.at("headers"), report);
    if let Some((name, size)) = list.and_then(PaginateFile::size) {
        let written = request.query.iter().any(|(known, _)| known == name);
        if let Some(size) = size.filter(|_| !written) {
            request.query.push((name.to_owned(), size.to_string().into()));
        }
        request.size_parameter = Some(name.to_owned());
    }
    request
}

/// Checks that a request's server is one of `servers`.
pub(super) fn server(
    name: Option<&String>,
    servers: &IndexMap<String, Template>,
    path: &Path,
    report: &mut Report<'_>,
) {
    if let Some(name) = name.filter(|name| !servers.contains_key(*name)) {
        let known = words(servers.keys(), "and");
        let message = format!("{name:?} is not declared under servers: the servers are {known}");
        report.error(&path.at("server"), message);
    }
}

/// Checks that a length of time is whole days if bounds are written as dates.
fn whole_days(format: BoundFormat, length: Option<Duration>, path: &Path, report: &mut Report<'_>) {
    let parts = |length: Duration| !length.as_secs().is_multiple_of(Timestamp::DAY.as_secs());
    if format == BoundFormat::Date && length.is_some_and(parts) {
        report.error(
            path,
            "must be whole days, since the window's bounds are written as dates",
        );
    }
}

fn window(window: &Window, order: Order, columns: &Columns, path: &Path, report: &mut Report<'_>) {
    bounds(window, order, path, report);
    timestamp(window.column.as_str(), columns, &path.at("column"), report);
    for (key, length) in [
        ("step", Some(window.step)),
        ("longest", window.longest),
        ("retention", Some(window.retention)),
        ("shortest_retention", Some(window.shortest_retention)),
    ] {
        whole_days(window.format, length, &path.at(key), report);
    }
}

/// Checks which bounds the provider supports, and the keys that they need.
fn bounds(window: &Window, order: Order, path: &Path, report: &mut Report<'_>) {
    // Without `from` no bounds are sent, so the format does not matter.
    if window.from.is_some() && !report.source.has(&path.at("format")) {
        report.error(path, "\"format\" is missing: say how bounds are written");
    }
    if window.to.is_some() && !report.source.has(&path.at("inclusive")) {
        report.error(
            path,
            "\"inclusive\" is missing: say whether records at the upper bound are included",
        );
    }
    match (&window.from, &window.to) {
        (None, Some(_)) => report.error(&path.at("to"), "goes with \"from\" alone"),
        (None, None) if order != Order::NewestFirst => report.error(
            path,
            "needs \"from\", or \"order: newest_first\": without either nothing tells where a range ends",
        ),
        _ => {}
    }
    if window.to.is_none() {
        for key in ["longest", "beyond_retention", "shortest_retention"] {
            if report.source.has(&path.at(key)) {
                report.error(
                    &path.at(key),
                    "goes with \"to\" alone: without an upper bound a range cannot be cut",
                );
            }
        }
    }
}

fn lookback(file: &SyncFile, path: &Path, report: &mut Report<'_>) {
    let Some(window) = &file.window else {
        if !file.lookback.is_empty() {
            report.error(
                path,
                "goes with \"window\" alone: without one, each run reads the whole list",
            );
        }
        return;
    };
    if file.lookback.is_empty() {
        report.error(
            path,
            "is required with \"window\": what each run reads again, such as { reach: 3 days }; without it nothing new would be read",
        );
    }
    for (index, Lookback { reach, .. }) in file.lookback.iter().enumerate() {
        let path = path.at(index).at("reach");
        whole_days(window.format, Some(*reach), &path, report);
        if window.longest.is_some_and(|longest| *reach > longest) {
            report.error(
                &path,
                "is longer than the window's \"longest\": the provider would refuse it",
            );
        }
    }
}

fn reread(
    reread: &mut Reread,
    key: &str,
    columns: &Columns,
    scope: &Scope,
    path: &Path,
    report: &mut Report<'_>,
) {
    if let Some(unfinished) = &reread.unfinished {
        let column = unfinished.column.as_str();
        let path = path.at("where").at(column);
        let declared = declared(column, columns, &path, report);
        if declared.is_some_and(|(_, column)| column.kind != ColumnKind::Text) {
            report.error(
                &path,
                "must be a column of type text, since its values are compared as text",
            );
        }
    }
    let (key, path) = (format!("record.{key}"), path.at("path"));
    scope.and(key.clone()).path(&mut reread.path, &path, report);
    let mut placeholders = reread.path.placeholders().into_iter();
    if reread.path.error.is_none() && !placeholders.any(|name| name.starts_with("record.")) {
        let message = format!("must hold ${{{key}}}, or every request would read the same record");
        report.error(&path, message);
    }
}
