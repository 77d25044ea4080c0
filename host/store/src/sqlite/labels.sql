-- The labels of runs. A file that an older build has created gets this table when it is opened, and such a build ignores it.
CREATE TABLE IF NOT EXISTS labels (
  run TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, started INTEGER NOT NULL,
  PRIMARY KEY (run, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS runs_by_label ON labels (key, value, started, run);
