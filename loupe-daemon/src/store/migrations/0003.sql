-- Version 3. Jobs of the daemon, so that they outlive it.
CREATE TABLE jobs (
    -- Never used twice, also after the row is gone: clients have been told it.
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    owner        INTEGER NOT NULL,
    application  TEXT NOT NULL,
    workload     TEXT NOT NULL,
    -- The order as the daemon wrote it; empty once the job has ended.
    definition   TEXT NOT NULL,
    detached     INTEGER NOT NULL,
    -- 'waiting' until it has ended, also while it runs.
    state        TEXT NOT NULL CHECK (state IN ('waiting', 'finished', 'failed', 'cancelled')),
    submitted_ms INTEGER NOT NULL,
    ended_ms     INTEGER,
    -- A daemon works on it. A daemon that finds this set at its start ended in the middle.
    running      INTEGER NOT NULL DEFAULT 0,
    -- How often that was so.
    crashes      INTEGER NOT NULL DEFAULT 0,
    -- Its analysis exists: it is to go on with, not to begin anew.
    begun        INTEGER NOT NULL DEFAULT 0,
    -- Of all turns that it had, until it was last put back.
    ran_ms       INTEGER NOT NULL DEFAULT 0,
    replays      INTEGER NOT NULL DEFAULT 0,
    -- Steps of the analysis that were done at its end.
    done         INTEGER NOT NULL DEFAULT 0,
    -- Of a finished job.
    analysis     INTEGER REFERENCES analyses (id) ON DELETE SET NULL,
    -- Of a failed or cancelled one.
    failure      TEXT,
    CHECK ((state = 'waiting') = (ended_ms IS NULL)),
    CHECK ((state IN ('failed', 'cancelled')) = (failure IS NOT NULL))
) STRICT;

CREATE INDEX jobs_by_owner ON jobs (owner, state);
