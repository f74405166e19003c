//! Creates the typed tables of models, and changes them with their models.
//!
//! A model's columns come first, in the order of the file, then those that every table has. Of these the ones with eight bytes are
//! together, which saves PostgreSQL the padding between them and text. PostgreSQL never updates rows in place here, since each change
//! changes the indexed `_cursor`, so pages are filled completely.

use domain::{ColumnKind, MAX_KEY_BYTES, Model, ProviderName, SyncName, TableName, Variant, stored_key};

use crate::dialect::{
    Bind, Comparison, Statement, TABLES_LOCK, TableShape, advisory_lock, column_type, comparison, ddl,
    is_empty, long_condition, order_time, quoted, short_condition, shortest_decimal, table_shape,
    tables_named, text_prefix,
};
use crate::{DbConn, Dialect, StoreError, syncs};

/// The columns of every table, after those of the model and before the primary key.
const OWN_COLUMNS: [(&str, ColumnKind, &str); 9] = [
    ("_connection_id", ColumnKind::Integer, " NOT NULL"),
    ("_hash", ColumnKind::Integer, " NOT NULL"),
    ("_cursor", ColumnKind::Integer, " NOT NULL"),
    ("_first_seen_at", ColumnKind::Timestamp, " NOT NULL"),
    ("_last_modified_at", ColumnKind::Timestamp, " NOT NULL"),
    ("_deleted_at", ColumnKind::Timestamp, ""),
    ("_pruned_at", ColumnKind::Timestamp, ""),
    ("_extra", ColumnKind::Json, ""),
    (LONG_KEY, ColumnKind::Text, ""),
];
/// The complete key of a row whose key column has a shortened one, which can be indexed.
const LONG_KEY: &str = "_long_key";
/// The type of JSON columns in earlier versions. It rewrites numbers, and refuses some.
const FORMER_JSON: &str = "jsonb";

/// Creates the model's table, or adds the columns and indexes that it lacks. Drops indexes that the model no longer needs, but no columns,
/// which hold data.
///
/// Call it in [`crate::Store::write`]. Several processes may do so at once. [`StoreError::Refused`] if a column's type or the key has
/// changed, which would lose data; nothing is changed then.
pub fn ensure(c: &mut DbConn, model: &Model) -> Result<(), StoreError> {
    lock(c)?;
    let dialect = c.dialect();
    let shape = table_shape(c, model.table.as_str())?;
    let mut sql = if shape.columns.is_empty() {
        vec![create(model, dialect)]
    } else {
        grow(model, &shape, dialect)?
    };
    let table = quoted(&model.table);
    let lacks_long_keys = !shape.columns.is_empty() && shape.column(LONG_KEY).is_none();
    let wanted = indexes(model, dialect);
    for stale in shape
        .indexes
        .iter()
        .filter(|name| is_index_of(name, &model.table) && wanted.iter().all(|(new, _)| new != *name))
    {
        sql.push(format!("DROP INDEX \"{stale}\""));
    }
    for (name, definition) in wanted.iter().filter(|(name, _)| !shape.indexes.contains(name)) {
        sql.push(format!("CREATE INDEX \"{name}\" ON {table} {definition}"));
    }
    if dialect == Dialect::Postgres {
        sql.extend(comments(model, &shape));
    }
    ddl(c, &sql)?;
    if lacks_long_keys {
        shorten_keys(c, model)?;
    }
    Ok(())
}

/// Shortens the long keys that earlier versions stored whole.
fn shorten_keys(c: &mut DbConn, model: &Model) -> Result<(), StoreError> {
    let (table, key) = (quoted(&model.table), quoted(&model.key));
    let bytes = match c.dialect() {
        Dialect::Postgres => format!("octet_length({key})"),
        Dialect::Sqlite => format!("length(CAST({key} AS BLOB))"),
    };
    let select = format!("SELECT DISTINCT {key} FROM {table} WHERE {bytes} > {MAX_KEY_BYTES}");
    let long = Statement::new(select, Vec::new()).load(c, |row| row.some_text(0))?;
    for long in long {
        let update = format!("UPDATE {table} SET \"{LONG_KEY}\" = ?, {key} = ? WHERE {key} = ?");
        let binds = vec![
            Bind::text(&long),
            Bind::text(stored_key(&long)),
            Bind::text(&long),
        ];
        Statement::new(update, binds).execute(c)?;
    }
    Ok(())
}

