//! Former paths of operations, for clients that do not know the current ones.

/// The id of each operation that has a former path, and that path as OpenAPI writes it.
pub(crate) const ALIASES: [(&str, &str); 5] = [
    ("list_connections", "/connection"),
    ("get_connection", "/connection/{connection_id}"),
    ("delete_connection", "/connection/{connection_id}"),
    ("set_metadata", "/connection/metadata"),
    ("merge_metadata", "/connection/metadata"),
];

/// Returns the id that an operation has at its former path.
pub(crate) fn former_id(id: &str) -> String {
    format!("{id}_deprecated")
}
