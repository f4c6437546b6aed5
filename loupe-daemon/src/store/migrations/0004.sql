-- Version 4. Why a replay was run, in a few words; of older ones nobody knows.
ALTER TABLE replays ADD COLUMN purpose TEXT;
