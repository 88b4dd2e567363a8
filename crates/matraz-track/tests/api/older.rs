//! Stores of older versions of MLflow: databases that are upgraded, and runs in files.

use std::path::Path;

use axum::http::Method;
use matraz_track::db::upgrade::{Backup, upgrade};
use matraz_track::db::{Db, Head, Statement, StoreUri};
use matraz_track::{Error, filestore};
use serde_json::json;

use crate::ON_POSTGRES;
use crate::fixture::{Fixture, empty_database, pairs};

/// A database that MLflow 3.5.1 made.
async fn old_store(folder: &Path) -> StoreUri {
    let uri = empty_database().await;
    let store = StoreUri::parse(&uri, folder).unwrap();
    if let StoreUri::Sqlite(path) = &store {
        // Rows come before the tables that they refer to.
        let script = format!("PRAGMA foreign_keys = false; {}", include_str!("mlflow_3.5.1/sqlite.sql"));
        rusqlite::Connection::open(path).unwrap().execute_batch(&script).unwrap();
    } else {
        let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(&uri).await.unwrap();
        let script = sqlx::raw_sql(include_str!("mlflow_3.5.1/postgres.sql"));
        script.execute(&mut connection).await.unwrap();
        sqlx::Connection::close(connection).await.unwrap();
    }
    store
}

/// What the database says of its tables, indexes and keys, in an order of its own.
async fn schema(store: &StoreUri) -> Vec<String> {
    let sql = if ON_POSTGRES {
        "SELECT concat_ws(' ', table_name, column_name, data_type, character_maximum_length, is_nullable, column_default) \
         FROM information_schema.columns WHERE table_schema = 'public' \
         UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' \
         UNION ALL SELECT concat(conrelid::regclass, ' ', conname, ' ', pg_get_constraintdef(oid)) FROM pg_constraint \
         WHERE connamespace = 'public'::regnamespace \
         UNION ALL SELECT tgname::text FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1"
    } else {
        "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name, sql"
    };
    let db = Db::open(store, Head::default()).await.unwrap();
    let rows = db.read().await.unwrap().rows(Statement::new(sql)).await.unwrap();
    let lines = rows.iter().map(|row| row.text(0).unwrap()).collect();
    db.close().await;
    lines
}

#[tokio::test]
async fn a_store_of_mlflow_3_5_becomes_one_of_today() {
    let folder = tempfile::tempdir().unwrap();
    let store = old_store(folder.path()).await;
    assert!(matches!(Db::open(&store, Head::default()).await, Err(Error::OlderStore { revision, .. }) if revision == "bf29a5ff90ea"));
    let backup = if ON_POSTGRES { Backup::No } else { Backup::In(folder.path().to_path_buf()) };
    // By way of MLflow 3.17.2, which is a schema of its own.
    let done = upgrade(&store, Head::Mlflow317, &backup).await.unwrap();
    assert_eq!((done.from.as_deref(), done.to), (Some("bf29a5ff90ea"), Head::Mlflow317));
    assert_eq!(done.backup.is_some_and(|copy| copy.exists()), !ON_POSTGRES);
    upgrade(&store, Head::Mlflow318, &backup).await.unwrap();
    let again = upgrade(&store, Head::Mlflow318, &backup).await.unwrap();
    assert_eq!((again.from.as_deref(), again.backup), (Some("f4a9b2c7d1e6"), None));
    assert!(matches!(upgrade(&store, Head::Mlflow317, &backup).await, Err(Error::NewerStore { .. })));

    let new = StoreUri::parse(&empty_database().await, &folder.path().join("")).unwrap();
    let new = match new {
        StoreUri::Sqlite(_) => StoreUri::Sqlite(folder.path().join("new.db")),
        other => other,
    };
    assert_eq!(schema(&store).await, schema(&new).await);

    let fixture = Fixture::on(&store.shown(), folder).await;
    let search = json!({"experiment_ids": ["1"], "filter": "metrics.m < 0 AND tags.t = 'it''s' AND dataset.name = 'd'"});
    let found = fixture.post("runs/search", search).await;
    assert_eq!(found["runs"][0]["info"]["run_name"], "first");
    assert_eq!(pairs(&found["runs"][0]["data"]["params"]), json!({"p": "v"}));
    let version = fixture.get("registered-models/alias?name=mod&alias=champ").await["model_version"].clone();
    assert_eq!((&version["version"], &version["tags"][0]["value"]), (&json!("1"), &json!("b")));
    assert_eq!(fixture.experiment("new").await, "2");

    let db = fixture.service.db();
    let sql = "SELECT t.trace_name, t.session_id, t.total_tokens, s.model_name, a.aggregate_value, b.aggregate_value, \
               (SELECT COUNT(*) FROM trace_request_metadata WHERE key IN ('mlflow.trace.session', 'mlflow.trace.tokenUsage')) \
               FROM trace_info t JOIN spans s ON s.trace_id = t.request_id JOIN assessments a ON a.trace_id = t.request_id \
               JOIN assessments b ON b.trace_id = t.request_id \
               WHERE s.name = 'outer' AND a.is_numeric_value = TRUE AND b.is_numeric_value = FALSE";
    let row = db.read().await.unwrap().row(Statement::new(sql)).await.unwrap().unwrap();
    assert_eq!(
        (row.text(0).unwrap().as_str(), row.text(1).unwrap().as_str(), row.int(2).unwrap()),
        ("outer", "s1", 7)
    );
    assert_eq!(row.text_or_null(3).unwrap(), None);
    assert_eq!((row.real(4).unwrap(), row.real(5).unwrap(), row.int(6).unwrap()), (0.5, 1.0, 0));
}

