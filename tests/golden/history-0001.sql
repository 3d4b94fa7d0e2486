BEGIN TRANSACTION;
CREATE TABLE points (
	series INTEGER NOT NULL, 
	run INTEGER NOT NULL, 
	place INTEGER NOT NULL, 
	best BLOB, 
	low BLOB, 
	high BLOB, 
	dof BLOB, 
	status TEXT NOT NULL, 
	CONSTRAINT points_key PRIMARY KEY (series, run)
)
 WITHOUT ROWID

;
INSERT INTO "points" VALUES(1,1,0,0.001,9.00000000000000083787e-04,0.0012,12.5,'ok');
INSERT INTO "points" VALUES(2,1,1,0.002,1.80000000000000016757e-03,0.0024,12.5,'ok');
INSERT INTO "points" VALUES(3,1,2,0.003,0.0027,0.0036,12.5,'ok');
INSERT INTO "points" VALUES(4,1,3,0.004,3.60000000000000033514e-03,0.0048,12.5,'ok');
INSERT INTO "points" VALUES(5,2,0,0.0015,0.00135,0.0018,12.5,'ok');
INSERT INTO "points" VALUES(6,2,1,0.003,0.0027,0.0036,12.5,'ok');
INSERT INTO "points" VALUES(7,2,2,0.0045,0.00405,5.39999999999999941852e-03,12.5,'ok');
INSERT INTO "points" VALUES(8,2,3,0.006,0.0054,0.0072,12.5,'ok');
CREATE TABLE qthreshold_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT qthreshold_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "qthreshold_version" VALUES('0001');
CREATE TABLE runs (
	id INTEGER NOT NULL, 
	run_id TEXT NOT NULL, 
	device TEXT NOT NULL, 
	taken_at TEXT NOT NULL, 
	taken BLOB NOT NULL, 
	calibrated_at TEXT NOT NULL, 
	calibrated BLOB, 
	calibration_id TEXT NOT NULL, 
	context TEXT NOT NULL, 
	origin TEXT NOT NULL, 
	missing INTEGER NOT NULL, 
	level BLOB NOT NULL, 
	outcome TEXT NOT NULL, 
	content TEXT NOT NULL, 
	added_at TEXT NOT NULL, 
	CONSTRAINT runs_key PRIMARY KEY (id), 
	CONSTRAINT runs_run_id UNIQUE (run_id)
);
INSERT INTO "runs" VALUES(1,'golden-1','chip','2026-01-01T04:00:00Z',1767240000.0,'2026-01-01T03:00:00Z',1767236400.0,'c1','{"device":"chip","gate":"cnot"}','{"seed":"1"}',0,0.95,'passed','ebb600b910b645912b5f1f0eb6f563f3ed966ded6dfa7b14562755f49d29a4d1','2026-02-01T00:00:00Z');
INSERT INTO "runs" VALUES(2,'golden-2','chip two','2026-01-02T04:00:00Z',1767326400.0,'2026-01-02T03:00:00Z',1767322800.0,'c1','{"device":"chip","gate":"cnot"}','{"seed":"1"}',0,0.95,'','c0bba12a71b63efa883ca3630e4e5790eb44e0a7d7627a5fa0450f15c4d59e11','2026-02-01T00:00:00Z');
CREATE TABLE series (
	id INTEGER NOT NULL, 
	device TEXT NOT NULL, 
	metric TEXT NOT NULL, 
	target TEXT NOT NULL, 
	CONSTRAINT series_key PRIMARY KEY (id), 
	CONSTRAINT series_name UNIQUE (device, metric, target)
);
INSERT INTO "series" VALUES(1,'chip','cnot_error.mean','');
INSERT INTO "series" VALUES(2,'chip','cnot_error','10-11');
INSERT INTO "series" VALUES(3,'chip','cnot_error','3-4');
INSERT INTO "series" VALUES(4,'chip','works','3');
INSERT INTO "series" VALUES(5,'chip two','cnot_error.mean','');
INSERT INTO "series" VALUES(6,'chip two','cnot_error','10-11');
INSERT INTO "series" VALUES(7,'chip two','cnot_error','3-4');
INSERT INTO "series" VALUES(8,'chip two','works','3');
CREATE INDEX runs_device_taken ON runs (device, taken);
COMMIT;
