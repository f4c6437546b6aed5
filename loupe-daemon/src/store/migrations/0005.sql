-- Version 5. Profiles: what services really used. Numbers of features and subjects stand for their
-- names everywhere, for there are millions of counts.

-- What was asked to be watched.
CREATE TABLE profile_targets (
    target TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- Who recorded batches, and how far: a batch that is handed over again is known.
CREATE TABLE profile_runs (
    run      TEXT PRIMARY KEY,
    -- Of its last batch: as the run counts, and as this database does.
    sequence INTEGER NOT NULL,
    batch    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE profile_words (
    id   INTEGER PRIMARY KEY,
    -- 'feature', or 'foreign': an ABI and a number.
    kind TEXT NOT NULL CHECK (kind IN ('feature', 'foreign')),
    word TEXT NOT NULL,
    UNIQUE (kind, word)
) STRICT;

CREATE TABLE profile_subjects (
    -- Small enough to share an integer with a time.
    id               INTEGER PRIMARY KEY CHECK (id BETWEEN 1 AND 16777215),
    kind             TEXT NOT NULL,
    name             TEXT NOT NULL,
    uid              INTEGER NOT NULL,
    -- Of the executable; empty: not known.
    path             TEXT NOT NULL,
    build_id         TEXT NOT NULL,
    package          TEXT NOT NULL,
    version          TEXT NOT NULL,
    -- The build of the same executable that was observed before this one.
    predecessor      INTEGER REFERENCES profile_subjects (id) ON DELETE SET NULL,
    -- The first and the last moment that was observed.
    from_ms          INTEGER NOT NULL,
    until_ms         INTEGER NOT NULL,
    -- Sums of everything that was handed over.
    observed_ms      INTEGER NOT NULL DEFAULT 0,
    calls            INTEGER NOT NULL DEFAULT 0,
    starts           INTEGER NOT NULL DEFAULT 0,
    lost             TEXT NOT NULL DEFAULT '{}',
    features         INTEGER NOT NULL DEFAULT 0,
    operations       INTEGER NOT NULL DEFAULT 0,
    -- Blocks of observation, for the estimate of the unseen: those that are over, and how much
    -- there is of the running one.
    blocks           INTEGER NOT NULL DEFAULT 0,
    block_covered_ms INTEGER NOT NULL DEFAULT 0,
    block_observed_ms INTEGER NOT NULL DEFAULT 0,
    -- Observed since something new came, and since the first restart after it.
    quiet_ms         INTEGER NOT NULL DEFAULT 0,
    restarted_ms     INTEGER,
    -- When it became stable, and by which batch.
    stable_ms        INTEGER,
    stable_batch     INTEGER,
    UNIQUE (kind, name, uid, path, build_id, package, version),
    CHECK ((stable_ms IS NULL) = (stable_batch IS NULL))
) STRICT;

CREATE INDEX profile_subjects_by_predecessor ON profile_subjects (predecessor);

-- Every feature that a subject ever used.
CREATE TABLE profile_uses (
    subject       INTEGER NOT NULL REFERENCES profile_subjects (id) ON DELETE CASCADE,
    feature       INTEGER NOT NULL,
    first_seen_ms INTEGER NOT NULL,
    -- By which batch.
    batch         INTEGER NOT NULL,
    -- What of the subject had been observed by then.
    observed_ms   INTEGER NOT NULL,
    first_block   INTEGER NOT NULL,
    -- It was seen later than in the block after that, too.
    recurs        INTEGER NOT NULL DEFAULT 0,
    -- It was new to a stable profile.
    drift         INTEGER NOT NULL,
    PRIMARY KEY (subject, feature)
) STRICT, WITHOUT ROWID;

CREATE INDEX profile_uses_by_time ON profile_uses (first_seen_ms);

-- Times in which a subject was not observed, between its first and its last moment.
CREATE TABLE profile_gaps (
    subject  INTEGER NOT NULL REFERENCES profile_subjects (id) ON DELETE CASCADE,
    from_ms  INTEGER NOT NULL,
    until_ms INTEGER NOT NULL CHECK (until_ms > from_ms),
    PRIMARY KEY (subject, from_ms)
) STRICT, WITHOUT ROWID;

-- Counts of a subject and a time. The id is the number of the minute (hour, day, month) since the
-- epoch, times 2^24, plus the subject: what is recorded together lies together, so that a minute
-- writes few pages.
CREATE TABLE profile_minutes (id INTEGER PRIMARY KEY, counts BLOB NOT NULL) STRICT;
CREATE TABLE profile_hours (id INTEGER PRIMARY KEY, counts BLOB NOT NULL) STRICT;
CREATE TABLE profile_days (id INTEGER PRIMARY KEY, counts BLOB NOT NULL) STRICT;
CREATE TABLE profile_months (id INTEGER PRIMARY KEY, counts BLOB NOT NULL) STRICT;
