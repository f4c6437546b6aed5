-- Version 2. Whose analysis it is: results of one user are not another's to see. What is older
-- was made by the owner of the file.
ALTER TABLE analyses ADD COLUMN owner INTEGER NOT NULL DEFAULT 0;
