//! The floor of logging metrics: a bare loop of prepared statements into the tables of an SQLite store, set up as the
//! server sets it up, without HTTP, JSON and checks.
//!
//! ```text
//! cargo run --release -p matraz-track --example metrics_floor -- FOLDER [SECONDS]
//! ```
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program for measuring")]

use std::path::Path;
use std::time::{Duration, Instant};

use matraz_track::db::{Db, Head, StoreUri};
use rusqlite::{Connection, params};

const HISTORY: &str = "INSERT INTO metrics (run_uuid, key, value, timestamp, step, is_nan) \
                       VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
const LATEST: &str = "INSERT INTO latest_metrics (run_uuid, key, value, timestamp, step, is_nan) \
                      VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value, \
                      timestamp = excluded.timestamp, step = excluded.step, is_nan = excluded.is_nan";
const RUN: &str = "0123456789abcdef0123456789abcdef";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let path = Path::new(&arguments[0]).join("floor.db");
    let seconds = arguments.get(1).map_or(3, |text| text.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = StoreUri::Sqlite(path.clone());
        Db::open(&store, Head::default()).await.unwrap().close().await;
    });
    let connection = Connection::open(&path).unwrap();
    for (name, value) in [
        ("journal_mode", "wal"),
        ("synchronous", "normal"),
        ("foreign_keys", "true"),
        ("cache_size", "-32768"),
        ("wal_autocheckpoint", "4000"),
    ] {
        connection.pragma_update(None, name, value).unwrap();
    }
    connection
        .execute_batch(&format!(
            "INSERT INTO experiments (experiment_id, name, lifecycle_stage) VALUES (1, 'floor', 'active'); \
             INSERT INTO runs (run_uuid, experiment_id, status, lifecycle_stage) VALUES ('{RUN}', 1, 'RUNNING', 'active')"
        ))
        .unwrap();
    for rows in [1, 1000] {
        let limit = Duration::from_secs(seconds);
        let start = Instant::now();
        let mut step = 0_i64;
        while start.elapsed() < limit {
            connection.execute_batch("BEGIN IMMEDIATE").unwrap();
            let mut history = connection.prepare_cached(HISTORY).unwrap();
            for _ in 0..rows {
                let key = format!("m{rows}-{}", step % 10);
                history
                    .execute(params![RUN, key, step as f64 * 0.5, 1_700_000_000_000 + step, step, false])
                    .unwrap();
                step += 1;
            }
            let mut latest = connection.prepare_cached(LATEST).unwrap();
            for key in 0..rows.min(10) {
                let key = format!("m{rows}-{key}");
                latest.execute(params![RUN, key, 0.5, 1_700_000_000_000 + step, step, false]).unwrap();
            }
            connection.execute_batch("COMMIT").unwrap();
        }
        let rate = step as f64 / start.elapsed().as_secs_f64();
        println!("{rows} rows a transaction: {rate:.0} rows/s");
    }
}
