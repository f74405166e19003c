//! How a list goes on.

use crate::file::{OffsetName, PaginateFile, PaginateType};
use crate::path::{Path, dotted};
use crate::source::Report;
use crate::{ListEnd, OffsetStep, PageBy, Paginate};

pub(super) fn rules(file: &PaginateFile, path: &Path, report: &mut Report<'_>) -> Option<Paginate> {
    if file.in_body {
        report.doubt(
            &path.at("in_body"),
            "a list is read with GET, whose parameters stand in the query: leave it out",
        );
    }
    caps(file, path, report);
    Some(Paginate {
        by: by(file, path, report)?,
        end: end(file),
        limit: file.limit,
        max_pages: file.max_pages,
    })
}

/// Reports caps that do not fit the type.
fn caps(file: &PaginateFile, path: &Path, report: &mut Report<'_>) {
    if file.max_offset.is_some() && file.kind != PaginateType::Offset {
        report.error(&path.at("max_offset"), "goes with type offset alone");
    }
    if file
        .max_offset
        .is_some_and(|max| max < file.offset_start_value.unwrap_or_default())
    {
        report.error(
            &path.at("max_offset"),
            "must not be smaller than \"offset_start_value\": no page could be read",
        );
    }
    if file.max_pages == Some(0) {
        report.error(&path.at("max_pages"), "must be at least 1");
    }
}

fn by(file: &PaginateFile, path: &Path, report: &mut Report<'_>) -> Option<PageBy> {
    match file.kind {
        PaginateType::Link => {
            if file.link_path_in_response_body.is_none() && file.link_rel_in_response_header.is_none() {
                report.error(
                    path,
                    "type link needs \"link_path_in_response_body\" or \"link_rel_in_response_header\"",
                );
                return None;
            }
            if file.link_more_in_response_header.is_some() && file.link_rel_in_response_header.is_none() {
                report.error(
                    &path.at("link_more_in_response_header"),
                    "goes with \"link_rel_in_response_header\" alone: it stands beside that relation",
                );
            }
            Some(PageBy::Link {
                body: file.link_path_in_response_body.as_deref().map(dotted),
                header_rel: file.link_rel_in_response_header.clone(),
                header_more: file.link_more_in_response_header.clone(),
            })
        }
        PaginateType::Cursor => {
            let place = file.cursor_path_in_response.is_some() || file.cursor_from_last_record.is_some();
            let Some(parameter) = file.cursor_name_in_request.clone().filter(|_| place) else {
                let message = "type cursor needs \"cursor_name_in_request\", and \"cursor_path_in_response\" or \"cursor_from_last_record\"";
                report.error(path, message);
                return None;
            };
            Some(PageBy::Cursor {
                parameter,
                body: file.cursor_path_in_response.as_deref().map(dotted),
                last_key: file.cursor_from_last_record.clone(),
            })
        }
        PaginateType::Offset => {
            let Some(parameter) = file.offset_name_in_request.clone() else {
                report.error(path, "type offset needs \"offset_name_in_request\"");
                return None;
            };
            Some(PageBy::Offset {
                parameter,
                start: file.offset_start_value.unwrap_or_default(),
                step: match file.offset_calculation_method {
                    OffsetName::PerPage => OffsetStep::Pages,
                    OffsetName::ByResponseSize => OffsetStep::Records,
                },
                limit_parameter: file.limit_name_in_request.clone(),
                max_offset: file.max_offset,
            })
        }
        PaginateType::None => Some(PageBy::Nothing),
    }
}

fn end(file: &PaginateFile) -> ListEnd {
    ListEnd {
        unless: file.more_path_in_response.as_deref().map(dotted),
        when: file.end_path_in_response.as_deref().map(dotted),
        empty_page: file.ends_with_empty_page,
        total: file.total_path_in_response.as_deref().map(dotted),
    }
}
