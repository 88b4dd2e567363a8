-- A store of MLflow 3.5.1 with a little of everything.
BEGIN TRANSACTION;
CREATE TABLE alembic_version ( version_num VARCHAR(32) NOT NULL,  CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('bf29a5ff90ea');
CREATE TABLE assessments ( assessment_id VARCHAR(50) NOT NULL,  trace_id VARCHAR(50) NOT NULL,  name VARCHAR(250) NOT NULL,  assessment_type VARCHAR(20) NOT NULL,  value TEXT NOT NULL,  error TEXT,  created_timestamp BIGINT NOT NULL,  last_updated_timestamp BIGINT NOT NULL,  source_type VARCHAR(50) NOT NULL,  source_id VARCHAR(250),  run_id VARCHAR(32),  span_id VARCHAR(50),  rationale TEXT,  overrides VARCHAR(50),  valid BOOLEAN NOT NULL,  assessment_metadata TEXT,  CONSTRAINT assessments_pk PRIMARY KEY (assessment_id),  CONSTRAINT fk_assessments_trace_id FOREIGN KEY(trace_id) REFERENCES trace_info (request_id) ON DELETE CASCADE
);
INSERT INTO "assessments" VALUES('a-7f1f889350a24e238048bdc7dc8a3a80','tr-9a023fd629485900708589fc91427677','q','feedback','0.5',NULL,1795444297876,1795444297876,'CODE','default',NULL,NULL,NULL,NULL,1,NULL);
INSERT INTO "assessments" VALUES('a-7d6b9e596fc341708d6ab76fa721f7a0','tr-9a023fd629485900708589fc91427677','r','feedback','"yes"',NULL,1795444297916,1795444297916,'CODE','default',NULL,NULL,NULL,NULL,1,NULL);
CREATE TABLE "datasets" ( dataset_uuid VARCHAR(36) NOT NULL,  experiment_id INTEGER NOT NULL,  name VARCHAR(500) NOT NULL,  digest VARCHAR(36) NOT NULL,  dataset_source_type VARCHAR(36) NOT NULL,  dataset_source TEXT NOT NULL,  dataset_schema TEXT,  dataset_profile TEXT,  CONSTRAINT dataset_pk PRIMARY KEY (experiment_id, name, digest),  CONSTRAINT fk_datasets_experiment_id_experiments FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id) ON DELETE CASCADE
);
INSERT INTO "datasets" VALUES('1bb3ee1a2d66441ba36a88df6eaff9bc',1,'d','abc','local','{}',NULL,NULL);
CREATE TABLE entity_associations ( association_id VARCHAR(36) NOT NULL,  source_type VARCHAR(36) NOT NULL,  source_id VARCHAR(36) NOT NULL,  destination_type VARCHAR(36) NOT NULL,  destination_id VARCHAR(36) NOT NULL,  created_time BIGINT,  CONSTRAINT entity_associations_pk PRIMARY KEY (source_type, source_id, destination_type, destination_id)
);
CREATE TABLE "evaluation_dataset_records" ( dataset_record_id VARCHAR(36) NOT NULL,  dataset_id VARCHAR(36) NOT NULL,  inputs JSON NOT NULL,  expectations JSON,  tags JSON,  source JSON,  source_id VARCHAR(36),  source_type VARCHAR(255),  created_time BIGINT,  last_update_time BIGINT,  created_by VARCHAR(255),  last_updated_by VARCHAR(255),  input_hash VARCHAR(64) NOT NULL, outputs JSON,  CONSTRAINT evaluation_dataset_records_pk PRIMARY KEY (dataset_record_id),  CONSTRAINT fk_evaluation_dataset_records_dataset_id FOREIGN KEY(dataset_id) REFERENCES evaluation_datasets (dataset_id) ON DELETE CASCADE,  CONSTRAINT unique_dataset_input UNIQUE (dataset_id, input_hash)
);
CREATE TABLE evaluation_dataset_tags ( dataset_id VARCHAR(36) NOT NULL,  "key" VARCHAR(255) NOT NULL,  value VARCHAR(5000),  CONSTRAINT evaluation_dataset_tags_pk PRIMARY KEY (dataset_id, "key"),  CONSTRAINT fk_evaluation_dataset_tags_dataset_id FOREIGN KEY(dataset_id) REFERENCES evaluation_datasets (dataset_id) ON DELETE CASCADE
);
CREATE TABLE evaluation_datasets ( dataset_id VARCHAR(36) NOT NULL,  name VARCHAR(255) NOT NULL,  schema TEXT,  profile TEXT,  digest VARCHAR(64),  created_time BIGINT,  last_update_time BIGINT,  created_by VARCHAR(255),  last_updated_by VARCHAR(255),  CONSTRAINT evaluation_datasets_pk PRIMARY KEY (dataset_id)
);
CREATE TABLE experiment_tags ( "key" VARCHAR(250) NOT NULL,  value VARCHAR(5000),  experiment_id INTEGER NOT NULL,  CONSTRAINT experiment_tag_pk PRIMARY KEY ("key", experiment_id),  FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id)
);
INSERT INTO "experiment_tags" VALUES('team','a',1);
CREATE TABLE experiments ( experiment_id INTEGER NOT NULL,  name VARCHAR(256) NOT NULL,  artifact_location VARCHAR(256),  lifecycle_stage VARCHAR(32), creation_time BIGINT, last_update_time BIGINT,  CONSTRAINT experiment_pk PRIMARY KEY (experiment_id),  CONSTRAINT experiments_lifecycle_stage CHECK (lifecycle_stage IN ('active', 'deleted')),  UNIQUE (name)
);
INSERT INTO "experiments" VALUES(0,'Default','/old/mlruns/0','active',1795444294605,1795444294605);
INSERT INTO "experiments" VALUES(1,'old one','/nowhere/1','active',1795444294607,1795444294607);
CREATE TABLE input_tags ( input_uuid VARCHAR(36) NOT NULL,  name VARCHAR(255) NOT NULL,  value VARCHAR(500) NOT NULL,  CONSTRAINT input_tags_pk PRIMARY KEY (input_uuid, name)
);
INSERT INTO "input_tags" VALUES('cd1f09e7bcd64bb486d0e2de18146a6e','mlflow.data.context','train');
CREATE TABLE inputs ( input_uuid VARCHAR(36) NOT NULL,  source_type VARCHAR(36) NOT NULL,  source_id VARCHAR(36) NOT NULL,  destination_type VARCHAR(36) NOT NULL,  destination_id VARCHAR(36) NOT NULL, step BIGINT DEFAULT '0' NOT NULL,  CONSTRAINT inputs_pk PRIMARY KEY (source_type, source_id, destination_type, destination_id)
);
INSERT INTO "inputs" VALUES('cd1f09e7bcd64bb486d0e2de18146a6e','DATASET','1bb3ee1a2d66441ba36a88df6eaff9bc','RUN','ea090aa898ec4ae29bc2dc304a5ca637',0);
CREATE TABLE jobs ( id VARCHAR(36) NOT NULL,  creation_time BIGINT NOT NULL,  function_fullname VARCHAR(500) NOT NULL,  params TEXT NOT NULL,  timeout FLOAT,  status INTEGER NOT NULL,  result TEXT,  retry_count INTEGER NOT NULL,  last_update_time BIGINT NOT NULL,  CONSTRAINT jobs_pk PRIMARY KEY (id)
);
CREATE TABLE "latest_metrics" ( "key" VARCHAR(250) NOT NULL,  value FLOAT NOT NULL,  timestamp BIGINT,  step BIGINT NOT NULL,  is_nan BOOLEAN NOT NULL,  run_uuid VARCHAR(32) NOT NULL,  CONSTRAINT latest_metric_pk PRIMARY KEY ("key", run_uuid),  FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid),  CHECK (is_nan IN (0, 1))
);
INSERT INTO "latest_metrics" VALUES('m',-2.0,1002,2,0,'ea090aa898ec4ae29bc2dc304a5ca637');
CREATE TABLE logged_model_metrics ( model_id VARCHAR(36) NOT NULL,  metric_name VARCHAR(500) NOT NULL,  metric_timestamp_ms BIGINT NOT NULL,  metric_step BIGINT NOT NULL,  metric_value FLOAT,  experiment_id INTEGER NOT NULL,  run_id VARCHAR(32) NOT NULL,  dataset_uuid VARCHAR(36),  dataset_name VARCHAR(500),  dataset_digest VARCHAR(36),  CONSTRAINT logged_model_metrics_pk PRIMARY KEY (model_id, metric_name, metric_timestamp_ms, metric_step, run_id),  CONSTRAINT fk_logged_model_metrics_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id),  CONSTRAINT fk_logged_model_metrics_model_id FOREIGN KEY(model_id) REFERENCES logged_models (model_id) ON DELETE CASCADE,  CONSTRAINT fk_logged_model_metrics_run_id FOREIGN KEY(run_id) REFERENCES runs (run_uuid) ON DELETE CASCADE
);
CREATE TABLE logged_model_params ( model_id VARCHAR(36) NOT NULL,  experiment_id INTEGER NOT NULL,  param_key VARCHAR(255) NOT NULL,  param_value TEXT NOT NULL,  CONSTRAINT logged_model_params_pk PRIMARY KEY (model_id, param_key),  CONSTRAINT fk_logged_model_params_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id),  CONSTRAINT fk_logged_model_params_model_id FOREIGN KEY(model_id) REFERENCES logged_models (model_id) ON DELETE CASCADE
);
CREATE TABLE logged_model_tags ( model_id VARCHAR(36) NOT NULL,  experiment_id INTEGER NOT NULL,  tag_key VARCHAR(255) NOT NULL,  tag_value TEXT NOT NULL,  CONSTRAINT logged_model_tags_pk PRIMARY KEY (model_id, tag_key),  CONSTRAINT fk_logged_model_tags_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id),  CONSTRAINT fk_logged_model_tags_model_id FOREIGN KEY(model_id) REFERENCES logged_models (model_id) ON DELETE CASCADE
);
CREATE TABLE logged_models ( model_id VARCHAR(36) NOT NULL,  experiment_id INTEGER NOT NULL,  name VARCHAR(500) NOT NULL,  artifact_location VARCHAR(1000) NOT NULL,  creation_timestamp_ms BIGINT NOT NULL,  last_updated_timestamp_ms BIGINT NOT NULL,  status INTEGER NOT NULL,  lifecycle_stage VARCHAR(32),  model_type VARCHAR(500),  source_run_id VARCHAR(32),  status_message VARCHAR(1000),  CONSTRAINT logged_models_pk PRIMARY KEY (model_id),  CONSTRAINT logged_models_lifecycle_stage_check CHECK (lifecycle_stage IN ('active', 'deleted')),  CONSTRAINT fk_logged_models_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id) ON DELETE CASCADE
);
CREATE TABLE "metrics" ( "key" VARCHAR(250) NOT NULL,  value FLOAT NOT NULL,  timestamp BIGINT NOT NULL,  run_uuid VARCHAR(32) NOT NULL,  step BIGINT DEFAULT '0' NOT NULL,  is_nan BOOLEAN DEFAULT '0' NOT NULL,  CONSTRAINT metric_pk PRIMARY KEY ("key", timestamp, step, run_uuid, value, is_nan),  FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid),  CHECK (is_nan IN (0, 1))
);
INSERT INTO "metrics" VALUES('m',1.5,1000,'ea090aa898ec4ae29bc2dc304a5ca637',0,0);
INSERT INTO "metrics" VALUES('m',0.0,1001,'ea090aa898ec4ae29bc2dc304a5ca637',1,1);
INSERT INTO "metrics" VALUES('m',-2.0,1002,'ea090aa898ec4ae29bc2dc304a5ca637',2,0);
CREATE TABLE "model_version_tags" ( "key" VARCHAR(250) NOT NULL,  value TEXT,  name VARCHAR(256) NOT NULL,  version INTEGER NOT NULL,  CONSTRAINT model_version_tag_pk PRIMARY KEY ("key", name, version),  FOREIGN KEY(name, version) REFERENCES model_versions (name, version) ON UPDATE CASCADE
);
INSERT INTO "model_version_tags" VALUES('a','b','mod',1);
CREATE TABLE "model_versions" ( name VARCHAR(256) NOT NULL,  version INTEGER NOT NULL,  creation_time BIGINT,  last_updated_time BIGINT,  description VARCHAR(5000),  user_id VARCHAR(256),  current_stage VARCHAR(20),  source VARCHAR(500),  run_id VARCHAR(32),  status VARCHAR(20),  status_message VARCHAR(500),  run_link VARCHAR(500), storage_location VARCHAR(500),  CONSTRAINT model_version_pk PRIMARY KEY (name, version),  FOREIGN KEY(name) REFERENCES registered_models (name) ON UPDATE CASCADE
);
INSERT INTO "model_versions" VALUES('mod',1,1795444295021,1795444295021,NULL,NULL,'None','s3://b/1',NULL,'READY',NULL,NULL,'s3://b/1');
CREATE TABLE "params" ( "key" VARCHAR(250) NOT NULL,  value VARCHAR(8000) NOT NULL,  run_uuid VARCHAR(32) NOT NULL,  CONSTRAINT param_pk PRIMARY KEY ("key", run_uuid),  FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid)
);
INSERT INTO "params" VALUES('p','v','ea090aa898ec4ae29bc2dc304a5ca637');
CREATE TABLE registered_model_aliases ( alias VARCHAR(256) NOT NULL,  version INTEGER NOT NULL,  name VARCHAR(256) NOT NULL,  CONSTRAINT registered_model_alias_pk PRIMARY KEY (name, alias),  CONSTRAINT registered_model_alias_name_fkey FOREIGN KEY(name) REFERENCES registered_models (name) ON DELETE cascade ON UPDATE cascade
);
INSERT INTO "registered_model_aliases" VALUES('champ',1,'mod');
CREATE TABLE registered_model_tags ( "key" VARCHAR(250) NOT NULL,  value VARCHAR(5000),  name VARCHAR(256) NOT NULL,  CONSTRAINT registered_model_tag_pk PRIMARY KEY ("key", name),  FOREIGN KEY(name) REFERENCES registered_models (name) ON UPDATE cascade
);
INSERT INTO "registered_model_tags" VALUES('k','v','mod');
CREATE TABLE registered_models ( name VARCHAR(256) NOT NULL,  creation_time BIGINT,  last_updated_time BIGINT,  description VARCHAR(5000),  CONSTRAINT registered_model_pk PRIMARY KEY (name),  UNIQUE (name)
);
INSERT INTO "registered_models" VALUES('mod',1795444294991,1795444295021,'desc');
CREATE TABLE "runs" ( run_uuid VARCHAR(32) NOT NULL,  name VARCHAR(250),  source_type VARCHAR(20),  source_name VARCHAR(500),  entry_point_name VARCHAR(50),  user_id VARCHAR(256),  status VARCHAR(9),  start_time BIGINT,  end_time BIGINT,  source_version VARCHAR(50),  lifecycle_stage VARCHAR(20),  artifact_uri VARCHAR(200),  experiment_id INTEGER, deleted_time BIGINT,  CONSTRAINT run_pk PRIMARY KEY (run_uuid),  CONSTRAINT runs_lifecycle_stage CHECK (lifecycle_stage IN ('active', 'deleted')),  CONSTRAINT source_type CHECK (source_type IN ('NOTEBOOK', 'JOB', 'LOCAL', 'UNKNOWN', 'PROJECT')),  FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id),  CHECK (status IN ('SCHEDULED', 'FAILED', 'FINISHED', 'RUNNING', 'KILLED'))
);
INSERT INTO "runs" VALUES('ea090aa898ec4ae29bc2dc304a5ca637','first','UNKNOWN','','','unknown','FINISHED',1795444294630,1795444294935,'','active','/nowhere/1/ea090aa898ec4ae29bc2dc304a5ca637/artifacts',1,NULL);
CREATE TABLE scorer_versions ( scorer_id VARCHAR(36) NOT NULL,  scorer_version INTEGER NOT NULL,  serialized_scorer TEXT NOT NULL,  creation_time BIGINT,  CONSTRAINT scorer_version_pk PRIMARY KEY (scorer_id, scorer_version),  CONSTRAINT fk_scorer_versions_scorer_id FOREIGN KEY(scorer_id) REFERENCES scorers (scorer_id) ON DELETE CASCADE
);
CREATE TABLE scorers ( experiment_id INTEGER NOT NULL,  scorer_name VARCHAR(256) NOT NULL,  scorer_id VARCHAR(36) NOT NULL,  CONSTRAINT scorer_pk PRIMARY KEY (scorer_id),  CONSTRAINT fk_scorers_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id) ON DELETE CASCADE
);
CREATE TABLE spans ( trace_id VARCHAR(50) NOT NULL,  experiment_id INTEGER NOT NULL,  span_id VARCHAR(50) NOT NULL,  parent_span_id VARCHAR(50),  name TEXT,  type VARCHAR(500),  status VARCHAR(50) NOT NULL,  start_time_unix_nano BIGINT NOT NULL,  end_time_unix_nano BIGINT,  duration_ns BIGINT GENERATED ALWAYS AS (end_time_unix_nano - start_time_unix_nano) STORED,  content TEXT NOT NULL,  CONSTRAINT spans_pk PRIMARY KEY (trace_id, span_id),  CONSTRAINT fk_spans_trace_id FOREIGN KEY(trace_id) REFERENCES trace_info (request_id) ON DELETE CASCADE,  CONSTRAINT fk_spans_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id)
);
INSERT INTO "spans" VALUES('tr-9a023fd629485900708589fc91427677',1,'bef28bc24951902f','0386184dd52f1926','inner','UNKNOWN','OK',1795444297490650183,1795444297490921745,'{"trace_id": "mgI/1ilIWQBwhYn8kUJ2dw==", "span_id": "vvKLwklRkC8=", "parent_span_id": "A4YYTdUvGSY=", "name": "inner", "start_time_unix_nano": 1795444297490650183, "end_time_unix_nano": 1795444297490921745, "events": [], "status": {"code": "STATUS_CODE_OK", "message": ""}, "attributes": {"mlflow.traceRequestId": "\"tr-9a023fd629485900708589fc91427677\"", "mlflow.spanType": "\"UNKNOWN\"", "mlflow.llm.model": "\"gpt\"", "mlflow.spanFunctionName": "\"inner\"", "mlflow.spanInputs": "{\"x\": 1}", "mlflow.spanOutputs": "1"}}');
INSERT INTO "spans" VALUES('tr-9a023fd629485900708589fc91427677',1,'0386184dd52f1926',NULL,'outer','UNKNOWN','OK',1795444296826471097,1795444297683618672,'{"trace_id": "mgI/1ilIWQBwhYn8kUJ2dw==", "span_id": "A4YYTdUvGSY=", "parent_span_id": null, "name": "outer", "start_time_unix_nano": 1795444296826471097, "end_time_unix_nano": 1795444297683618672, "events": [], "status": {"code": "STATUS_CODE_OK", "message": ""}, "attributes": {"mlflow.traceRequestId": "\"tr-9a023fd629485900708589fc91427677\"", "mlflow.spanType": "\"UNKNOWN\"", "mlflow.spanFunctionName": "\"outer\"", "mlflow.spanInputs": "{\"x\": 1}", "mlflow.spanOutputs": "1"}}');
CREATE TABLE "tags" ( "key" VARCHAR(250) NOT NULL,  value VARCHAR(8000),  run_uuid VARCHAR(32) NOT NULL,  CONSTRAINT tag_pk PRIMARY KEY ("key", run_uuid),  FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid)
);
INSERT INTO "tags" VALUES('mlflow.runName','first','ea090aa898ec4ae29bc2dc304a5ca637');
INSERT INTO "tags" VALUES('t','it''s','ea090aa898ec4ae29bc2dc304a5ca637');
CREATE TABLE trace_info ( request_id VARCHAR(50) NOT NULL,  experiment_id INTEGER NOT NULL,  timestamp_ms BIGINT NOT NULL,  execution_time_ms BIGINT,  status VARCHAR(50) NOT NULL, client_request_id VARCHAR(50), request_preview VARCHAR(1000), response_preview VARCHAR(1000),  CONSTRAINT trace_info_pk PRIMARY KEY (request_id),  CONSTRAINT fk_trace_info_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id)
);
INSERT INTO "trace_info" VALUES('tr-9a023fd629485900708589fc91427677',1,1795444296826,857,'OK',NULL,'{"x": 1}','1');
CREATE TABLE "trace_request_metadata" ( "key" VARCHAR(250) NOT NULL,  value VARCHAR(8000),  request_id VARCHAR(50) NOT NULL,  CONSTRAINT trace_request_metadata_pk PRIMARY KEY ("key", request_id),  CONSTRAINT fk_trace_request_metadata_request_id FOREIGN KEY(request_id) REFERENCES trace_info (request_id) ON DELETE CASCADE
);
INSERT INTO "trace_request_metadata" VALUES('mlflow.user','root','tr-9a023fd629485900708589fc91427677');
INSERT INTO "trace_request_metadata" VALUES('mlflow.source.name','lite.py','tr-9a023fd629485900708589fc91427677');
INSERT INTO "trace_request_metadata" VALUES('mlflow.source.type','LOCAL','tr-9a023fd629485900708589fc91427677');
INSERT INTO "trace_request_metadata" VALUES('mlflow.source.git.commit','','tr-9a023fd629485900708589fc91427677');
INSERT INTO "trace_request_metadata" VALUES('mlflow.source.git.repoURL','','tr-9a023fd629485900708589fc91427677');
INSERT INTO "trace_request_metadata" VALUES('mlflow.source.git.branch','','tr-9a023fd629485900708589fc91427677');
INSERT INTO "trace_request_metadata" VALUES('mlflow.trace_schema.version','3','tr-9a023fd629485900708589fc91427677');
INSERT INTO "trace_request_metadata" VALUES('mlflow.trace.session','s1','tr-9a023fd629485900708589fc91427677');
INSERT INTO "trace_request_metadata" VALUES('mlflow.trace.tokenUsage','{"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}','tr-9a023fd629485900708589fc91427677');
INSERT INTO "trace_request_metadata" VALUES('mlflow.traceInputs','{"x": 1}','tr-9a023fd629485900708589fc91427677');
INSERT INTO "trace_request_metadata" VALUES('mlflow.traceOutputs','1','tr-9a023fd629485900708589fc91427677');
INSERT INTO "trace_request_metadata" VALUES('mlflow.trace.sizeStats','{"total_size_bytes": 1802, "num_spans": 2, "max": 524, "p25": 493, "p50": 503, "p75": 513}','tr-9a023fd629485900708589fc91427677');
INSERT INTO "trace_request_metadata" VALUES('mlflow.trace.sizeBytes','1802','tr-9a023fd629485900708589fc91427677');
CREATE TABLE "trace_tags" ( "key" VARCHAR(250) NOT NULL,  value VARCHAR(8000),  request_id VARCHAR(50) NOT NULL,  CONSTRAINT trace_tag_pk PRIMARY KEY ("key", request_id),  CONSTRAINT fk_trace_tags_request_id FOREIGN KEY(request_id) REFERENCES trace_info (request_id) ON DELETE CASCADE
);
INSERT INTO "trace_tags" VALUES('mlflow.artifactLocation','/nowhere/1/traces/tr-9a023fd629485900708589fc91427677/artifacts','tr-9a023fd629485900708589fc91427677');
INSERT INTO "trace_tags" VALUES('mlflow.traceName','outer','tr-9a023fd629485900708589fc91427677');
CREATE TABLE webhook_events ( webhook_id VARCHAR(256) NOT NULL,  entity VARCHAR(50) NOT NULL,  action VARCHAR(50) NOT NULL,  CONSTRAINT webhook_event_pk PRIMARY KEY (webhook_id, entity, action),  FOREIGN KEY(webhook_id) REFERENCES webhooks (webhook_id) ON DELETE cascade
);
CREATE TABLE webhooks ( webhook_id VARCHAR(256) NOT NULL,  name VARCHAR(256) NOT NULL,  description VARCHAR(1000),  url VARCHAR(500) NOT NULL,  status VARCHAR(20) DEFAULT 'ACTIVE' NOT NULL,  secret VARCHAR(1000),  creation_timestamp BIGINT,  last_updated_timestamp BIGINT,  deleted_timestamp BIGINT,  CONSTRAINT webhook_pk PRIMARY KEY (webhook_id)
);
CREATE INDEX index_metrics_run_uuid ON metrics (run_uuid);
CREATE INDEX index_latest_metrics_run_uuid ON latest_metrics (run_uuid);
CREATE INDEX index_inputs_input_uuid ON inputs (input_uuid);
CREATE INDEX index_inputs_destination_type_destination_id_source_type ON inputs (destination_type, destination_id, source_type);
CREATE INDEX index_params_run_uuid ON params (run_uuid);
CREATE INDEX index_trace_info_experiment_id_timestamp_ms ON trace_info (experiment_id, timestamp_ms);
CREATE INDEX index_trace_tags_request_id ON trace_tags (request_id);
CREATE INDEX index_trace_request_metadata_request_id ON trace_request_metadata (request_id);
CREATE INDEX index_tags_run_uuid ON tags (run_uuid);
CREATE INDEX index_datasets_experiment_id_dataset_source_type ON datasets (experiment_id, dataset_source_type);
CREATE INDEX index_datasets_dataset_uuid ON datasets (dataset_uuid);
CREATE INDEX index_logged_model_metrics_model_id ON logged_model_metrics (model_id);
CREATE INDEX index_assessments_trace_id_created_timestamp ON assessments (trace_id, created_timestamp);
CREATE INDEX index_assessments_run_id_created_timestamp ON assessments (run_id, created_timestamp);
CREATE INDEX index_assessments_last_updated_timestamp ON assessments (last_updated_timestamp);
CREATE INDEX index_assessments_assessment_type ON assessments (assessment_type);
CREATE INDEX index_spans_experiment_id ON spans (experiment_id);
CREATE INDEX index_spans_experiment_id_status_type ON spans (experiment_id, status, type);
CREATE INDEX index_spans_experiment_id_type_status ON spans (experiment_id, type, status);
CREATE INDEX index_spans_experiment_id_duration ON spans (experiment_id, duration_ns);
CREATE INDEX index_entity_associations_association_id ON entity_associations (association_id);
CREATE INDEX index_entity_associations_reverse_lookup ON entity_associations (destination_type, destination_id, source_type, source_id);
CREATE INDEX idx_webhooks_status ON webhooks (status);
CREATE INDEX idx_webhooks_name ON webhooks (name);
CREATE INDEX idx_webhook_events_entity ON webhook_events (entity);
CREATE INDEX idx_webhook_events_action ON webhook_events (action);
CREATE INDEX idx_webhook_events_entity_action ON webhook_events (entity, action);
CREATE UNIQUE INDEX index_scorers_experiment_id_scorer_name ON scorers (experiment_id, scorer_name);
CREATE INDEX index_scorer_versions_scorer_id ON scorer_versions (scorer_id);
CREATE INDEX index_evaluation_datasets_name ON evaluation_datasets (name);
CREATE INDEX index_evaluation_datasets_created_time ON evaluation_datasets (created_time);
CREATE INDEX index_evaluation_dataset_tags_dataset_id ON evaluation_dataset_tags (dataset_id);
CREATE INDEX index_evaluation_dataset_records_dataset_id ON evaluation_dataset_records (dataset_id);
CREATE INDEX index_jobs_function_status_creation_time ON jobs (function_fullname, status, creation_time);
COMMIT;
