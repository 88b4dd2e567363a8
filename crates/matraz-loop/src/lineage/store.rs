//! What lineage asks a tracking store. A store that is not there answers nothing; what the caller may not see is
//! as if it were not there.

use matraz_track::client::{Client, ClientError};
use serde_json::{Value as Json, json};
use tokio::sync::OnceCell;

use crate::error::{Error, Result};
use crate::run::Run;

/// Runs that one search returns.
const PAGE: usize = 1000;
/// Runs that one question may concern; older ones are left out.
const MOST: usize = 20_000;
/// Ids in one filter.
const IDS: usize = 100;

/// A registered version as lineage needs it.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub model: String,
    pub version: String,
    pub run_id: String,
    pub created: i64,
    pub aliases: Vec<String>,
    /// The gate's verdict and the like.
    pub tags: Vec<(String, String)>,
}

/// A store, asked as little as possible.
#[derive(Debug)]
pub struct Store<'c> {
    client: Option<&'c Client>,
    experiments: OnceCell<Vec<String>>,
    versions: OnceCell<Vec<Version>>,
}

impl<'c> Store<'c> {
    /// The store behind a client, or none.
    pub fn new(client: Option<&'c Client>) -> Self {
        Self { client, experiments: OnceCell::new(), versions: OnceCell::new() }
    }

    /// One run.
    pub(super) async fn run(&self, id: &str) -> Result<Option<Run>> {
        let Some(client) = self.client else { return Ok(None) };
        let answer = visible(client.get("runs/get", &[("run_id", id)]).await)?;
        Ok(answer.and_then(|answer| answer.get("run").and_then(Run::from_json)))
    }

    /// The runs that fit a filter, in all experiments, newest first.
    pub(crate) async fn runs(&self, filter: &str) -> Result<Vec<Run>> {
        let Some(client) = self.client else { return Ok(Vec::new()) };
        let experiments = self.experiments(client).await?;
        let mut runs = Vec::new();
        let mut token = Json::Null;
        if experiments.is_empty() {
            return Ok(runs);
        }
        loop {
            let mut body = json!({
                "experiment_ids": experiments,
                "filter": filter,
                "max_results": PAGE,
                "order_by": ["attributes.start_time DESC"],
            });
            if !token.is_null() {
                body["page_token"] = token;
            }
            let Some(answer) = visible(client.post("runs/search", &body).await)? else { return Ok(runs) };
            let page = answer.get("runs").and_then(Json::as_array);
            runs.extend(page.into_iter().flatten().filter_map(Run::from_json));
            token = answer.get("next_page_token").cloned().unwrap_or_default();
            if token.as_str().is_none_or(str::is_empty) || runs.len() >= MOST {
                return Ok(runs);
            }
        }
    }

    /// The runs of these ids.
    pub(crate) async fn runs_of(&self, ids: &[String]) -> Result<Vec<Run>> {
        let mut runs = Vec::new();
        for piece in ids.chunks(IDS) {
            let list: Vec<String> = piece.iter().map(|id| format!("'{}'", quoted(id))).collect();
            runs.extend(self.runs(&format!("attributes.run_id IN ({})", list.join(", "))).await?);
        }
        Ok(runs)
    }

    /// All versions of all registered models, with their aliases.
    pub(crate) async fn versions(&self) -> Result<&[Version]> {
        let Some(client) = self.client else { return Ok(&[]) };
        let versions = self.versions.get_or_try_init(|| read_versions(client)).await?;
        Ok(versions)
    }

    async fn experiments(&self, client: &Client) -> Result<&[String]> {
        let read = async || -> Result<Vec<String>> {
            let body = json!({"max_results": 50_000, "view_type": "ALL"});
            let answer = client.post("experiments/search", &body).await?;
            let found = answer.get("experiments").and_then(Json::as_array).into_iter().flatten();
            Ok(found.filter_map(|one| one.get("experiment_id")?.as_str().map(str::to_owned)).collect())
        };
        Ok(self.experiments.get_or_try_init(read).await?)
    }
}

async fn read_versions(client: &Client) -> Result<Vec<Version>> {
    let mut aliases: Vec<(String, String, String)> = Vec::new();
    for model in pages(client, "registered-models/search", "registered_models", "1000").await? {
        let Some(name) = model.get("name").and_then(Json::as_str) else { continue };
        for alias in model.get("aliases").and_then(Json::as_array).into_iter().flatten() {
            let text = |key: &str| alias.get(key).and_then(Json::as_str).map(str::to_owned);
            if let (Some(alias), Some(version)) = (text("alias"), text("version")) {
                aliases.push((name.to_owned(), version, alias));
            }
        }
    }
    let version = |json: &Json| {
        let text = |key: &str| json.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
        let (model, version) = (text("name"), text("version"));
        let own = aliases.iter().filter(|(name, number, _)| *name == model && *number == version);
        let tags = json.get("tags").and_then(Json::as_array).into_iter().flatten();
        Version {
            aliases: own.map(|(.., alias)| alias.clone()).collect(),
            run_id: text("run_id"),
            created: json.get("creation_timestamp").and_then(crate::run::integer).unwrap_or(0),
            tags: tags
                .filter_map(|tag| {
                    Some((tag.get("key")?.as_str()?.into(), tag.get("value")?.as_str()?.into()))
                })
                .collect(),
            model,
            version,
        }
    };
    Ok(pages(client, "model-versions/search", "model_versions", "10000").await?.iter().map(version).collect())
}

/// All pages of a list that is read by GET.
async fn pages(client: &Client, path: &str, field: &str, size: &str) -> Result<Vec<Json>> {
    let mut items = Vec::new();
    let mut token = String::new();
    loop {
        let mut query = vec![("max_results", size)];
        if !token.is_empty() {
            query.push(("page_token", &token));
        }
        let Some(answer) = visible(client.get(path, &query).await)? else { return Ok(items) };
        items.extend(answer.get(field).and_then(Json::as_array).into_iter().flatten().cloned());
        token = answer.get("next_page_token").and_then(Json::as_str).unwrap_or_default().to_owned();
        if token.is_empty() {
            return Ok(items);
        }
    }
}

/// The answer, unless the thing is not there or not for the caller's eyes.
fn visible(answer: Result<Json, ClientError>) -> Result<Option<Json>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.is_missing() || error.code() == Some("PERMISSION_DENIED") => Ok(None),
        Err(ClientError::Refused { status: 403, .. } | ClientError::NotTracking { status: 403, .. }) => {
            Ok(None)
        }
        Err(error) => Err(Error::Tracking(error)),
    }
}

/// Text for between the quotes of a filter.
pub(super) fn quoted(text: &str) -> String {
    text.replace(['\'', '"', '`'], "")
}
