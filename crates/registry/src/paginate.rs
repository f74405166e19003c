//! How a list goes on, and what proves its end.

/// How a list goes on, and how its end is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Paginate {
    /// How the next page is requested.
    pub by: PageBy,
    /// What else a response says about the list's end.
    pub end: ListEnd,
    /// The page size that is requested.
    pub limit: Option<u64>,
    /// The most pages of one list that the provider shows.
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
        /// Where in the response the token stands; `None` takes the field `last_key` of the last record.
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
        /// By how much it grows: by the records of the page, or by one a page.
        step: OffsetStep,
        /// The parameter for the page size.
        limit_parameter: Option<String>,
        /// The largest offset that the provider accepts.
        max_offset: Option<u64>,
    },
    /// Never: one response holds the whole list.
    Nothing,
}

impl Paginate {
    /// The most records of one list that the provider shows, if the file says so.
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
}

/// What a response says about the list's end, beside the next page's address or token.
///
/// Of a list with any of these, nothing else proves that it was read to its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListEnd {
    /// Where it says true if there is more, and false at the end.
    pub unless: Option<Vec<String>>,
    /// Where it says true at the end.
    pub when: Option<Vec<String>>,
    /// Whether a page without records is the end.
    pub empty_page: bool,
    /// Where it says how many records the whole list has.
    pub total: Option<Vec<String>>,
}

/// What an offset counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetStep {
    /// Records.
    Records,
    /// Pages.
    Pages,
}
