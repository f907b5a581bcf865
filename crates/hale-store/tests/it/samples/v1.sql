-- A database as schema version 1 left it: six runs of pack echo that completed, three that wait. Never edited.
PRAGMA application_id = 1751215205;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE artifacts(
  n INTEGER NOT NULL,
  name TEXT NOT NULL,
  hash BLOB NOT NULL,
  bytes INTEGER NOT NULL,
  media_type TEXT NOT NULL,
  PRIMARY KEY(n, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE audit(
  n INTEGER PRIMARY KEY,
  id BLOB NOT NULL,
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  operation TEXT NOT NULL,
  target TEXT NOT NULL,
  phase INTEGER NOT NULL,
  detail TEXT NOT NULL,
  undo TEXT,
  lab INTEGER NOT NULL,
  UNIQUE(id, phase)
) STRICT;
CREATE TABLE bodies(at INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
INSERT INTO "bodies" VALUES(16777216,'{}');
INSERT INTO "bodies" VALUES(16777221,'[{"v":1,"seq":1,"at":1795334221442,"event":{"type":"accepted","pack":{"name":"echo","version":"1.0.0"},"key":"echo","priority":"normal","limit":60000,"trigger":"api","correlation":"seed-0"}},{"v":1,"seq":2,"at":1795334221442,"event":{"type":"leased","worker":"wrk_00000000000000000000000001","epoch":1}},{"v":1,"seq":3,"at":1795334221442,"event":{"type":"initialized"}},{"v":1,"seq":4,"at":1795334221442,"event":{"type":"completing"}},{"v":1,"seq":5,"at":1795334221442,"event":{"type":"completed","output":{}}}]');
INSERT INTO "bodies" VALUES(33554431,'{}');
INSERT INTO "bodies" VALUES(33554432,'{}');
INSERT INTO "bodies" VALUES(33554437,'[{"v":1,"seq":1,"at":1795334221443,"event":{"type":"accepted","pack":{"name":"echo","version":"1.0.0"},"key":"echo","priority":"normal","limit":60000,"trigger":"api","correlation":"seed-1"}},{"v":1,"seq":2,"at":1795334221443,"event":{"type":"leased","worker":"wrk_00000000000000000000000001","epoch":1}},{"v":1,"seq":3,"at":1795334221443,"event":{"type":"initialized"}},{"v":1,"seq":4,"at":1795334221443,"event":{"type":"completing"}},{"v":1,"seq":5,"at":1795334221443,"event":{"type":"completed","output":{}}}]');
INSERT INTO "bodies" VALUES(50331647,'{}');
INSERT INTO "bodies" VALUES(50331648,'{}');
INSERT INTO "bodies" VALUES(50331653,'[{"v":1,"seq":1,"at":1795334221444,"event":{"type":"accepted","pack":{"name":"echo","version":"1.0.0"},"key":"echo","priority":"normal","limit":60000,"trigger":"api","correlation":"seed-2"}},{"v":1,"seq":2,"at":1795334221444,"event":{"type":"leased","worker":"wrk_00000000000000000000000001","epoch":1}},{"v":1,"seq":3,"at":1795334221444,"event":{"type":"initialized"}},{"v":1,"seq":4,"at":1795334221444,"event":{"type":"completing"}},{"v":1,"seq":5,"at":1795334221444,"event":{"type":"completed","output":{}}}]');
INSERT INTO "bodies" VALUES(67108863,'{}');
INSERT INTO "bodies" VALUES(67108864,'{}');
INSERT INTO "bodies" VALUES(67108869,'[{"v":1,"seq":1,"at":1795334221445,"event":{"type":"accepted","pack":{"name":"echo","version":"1.0.0"},"key":"echo","priority":"normal","limit":60000,"trigger":"api","correlation":"seed-3"}},{"v":1,"seq":2,"at":1795334221445,"event":{"type":"leased","worker":"wrk_00000000000000000000000001","epoch":1}},{"v":1,"seq":3,"at":1795334221445,"event":{"type":"initialized"}},{"v":1,"seq":4,"at":1795334221445,"event":{"type":"completing"}},{"v":1,"seq":5,"at":1795334221445,"event":{"type":"completed","output":{}}}]');
INSERT INTO "bodies" VALUES(83886079,'{}');
INSERT INTO "bodies" VALUES(83886080,'{}');
INSERT INTO "bodies" VALUES(83886085,'[{"v":1,"seq":1,"at":1795334221446,"event":{"type":"accepted","pack":{"name":"echo","version":"1.0.0"},"key":"echo","priority":"normal","limit":60000,"trigger":"api","correlation":"seed-4"}},{"v":1,"seq":2,"at":1795334221446,"event":{"type":"leased","worker":"wrk_00000000000000000000000001","epoch":1}},{"v":1,"seq":3,"at":1795334221446,"event":{"type":"initialized"}},{"v":1,"seq":4,"at":1795334221446,"event":{"type":"completing"}},{"v":1,"seq":5,"at":1795334221446,"event":{"type":"completed","output":{}}}]');
INSERT INTO "bodies" VALUES(100663295,'{}');
INSERT INTO "bodies" VALUES(100663296,'{}');
INSERT INTO "bodies" VALUES(100663301,'[{"v":1,"seq":1,"at":1795334221447,"event":{"type":"accepted","pack":{"name":"echo","version":"1.0.0"},"key":"echo","priority":"normal","limit":60000,"trigger":"api","correlation":"seed-5"}},{"v":1,"seq":2,"at":1795334221447,"event":{"type":"leased","worker":"wrk_00000000000000000000000001","epoch":1}},{"v":1,"seq":3,"at":1795334221447,"event":{"type":"initialized"}},{"v":1,"seq":4,"at":1795334221447,"event":{"type":"completing"}},{"v":1,"seq":5,"at":1795334221447,"event":{"type":"completed","output":{}}}]');
INSERT INTO "bodies" VALUES(117440511,'{}');
INSERT INTO "bodies" VALUES(117440512,'{}');
INSERT INTO "bodies" VALUES(117440513,'[{"v":1,"seq":1,"at":1795334221540,"event":{"type":"accepted","pack":{"name":"echo","version":"1.0.0"},"key":"echo","priority":"normal","limit":60000,"trigger":"api","correlation":"seed-0"}}]');
INSERT INTO "bodies" VALUES(134217728,'{}');
INSERT INTO "bodies" VALUES(134217729,'[{"v":1,"seq":1,"at":1795334221541,"event":{"type":"accepted","pack":{"name":"echo","version":"1.0.0"},"key":"echo","priority":"normal","limit":60000,"trigger":"api","correlation":"seed-1"}}]');
INSERT INTO "bodies" VALUES(150994944,'{}');
INSERT INTO "bodies" VALUES(150994945,'[{"v":1,"seq":1,"at":1795334221542,"event":{"type":"accepted","pack":{"name":"echo","version":"1.0.0"},"key":"echo","priority":"normal","limit":60000,"trigger":"api","correlation":"seed-2"}}]');
CREATE TABLE keys(
  id BLOB PRIMARY KEY,
  name TEXT NOT NULL,
  tenant TEXT NOT NULL,
  hash BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  revoked_at INTEGER,
  last_used_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE pack_versions(
  n INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  version TEXT NOT NULL,
  source TEXT NOT NULL,
  digest BLOB NOT NULL,
  deployed_at INTEGER NOT NULL,
  by TEXT NOT NULL,
  manifest TEXT NOT NULL,
  UNIQUE(name, version)
) STRICT;
CREATE TABLE packs(name TEXT PRIMARY KEY, current TEXT, enabled INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE promises(
  key TEXT PRIMARY KEY,
  run BLOB NOT NULL,
  digest BLOB NOT NULL,
  expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE queue_counts(
  key TEXT NOT NULL, priority INTEGER NOT NULL, count INTEGER NOT NULL, PRIMARY KEY(key, priority)
) STRICT, WITHOUT ROWID;
INSERT INTO "queue_counts" VALUES('echo',1,3);
CREATE TABLE runs(
  n INTEGER PRIMARY KEY,
  id BLOB NOT NULL,
  state INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  key TEXT NOT NULL,
  pack TEXT NOT NULL,
  seq INTEGER NOT NULL,
  ended_at INTEGER,
  error_code INTEGER,
  correlation TEXT NOT NULL,
  snapshot TEXT NOT NULL
) STRICT;
INSERT INTO "runs" VALUES(1,X'01A202422E8200000000000000000000',4,1,'echo','echo',5,1795334221442,NULL,'seed-0','{"id":"run_01M8144BM20000000000000000","pack":{"name":"echo","version":"1.0.0"},"key":"echo","priority":"normal","trigger":"api","correlation":"seed-0","submitted_at":1795334221442,"started_at":1795334221442,"limit":60000,"spent":0,"epoch":1,"leases_lost":0,"seq":5,"steps":0,"progress_at":1795334221442,"state":{"name":"ENDED","at":1795334221442,"outcome":{"kind":"COMPLETED"}}}');
INSERT INTO "runs" VALUES(2,X'01A202422E8300009E3779B97F4A7C15',4,1,'echo','echo',5,1795334221443,NULL,'seed-1','{"id":"run_01M8144BM30009WDVSQ5ZMMZ0N","pack":{"name":"echo","version":"1.0.0"},"key":"echo","priority":"normal","trigger":"api","correlation":"seed-1","submitted_at":1795334221443,"started_at":1795334221443,"limit":60000,"spent":0,"epoch":1,"leases_lost":0,"seq":5,"steps":0,"progress_at":1795334221443,"state":{"name":"ENDED","at":1795334221443,"outcome":{"kind":"COMPLETED"}}}');
INSERT INTO "runs" VALUES(3,X'01A202422E8400013C6EF372FE94F82A',4,1,'echo','echo',5,1795334221444,NULL,'seed-2','{"id":"run_01M8144BM4000KRVQKEBZ99Y1A","pack":{"name":"echo","version":"1.0.0"},"key":"echo","priority":"normal","trigger":"api","correlation":"seed-2","submitted_at":1795334221444,"started_at":1795334221444,"limit":60000,"spent":0,"epoch":1,"leases_lost":0,"seq":5,"steps":0,"progress_at":1795334221444,"state":{"name":"ENDED","at":1795334221444,"outcome":{"kind":"COMPLETED"}}}');
INSERT INTO "runs" VALUES(4,X'01A202422E850001DAA66D2C7DDF743F',4,1,'echo','echo',5,1795334221445,NULL,'seed-3','{"id":"run_01M8144BM5000XN9KD5HYXYX1Z","pack":{"name":"echo","version":"1.0.0"},"key":"echo","priority":"normal","trigger":"api","correlation":"seed-3","submitted_at":1795334221445,"started_at":1795334221445,"limit":60000,"spent":0,"epoch":1,"leases_lost":0,"seq":5,"steps":0,"progress_at":1795334221445,"state":{"name":"ENDED","at":1795334221445,"outcome":{"kind":"COMPLETED"}}}');
INSERT INTO "runs" VALUES(5,X'01A202422E86000278DDE6E5FD29F054',4,1,'echo','echo',5,1795334221446,NULL,'seed-4','{"id":"run_01M8144BM60017HQF6WQYJKW2M","pack":{"name":"echo","version":"1.0.0"},"key":"echo","priority":"normal","trigger":"api","correlation":"seed-4","submitted_at":1795334221446,"started_at":1795334221446,"limit":60000,"spent":0,"epoch":1,"leases_lost":0,"seq":5,"steps":0,"progress_at":1795334221446,"state":{"name":"ENDED","at":1795334221446,"outcome":{"kind":"COMPLETED"}}}');
INSERT INTO "runs" VALUES(6,X'01A202422E8700031715609F7C746C69',4,1,'echo','echo',5,1795334221447,NULL,'seed-5','{"id":"run_01M8144BM7001HE5B0KXY78V39","pack":{"name":"echo","version":"1.0.0"},"key":"echo","priority":"normal","trigger":"api","correlation":"seed-5","submitted_at":1795334221447,"started_at":1795334221447,"limit":60000,"spent":0,"epoch":1,"leases_lost":0,"seq":5,"steps":0,"progress_at":1795334221447,"state":{"name":"ENDED","at":1795334221447,"outcome":{"kind":"COMPLETED"}}}');
INSERT INTO "runs" VALUES(7,X'01A202422EE400000000000000000000',0,1,'echo','echo',1,NULL,NULL,'seed-0','{"id":"run_01M8144BQ40000000000000000","pack":{"name":"echo","version":"1.0.0"},"key":"echo","priority":"normal","trigger":"api","correlation":"seed-0","submitted_at":1795334221540,"limit":60000,"spent":0,"epoch":0,"leases_lost":0,"seq":1,"steps":0,"progress_at":1795334221540,"state":{"name":"PENDING","since":1795334221540}}');
INSERT INTO "runs" VALUES(8,X'01A202422EE500009E3779B97F4A7C15',0,1,'echo','echo',1,NULL,NULL,'seed-1','{"id":"run_01M8144BQ50009WDVSQ5ZMMZ0N","pack":{"name":"echo","version":"1.0.0"},"key":"echo","priority":"normal","trigger":"api","correlation":"seed-1","submitted_at":1795334221541,"limit":60000,"spent":0,"epoch":0,"leases_lost":0,"seq":1,"steps":0,"progress_at":1795334221541,"state":{"name":"PENDING","since":1795334221541}}');
INSERT INTO "runs" VALUES(9,X'01A202422EE600013C6EF372FE94F82A',0,1,'echo','echo',1,NULL,NULL,'seed-2','{"id":"run_01M8144BQ6000KRVQKEBZ99Y1A","pack":{"name":"echo","version":"1.0.0"},"key":"echo","priority":"normal","trigger":"api","correlation":"seed-2","submitted_at":1795334221542,"limit":60000,"spent":0,"epoch":0,"leases_lost":0,"seq":1,"steps":0,"progress_at":1795334221542,"state":{"name":"PENDING","since":1795334221542}}');
CREATE TABLE settings(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE state_counts(
  pack TEXT NOT NULL, state INTEGER NOT NULL, count INTEGER NOT NULL, PRIMARY KEY(pack, state)
) STRICT, WITHOUT ROWID;
INSERT INTO "state_counts" VALUES('echo',0,3);
INSERT INTO "state_counts" VALUES('echo',4,6);
CREATE TABLE workers(
  id BLOB PRIMARY KEY,
  kind INTEGER NOT NULL,
  host TEXT NOT NULL,
  pid INTEGER NOT NULL,
  slots INTEGER NOT NULL,
  started_at INTEGER NOT NULL,
  seen_at INTEGER NOT NULL,
  draining INTEGER NOT NULL,
  ended TEXT
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX runs_id ON runs(id);
CREATE INDEX runs_pack_state ON runs(pack, state, id);
CREATE INDEX runs_correlation ON runs(correlation, id);
CREATE INDEX runs_error ON runs(error_code, id) WHERE error_code IS NOT NULL;
CREATE INDEX runs_ended ON runs(ended_at, state) WHERE ended_at IS NOT NULL;
CREATE INDEX runs_ready ON runs(key, priority) WHERE state = 0;
CREATE INDEX artifacts_hash ON artifacts(hash);
CREATE INDEX promises_expires ON promises(expires);
CREATE VIEW journal AS
  SELECT json_extract(runs.snapshot, '$.id') AS run,
         json_extract(record.value, '$.seq') AS seq,
         json_extract(record.value, '$.at') AS at,
         json_extract(record.value, '$.event.type') AS type,
         json_extract(record.value, '$.event') AS event
  FROM runs
  JOIN bodies ON bodies.at BETWEEN (runs.n << 24) + 1 AND (runs.n << 24) + 16777214
  JOIN json_each(bodies.body) AS record;
CREATE VIEW tasks AS
  SELECT json_extract(snapshot, '$.id') AS task_id,
         (SELECT body FROM bodies WHERE at = n << 24) AS goal,
         CASE state WHEN 0 THEN 'pending' WHEN 1 THEN 'initializing' WHEN 2 THEN 'running' WHEN 3 THEN 'completing'
                    WHEN 4 THEN 'completed' WHEN 5 THEN 'failed' WHEN 6 THEN 'timeout' ELSE 'cancelled' END AS status,
         pack,
         CASE priority WHEN 0 THEN 'high' WHEN 1 THEN 'normal' ELSE 'low' END AS priority,
         correlation AS correlation_id,
         strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(snapshot, '$.submitted_at') / 1000.0, 'unixepoch') AS created_at,
         strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(snapshot, '$.progress_at') / 1000.0, 'unixepoch') AS updated_at
  FROM runs;
CREATE VIEW action_log AS
  SELECT run AS task_id, seq, strftime('%Y-%m-%dT%H:%M:%fZ', at / 1000.0, 'unixepoch') AS timestamp,
         type AS action_type, event AS detail
  FROM journal;
COMMIT;
