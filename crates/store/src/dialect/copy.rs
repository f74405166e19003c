//! PostgreSQL's `COPY … FROM STDIN` in binary format, for tables whose names and columns are known only at run time.
//!
//! The format is described at <https://www.postgresql.org/docs/current/sql-copy.html>, section "Binary Format". A value is written as the
//! `…_recv` function of its type reads it.

use std::cell::RefCell;
use std::io::Write;

use diesel::ExecuteCopyFromDsl;
use diesel::PgConnection;
use diesel::pg::{CopyFormat, CopyTarget, Pg};
use diesel::query_builder::AstPass;
use diesel::sql_types::BigInt;
use domain::{ColumnKind, Storage, Timestamp, Value};

use super::statement::POSTGRES_EPOCH;
use crate::StoreError;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// Ends the rows, in place of a number of fields.
const TRAILER: i16 = -1;
/// The length that means null.
const NULL: i32 = -1;
/// How many bytes libpq gets at once.
const CHUNK: usize = 64 << 10;

thread_local! {
/// The table and columns of the next `COPY` of this thread. Diesel's `CopyTarget` takes them from a type, not from a value.
    static TARGET: RefCell<String> = const { RefCell::new(String::new()) };
}

diesel::table! {
/// Diesel needs a table as a type. The real one is in `TARGET`.
    any_table (id) {
        id -> BigInt,
    }
}

struct Target;

impl CopyTarget for Target {
    type Table = any_table::table;
    type SqlType = BigInt;

    fn walk_target(mut pass: AstPass<'_, '_, Pg>) -> diesel::QueryResult<()> {
        TARGET.with_borrow(|target| pass.push_sql(target));
        Ok(())
    }
}

/// Copies rows into `target`, a table's name with its columns in parentheses. `row` writes the fields of one row in the same order.
pub(crate) fn copy<R>(
    c: &mut PgConnection,
    target: &str,
    rows: &[R],
    row: impl Fn(&R, &mut RowWriter<'_>),
) -> Result<(), StoreError> {
    TARGET.set(target.to_owned());
    let write = |out: &mut dyn Write| {
        let mut bytes = Vec::with_capacity(CHUNK + CHUNK / 4);
        bytes.extend(SIGNATURE);
        for one in rows {
            let start = bytes.len();
            bytes.extend([0; 2]);
            let mut fields = RowWriter {
                bytes: &mut bytes,
                count: 0,
                whole: true,
            };
            row(one, &mut fields);
            let (count, whole) = (fields.count, fields.whole);
            if !whole {
                return Err(diesel::result::Error::SerializationError(
                    "a value does not fit PostgreSQL's binary format".into(),
                ));
            }
            if let Some(place) = bytes.get_mut(start..start + 2) {
                place.copy_from_slice(&count.to_be_bytes());
            }
            if bytes.len() >= CHUNK {
                send(out, &bytes)?;
                bytes.clear();
            }
        }
        bytes.extend(TRAILER.to_be_bytes());
        send(out, &bytes)
    };
    diesel::copy_from(any_table::table)
        .from_raw_data(Target, write)
        .with_format(CopyFormat::Binary)
        .execute(c)?;
    Ok(())
}

fn send(out: &mut dyn Write, bytes: &[u8]) -> diesel::QueryResult<()> {
    out.write_all(bytes)
        .map_err(|error| diesel::result::Error::SerializationError(error.into()))
}

/// Writes the fields of a row.
pub(crate) struct RowWriter<'a> {
    bytes: &'a mut Vec<u8>,
    count: i16,
    whole: bool,
}

