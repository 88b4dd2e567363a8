//! What became of a call whose answer was lost.

use axum::http::Method;
use bytes::Bytes;
use serde_json::{Value as Json, json};

use super::calls::Call;
use super::deliver::PATIENCE;
use super::ids::Known;
use super::remote::{Ask, Told};
use super::{Event, Spool, TAG};

impl Spool {
    /// What the server made of a call whose answer was lost.
    pub(super) async fn find(&self, call: Call, local: &str, made: &Json) -> Result<Option<Known>, String> {
        Ok(self.made_of(call, local, made).await?.into_iter().next())
    }

    /// Deletes runs and versions that a server which was stuck has made after it was asked whether it had.
    pub(super) async fn drop_twins(
        &self,
        call: Call,
        local: &str,
        made: &Json,
        kept: &str,
    ) -> Result<(), String> {
        for twin in self.made_of(call, local, made).await?.into_iter().filter(|twin| twin.id != kept) {
            if call == Call::CreateVersion {
                let version = json!({"name": made.get("name"), "version": twin.id});
                self.question(Method::DELETE, "model-versions/delete", &version).await?;
            } else {
                self.question(Method::POST, "runs/delete", &json!({"run_id": twin.id})).await?;
            }
        }
        Ok(())
    }

    async fn made_of(&self, call: Call, local: &str, made: &Json) -> Result<Vec<Known>, String> {
        let experiment = made.get("experiment_id").cloned().unwrap_or_default();
        let filter = |id: &str| format!("tags.`{TAG}` = '{id}'");
        let list = |answer: &Json, list: &str, key: &str| {
            let found = answer.get(list).and_then(Json::as_array).into_iter().flatten();
            found.filter_map(|one| known(call, &json!({ key: one }))).collect()
        };
        let mut body = json!({"experiment_ids": [experiment], "filter": filter(local), "max_results": 5});
        match call {
            Call::CreateRun => {
                body["run_view_type"] = json!("ACTIVE_ONLY");
                Ok(list(&self.question(Method::POST, "runs/search", &body).await?, "runs", "run"))
            }
            Call::CreateModel => {
                let answer = self.question(Method::POST, "logged-models/search", &body).await?;
                Ok(list(&answer, "models", "model"))
            }
            // Its number is no part of what was sent; the mark is.
            Call::CreateVersion => {
                let Some(mark) = mark(made) else { return Ok(Vec::new()) };
                let told = self.get("model-versions/search", "filter", &filter(mark)).await?;
                if told.status.is_server_error() {
                    return Err(format!("it answered {} to model-versions/search", told.status));
                }
                Ok(list(&told.json().unwrap_or_default(), "model_versions", "model_version"))
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Whether a model is in the history that its run keeps in a tag, to which the server would append it once more.
    pub(super) async fn history_has(&self, made: &Json) -> Result<bool, String> {
        let text = |key: &str| made.get(key).and_then(Json::as_str).unwrap_or_default();
        let answer = self.get("runs/get", "run_id", text("run_id")).await?.json().unwrap_or_default();
        let tags = answer.pointer("/run/data/tags").and_then(Json::as_array).into_iter().flatten();
        let mut histories = tags.filter(|tag| tag["key"] == "mlflow.log-model.history");
        let history = histories.next().and_then(|tag| tag["value"].as_str());
        let history: Vec<Json> = history.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let model: Json = serde_json::from_str(text("model_json")).unwrap_or_default();
        Ok(history.contains(&model))
    }

    async fn question(&self, method: Method, path: &str, body: &Json) -> Result<Json, String> {
        let target = format!("/api/2.0/mlflow/{path}");
        let ask = Ask {
            method,
            target: &target,
            content_type: Some("application/json"),
            headers: &[],
            body: body.to_string().into(),
            timeout: PATIENCE,
        };
        let told = self.0.remote.ask(&ask).await?;
        if told.status.is_server_error() {
            return Err(format!("it answered {} to {path}", told.status));
        }
        Ok(told.json().unwrap_or_default())
    }

    async fn get(&self, path: &str, key: &str, value: &str) -> Result<Told, String> {
        let value = percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
        let target = format!("/api/2.0/mlflow/{path}?{key}={value}");
        let (content_type, headers, body) = (None, &[][..], Bytes::new());
        let ask =
            Ask { method: Method::GET, target: &target, content_type, headers, body, timeout: PATIENCE };
        self.0.remote.ask(&ask).await
    }

    /// The id of the experiment with this name.
    pub(super) async fn experiment_named(&self, name: &str) -> Result<Result<Option<String>, Told>, String> {
        let told = self.get("experiments/get-by-name", "experiment_name", name).await?;
        if !told.status.is_success() {
            return Ok(Err(told));
        }
        let answer = told.json().unwrap_or_default();
        Ok(Ok(answer.pointer("/experiment/experiment_id").and_then(Json::as_str).map(str::to_owned)))
    }
}

/// The id that the spool put into the tags of what a call makes.
fn mark(made: &Json) -> Option<&str> {
    let mut tags = made.get("tags")?.as_array()?.iter();
    tags.find(|tag| tag["key"] == TAG)?.get("value")?.as_str()
}

/// Whether a refusal only says that the call was done before.
pub(super) fn is_done_already(event: &Event, message: &str) -> bool {
    const GONE: [&str; 4] = ["/runs/delete", "/runs/restore", "/runs/delete-tag", "/experiments/delete"];
    let path = event.target.split('?').next().unwrap_or_default();
    let is_there = message.contains("UNIQUE constraint") || message.contains("duplicate key");
    is_there || event.method == "DELETE" || GONE.iter().any(|end| path.ends_with(end))
}

/// The id in the answer to a call that makes something.
pub(super) fn known(call: Call, answer: &Json) -> Option<Known> {
    let text = |path: &str| answer.pointer(path).and_then(Json::as_str).map(str::to_owned);
    match call {
        Call::CreateExperiment => Some(Known { id: text("/experiment_id")?, artifacts: None }),
        Call::CreateRun => {
            Some(Known { id: text("/run/info/run_id")?, artifacts: text("/run/info/artifact_uri") })
        }
        Call::CreateModel => {
            Some(Known { id: text("/model/info/model_id")?, artifacts: text("/model/info/artifact_uri") })
        }
        Call::CreateVersion => Some(Known { id: text("/model_version/version")?, artifacts: None }),
        _ => None,
    }
}
