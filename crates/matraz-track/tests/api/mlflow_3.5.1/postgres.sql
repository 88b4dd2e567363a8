-- A store of MLflow 3.5.1 with a little of everything.
CREATE TABLE alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE assessments (
    assessment_id character varying(50) NOT NULL,
    trace_id character varying(50) NOT NULL,
    name character varying(250) NOT NULL,
    assessment_type character varying(20) NOT NULL,
    value text NOT NULL,
    error text,
    created_timestamp bigint NOT NULL,
    last_updated_timestamp bigint NOT NULL,
    source_type character varying(50) NOT NULL,
    source_id character varying(250),
    run_id character varying(32),
    span_id character varying(50),
    rationale text,
    overrides character varying(50),
    valid boolean NOT NULL,
    assessment_metadata text
);
CREATE TABLE datasets (
    dataset_uuid character varying(36) NOT NULL,
    experiment_id integer NOT NULL,
    name character varying(500) NOT NULL,
    digest character varying(36) NOT NULL,
    dataset_source_type character varying(36) NOT NULL,
    dataset_source text NOT NULL,
    dataset_schema text,
    dataset_profile text
);
CREATE TABLE entity_associations (
    association_id character varying(36) NOT NULL,
    source_type character varying(36) NOT NULL,
    source_id character varying(36) NOT NULL,
    destination_type character varying(36) NOT NULL,
    destination_id character varying(36) NOT NULL,
    created_time bigint
);
CREATE TABLE evaluation_dataset_records (
    dataset_record_id character varying(36) NOT NULL,
    dataset_id character varying(36) NOT NULL,
    inputs json NOT NULL,
    expectations json,
    tags json,
    source json,
    source_id character varying(36),
    source_type character varying(255),
    created_time bigint,
    last_update_time bigint,
    created_by character varying(255),
    last_updated_by character varying(255),
    input_hash character varying(64) NOT NULL,
    outputs json
);
CREATE TABLE evaluation_dataset_tags (
    dataset_id character varying(36) NOT NULL,
    key character varying(255) NOT NULL,
    value character varying(5000)
);
CREATE TABLE evaluation_datasets (
    dataset_id character varying(36) NOT NULL,
    name character varying(255) NOT NULL,
    schema text,
    profile text,
    digest character varying(64),
    created_time bigint,
    last_update_time bigint,
    created_by character varying(255),
    last_updated_by character varying(255)
);
CREATE TABLE experiment_tags (
    key character varying(250) NOT NULL,
    value character varying(5000),
    experiment_id integer NOT NULL
);
CREATE TABLE experiments (
    experiment_id integer NOT NULL,
    name character varying(256) NOT NULL,
    artifact_location character varying(256),
    lifecycle_stage character varying(32),
    creation_time bigint,
    last_update_time bigint,
    CONSTRAINT experiments_lifecycle_stage CHECK (((lifecycle_stage)::text = ANY ((ARRAY['active'::character varying, 'deleted'::character varying])::text[])))
);
CREATE SEQUENCE experiments_experiment_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE experiments_experiment_id_seq OWNED BY experiments.experiment_id;
CREATE TABLE input_tags (
    input_uuid character varying(36) NOT NULL,
    name character varying(255) NOT NULL,
    value character varying(500) NOT NULL
);
CREATE TABLE inputs (
    input_uuid character varying(36) NOT NULL,
    source_type character varying(36) NOT NULL,
    source_id character varying(36) NOT NULL,
    destination_type character varying(36) NOT NULL,
    destination_id character varying(36) NOT NULL,
    step bigint DEFAULT '0'::bigint NOT NULL
);
CREATE TABLE jobs (
    id character varying(36) NOT NULL,
    creation_time bigint NOT NULL,
    function_fullname character varying(500) NOT NULL,
    params text NOT NULL,
    timeout double precision,
    status integer NOT NULL,
    result text,
    retry_count integer NOT NULL,
    last_update_time bigint NOT NULL
);
CREATE TABLE latest_metrics (
    key character varying(250) NOT NULL,
    value double precision NOT NULL,
    "timestamp" bigint,
    step bigint NOT NULL,
    is_nan boolean NOT NULL,
    run_uuid character varying(32) NOT NULL
);
CREATE TABLE logged_model_metrics (
    model_id character varying(36) NOT NULL,
    metric_name character varying(500) NOT NULL,
    metric_timestamp_ms bigint NOT NULL,
    metric_step bigint NOT NULL,
    metric_value double precision,
    experiment_id integer NOT NULL,
    run_id character varying(32) NOT NULL,
    dataset_uuid character varying(36),
    dataset_name character varying(500),
    dataset_digest character varying(36)
);
CREATE TABLE logged_model_params (
    model_id character varying(36) NOT NULL,
    experiment_id integer NOT NULL,
    param_key character varying(255) NOT NULL,
    param_value text NOT NULL
);
CREATE TABLE logged_model_tags (
    model_id character varying(36) NOT NULL,
    experiment_id integer NOT NULL,
    tag_key character varying(255) NOT NULL,
    tag_value text NOT NULL
);
CREATE TABLE logged_models (
    model_id character varying(36) NOT NULL,
    experiment_id integer NOT NULL,
    name character varying(500) NOT NULL,
    artifact_location character varying(1000) NOT NULL,
    creation_timestamp_ms bigint NOT NULL,
    last_updated_timestamp_ms bigint NOT NULL,
    status integer NOT NULL,
    lifecycle_stage character varying(32),
    model_type character varying(500),
    source_run_id character varying(32),
    status_message character varying(1000),
    CONSTRAINT logged_models_lifecycle_stage_check CHECK (((lifecycle_stage)::text = ANY ((ARRAY['active'::character varying, 'deleted'::character varying])::text[])))
);
CREATE TABLE metrics (
    key character varying(250) NOT NULL,
    value double precision NOT NULL,
    "timestamp" bigint NOT NULL,
    run_uuid character varying(32) NOT NULL,
    step bigint DEFAULT '0'::bigint NOT NULL,
    is_nan boolean DEFAULT false NOT NULL
);
CREATE TABLE model_version_tags (
    key character varying(250) NOT NULL,
    value text,
    name character varying(256) NOT NULL,
    version integer NOT NULL
);
CREATE TABLE model_versions (
    name character varying(256) NOT NULL,
    version integer NOT NULL,
    creation_time bigint,
    last_updated_time bigint,
    description character varying(5000),
    user_id character varying(256),
    current_stage character varying(20),
    source character varying(500),
    run_id character varying(32),
    status character varying(20),
    status_message character varying(500),
    run_link character varying(500),
    storage_location character varying(500)
);
CREATE TABLE params (
    key character varying(250) NOT NULL,
    value character varying(8000) NOT NULL,
    run_uuid character varying(32) NOT NULL
);
CREATE TABLE registered_model_aliases (
    alias character varying(256) NOT NULL,
    version integer NOT NULL,
    name character varying(256) NOT NULL
);
CREATE TABLE registered_model_tags (
    key character varying(250) NOT NULL,
    value character varying(5000),
    name character varying(256) NOT NULL
);
CREATE TABLE registered_models (
    name character varying(256) NOT NULL,
    creation_time bigint,
    last_updated_time bigint,
    description character varying(5000)
);
CREATE TABLE runs (
    run_uuid character varying(32) NOT NULL,
    name character varying(250),
    source_type character varying(20),
    source_name character varying(500),
    entry_point_name character varying(50),
    user_id character varying(256),
    status character varying(9),
    start_time bigint,
    end_time bigint,
    source_version character varying(50),
    lifecycle_stage character varying(20),
    artifact_uri character varying(200),
    experiment_id integer,
    deleted_time bigint,
    CONSTRAINT runs_lifecycle_stage CHECK (((lifecycle_stage)::text = ANY ((ARRAY['active'::character varying, 'deleted'::character varying])::text[]))),
    CONSTRAINT runs_status_check CHECK (((status)::text = ANY ((ARRAY['SCHEDULED'::character varying, 'FAILED'::character varying, 'FINISHED'::character varying, 'RUNNING'::character varying, 'KILLED'::character varying])::text[]))),
    CONSTRAINT source_type CHECK (((source_type)::text = ANY ((ARRAY['NOTEBOOK'::character varying, 'JOB'::character varying, 'LOCAL'::character varying, 'UNKNOWN'::character varying, 'PROJECT'::character varying])::text[])))
);
CREATE TABLE scorer_versions (
    scorer_id character varying(36) NOT NULL,
    scorer_version integer NOT NULL,
    serialized_scorer text NOT NULL,
    creation_time bigint
);
CREATE TABLE scorers (
    experiment_id integer NOT NULL,
    scorer_name character varying(256) NOT NULL,
    scorer_id character varying(36) NOT NULL
);
CREATE TABLE spans (
    trace_id character varying(50) NOT NULL,
    experiment_id integer NOT NULL,
    span_id character varying(50) NOT NULL,
    parent_span_id character varying(50),
    name text,
    type character varying(500),
    status character varying(50) NOT NULL,
    start_time_unix_nano bigint NOT NULL,
    end_time_unix_nano bigint,
    duration_ns bigint GENERATED ALWAYS AS ((end_time_unix_nano - start_time_unix_nano)) STORED,
    content text NOT NULL
);
CREATE TABLE tags (
    key character varying(250) NOT NULL,
    value character varying(8000),
    run_uuid character varying(32) NOT NULL
);
CREATE TABLE trace_info (
    request_id character varying(50) NOT NULL,
    experiment_id integer NOT NULL,
    timestamp_ms bigint NOT NULL,
    execution_time_ms bigint,
    status character varying(50) NOT NULL,
    client_request_id character varying(50),
    request_preview character varying(1000),
    response_preview character varying(1000)
);
CREATE TABLE trace_request_metadata (
    key character varying(250) NOT NULL,
    value character varying(8000),
    request_id character varying(50) NOT NULL
);
CREATE TABLE trace_tags (
    key character varying(250) NOT NULL,
    value character varying(8000),
    request_id character varying(50) NOT NULL
);
CREATE TABLE webhook_events (
    webhook_id character varying(256) NOT NULL,
    entity character varying(50) NOT NULL,
    action character varying(50) NOT NULL
);
CREATE TABLE webhooks (
    webhook_id character varying(256) NOT NULL,
    name character varying(256) NOT NULL,
    description character varying(1000),
    url character varying(500) NOT NULL,
    status character varying(20) DEFAULT 'ACTIVE'::character varying NOT NULL,
    secret character varying(1000),
    creation_timestamp bigint,
    last_updated_timestamp bigint,
    deleted_timestamp bigint
);
ALTER TABLE ONLY experiments ALTER COLUMN experiment_id SET DEFAULT nextval('experiments_experiment_id_seq'::regclass);
INSERT INTO alembic_version VALUES ('bf29a5ff90ea');
INSERT INTO assessments VALUES ('a-1cd9b6b269e84005b202209d47d5f44c', 'tr-b487934021e63a3838d7a8908fb603e4', 'q', 'feedback', '0.5', NULL, 1795444330209, 1795444330209, 'CODE', 'default', NULL, NULL, NULL, NULL, true, NULL);
INSERT INTO assessments VALUES ('a-1c8f955627e34f3e9a4bec72f53b727f', 'tr-b487934021e63a3838d7a8908fb603e4', 'r', 'feedback', '"yes"', NULL, 1795444330248, 1795444330248, 'CODE', 'default', NULL, NULL, NULL, NULL, true, NULL);
INSERT INTO datasets VALUES ('3d367fdd12064006b4f2667adaf6f729', 1, 'd', 'abc', 'local', '{}', NULL, NULL);
INSERT INTO experiment_tags VALUES ('team', 'a', 1);
INSERT INTO experiments VALUES (0, 'Default', '/old/mlruns/0', 'active', 1795444323268, 1795444323268);
INSERT INTO experiments VALUES (1, 'old one', '/nowhere/1', 'active', 1795444323292, 1795444323292);
INSERT INTO input_tags VALUES ('d78f8d2e520f4a0bbb51738b74a564c0', 'mlflow.data.context', 'train');
INSERT INTO inputs VALUES ('d78f8d2e520f4a0bbb51738b74a564c0', 'DATASET', '3d367fdd12064006b4f2667adaf6f729', 'RUN', '0b4fea8019a04ae89e7b36791f28c070', 0);
INSERT INTO latest_metrics VALUES ('m', -2, 1002, 2, false, '0b4fea8019a04ae89e7b36791f28c070');
INSERT INTO metrics VALUES ('m', 1.5, 1000, '0b4fea8019a04ae89e7b36791f28c070', 0, false);
INSERT INTO metrics VALUES ('m', 0, 1001, '0b4fea8019a04ae89e7b36791f28c070', 1, true);
INSERT INTO metrics VALUES ('m', -2, 1002, '0b4fea8019a04ae89e7b36791f28c070', 2, false);
INSERT INTO model_version_tags VALUES ('a', 'b', 'mod', 1);
INSERT INTO model_versions VALUES ('mod', 1, 1795444324917, 1795444324917, NULL, NULL, 'None', 's3://b/1', NULL, 'READY', NULL, NULL, 's3://b/1');
INSERT INTO params VALUES ('p', 'v', '0b4fea8019a04ae89e7b36791f28c070');
INSERT INTO registered_model_aliases VALUES ('champ', 1, 'mod');
INSERT INTO registered_model_tags VALUES ('k', 'v', 'mod');
INSERT INTO registered_models VALUES ('mod', 1795444324713, 1795444324917, 'desc');
INSERT INTO runs VALUES ('0b4fea8019a04ae89e7b36791f28c070', 'first', 'UNKNOWN', '', '', 'unknown', 'FINISHED', 1795444323384, 1795444323922, '', 'active', '/nowhere/1/0b4fea8019a04ae89e7b36791f28c070/artifacts', 1, NULL);
INSERT INTO spans VALUES ('tr-b487934021e63a3838d7a8908fb603e4', 1, '8d637e824ab00fe7', '30d5dd5dd5098a78', 'inner', 'UNKNOWN', 'OK', 1795444329116648159, 1795444329116951978, DEFAULT, '{"trace_id": "tIeTQCHmOjg416iQj7YD5A==", "span_id": "jWN+gkqwD+c=", "parent_span_id": "MNXdXdUJing=", "name": "inner", "start_time_unix_nano": 1795444329116648159, "end_time_unix_nano": 1795444329116951978, "events": [], "status": {"code": "STATUS_CODE_OK", "message": ""}, "attributes": {"mlflow.traceRequestId": "\"tr-b487934021e63a3838d7a8908fb603e4\"", "mlflow.spanType": "\"UNKNOWN\"", "mlflow.llm.model": "\"gpt\"", "mlflow.spanFunctionName": "\"inner\"", "mlflow.spanInputs": "{\"x\": 1}", "mlflow.spanOutputs": "1"}}');
INSERT INTO spans VALUES ('tr-b487934021e63a3838d7a8908fb603e4', 1, '30d5dd5dd5098a78', NULL, 'outer', 'UNKNOWN', 'OK', 1795444326789156504, 1795444329372584638, DEFAULT, '{"trace_id": "tIeTQCHmOjg416iQj7YD5A==", "span_id": "MNXdXdUJing=", "parent_span_id": null, "name": "outer", "start_time_unix_nano": 1795444326789156504, "end_time_unix_nano": 1795444329372584638, "events": [], "status": {"code": "STATUS_CODE_OK", "message": ""}, "attributes": {"mlflow.traceRequestId": "\"tr-b487934021e63a3838d7a8908fb603e4\"", "mlflow.spanType": "\"UNKNOWN\"", "mlflow.spanFunctionName": "\"outer\"", "mlflow.spanInputs": "{\"x\": 1}", "mlflow.spanOutputs": "1"}}');
INSERT INTO tags VALUES ('mlflow.runName', 'first', '0b4fea8019a04ae89e7b36791f28c070');
INSERT INTO tags VALUES ('t', 'it''s', '0b4fea8019a04ae89e7b36791f28c070');
INSERT INTO trace_info VALUES ('tr-b487934021e63a3838d7a8908fb603e4', 1, 1795444326789, 2583, 'OK', NULL, '{"x": 1}', '1');
INSERT INTO trace_request_metadata VALUES ('mlflow.user', 'root', 'tr-b487934021e63a3838d7a8908fb603e4');
INSERT INTO trace_request_metadata VALUES ('mlflow.source.name', 'lite.py', 'tr-b487934021e63a3838d7a8908fb603e4');
INSERT INTO trace_request_metadata VALUES ('mlflow.source.type', 'LOCAL', 'tr-b487934021e63a3838d7a8908fb603e4');
INSERT INTO trace_request_metadata VALUES ('mlflow.source.git.commit', '', 'tr-b487934021e63a3838d7a8908fb603e4');
INSERT INTO trace_request_metadata VALUES ('mlflow.source.git.repoURL', '', 'tr-b487934021e63a3838d7a8908fb603e4');
INSERT INTO trace_request_metadata VALUES ('mlflow.source.git.branch', '', 'tr-b487934021e63a3838d7a8908fb603e4');
INSERT INTO trace_request_metadata VALUES ('mlflow.trace_schema.version', '3', 'tr-b487934021e63a3838d7a8908fb603e4');
INSERT INTO trace_request_metadata VALUES ('mlflow.trace.session', 's1', 'tr-b487934021e63a3838d7a8908fb603e4');
INSERT INTO trace_request_metadata VALUES ('mlflow.trace.tokenUsage', '{"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}', 'tr-b487934021e63a3838d7a8908fb603e4');
INSERT INTO trace_request_metadata VALUES ('mlflow.traceInputs', '{"x": 1}', 'tr-b487934021e63a3838d7a8908fb603e4');
INSERT INTO trace_request_metadata VALUES ('mlflow.traceOutputs', '1', 'tr-b487934021e63a3838d7a8908fb603e4');
INSERT INTO trace_request_metadata VALUES ('mlflow.trace.sizeStats', '{"total_size_bytes": 1803, "num_spans": 2, "max": 524, "p25": 493, "p50": 503, "p75": 513}', 'tr-b487934021e63a3838d7a8908fb603e4');
INSERT INTO trace_request_metadata VALUES ('mlflow.trace.sizeBytes', '1803', 'tr-b487934021e63a3838d7a8908fb603e4');
INSERT INTO trace_tags VALUES ('mlflow.artifactLocation', '/nowhere/1/traces/tr-b487934021e63a3838d7a8908fb603e4/artifacts', 'tr-b487934021e63a3838d7a8908fb603e4');
INSERT INTO trace_tags VALUES ('mlflow.traceName', 'outer', 'tr-b487934021e63a3838d7a8908fb603e4');
SELECT pg_catalog.setval('experiments_experiment_id_seq', 1, true);
ALTER TABLE alembic_version ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE assessments ADD CONSTRAINT assessments_pk PRIMARY KEY (assessment_id);
ALTER TABLE datasets ADD CONSTRAINT dataset_pk PRIMARY KEY (experiment_id, name, digest);
ALTER TABLE entity_associations ADD CONSTRAINT entity_associations_pk PRIMARY KEY (source_type, source_id, destination_type, destination_id);
ALTER TABLE evaluation_dataset_records ADD CONSTRAINT evaluation_dataset_records_pk PRIMARY KEY (dataset_record_id);
ALTER TABLE evaluation_dataset_tags ADD CONSTRAINT evaluation_dataset_tags_pk PRIMARY KEY (dataset_id, key);
ALTER TABLE evaluation_datasets ADD CONSTRAINT evaluation_datasets_pk PRIMARY KEY (dataset_id);
ALTER TABLE experiments ADD CONSTRAINT experiment_pk PRIMARY KEY (experiment_id);
ALTER TABLE experiment_tags ADD CONSTRAINT experiment_tag_pk PRIMARY KEY (key, experiment_id);
ALTER TABLE experiments ADD CONSTRAINT experiments_name_key UNIQUE (name);
ALTER TABLE input_tags ADD CONSTRAINT input_tags_pk PRIMARY KEY (input_uuid, name);
ALTER TABLE inputs ADD CONSTRAINT inputs_pk PRIMARY KEY (source_type, source_id, destination_type, destination_id);
ALTER TABLE jobs ADD CONSTRAINT jobs_pk PRIMARY KEY (id);
ALTER TABLE latest_metrics ADD CONSTRAINT latest_metric_pk PRIMARY KEY (key, run_uuid);
ALTER TABLE logged_model_metrics ADD CONSTRAINT logged_model_metrics_pk PRIMARY KEY (model_id, metric_name, metric_timestamp_ms, metric_step, run_id);
ALTER TABLE logged_model_params ADD CONSTRAINT logged_model_params_pk PRIMARY KEY (model_id, param_key);
ALTER TABLE logged_model_tags ADD CONSTRAINT logged_model_tags_pk PRIMARY KEY (model_id, tag_key);
ALTER TABLE logged_models ADD CONSTRAINT logged_models_pk PRIMARY KEY (model_id);
ALTER TABLE metrics ADD CONSTRAINT metric_pk PRIMARY KEY (key, "timestamp", step, run_uuid, value, is_nan);
ALTER TABLE model_versions ADD CONSTRAINT model_version_pk PRIMARY KEY (name, version);
ALTER TABLE model_version_tags ADD CONSTRAINT model_version_tag_pk PRIMARY KEY (key, name, version);
ALTER TABLE params ADD CONSTRAINT param_pk PRIMARY KEY (key, run_uuid);
ALTER TABLE registered_model_aliases ADD CONSTRAINT registered_model_alias_pk PRIMARY KEY (name, alias);
ALTER TABLE registered_models ADD CONSTRAINT registered_model_pk PRIMARY KEY (name);
ALTER TABLE registered_model_tags ADD CONSTRAINT registered_model_tag_pk PRIMARY KEY (key, name);
ALTER TABLE runs ADD CONSTRAINT run_pk PRIMARY KEY (run_uuid);
ALTER TABLE scorers ADD CONSTRAINT scorer_pk PRIMARY KEY (scorer_id);
ALTER TABLE scorer_versions ADD CONSTRAINT scorer_version_pk PRIMARY KEY (scorer_id, scorer_version);
ALTER TABLE spans ADD CONSTRAINT spans_pk PRIMARY KEY (trace_id, span_id);
ALTER TABLE tags ADD CONSTRAINT tag_pk PRIMARY KEY (key, run_uuid);
ALTER TABLE trace_info ADD CONSTRAINT trace_info_pk PRIMARY KEY (request_id);
ALTER TABLE trace_request_metadata ADD CONSTRAINT trace_request_metadata_pk PRIMARY KEY (key, request_id);
ALTER TABLE trace_tags ADD CONSTRAINT trace_tag_pk PRIMARY KEY (key, request_id);
ALTER TABLE evaluation_dataset_records ADD CONSTRAINT unique_dataset_input UNIQUE (dataset_id, input_hash);
ALTER TABLE webhook_events ADD CONSTRAINT webhook_event_pk PRIMARY KEY (webhook_id, entity, action);
ALTER TABLE webhooks ADD CONSTRAINT webhook_pk PRIMARY KEY (webhook_id);
CREATE INDEX idx_webhook_events_action ON webhook_events USING btree (action);
CREATE INDEX idx_webhook_events_entity ON webhook_events USING btree (entity);
CREATE INDEX idx_webhook_events_entity_action ON webhook_events USING btree (entity, action);
CREATE INDEX idx_webhooks_name ON webhooks USING btree (name);
CREATE INDEX idx_webhooks_status ON webhooks USING btree (status);
CREATE INDEX index_assessments_assessment_type ON assessments USING btree (assessment_type);
CREATE INDEX index_assessments_last_updated_timestamp ON assessments USING btree (last_updated_timestamp);
CREATE INDEX index_assessments_run_id_created_timestamp ON assessments USING btree (run_id, created_timestamp);
CREATE INDEX index_assessments_trace_id_created_timestamp ON assessments USING btree (trace_id, created_timestamp);
CREATE INDEX index_datasets_dataset_uuid ON datasets USING btree (dataset_uuid);
CREATE INDEX index_datasets_experiment_id_dataset_source_type ON datasets USING btree (experiment_id, dataset_source_type);
CREATE INDEX index_entity_associations_association_id ON entity_associations USING btree (association_id);
CREATE INDEX index_entity_associations_reverse_lookup ON entity_associations USING btree (destination_type, destination_id, source_type, source_id);
CREATE INDEX index_evaluation_dataset_records_dataset_id ON evaluation_dataset_records USING btree (dataset_id);
CREATE INDEX index_evaluation_dataset_tags_dataset_id ON evaluation_dataset_tags USING btree (dataset_id);
CREATE INDEX index_evaluation_datasets_created_time ON evaluation_datasets USING btree (created_time);
CREATE INDEX index_evaluation_datasets_name ON evaluation_datasets USING btree (name);
CREATE INDEX index_inputs_destination_type_destination_id_source_type ON inputs USING btree (destination_type, destination_id, source_type);
CREATE INDEX index_inputs_input_uuid ON inputs USING btree (input_uuid);
CREATE INDEX index_jobs_function_status_creation_time ON jobs USING btree (function_fullname, status, creation_time);
CREATE INDEX index_latest_metrics_run_uuid ON latest_metrics USING btree (run_uuid);
CREATE INDEX index_logged_model_metrics_model_id ON logged_model_metrics USING btree (model_id);
CREATE INDEX index_metrics_run_uuid ON metrics USING btree (run_uuid);
CREATE INDEX index_params_run_uuid ON params USING btree (run_uuid);
CREATE INDEX index_scorer_versions_scorer_id ON scorer_versions USING btree (scorer_id);
CREATE UNIQUE INDEX index_scorers_experiment_id_scorer_name ON scorers USING btree (experiment_id, scorer_name);
CREATE INDEX index_spans_experiment_id ON spans USING btree (experiment_id);
CREATE INDEX index_spans_experiment_id_duration ON spans USING btree (experiment_id, duration_ns);
CREATE INDEX index_spans_experiment_id_status_type ON spans USING btree (experiment_id, status, type);
CREATE INDEX index_spans_experiment_id_type_status ON spans USING btree (experiment_id, type, status);
CREATE INDEX index_tags_run_uuid ON tags USING btree (run_uuid);
CREATE INDEX index_trace_info_experiment_id_timestamp_ms ON trace_info USING btree (experiment_id, timestamp_ms);
CREATE INDEX index_trace_request_metadata_request_id ON trace_request_metadata USING btree (request_id);
CREATE INDEX index_trace_tags_request_id ON trace_tags USING btree (request_id);
ALTER TABLE experiment_tags ADD CONSTRAINT experiment_tags_experiment_id_fkey FOREIGN KEY (experiment_id) REFERENCES experiments(experiment_id);
ALTER TABLE assessments ADD CONSTRAINT fk_assessments_trace_id FOREIGN KEY (trace_id) REFERENCES trace_info(request_id) ON DELETE CASCADE;
ALTER TABLE datasets ADD CONSTRAINT fk_datasets_experiment_id_experiments FOREIGN KEY (experiment_id) REFERENCES experiments(experiment_id) ON DELETE CASCADE;
ALTER TABLE evaluation_dataset_records ADD CONSTRAINT fk_evaluation_dataset_records_dataset_id FOREIGN KEY (dataset_id) REFERENCES evaluation_datasets(dataset_id) ON DELETE CASCADE;
ALTER TABLE evaluation_dataset_tags ADD CONSTRAINT fk_evaluation_dataset_tags_dataset_id FOREIGN KEY (dataset_id) REFERENCES evaluation_datasets(dataset_id) ON DELETE CASCADE;
ALTER TABLE logged_model_metrics ADD CONSTRAINT fk_logged_model_metrics_experiment_id FOREIGN KEY (experiment_id) REFERENCES experiments(experiment_id);
ALTER TABLE logged_model_metrics ADD CONSTRAINT fk_logged_model_metrics_model_id FOREIGN KEY (model_id) REFERENCES logged_models(model_id) ON DELETE CASCADE;
ALTER TABLE logged_model_metrics ADD CONSTRAINT fk_logged_model_metrics_run_id FOREIGN KEY (run_id) REFERENCES runs(run_uuid) ON DELETE CASCADE;
ALTER TABLE logged_model_params ADD CONSTRAINT fk_logged_model_params_experiment_id FOREIGN KEY (experiment_id) REFERENCES experiments(experiment_id);
ALTER TABLE logged_model_params ADD CONSTRAINT fk_logged_model_params_model_id FOREIGN KEY (model_id) REFERENCES logged_models(model_id) ON DELETE CASCADE;
ALTER TABLE logged_model_tags ADD CONSTRAINT fk_logged_model_tags_experiment_id FOREIGN KEY (experiment_id) REFERENCES experiments(experiment_id);
ALTER TABLE logged_model_tags ADD CONSTRAINT fk_logged_model_tags_model_id FOREIGN KEY (model_id) REFERENCES logged_models(model_id) ON DELETE CASCADE;
ALTER TABLE logged_models ADD CONSTRAINT fk_logged_models_experiment_id FOREIGN KEY (experiment_id) REFERENCES experiments(experiment_id) ON DELETE CASCADE;
ALTER TABLE scorer_versions ADD CONSTRAINT fk_scorer_versions_scorer_id FOREIGN KEY (scorer_id) REFERENCES scorers(scorer_id) ON DELETE CASCADE;
ALTER TABLE scorers ADD CONSTRAINT fk_scorers_experiment_id FOREIGN KEY (experiment_id) REFERENCES experiments(experiment_id) ON DELETE CASCADE;
ALTER TABLE spans ADD CONSTRAINT fk_spans_experiment_id FOREIGN KEY (experiment_id) REFERENCES experiments(experiment_id);
ALTER TABLE spans ADD CONSTRAINT fk_spans_trace_id FOREIGN KEY (trace_id) REFERENCES trace_info(request_id) ON DELETE CASCADE;
ALTER TABLE trace_info ADD CONSTRAINT fk_trace_info_experiment_id FOREIGN KEY (experiment_id) REFERENCES experiments(experiment_id);
ALTER TABLE trace_request_metadata ADD CONSTRAINT fk_trace_request_metadata_request_id FOREIGN KEY (request_id) REFERENCES trace_info(request_id) ON DELETE CASCADE;
ALTER TABLE trace_tags ADD CONSTRAINT fk_trace_tags_request_id FOREIGN KEY (request_id) REFERENCES trace_info(request_id) ON DELETE CASCADE;
ALTER TABLE latest_metrics ADD CONSTRAINT latest_metrics_run_uuid_fkey FOREIGN KEY (run_uuid) REFERENCES runs(run_uuid);
ALTER TABLE metrics ADD CONSTRAINT metrics_run_uuid_fkey FOREIGN KEY (run_uuid) REFERENCES runs(run_uuid);
ALTER TABLE model_version_tags ADD CONSTRAINT model_version_tags_name_version_fkey FOREIGN KEY (name, version) REFERENCES model_versions(name, version) ON UPDATE CASCADE;
ALTER TABLE model_versions ADD CONSTRAINT model_versions_name_fkey FOREIGN KEY (name) REFERENCES registered_models(name) ON UPDATE CASCADE;
ALTER TABLE params ADD CONSTRAINT params_run_uuid_fkey FOREIGN KEY (run_uuid) REFERENCES runs(run_uuid);
ALTER TABLE registered_model_aliases ADD CONSTRAINT registered_model_alias_name_fkey FOREIGN KEY (name) REFERENCES registered_models(name) ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE registered_model_tags ADD CONSTRAINT registered_model_tags_name_fkey FOREIGN KEY (name) REFERENCES registered_models(name) ON UPDATE CASCADE;
ALTER TABLE runs ADD CONSTRAINT runs_experiment_id_fkey FOREIGN KEY (experiment_id) REFERENCES experiments(experiment_id);
ALTER TABLE tags ADD CONSTRAINT tags_run_uuid_fkey FOREIGN KEY (run_uuid) REFERENCES runs(run_uuid);
ALTER TABLE webhook_events ADD CONSTRAINT webhook_events_webhook_id_fkey FOREIGN KEY (webhook_id) REFERENCES webhooks(webhook_id) ON DELETE CASCADE;
