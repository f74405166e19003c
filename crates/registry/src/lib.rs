//! Reads provider files and checks them. No other crate does this.
//!
//! A provider is one YAML file of data: placeholders `${…}`, no code. A *collection* is a file of many entries, each a provider, such as
//! Nango's `providers.yaml`. [`Registry`] reads the built-in files and those of a folder, checks everything and reports all errors at
//! once, with file and line. A [`Provider`] has nothing left to interpret. This crate depends on `domain` alone, does no I/O but reading
//! files, and names no provider: only data files do.

mod action;
mod check;
mod document;
mod duration;
mod error;
mod field;
mod file;
mod format;
mod input;
mod load;
mod method;
mod paginate;
mod path;
pub mod placement;
mod provider;
mod registry;
mod reserved;
mod response;
mod schedule;
mod shape;
mod source;
mod sync;
mod tables_page;
mod template;
mod translation;
pub mod webhooks;
mod wording;
mod written;

pub use action::{Action, ActionRequest, ActionRoute, Deletes, Parameter, ParameterValue, RouteStep, Writes};
pub use error::{LoadError, Problem};
pub use field::{Field, Fields, VisibleWhen};
pub use format::FieldFormat;
pub use input::{Input, InputError, InputKind};
pub use load::{SkipReason, SkippedEntry};
pub use method::Method;
pub use paginate::{ListEnd, OffsetStep, PageBy, Paginate};
pub use provider::{AuthMode, Check, ConnectForm, Limits, Provider, ProviderLimits, Verification};
pub use registry::{CheckedFile, ProviderSummary, Registry};
pub use reserved::{RESERVED, RESERVED_BELOW, is_reserved, is_reserved_below};
pub use response::{ErrorInBody, ErrorRules, RetryRules, WaitInBody};
pub use schedule::{Schedule, ScheduleError};
pub use shape::json_schema;
pub use sync::{
    BeyondRetention, BoundFormat, Inclusive, ListRequest, Lookback, Reread, Sync, Undated, Unfinished, Window,
};
pub use tables_page::tables_page;
pub use template::{
    JsonTemplate, Lookup, MAX_RENDERED, MAX_TEMPLATE, RenderError, Template, TemplateError, now_value,
};
pub use translation::{FieldTexts, FormTexts, ProviderTexts, Translations};
pub use webhooks::Webhooks;
