-- What runs are found by besides their labels. A file that an older build has created gets it when it is opened. Such a build keeps
-- the indexes and the counts, as SQLite does that, and writes no failures.
CREATE TABLE failures (
  run TEXT NOT NULL PRIMARY KEY, code TEXT NOT NULL, message TEXT NOT NULL, started INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX runs_by_code ON failures (code, started, run);
CREATE INDEX runs_by_flow ON runs (flow, status, started, run);
CREATE INDEX runs_by_version ON runs (substr(digest, 1, 12), started, run);
-- Nearly all runs have succeeded, so the list of all runs is as good an index of these.
CREATE INDEX runs_by_status ON runs (status, started, run) WHERE status <> 'succeeded';

-- How many runs of a flow have each status.
CREATE TABLE counts (
  flow TEXT NOT NULL, status TEXT NOT NULL, runs INTEGER NOT NULL,
  PRIMARY KEY (flow, status)
) STRICT, WITHOUT ROWID;

INSERT INTO counts SELECT flow, status, count(*) FROM runs GROUP BY flow, status;

CREATE TRIGGER count_new AFTER INSERT ON runs BEGIN
  INSERT INTO counts VALUES (NEW.flow, NEW.status, 1) ON CONFLICT DO UPDATE SET runs = runs + 1;
END;

CREATE TRIGGER count_gone AFTER DELETE ON runs BEGIN
  UPDATE counts SET runs = runs - 1 WHERE flow = OLD.flow AND status = OLD.status;
END;

CREATE TRIGGER count_changed AFTER UPDATE ON runs WHEN OLD.status <> NEW.status OR OLD.flow <> NEW.flow BEGIN
  UPDATE counts SET runs = runs - 1 WHERE flow = OLD.flow AND status = OLD.status;
  INSERT INTO counts VALUES (NEW.flow, NEW.status, 1) ON CONFLICT DO UPDATE SET runs = runs + 1;
END;
