-- Version 1. Times are Unix milliseconds. JSON columns hold the shared types as serde writes
-- them; what is searched for has a column of its own beside them.

-- One row per fact about the file itself; `writer` names the program that brought the
-- database to its present version.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE analyses (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    application TEXT NOT NULL,
    workload    TEXT NOT NULL,
    -- The workload file.
    definition  TEXT NOT NULL,
    -- What must be equal for replays of an interrupted analysis to be used again.
    fingerprint TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('unfinished', 'finished', 'abandoned')),
    started_ms  INTEGER NOT NULL,
    -- When it was finished or abandoned.
    ended_ms    INTEGER,
    -- The result; only of finished analyses.
    result      TEXT,
    CHECK ((state = 'unfinished') = (ended_ms IS NULL)),
    CHECK ((state = 'finished') = (result IS NOT NULL))
) STRICT;

CREATE INDEX analyses_by_name ON analyses (application, workload, state, ended_ms);
CREATE INDEX analyses_unfinished ON analyses (fingerprint) WHERE state = 'unfinished';

CREATE TABLE replays (
    -- Never used twice: printed evidence refers to it.
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    analysis     INTEGER NOT NULL REFERENCES analyses (id) ON DELETE CASCADE,
    -- {"feature": "action", …}, sorted by feature, without spaces.
    policy       TEXT NOT NULL,
    -- Number of rules in the policy: 0 is the baseline, 1 a feature alone, more a group.
    rules        INTEGER NOT NULL,
    replica      INTEGER NOT NULL,
    outcome_kind TEXT NOT NULL CHECK (outcome_kind IN ('passed', 'failed', 'invalid')),
    outcome      TEXT NOT NULL,
    finished_ms  INTEGER NOT NULL,
    -- All of the replay.
    replay       TEXT NOT NULL,
    UNIQUE (analysis, policy, replica)
) STRICT;

CREATE TABLE replay_rules (
    replay  INTEGER NOT NULL REFERENCES replays (id) ON DELETE CASCADE,
    feature TEXT NOT NULL,
    action  TEXT NOT NULL,
    PRIMARY KEY (feature, replay)
) STRICT, WITHOUT ROWID;

-- For ON DELETE CASCADE, which else reads the whole table.
CREATE INDEX replay_rules_by_replay ON replay_rules (replay);
