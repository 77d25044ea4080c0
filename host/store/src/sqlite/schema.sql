-- Version 1. All keys begin with the partition, so that its rows are stored next to each other and are deleted together. The
-- column is called `run`, since most partitions belong to one.
CREATE TABLE docs (
  run TEXT NOT NULL, doc TEXT NOT NULL, version INTEGER NOT NULL, bytes BLOB NOT NULL,
  PRIMARY KEY (run, doc)
) STRICT, WITHOUT ROWID;

CREATE TABLE members (
  run TEXT NOT NULL, name TEXT NOT NULL, member TEXT NOT NULL, bytes BLOB NOT NULL,
  PRIMARY KEY (run, name, member)
) STRICT, WITHOUT ROWID;

-- The sizes of sets. Counting the members at each arrival would make the join of a wide for-each quadratic.
CREATE TABLE sets (
  run TEXT NOT NULL, name TEXT NOT NULL, size INTEGER NOT NULL,
  PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE runs (
  run TEXT NOT NULL PRIMARY KEY, flow TEXT NOT NULL, digest TEXT NOT NULL, status TEXT NOT NULL,
  started INTEGER NOT NULL, ended INTEGER, due INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX runs_by_start ON runs (started, run);
CREATE INDEX runs_by_due ON runs (due, run) WHERE due IS NOT NULL;
