//! Pagination: how a list continues, and what proves its end.
//!
//! A new pagination style is a variant of [`PaginateType`] and of [`PageBy`] with its keys in [`PaginateFile`], all here, and what it
//! does in `upstream`'s `pagination.rs`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::source::Report;
use crate::written;

/// How a list continues, and how its end is recognised.
#[derive(Debug, Clone, PartialEq)]
pub struct Paginate {
    /// How the next page is requested.
    pub by: PageBy,
    /// What else a response says about the list's end.
    pub end: ListEnd,
    /// The page size that is requested.
    pub limit: Option<u64>,
    /// The maximum number of pages of one list that the provider returns.
    pub max_pages: Option<u64>,
}

/// How the next page is requested.
#[derive(Debug, Clone, PartialEq)]
pub enum PageBy {
    /// By its address, relative or absolute, which the response holds.
    Link {
        /// Where in the body, outermost name first.
        body: Option<Vec<String>>,
        /// Or the relation in the `Link` header, usually `next`.
        header_rel: Option<String>,
        /// The parameter of that `Link` which says `true` or `false` whether there is more.
        header_more: Option<String>,
    },
    /// By a token from the response, in a parameter.
    Cursor {
        /// The parameter.
        parameter: String,
        /// Where in the response the token is; `None` uses the field `last_key` of the last record.
        body: Option<Vec<String>>,
        /// The field of the last record whose value is the cursor (Stripe's `starting_after`).
        last_key: Option<String>,
    },
    /// By how many records, or pages, to skip.
    Offset {
        /// The parameter for the offset.
        parameter: String,
        /// The first value, usually 0.
        start: u64,
        /// By how much it grows: by the number of records of a page, or by one for each page.
        step: OffsetStep,
        /// The parameter for the page size.
        limit_parameter: Option<String>,
        /// The largest offset that the provider accepts.
        max_offset: Option<u64>,
    },
    /// Never: one response holds the whole list.
    Nothing,
}

/// What a response says about the list's end, beside the next page's address or token.
///
/// If a list has any of these, nothing else proves that it was read to its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListEnd {
    /// The path to a value that is true if more pages follow and false at the end.
    pub unless: Option<Vec<String>>,
    /// The path to a value that is true at the end.
    pub when: Option<Vec<String>>,
    /// Whether a page without records is the end.
    pub empty_page: bool,
    /// The path to the number of records in the whole list.
    pub total: Option<Vec<String>>,
}

/// What an offset counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum OffsetStep {
    /// Records.
    #[default]
    #[serde(rename = "by-response-size")]
    Records,
    /// Pages.
    #[serde(rename = "per-page")]
    Pages,
}

impl Paginate {
    /// Returns the most records of one list that the provider shows, if the file says so.
    pub fn capacity(&self) -> Option<u64> {
        let of_pages = self
            .max_pages
            .zip(self.limit)
            .map(|(pages, limit)| pages.saturating_mul(limit));
        let of_offset = match &self.by {
            PageBy::Offset {
                start,
                step,
                max_offset: Some(max),
                ..
            } => {
                let steps = max.saturating_sub(*start);
                self.limit.map(|limit| match step {
                    OffsetStep::Records => steps.saturating_add(limit),
                    OffsetStep::Pages => steps.saturating_add(1).saturating_mul(limit),
                })
            }
            _ => None,
        };
        of_pages.into_iter().chain(of_offset).min()
    }

    /// Returns the places in a response's body that paging needs, each outermost name first.
    pub fn paths(&self) -> Vec<&[String]> {
        let next = match &self.by {
            PageBy::Link { body, .. } | PageBy::Cursor { body, .. } => body.as_ref(),
            PageBy::Offset { .. } | PageBy::Nothing => None,
        };
        let ListEnd {
            unless, when, total, ..
        } = &self.end;
        let paths = [next, unless.as_ref(), when.as_ref(), total.as_ref()];
        paths.into_iter().flatten().map(Vec::as_slice).collect()
    }
}

