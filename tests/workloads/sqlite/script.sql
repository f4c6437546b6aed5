.bail on
.output /tmp/answers
PRAGMA journal_mode = WAL;
CREATE TABLE sale (id INTEGER PRIMARY KEY, customer TEXT NOT NULL, amount REAL NOT NULL);
CREATE INDEX sale_customer ON sale (customer);

WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
INSERT INTO sale SELECT i, 'customer ' || (i % 100), i * 0.5 FROM n;

BEGIN;
UPDATE sale SET amount = amount + 1 WHERE customer = 'customer 7';
DELETE FROM sale WHERE id > 4900;
COMMIT;

BEGIN;
DELETE FROM sale;
ROLLBACK;

SELECT count(*), sum(amount) FROM sale;
SELECT customer, count(*), sum(amount) FROM sale GROUP BY customer ORDER BY 3 DESC LIMIT 2;
-- Larger than the sorter's memory may be: goes through a temporary file.
PRAGMA cache_size = 50;
CREATE TABLE copy AS SELECT * FROM sale ORDER BY customer, amount DESC;
SELECT count(*) FROM copy;
PRAGMA journal_mode = DELETE;
DROP TABLE copy;
VACUUM;
PRAGMA integrity_check;
