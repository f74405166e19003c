//! Former paths of operations, for clients that do not know the current ones.

/// A former path of an operation.
pub(crate) struct Alias {
    /// The id of the operation.
    pub(crate) of: &'static str,
    /// The former path, as OpenAPI writes it.
    pub(crate) path: &'static str,
    /// The id of the operation at the former path.
    pub(crate) id: &'static str,
}

/// All former paths.
pub(crate) const ALIASES: [Alias; 5] = [
    Alias {
        of: "list_connections",
        path: "/connection",
        id: "list_connections_deprecated",
    },
    Alias {
        of: "get_connection",
        path: "/connection/{connection_id}",
        id: "get_connection_deprecated",
    },
    Alias {
        of: "delete_connection",
        path: "/connection/{connection_id}",
        id: "delete_connection_deprecated",
    },
    Alias {
        of: "set_metadata",
        path: "/connection/metadata",
        id: "set_metadata_deprecated",
    },
    Alias {
        of: "merge_metadata",
        path: "/connection/metadata",
        id: "merge_metadata_deprecated",
    },
];
