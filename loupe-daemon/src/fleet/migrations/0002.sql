-- When a host was heard by a hub, by the hub's clock; what it said of itself then. Nothing of it is a fact.
CREATE TABLE heard (
    host INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    offset_ms INTEGER NOT NULL,
    backlog INTEGER NOT NULL
);

-- What came and was refused: the last of each subject, and how many there were.
CREATE TABLE refused (
    subject TEXT PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    why TEXT NOT NULL,
    times INTEGER NOT NULL
) WITHOUT ROWID;
