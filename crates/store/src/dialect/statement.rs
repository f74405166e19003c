//! SQL statements that are built at run time.
//!
//! Diesel keeps this fragment prepared, unlike `sql_query`, which makes writing row by row fast.

use std::borrow::Cow;

use diesel::backend::Backend;
use diesel::connection::LoadConnection;
use diesel::deserialize::FromSql;
use diesel::pg::Pg;
use diesel::pg::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::row::{Field, Row};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{Array, BigInt, Binary, Bool, Nullable, Text, Timestamptz, Untyped};
use diesel::sqlite::Sqlite;
use domain::Timestamp;

use crate::column::to_json;
use crate::{DbConn, Dialect, StoreError};

/// Microseconds from 1970, the epoch of [`Timestamp`], to 2000, the epoch of PostgreSQL.
pub(super) const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

/// SQL text in which each `?` is replaced by the next bind, on either database.
#[derive(Debug)]
pub(crate) struct Statement<'a> {
    sql: Cow<'a, str>,
    binds: Vec<Bind<'a>>,
}

/// A value to bind, with its type.
#[derive(Debug)]
pub(crate) enum Bind<'a> {
    Text(Option<Cow<'a, str>>),
    Integer(Option<i64>),
    Boolean(Option<bool>),
    Bytes(Option<Cow<'a, [u8]>>),
    /// `timestamptz`, or microseconds in SQLite.
    Moment(Option<Moment>),
    /// Only for PostgreSQL, as all arrays.
    Texts(Vec<Option<&'a str>>),
    Integers(Vec<Option<i64>>),
    Booleans(Vec<Option<bool>>),
    Moments(Vec<Option<Moment>>),
}

/// A time in microseconds since 1970, which can be bound on either database.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(i64);

impl From<Timestamp> for Moment {
    fn from(time: Timestamp) -> Self {
        Self(time.as_micros())
    }
}

impl ToSql<Timestamptz, Pg> for Moment {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let since_2000 = PgTimestamp(self.0.saturating_sub(POSTGRES_EPOCH));
        ToSql::<Timestamptz, Pg>::to_sql(&since_2000, &mut out.reborrow())
    }
}

impl ToSql<BigInt, Sqlite> for Moment {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0);
        Ok(IsNull::No)
    }
}

impl<'a> Bind<'a> {
    pub(crate) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(Some(text.into()))
    }

    pub(crate) fn integer(number: i64) -> Self {
        Self::Integer(Some(number))
    }

    pub(crate) fn moment(time: Timestamp) -> Self {
        Self::Moment(Some(time.into()))
    }
}

/// Returns the condition that a column is in a list, which is one bind: an array, or a JSON list in SQLite.
pub(crate) const fn any(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "IN (SELECT value FROM json_each(?))",
        Dialect::Postgres => "= ANY (?)",
    }
}

/// Returns a list of texts for [`any`].
pub(crate) fn text_list<'a>(dialect: Dialect, texts: &[&'a str]) -> Result<Bind<'a>, StoreError> {
    Ok(match dialect {
        Dialect::Sqlite => Bind::text(to_json(&texts)?),
        Dialect::Postgres => Bind::Texts(texts.iter().copied().map(Some).collect()),
    })
}

/// Returns a list of numbers for [`any`].
pub(crate) fn integer_list(dialect: Dialect, numbers: &[i64]) -> Result<Bind<'static>, StoreError> {
    Ok(match dialect {
        Dialect::Sqlite => Bind::text(to_json(&numbers)?),
        Dialect::Postgres => Bind::Integers(numbers.iter().copied().map(Some).collect()),
    })
}

impl<'a> Statement<'a> {
    pub(crate) fn new(sql: impl Into<Cow<'a, str>>, binds: Vec<Bind<'a>>) -> Self {
        Self {
            sql: sql.into(),
            binds,
        }
    }

    /// Executes the statement. Returns the number of affected rows.
    pub(crate) fn execute(&self, c: &mut DbConn) -> Result<usize, StoreError> {
        Ok(match c {
            DbConn::Pg(c) => c.execute_returning_count(self)?,
            DbConn::Sqlite(c) => c.execute_returning_count(self)?,
        })
    }