/// How a list continues. Which keys are needed depends on `type`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct PaginateFile {
    /// By the next page's address, by a token, by how many records or pages to skip, or not at all.
    #[serde(rename = "type")]
    kind: PaginateType,
    /// link: where in the response the next page's address is, with dots between names.
    #[serde(default, deserialize_with = "written::path")]
    #[schemars(with = "String")]
    link_path_in_response_body: Option<Vec<String>>,
    /// link: the relation in the `Link` header, usually `next`.
    link_rel_in_response_header: Option<String>,
    /// link: the parameter beside that relation by which the provider says true or false whether there is more.
    link_more_in_response_header: Option<String>,
    /// cursor: the parameter for the token.
    cursor_name_in_request: Option<String>,
    /// cursor: where in the response the token is.
    #[serde(default, deserialize_with = "written::path")]
    #[schemars(with = "String")]
    cursor_path_in_response: Option<Vec<String>>,
    /// cursor: the field of the last record that is the token, if the response has none.
    cursor_from_last_record: Option<String>,
    /// The path to a value that is true if more pages follow and false at the end.
    #[serde(default, deserialize_with = "written::path")]
    #[schemars(with = "String")]
    more_path_in_response: Option<Vec<String>>,
    /// The path to a value that is true at the end.
    #[serde(default, deserialize_with = "written::path")]
    #[schemars(with = "String")]
    end_path_in_response: Option<Vec<String>>,
    /// link and cursor: whether a page without records is the end; false if left out.
    #[serde(default)]
    ends_with_empty_page: bool,
    /// The path to the number of records in the whole list.
    #[serde(default, deserialize_with = "written::path")]
    #[schemars(with = "String")]
    total_path_in_response: Option<Vec<String>>,
    /// The maximum number of pages of one list that the provider returns.
    #[schemars(range(min = 1))]
    max_pages: Option<u64>,
    /// offset: the largest offset that the provider accepts.
    max_offset: Option<u64>,
    /// offset: the parameter for the offset.
    offset_name_in_request: Option<String>,
    /// offset: the first value; 0 if left out.
    offset_start_value: Option<u64>,
    /// offset: whether it counts pages or records; records if left out.
    #[serde(default)]
    offset_calculation_method: OffsetStep,
    /// The page size requested.
    #[schemars(range(min = 1))]
    limit: Option<u64>,
    /// The parameter for the page size.
    limit_name_in_request: Option<String>,
    /// Where the records are, unless the sync has `records`.
    #[serde(default, deserialize_with = "written::path")]
    #[schemars(with = "String")]
    pub(crate) response_path: Option<Vec<String>>,
    /// Whether the parameters are in the body; the list of a sync has no body.
    #[serde(default)]
    in_body: bool,
}

/// How a list continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum PaginateType {
    Link,
    Cursor,
    Offset,
    None,
}

impl PaginateFile {
    /// Returns the parameter for the page size, and its value if the pagination style does not add it by itself.
    pub(crate) fn size(&self) -> Option<(&str, Option<u64>)> {
        let name = self.limit_name_in_request.as_deref()?;
        Some((name, self.limit.filter(|_| self.kind != PaginateType::Offset)))
    }

    /// Returns the rules, or reports which keys are missing or contradict each other.
    pub(crate) fn check(&self, report: &Report<'_>) -> Option<Paginate> {
        if self.in_body {
            report
                .at("in_body")
                .doubt("lists are read with GET, and its parameters are always in the query: leave this out");
        }
        if self.max_offset.is_some() && self.kind != PaginateType::Offset {
            report.at("max_offset").error("is only for type offset");
        }
        let start = self.offset_start_value.unwrap_or_default();
        if self.max_offset.is_some_and(|max| max < start) {
            report
                .at("max_offset")
                .error("must not be smaller than \"offset_start_value\": no page could be read");
        }
        let by = match self.style(report) {
            Ok(by) => by,
            Err(message) => {
                report.error(message);
                return None;
            }
        };
        Some(Paginate {
            by,
            end: ListEnd {
                unless: self.more_path_in_response.clone(),
                when: self.end_path_in_response.clone(),
                empty_page: self.ends_with_empty_page,
                total: self.total_path_in_response.clone(),
            },
            limit: self.limit,
            max_pages: self.max_pages,
        })
    }

    fn style(&self, report: &Report<'_>) -> Result<PageBy, &'static str> {
        match self.kind {
            PaginateType::Link => {
                if self.link_path_in_response_body.is_none() && self.link_rel_in_response_header.is_none() {
                    return Err(
                        "type link needs \"link_path_in_response_body\" or \"link_rel_in_response_header\"",
                    );
                }
                if self.link_more_in_response_header.is_some() && self.link_rel_in_response_header.is_none() {
                    report.at("link_more_in_response_header").error(
                        "goes with \"link_rel_in_response_header\" alone: it stands beside that relation",
                    );
                }
                Ok(PageBy::Link {
                    body: self.link_path_in_response_body.clone(),
                    header_rel: self.link_rel_in_response_header.clone(),
                    header_more: self.link_more_in_response_header.clone(),
                })
            }
            PaginateType::Cursor => {
                let found = self.cursor_path_in_response.is_some() || self.cursor_from_last_record.is_some();
                let parameter = self.cursor_name_in_request.clone().filter(|_| found);
                Ok(PageBy::Cursor {
                    parameter: parameter.ok_or(
                        "type cursor needs \"cursor_name_in_request\", and \"cursor_path_in_response\" or \
                         \"cursor_from_last_record\"",
                    )?,
                    body: self.cursor_path_in_response.clone(),
                    last_key: self.cursor_from_last_record.clone(),
                })
            }
            PaginateType::Offset => Ok(PageBy::Offset {
                parameter: self
                    .offset_name_in_request
                    .clone()
                    .ok_or("type offset needs \"offset_name_in_request\"")?,
                start: self.offset_start_value.unwrap_or_default(),
                step: self.offset_calculation_method,
                limit_parameter: self.limit_name_in_request.clone(),
                max_offset: self.max_offset,
            }),
            PaginateType::None => Ok(PageBy::Nothing),
        }
    }
}