/// Lets no other transaction create or drop tables until this one ends.
pub fn lock(c: &mut DbConn) -> Result<(), StoreError> {
    advisory_lock(c, TABLES_LOCK)
}

/// Drops the table of a sync's variant if no connection of any environment has that variant.
///
/// Call it in the transaction that deletes a variant. A transaction that creates one has the same lock from [`ensure`] to its end, so that
/// the table of a new variant is not dropped.
pub fn drop_unused(
    c: &mut DbConn,
    provider: &ProviderName,
    sync: &SyncName,
    variant: &Variant,
    table: &TableName,
) -> Result<(), StoreError> {
    lock(c)?;
    if *variant == Variant::base() || syncs::variants_any_environment(c, provider, sync)?.contains(variant) {
        return Ok(());
    }
    ddl(c, &[format!("DROP TABLE IF EXISTS {}", quoted(table))])
}

/// Drops the tables of variants that no connection has any more, because deleting was interrupted or an earlier version left them. `model`
/// is that of the base variant, `others` are tables of no variant. Returns the names of the dropped tables.
///
/// Tables with rows stay, and so do tables that [`ensure`] did not create, whatever their names.
pub fn drop_orphans(
    c: &mut DbConn,
    provider: &ProviderName,
    sync: &SyncName,
    model: &Model,
    others: &[TableName],
) -> Result<Vec<String>, StoreError> {
    lock(c)?;
    let mut used: Vec<TableName> = syncs::variants_any_environment(c, provider, sync)?
        .iter()
        .map(|variant| model.of_variant(variant).table)
        .collect();
    used.extend_from_slice(others);
    let mut dropped = Vec::new();
    for name in tables_named(c, &format!("{}__", model.table))? {
        let Ok(table) = name.parse::<TableName>() else {
            continue;
        };
        let indexes = table_shape(c, &name)?.indexes;
        let ours = indexes.iter().any(|index| is_index_of(index, &table));
        if !used.contains(&table) && ours && is_empty(c, &table)? {
            ddl(c, &[format!("DROP TABLE {}", quoted(&table))])?;
            dropped.push(name);
        }
    }
    Ok(dropped)
}

fn column(model: &Model, name: &TableName, kind: ColumnKind, dialect: Dialect) -> String {
    let kind_name = column_type(kind, dialect);
    // Byte order for the columns that are compared: it is faster, and the order of keys is that of SQLite.
    let compared = name == &model.key || model.filters.contains(name);
    let collate = if kind == ColumnKind::Text && compared && dialect == Dialect::Postgres {
        " COLLATE \"C\""
    } else {
        ""
    };
    format!("{} {kind_name}{collate}", quoted(name))
}

fn create(model: &Model, dialect: Dialect) -> String {
    let mut columns: Vec<_> = model
        .columns
        .iter()
        .map(|(name, declared)| {
            column(model, name, declared.kind, dialect) + if name == &model.key { " NOT NULL" } else { "" }
        })
        .collect();
    columns.extend(
        OWN_COLUMNS.map(|(name, kind, null)| format!("\"{name}\" {}{null}", column_type(kind, dialect))),
    );
    columns.push(format!(
        "PRIMARY KEY (\"_connection_id\", {})",
        quoted(&model.key)
    ));
    format!(
        "CREATE TABLE {} (\n    {}\n)",
        quoted(&model.table),
        columns.join(",\n    ")
    )
}

