CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- What was told or waits to be: a bundle as it travels. One row.
CREATE TABLE told (
    host TEXT PRIMARY KEY,
    state BLOB NOT NULL,
    whole_ms INTEGER NOT NULL
) WITHOUT ROWID;

-- Messages that the server has not acknowledged.
CREATE TABLE outbox (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    payload BLOB NOT NULL
);
