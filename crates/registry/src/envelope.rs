//! What paging needs of a response beside its records.

use crate::{ListEnd, PageBy, Paginate};

impl Paginate {
    /// Where things stand in a response's body that paging looks at, each outermost name first.
    pub fn paths(&self) -> Vec<&[String]> {
        let Self {
            by,
            end,
            limit: _,
            max_pages: _,
        } = self;
        let ListEnd {
            unless,
            when,
            empty_page: _,
            total,
        } = end;
        let next = match by {
            PageBy::Link { body, .. } | PageBy::Cursor { body, .. } => body.as_ref(),
            PageBy::Offset { .. } | PageBy::Nothing => None,
        };
        [next, unless.as_ref(), when.as_ref(), total.as_ref()]
            .into_iter()
            .flatten()
            .map(Vec::as_slice)
            .collect()
    }
}