fn grow(model: &Model, shape: &TableShape, dialect: Dialect) -> Result<Vec<String>, StoreError> {
    let table = &model.table;
    let mut key: Vec<_> = shape
        .columns
        .iter()
        .filter(|column| column.key)
        .map(|column| column.name.as_str())
        .collect();
    key.sort_unstable();
    if key != ["_connection_id", model.key.as_str()] {
        return Err(StoreError::Refused(format!(
            "the table {table} has another key than {}: give the model another table name, or drop the table, and sync again",
            model.key
        )));
    }
    let mut sql = Vec::new();
    // Tables of earlier versions may lack some.
    for (name, kind, _) in OWN_COLUMNS {
        if shape.column(name).is_none() {
            let kind = column_type(kind, dialect);
            sql.push(format!(
                "ALTER TABLE {} ADD COLUMN \"{name}\" {kind}",
                quoted(table)
            ));
        }
    }
    sql.extend(exact_json(model, shape, dialect));
    for (name, declared) in &model.columns {
        match shape.column(name.as_str()) {
            Some(column) if column.kind == column_type(declared.kind, dialect) => {}
            Some(column) if declared.kind == ColumnKind::Json && column.kind == FORMER_JSON => {}
            Some(column) => {
                return Err(StoreError::Refused(format!(
                    "the column {name} of the table {table} has the type {}, and the provider file now says {}: rename the column, or drop \
                     it from the table, and it is filled again",
                    column.kind,
                    column_type(declared.kind, dialect)
                )));
            }
            None => {
                let column = column(model, name, declared.kind, dialect);
                sql.push(format!("ALTER TABLE {} ADD COLUMN {column}", quoted(table)));
            }
        }
    }
    Ok(sql)
}

/// Changes columns of the former JSON type, all at once, since PostgreSQL rewrites the table.
fn exact_json(model: &Model, shape: &TableShape, dialect: Dialect) -> Option<String> {
    let json = column_type(ColumnKind::Json, dialect);
    let changes: Vec<_> = shape
        .columns
        .iter()
        .filter(|column| column.kind == FORMER_JSON)
        .map(|column| {
            format!(
                "ALTER COLUMN \"{0}\" TYPE {json} USING \"{0}\"::text::{json}",
                column.name
            )
        })
        .collect();
    (!changes.is_empty()).then(|| format!("ALTER TABLE {} {}", quoted(&model.table), changes.join(", ")))
}

/// Returns the names and definitions of the indexes. A name contains a hash of the definition, so that another definition is another index.
fn indexes(model: &Model, dialect: Dialect) -> Vec<(String, String)> {
    let order_time = order_time(model);
    // SQLite sorts nulls last in descending order, and does not support these words in an index.
    let last = if dialect == Dialect::Postgres {
        " NULLS LAST"
    } else {
        ""
    };
    let live = "WHERE \"_deleted_at\" IS NULL";
    let key = quoted(&model.key);
    let mut definitions = vec![
        "(\"_connection_id\", \"_cursor\")".to_owned(),
        format!("(\"_connection_id\", {order_time} DESC{last}, {key} DESC) {live}"),
    ];
    for filter in &model.filters {
        let column = quoted(filter);
        let mut index = |indexed: &str, condition: &str| {
            definitions.push(format!(
                "(\"_connection_id\", {indexed}, {order_time} DESC{last}) {live}{condition}"
            ));
        };
        match comparison(model, filter, dialect) {
            Comparison::Plain => index(&column, ""),
            Comparison::DecimalText => index(&format!("({})", shortest_decimal(&column)), ""),
            Comparison::SplitIndex => {
                index(&column, &format!(" AND {}", short_condition(&column)));
                // Nearly always empty.
                index(
                    &text_prefix(&column),
                    &format!(" AND {}", long_condition(&column)),
                );
            }
        }
    }
    definitions
        .into_iter()
        .map(|definition| {
            let hash = xxhash_rust::xxh3::xxh3_64(definition.as_bytes()) & 0xffff_ffff;
            (format!("{}_{hash:08x}", model.table), definition)
        })
        .collect()
}

/// Returns whether [`indexes`] may have named the index.
fn is_index_of(index: &str, table: &TableName) -> bool {
    index
        .strip_prefix(table.as_str())
        .and_then(|rest| rest.strip_prefix('_'))
        .is_some_and(|hash| hash.len() == 8 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Returns the statements that set the columns' comments where they differ.
fn comments(model: &Model, shape: &TableShape) -> Vec<String> {
    let mut sql = Vec::new();
    for (name, declared) in &model.columns {
        let now = shape
            .column(name.as_str())
            .and_then(|column| column.comment.as_deref());
        if now.unwrap_or_default() != declared.description {
            let text = declared.description.replace('\'', "''");
            sql.push(format!(
                "COMMENT ON COLUMN {}.{} IS '{text}'",
                quoted(&model.table),
                quoted(name)
            ));
        }
    }
    sql
}