/// The store that a process of [`an_upgrade_that_is_killed_leaves_the_old_or_the_new_store`] upgrades.
const STORE_TO_UPGRADE: &str = "STORE_TO_UPGRADE";

#[tokio::test]
#[ignore = "is started as a process of its own, which is killed"]
async fn upgrade_in_a_process() {
    let uri = std::env::var(STORE_TO_UPGRADE).unwrap();
    upgrade(&StoreUri::parse(&uri, Path::new("/")).unwrap(), Head::default(), &Backup::No).await.unwrap();
}

#[tokio::test]
async fn an_upgrade_that_is_killed_leaves_the_old_or_the_new_store() {
    let start = |store: &StoreUri| {
        std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "older::upgrade_in_a_process"])
            .env(STORE_TO_UPGRADE, store.shown())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let store = old_store(folder.path()).await;
    let begin = std::time::Instant::now();
    assert!(start(&store).wait().unwrap().success());
    let (whole, expected) = (begin.elapsed(), schema(&store).await);
    let rounds = 10_u32;
    for round in 0..rounds {
        let folder = tempfile::tempdir().unwrap();
        let store = old_store(folder.path()).await;
        let mut process = start(&store);
        tokio::time::sleep(whole * (round + 1) / rounds).await;
        process.kill().unwrap();
        process.wait().unwrap();
        match Db::open(&store, Head::default()).await {
            Ok(db) => db.close().await,
            Err(Error::OlderStore { revision, .. }) => assert_eq!(revision, "bf29a5ff90ea"),
            Err(other) => panic!("killed after {round}/{rounds}: {other:?}"),
        }
        upgrade(&store, Head::default(), &Backup::No).await.unwrap();
        assert_eq!(schema(&store).await, expected, "killed after {round}/{rounds}");
        let fixture = Fixture::on(&store.shown(), folder).await;
        let found = fixture.post("runs/search", json!({"experiment_ids": ["1"]})).await;
        assert_eq!(pairs(&found["runs"][0]["data"]["params"]), json!({"p": "v"}));
    }
}

#[tokio::test]
async fn strange_stores_are_not_upgraded() {
    let folder = tempfile::tempdir().unwrap();
    let store = old_store(folder.path()).await;
    let change = async |sql: &str| {
        if let StoreUri::Sqlite(path) = &store {
            rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
        } else {
            let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(&store.shown()).await.unwrap();
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
            sqlx::Connection::close(connection).await.unwrap();
        }
    };
    change("ALTER TABLE runs ADD COLUMN mood VARCHAR(5)").await;
    let error = upgrade(&store, Head::default(), &Backup::No).await.unwrap_err();
    assert!(error.to_string().contains("'runs' has a column 'mood'"), "{error}");
    // Nothing was changed: without the column it goes.
    change("ALTER TABLE runs DROP COLUMN mood").await;
    change("CREATE TABLE songs (name VARCHAR(5)); INSERT INTO songs VALUES ('la')").await;
    upgrade(&store, Head::default(), &Backup::No).await.unwrap();
    let db = Db::open(&store, Head::default()).await.unwrap();
    let row = db.read().await.unwrap().row(Statement::new("SELECT name FROM songs")).await.unwrap();
    assert_eq!(row.unwrap().text(0).unwrap(), "la");
    change("UPDATE alembic_version SET version_num = 'abcdefabcdef'").await;
    let error = upgrade(&store, Head::default(), &Backup::No).await.unwrap_err();
    assert!(error.to_string().contains("abcdefabcdef"), "{error}");
    db.close().await;
}

