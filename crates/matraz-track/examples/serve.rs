//! Serves a store with nothing else around it: `serve sqlite:///mlflow.db ./mlartifacts 127.0.0.1:5000`.

use matraz_track::db::StoreUri;
use matraz_track::{Service, ServiceOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [store, artifacts, address] = words.as_slice() else {
        return Err("usage: serve STORE_URI ARTIFACT_FOLDER ADDRESS".into());
    };
    let here = std::env::current_dir()?;
    let options = ServiceOptions::new(StoreUri::parse(store, &here)?, here.join(artifacts));
    let service = Service::open(options).await?;
    let listener = tokio::net::TcpListener::bind(address).await?;
    let stop = async {
        let mut terminate = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(signal) => signal,
            Err(_) => return,
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    axum::serve(listener, service.router()).with_graceful_shutdown(stop).await?;
    service.close().await;
    Ok(())
}
