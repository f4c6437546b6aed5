-- How much a host has told of, kept with every change: questions about hosts need not look at every member.
ALTER TABLE hosts ADD COLUMN subject_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE hosts ADD COLUMN lost_count INTEGER NOT NULL DEFAULT 0;
UPDATE hosts SET
    subject_count = (SELECT count(*) FROM members WHERE host = id),
    lost_count = (SELECT coalesce(sum(lost), 0) FROM members WHERE host = id);