    /// Executes the statement and reads each row.
    pub(crate) fn load<T>(
        &self,
        c: &mut DbConn,
        mut read: impl FnMut(&dyn Fields) -> diesel::deserialize::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        fn all<R, T>(
            rows: impl Iterator<Item = QueryResult<R>>,
            mut read: impl FnMut(&R) -> diesel::deserialize::Result<T>,
        ) -> QueryResult<Vec<T>> {
            rows.map(|row| read(&row?).map_err(diesel::result::Error::DeserializationError))
                .collect()
        }
        Ok(match c {
            DbConn::Pg(c) => all(
                LoadConnection::<diesel::connection::DefaultLoadingMode>::load(c, self)?,
                |row| read(&PgRow(row)),
            )?,
            DbConn::Sqlite(c) => all(
                LoadConnection::<diesel::connection::DefaultLoadingMode>::load(c, self)?,
                |row| read(&SqliteRow(row)),
            )?,
        })
    }

    /// Executes the statement and reads the first row; `None` if there is none.
    pub(crate) fn first<T>(
        &self,
        c: &mut DbConn,
        read: impl FnMut(&dyn Fields) -> diesel::deserialize::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.load(c, read)?.into_iter().next())
    }

    /// Executes the statement and returns whether the first field of the first row is true.
    pub(crate) fn is_true(&self, c: &mut DbConn) -> Result<bool, StoreError> {
        Ok(self.first(c, |row| row.boolean(0))?.flatten().unwrap_or_default())
    }

    /// Returns how the database would execute the statement, one line for each step.
    #[cfg(feature = "testing")]
    pub(crate) fn plan(self, c: &mut DbConn) -> Result<Vec<String>, StoreError> {
        let (explain, detail) = match c.dialect() {
            crate::Dialect::Sqlite => ("EXPLAIN QUERY PLAN ", 3),
            crate::Dialect::Postgres => ("EXPLAIN ", 0),
        };
        Self::new(format!("{explain}{}", self.sql), self.binds).load(c, |row| row.some_text(detail))
    }

    fn walk<'b, DB: Backend>(
        &'b self,
        out: &mut AstPass<'_, 'b, DB>,
        mut push: impl FnMut(&mut AstPass<'_, 'b, DB>, &'b Bind<'a>) -> QueryResult<()>,
    ) -> QueryResult<()> {
        let mut binds = self.binds.iter();
        for (index, text) in self.sql.split('?').enumerate() {
            if index > 0 {
                let bind = binds.next().ok_or_else(|| miscounted(&self.sql))?;
                push(out, bind)?;
            }
            out.push_sql(text);
        }
        if binds.next().is_some() {
            Err(miscounted(&self.sql))
        } else {
            Ok(())
        }
    }
}

fn miscounted(sql: &str) -> diesel::result::Error {
    diesel::result::Error::QueryBuilderError(format!("binds and marks differ in number: {sql}").into())
}

/// Returns statements that insert rows, several with each. All rows have the same number of values.
pub(crate) fn inserts<'a>(
    insert: &str,
    end: &str,
    rows: Vec<Vec<Bind<'a>>>,
) -> impl Iterator<Item = Statement<'a>> {
    /// The numbers of rows of one statement: few, so that few statements stay prepared.
    const BATCHES: [usize; 3] = [64, 8, 1];
    let mut rows = rows.into_iter().peekable();
    std::iter::from_fn(move || {
        let one = format!("({})", vec!["?"; rows.peek()?.len()].join(", "));
        let size = BATCHES.into_iter().find(|size| *size <= rows.len()).unwrap_or(1);
        let sql = format!("{insert}{}{end}", vec![one.as_str(); size].join(", "));
        Some(Statement::new(sql, rows.by_ref().take(size).flatten().collect()))
    })
}

impl QueryId for Statement<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Statement<'_> {
    type SqlType = Untyped;
}

impl QueryFragment<Pg> for Statement<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.walk(&mut out, |out, bind| match bind {
            Bind::Text(value) => out.push_bind_param::<Nullable<Text>, _>(value),
            Bind::Integer(value) => out.push_bind_param::<Nullable<BigInt>, _>(value),
            Bind::Boolean(value) => out.push_bind_param::<Nullable<Bool>, _>(value),
            Bind::Bytes(value) => out.push_bind_param::<Nullable<Binary>, _>(value),
            Bind::Moment(value) => out.push_bind_param::<Nullable<Timestamptz>, _>(value),
            Bind::Texts(values) => out.push_bind_param::<Array<Nullable<Text>>, _>(values),
            Bind::Integers(values) => out.push_bind_param::<Array<Nullable<BigInt>>, _>(values),
            Bind::Booleans(values) => out.push_bind_param::<Array<Nullable<Bool>>, _>(values),
            Bind::Moments(values) => out.push_bind_param::<Array<Nullable<Timestamptz>>, _>(values),
        })
    }
}

