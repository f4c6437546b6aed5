CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- The newest state of each host, as JSON as it came.
CREATE TABLE hosts (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL
);

-- Names of features.
CREATE TABLE words (id INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE);

-- Content-addressed: a set or a calendar is there once, whoever has it, and as long as anybody has.
CREATE TABLE sets (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE set_words (
    set_id INTEGER NOT NULL,
    word INTEGER NOT NULL,
    PRIMARY KEY (set_id, word)
) WITHOUT ROWID;
CREATE INDEX set_words_by_word ON set_words (word, set_id);
CREATE TABLE calendars (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, days TEXT NOT NULL);

-- Empty texts stand for what is not known: NULLs would not be unique.
CREATE TABLE subjects (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    executable TEXT NOT NULL,
    build_id TEXT NOT NULL,
    package TEXT NOT NULL,
    version TEXT NOT NULL,
    UNIQUE (name, kind, executable, build_id, package, version)
);

-- What a host knows of a subject.
CREATE TABLE members (
    subject INTEGER NOT NULL,
    host INTEGER NOT NULL,
    set_id INTEGER NOT NULL,
    first_hour INTEGER NOT NULL,
    last_hour INTEGER NOT NULL,
    magnitude INTEGER NOT NULL,
    calendar INTEGER NOT NULL,
    lost INTEGER NOT NULL,
    PRIMARY KEY (subject, host)
) WITHOUT ROWID;
CREATE INDEX members_by_host ON members (host);
CREATE INDEX members_by_set ON members (subject, set_id, first_hour);
CREATE INDEX members_by_calendar ON members (calendar);
CREATE INDEX members_by_hour ON members (first_hour, subject, set_id);

-- When a member first saw what it did not see in its first hour.
CREATE TABLE later (
    subject INTEGER NOT NULL,
    word INTEGER NOT NULL,
    host INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    PRIMARY KEY (subject, word, host)
) WITHOUT ROWID;
CREATE INDEX later_by_member ON later (host, subject);
CREATE INDEX later_by_hour ON later (hour);

-- On how many hosts a subject has a set: kept with every change, so that questions about all of the
-- fleet need not look at every member.
CREATE TABLE tallies (
    subject INTEGER NOT NULL,
    set_id INTEGER NOT NULL,
    hosts INTEGER NOT NULL,
    PRIMARY KEY (subject, set_id)
) WITHOUT ROWID;
CREATE INDEX tallies_by_set ON tallies (set_id);