impl RowWriter<'_> {
    /// Writes a value as its column's kind; one of another kind becomes null.
    pub(crate) fn value(&mut self, value: &Value, kind: ColumnKind) {
        match (kind.info().storage, value) {
            (Storage::Text, Value::Text(text) | Value::Decimal(text) | Value::Json(text)) => {
                // In the binary format `json` is written like text, and `numeric` is not.
                if kind == ColumnKind::Decimal {
                    self.decimal(text);
                } else {
                    self.text(text);
                }
            }
            (Storage::Integer, Value::Integer(number)) => self.integer(*number),
            (Storage::Boolean, Value::Boolean(value)) => self.boolean(*value),
            (Storage::Timestamp, Value::Timestamp(time)) => self.moment(*time),
            _ => self.null(),
        }
    }

    fn field(&mut self, bytes: &[u8]) {
        self.count = self.count.saturating_add(1);
        match i32::try_from(bytes.len()) {
            Ok(length) => self.bytes.extend(length.to_be_bytes()),
            Err(_) => self.whole = false,
        }
        self.bytes.extend(bytes);
    }

    pub(crate) fn null(&mut self) {
        self.count = self.count.saturating_add(1);
        self.bytes.extend(NULL.to_be_bytes());
    }

    /// `text` or `json`.
    pub(crate) fn text(&mut self, text: &str) {
        self.field(text.as_bytes());
    }

    pub(crate) fn integer(&mut self, number: i64) {
        self.field(&number.to_be_bytes());
    }

    fn boolean(&mut self, value: bool) {
        self.field(&[u8::from(value)]);
    }

    pub(crate) fn moment(&mut self, time: Timestamp) {
        self.integer(time.as_micros().saturating_sub(POSTGRES_EPOCH));
    }

    /// `numeric`, from plain notation: `-12.50`.
    fn decimal(&mut self, plain: &str) {
        match numeric(plain) {
            Some(bytes) => self.field(&bytes),
            None => self.whole = false,
        }
    }
}

/// The digits of one group of a `numeric`.
const GROUP: usize = 4;

