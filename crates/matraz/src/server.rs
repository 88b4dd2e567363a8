//! The server: the tracking API and the web app in one process.

pub mod accounts;
pub mod admission;
pub mod lineage;
mod listen;
pub mod metrics;
mod patience;
pub mod ui;

pub use listen::{Certificate, serve};

/// The API document of all that the server answers, as JSON.
pub fn document() -> String {
    let beside = lineage::routes::<()>(axum::Router::new()).into_openapi();
    matraz_track::api::router::document(beside)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_lineage_is_in_the_document() {
        let document: serde_json::Value = serde_json::from_str(&super::document()).unwrap();
        let answer = &document["paths"]["/api/2.0/matraz/lineage"]["get"];
        assert_eq!(answer["parameters"][0]["name"], "subject");
        let schema =
            answer["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].as_str().unwrap();
        let properties = &document.pointer(&schema[1..]).unwrap()["properties"];
        assert!(properties["nodes"].is_object() && properties["edges"].is_object(), "{document}");
        assert!(document["paths"]["/api/2.0/mlflow/runs/get"].is_object());
    }
}
