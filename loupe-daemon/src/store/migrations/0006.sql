-- Version 6. What was read of in-kernel counts that outlive louped, when it was last recorded: a
-- process that takes them over counts what is new from there on.

CREATE TABLE profile_kept (
    -- The set of in-kernel objects.
    set_name TEXT NOT NULL,
    -- -1: of the whole set.
    slot     INTEGER NOT NULL,
    record   TEXT NOT NULL,
    PRIMARY KEY (set_name, slot)
) STRICT, WITHOUT ROWID;