/// Returns a decimal as `numeric_recv` reads it: the number of groups of four digits, the power of 10,000 of the first group, the sign,
/// the number of digits after the point, and the groups.
fn numeric(plain: &str) -> Option<Vec<u8>> {
    let (negative, digits) = match plain.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, plain),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let scale = i16::try_from(fraction.len()).ok()?;
    let before = (GROUP - whole.len() % GROUP) % GROUP;
    let after = (GROUP - fraction.len() % GROUP) % GROUP;
    let padded = [
        "0".repeat(before).as_str(),
        whole,
        fraction,
        "0".repeat(after).as_str(),
    ]
    .concat();
    let groups: Vec<i16> = padded
        .as_bytes()
        .chunks(GROUP)
        .map(|group| {
            let digit = |sum: i16, byte: &u8| sum * 10 + i16::from(byte - b'0');
            group.iter().fold(0, digit)
        })
        .collect();
    let leading = groups.iter().take_while(|group| **group == 0).count();
    let groups = groups.get(leading..)?;
    let trailing = groups.iter().rev().take_while(|group| **group == 0).count();
    let groups = groups.get(..groups.len() - trailing)?;
    let weight = if groups.is_empty() {
        0
    } else {
        i16::try_from((before + whole.len()) / GROUP).ok()? - 1 - i16::try_from(leading).ok()?
    };
    let sign: u16 = if negative && !groups.is_empty() { 0x4000 } else { 0 };
    let mut bytes = Vec::with_capacity(8 + 2 * groups.len());
    bytes.extend(i16::try_from(groups.len()).ok()?.to_be_bytes());
    bytes.extend(weight.to_be_bytes());
    bytes.extend(sign.to_be_bytes());
    bytes.extend(scale.to_be_bytes());
    bytes.extend(groups.iter().flat_map(|group| group.to_be_bytes()));
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use diesel::prelude::*;
    use diesel::sql_types::{Bool, Nullable, Text};
    use proptest::prelude::*;
    use proptest::strategy::ValueTree;

    use super::*;
    use crate::testing::TestDatabase;
    use crate::{DbConn, Dialect};

    diesel::table! {
        copied (id) {
            id -> BigInt,
        }
    }

    type Row = (Option<String>, Option<bool>, Option<String>, Option<String>, i64);

    async fn there_and_back(values: Vec<String>) -> Option<Vec<String>> {
        let database = TestDatabase::empty(Dialect::Postgres)?;
        let store = database.store().await;
        let read = store.write(move |c| {
            let DbConn::Pg(c) = c else { return Ok(Vec::new()) };
            diesel::sql_query("CREATE TABLE copied (id bigint, value numeric)").execute(c)?;
            let rows: Vec<_> = (0..).zip(&values).collect();
            copy(c, "copied (id, value)", &rows, |(id, value), fields| {
                fields.integer(*id);
                fields.decimal(value);
            })?;
            let value = diesel::dsl::sql::<Text>("value::text");
            Ok(copied::table.order(copied::id).select(value).load::<String>(c)?)
        });
        Some(read.await.unwrap())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn decimals_come_back_as_they_were_written() {
        let written = [
            "0",
            "0.0",
            "0.00000",
            "1",
            "10000",
            "100000000",
            "-1",
            "9999",
            "10000.0001",
            "0.0001",
            "0.00001",
            "-0.00750",
            "123456789.123456789",
            "1000000000000000000000000.5",
            "0.1000",
            "99999999999999999999.99999999999999999999",
            "5000.5",
        ];
        let mut values: Vec<String> = written.map(str::to_owned).into();
        values.push(format!("{}.{}", "9".repeat(500), "1".repeat(500)));
        values.push(format!("0.{}1", "0".repeat(998)));
        let runner = &mut proptest::test_runner::TestRunner::deterministic();
        let any = "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?";
        let any = proptest::string::string_regex(any).unwrap();
        for _ in 0..2_000 {
            values.push(any.new_tree(runner).unwrap().current());
        }
        let Some(read) = there_and_back(values.clone()).await else {
            return;
        };
        for (written, read) in values.iter().zip(&read) {
            let zero = written.bytes().all(|byte| matches!(byte, b'-' | b'0' | b'.'));
            let written = if zero {
                written.trim_start_matches('-')
            } else {
                written
            };
            assert_eq!(written, read);
        }
        assert_eq!(values.len(), read.len());
    }

    #[test]
    fn an_invalid_decimal_is_none() {
        for text in ["", "-", ".5", "1e5", "+1", "1.2.3", "NaN", " 1", "١"] {
            assert_eq!(numeric(text), None, "{text:?}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn every_type_is_copied_and_a_misfit_fails_only_its_statement() {
        let Some(database) = TestDatabase::empty(Dialect::Postgres) else {
            return;
        };
        let store = database.store().await;
        let large = "x".repeat(3 * CHUNK);
        let (expected, time) = (large.clone(), Timestamp::from_micros(1_764_410_400_000_001));
        let read = store.write(move |c| {
            let DbConn::Pg(c) = c else { return Ok(Vec::new()) };
            diesel::sql_query(
                "CREATE TABLE copied (id bigint, said text, good boolean, at timestamptz, odd json)",
            )
            .execute(c)?;
            let rows = [Some(large.as_str()), None, Some("\\N\t\n\u{1}")];
            let target = "copied (id, said, good, at, odd)";
            copy(c, target, &rows, |said, fields| {
                fields.integer(i64::MIN);
                match said {
                    Some(said) => {
                        fields.text(said);
                        fields.boolean(true);
                        fields.moment(time);
                        fields.text("{\"a\": 1.10}");
                    }
                    None => (0..4).for_each(|_| fields.null()),
                }
            })?;
            copy(c, target, &[(); 0], |(), _| {})?;
            let failed = c.transaction(|c| copy(c, target, &[()], |(), fields| fields.decimal("no")));
            assert!(failed.is_err());
            let columns = diesel::dsl::sql::<(
                Nullable<Text>,
                Nullable<Bool>,
                Nullable<Text>,
                Nullable<Text>,
                BigInt,
            )>("said, good, extract(epoch FROM at)::text, odd::text, id");
            Ok(copied::table.select(columns).load::<Row>(c)?)
        });
        let read = read.await.unwrap();
        let full = |said: &str| {
            let (at, odd) = ("1764410400.000001".to_owned(), "{\"a\": 1.10}".to_owned());
            (Some(said.to_owned()), Some(true), Some(at), Some(odd), i64::MIN)
        };
        assert_eq!(
            read,
            [
                full(&expected),
                (None, None, None, None, i64::MIN),
                full("\\N\t\n\u{1}")
            ]
        );
    }
}
