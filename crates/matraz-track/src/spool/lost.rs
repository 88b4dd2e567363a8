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

    /// Deletes runs that a server which was stuck has made after it was asked whether it had.
    pub(super) async fn drop_twins(&self, local: &str, made: &Json, kept: &str) -> Result<(), String> {
        for twin in
            self.made_of(Call::CreateRun, local, made).await?.into_iter().filter(|twin| twin.id != kept)
        {
            self.question("runs/delete", &json!({"run_id": twin.id})).await?;
        }
        Ok(())
    }

    async fn made_of(&self, call: Call, local: &str, made: &Json) -> Result<Vec<Known>, String> {
        let experiment = made.get("experiment_id").cloned().unwrap_or_default();
        let filter = format!("tags.`{TAG}` = '{local}'");
        let (path, list, key) = match call {
            Call::CreateRun => ("runs/search", "runs", "run"),
            Call::CreateModel => ("logged-models/search", "models", "model"),
            _ => return Ok(Vec::new()),
        };
        let mut body = json!({"experiment_ids": [experiment], "filter": filter, "max_results": 5});
        if call == Call::CreateRun {
            body["run_view_type"] = json!("ACTIVE_ONLY");
        }
        let answer = self.question(path, &body).await?;
        let found = answer.get(list).and_then(Json::as_array).into_iter().flatten();
        Ok(found.filter_map(|one| known(call, &json!({ key: one }))).collect())
    }

    /// Whether a model is in the history that its run keeps in a tag, to which the server would append it once more.
    pub(super) async fn history_has(&self, made: &Json) -> Result<bool, String> {
        let text = |key: &str| made.get(key).and_then(Json::as_str).unwrap_or_default();
        let run = percent_encoding::utf8_percent_encode(text("run_id"), percent_encoding::NON_ALPHANUMERIC);
        let target = format!("/api/2.0/mlflow/runs/get?run_id={run}");
        let (content_type, headers, body) = (None, &[][..], Bytes::new());
        let ask =
            Ask { method: Method::GET, target: &target, content_type, headers, body, timeout: PATIENCE };
        let answer = self.0.remote.ask(&ask).await?.json().unwrap_or_default();
        let tags = answer.pointer("/run/data/tags").and_then(Json::as_array).into_iter().flatten();
        let mut histories = tags.filter(|tag| tag["key"] == "mlflow.log-model.history");
        let history = histories.next().and_then(|tag| tag["value"].as_str());
        let history: Vec<Json> = history.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let model: Json = serde_json::from_str(text("model_json")).unwrap_or_default();
        Ok(history.contains(&model))
    }

    async fn question(&self, path: &str, body: &Json) -> Result<Json, String> {
        let target = format!("/api/2.0/mlflow/{path}");
        let ask = Ask {
            method: Method::POST,
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

    /// The id of the experiment with this name.
    pub(super) async fn experiment_named(&self, name: &str) -> Result<Result<Option<String>, Told>, String> {
        let name = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
        let target = format!("/api/2.0/mlflow/experiments/get-by-name?experiment_name={name}");
        let (content_type, headers, body) = (None, &[][..], Bytes::new());
        let ask =
            Ask { method: Method::GET, target: &target, content_type, headers, body, timeout: PATIENCE };
        let told = self.0.remote.ask(&ask).await?;
        if !told.status.is_success() {
            return Ok(Err(told));
        }
        let answer = told.json().unwrap_or_default();
        Ok(Ok(answer.pointer("/experiment/experiment_id").and_then(Json::as_str).map(str::to_owned)))
    }
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
        _ => None,
    }
}