impl QueryFragment<Sqlite> for Statement<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        self.walk(&mut out, |out, bind| match bind {
            Bind::Text(value) => out.push_bind_param::<Nullable<Text>, _>(value),
            Bind::Integer(value) => out.push_bind_param::<Nullable<BigInt>, _>(value),
            Bind::Boolean(value) => out.push_bind_param::<Nullable<Bool>, _>(value),
            Bind::Bytes(value) => out.push_bind_param::<Nullable<Binary>, _>(value),
            Bind::Moment(value) => out.push_bind_param::<Nullable<BigInt>, _>(value),
            Bind::Texts(_) | Bind::Integers(_) | Bind::Booleans(_) | Bind::Moments(_) => Err(
                diesel::result::Error::QueryBuilderError("SQLite has no arrays".into()),
            ),
        })
    }
}

/// The fields of a row by index, from 0. The caller knows their types from the statement.
pub(crate) trait Fields {
    fn text(&self, index: usize) -> diesel::deserialize::Result<Option<String>>;
    fn integer(&self, index: usize) -> diesel::deserialize::Result<Option<i64>>;
    fn boolean(&self, index: usize) -> diesel::deserialize::Result<Option<bool>>;
    fn moment(&self, index: usize) -> diesel::deserialize::Result<Option<Timestamp>>;

    /// Returns text that is never null.
    fn some_text(&self, index: usize) -> diesel::deserialize::Result<String> {
        not_null(self.text(index)?)
    }
    /// Returns a number that is never null.
    fn some_integer(&self, index: usize) -> diesel::deserialize::Result<i64> {
        not_null(self.integer(index)?)
    }
    /// Returns a time that is never null.
    fn some_moment(&self, index: usize) -> diesel::deserialize::Result<Timestamp> {
        not_null(self.moment(index)?)
    }
}

fn not_null<T>(value: Option<T>) -> diesel::deserialize::Result<T> {
    value.ok_or_else(|| diesel::result::UnexpectedNullError.into())
}

fn field<'a, DB: Backend, ST, T: FromSql<ST, DB>>(
    row: &impl Row<'a, DB>,
    index: usize,
) -> diesel::deserialize::Result<Option<T>> {
    let field = row.get(index).ok_or(diesel::result::UnexpectedEndOfRow)?;
    field.value().map(T::from_sql).transpose()
}

struct PgRow<'r, R>(&'r R);

impl<'a, R: Row<'a, Pg>> Fields for PgRow<'_, R> {
    fn text(&self, index: usize) -> diesel::deserialize::Result<Option<String>> {
        field::<Pg, Text, _>(self.0, index)
    }
    fn integer(&self, index: usize) -> diesel::deserialize::Result<Option<i64>> {
        field::<Pg, BigInt, _>(self.0, index)
    }
    fn boolean(&self, index: usize) -> diesel::deserialize::Result<Option<bool>> {
        field::<Pg, Bool, _>(self.0, index)
    }
    fn moment(&self, index: usize) -> diesel::deserialize::Result<Option<Timestamp>> {
        let since_2000 = field::<Pg, Timestamptz, PgTimestamp>(self.0, index)?;
        Ok(since_2000
            .map(|PgTimestamp(micros)| Timestamp::from_micros(micros.saturating_add(POSTGRES_EPOCH))))
    }
}

struct SqliteRow<'r, R>(&'r R);

impl<'a, R: Row<'a, Sqlite>> Fields for SqliteRow<'_, R> {
    fn text(&self, index: usize) -> diesel::deserialize::Result<Option<String>> {
        field::<Sqlite, Text, _>(self.0, index)
    }
    fn integer(&self, index: usize) -> diesel::deserialize::Result<Option<i64>> {
        field::<Sqlite, BigInt, _>(self.0, index)
    }
    fn boolean(&self, index: usize) -> diesel::deserialize::Result<Option<bool>> {
        field::<Sqlite, Bool, _>(self.0, index)
    }
    fn moment(&self, index: usize) -> diesel::deserialize::Result<Option<Timestamp>> {
        Ok(self.integer(index)?.map(Timestamp::from_micros))
    }
}