/// A folder as MLflow's file store has it.
fn mlruns(folder: &Path) {
    let write = |path: &str, text: &str| {
        let path = folder.join("mlruns").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let experiment = |id: &str, name: &str, stage: &str| {
        format!(
            "artifact_location: file:///old/mlruns/{id}\ncreation_time: 1700000000000\nexperiment_id: '{id}'\n\
             last_update_time: 1700000000001\nlifecycle_stage: {stage}\nname: {name}\n"
        )
    };
    write("0/meta.yaml", &experiment("0", "Default", "active"));
    let id = "117090896818248491";
    write(&format!("{id}/meta.yaml"), &experiment(id, "'yes'", "active"));
    write(&format!("{id}/tags/team"), "a\nb");
    write(".trash/5/meta.yaml", &experiment("5", "gone", "deleted"));
    let run = format!("{id}/0123456789abcdef0123456789abcdef");
    write(
        &format!("{run}/meta.yaml"),
        "artifact_uri: file:///old/mlruns/x/artifacts\nend_time: 1700000000002\nentry_point_name: ''\nlifecycle_stage: active\n\
         run_id: 0123456789abcdef0123456789abcdef\nrun_name: calm-owl-1\nsource_name: ''\nsource_type: 4\nsource_version: ''\n\
         start_time: 1700000000001\nstatus: 3\ntags: []\nuser_id: ann\n",
    );
    write(&format!("{run}/metrics/val/loss"), "1000 0.5 0\n1001 nan 1\n1001 nan 1\n1002 inf 2\nrubbish\n");
    write(&format!("{run}/metrics/old"), "1000 0.25\n");
    write(&format!("{run}/params/lr"), "0.1");
    write(&format!("{run}/tags/mlflow.runName"), "calm-owl-1");
    write(&format!("{id}/datasets/d1/meta.yaml"), "dataset_uuid: d1\nname: d\ndigest: abc\nsource_type: local\nsource: '{}'\n");
    write(
        &format!("{run}/inputs/i1/meta.yaml"),
        "source_type: DATASET\nsource_id: d1\ndestination_type: RUN\ntags:\n  mlflow.data.context: train\n",
    );
    write(
        &format!("{id}/models/m-1/meta.yaml"),
        "model_id: m-1\nname: lm\nartifact_location: x\nstatus: 2\ncreation_timestamp: 1\nlast_updated_timestamp: 2\n",
    );
    write(&format!("{id}/models/m-1/metrics/acc"), "5 0.9 1 0123456789abcdef0123456789abcdef\n");
    write("models/mod/meta.yaml", "name: mod\ncreation_timestamp: 1\nlast_updated_timestamp: 2\ndescription: text\n");
    write(
        "models/mod/version-1/meta.yaml",
        "version: 1\ncreation_timestamp: 1\ncurrent_stage: Production\nsource: s3://b/1\nrun_id: null\n",
    );
    write("models/mod/aliases/champ", "1");
}

#[tokio::test]
async fn runs_in_files_move_into_a_database() {
    let folder = tempfile::tempdir().unwrap();
    mlruns(folder.path());
    let target = StoreUri::parse(&empty_database().await, folder.path()).unwrap();
    let done = filestore::migrate(folder.path(), &target, Head::default()).await.unwrap();
    for (kind, count) in
        [("experiments", 3), ("runs", 1), ("metrics", 5), ("inputs", 1), ("logged_models", 1), ("model_versions", 1)]
    {
        assert_eq!(done.counts.get(kind), Some(&count), "{kind}");
    }
    assert_eq!(done.skipped.len(), 1, "{:?}", done.skipped);
    let id = if ON_POSTGRES { "6" } else { "117090896818248491" };
    assert_eq!(!done.renumbered.is_empty(), ON_POSTGRES);
    let again = filestore::migrate(folder.path(), &target, Head::default()).await;
    assert!(matches!(again, Err(Error::NotEmpty { table: "experiments", count: 3, .. })));

    let fixture = Fixture::on(&target.shown(), folder).await;
    let search = json!({"experiment_ids": [id], "filter": "params.lr = '0.1' AND dataset.context = 'train'"});
    let run = fixture.post("runs/search", search).await["runs"][0].clone();
    assert_eq!((&run["info"]["run_name"], &run["info"]["status"]), (&json!("calm-owl-1"), &json!("FINISHED")));
    assert_eq!(pairs(&run["data"]["metrics"]), json!({"val/loss": f64::MAX, "old": 0.25}));
    let history =
        fixture.get("metrics/get-history?run_id=0123456789abcdef0123456789abcdef&metric_key=val/loss").await;
    assert_eq!(history["metrics"].as_array().unwrap().len(), 3);
    let found = fixture.get("experiments/get-by-name?experiment_name=yes").await;
    assert_eq!(found["experiment"]["tags"], json!([{"key": "team", "value": "a\nb"}]));
    let model = fixture.get("registered-models/alias?name=mod&alias=champ").await;
    assert_eq!(model["model_version"]["current_stage"], "Production");
    // New experiments get ids of their own.
    assert!(fixture.experiment("next").await.parse::<i64>().unwrap() > 6);
}

#[tokio::test]
async fn runs_in_files_can_be_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    mlruns(folder.path());
    let fixture = Fixture::on("mlruns", folder).await;
    let found = fixture.post("runs/search", json!({"experiment_ids": ["117090896818248491"]})).await;
    assert_eq!(found["runs"][0]["info"]["run_name"], "calm-owl-1");
    let message = fixture
        .refused(Method::POST, "runs/create", json!({"experiment_id": "0"}), 403, "PERMISSION_DENIED")
        .await;
    assert!(message.contains("can only be read"), "{message}");
    assert!(!fixture.folder().join("mlflow.db").exists());
}
