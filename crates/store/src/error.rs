use std::io;

/// Where in a query text the trouble is, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub line: u64,
    pub column: u64,
}

/// Why the store could not do it: a permanent code, what happened, what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}; {hint}")]
pub struct StoreError {
    /// Permanent, kebab-case. See `docs/store.md` for all of them.
    pub code: &'static str,
    pub message: String,
    /// What to do next.
    pub hint: String,
    /// For a query: the place in its text.
    pub position: Option<Position>,
}

impl StoreError {
    pub(crate) fn new(
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        StoreError { code, message: message.into(), hint: hint.into(), position: None }
    }

    /// True when the same call may succeed later, unchanged.
    pub fn is_temporary(&self) -> bool {
        matches!(self.code, "disk-full" | "intake-full" | "store-closed" | "query-busy")
    }

    pub(crate) fn io(what: &str, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::StorageFull
            || error.kind() == io::ErrorKind::QuotaExceeded
        {
            return StoreError::new(
                "disk-full",
                format!("cannot {what}: the disk is full"),
                "free space or shorten retention; nothing acknowledged is lost, send the rest again",
            );
        }
        StoreError::new(
            "disk-error",
            format!("cannot {what}: {error}"),
            "check the disk and the rights of the data folder",
        )
    }

    pub(crate) fn catalog(error: &rusqlite::Error) -> Self {
        if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull) {
            return StoreError::io("write the catalog", &io::ErrorKind::StorageFull.into());
        }
        StoreError::new(
            "catalog-error",
            format!("cannot use `catalog.sqlite`: {error}"),
            "check the disk and the rights of the data folder",
        )
    }

    pub(crate) fn closed() -> Self {
        StoreError::new("store-closed", "the store is shutting down", "try again after the restart")
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        StoreError::catalog(&error)
    }
}
