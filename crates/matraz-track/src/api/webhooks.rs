//! `/2.0/mlflow/webhooks`.

use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ErrorBody;
use super::json::{Choice, Empty, Reply};
use super::{Answer, Int64, Message, Request};
use crate::error::{Error, Result};
use crate::service::{Service, now_ms};
use crate::webhook::{self, Event, Fields, delivery};

pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(get, update, delete))
        .routes(routes!(test))
}

/// The names of what events are about, in the order of their numbers.
const ENTITIES: [&str; 10] = [
    "REGISTERED_MODEL",
    "MODEL_VERSION",
    "MODEL_VERSION_TAG",
    "MODEL_VERSION_ALIAS",
    "PROMPT",
    "PROMPT_VERSION",
    "PROMPT_TAG",
    "PROMPT_VERSION_TAG",
    "PROMPT_ALIAS",
    "BUDGET_POLICY",
];

/// The names of what happens, in the order of their numbers.
const ACTIONS: [&str; 5] = ["CREATED", "UPDATED", "DELETED", "SET", "EXCEEDED"];

/// Something that happens.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct WebhookEvent {
    /// As `MODEL_VERSION`.
    entity: Choice,
    /// As `CREATED`.
    action: Choice,
}

impl WebhookEvent {
    fn read(&self) -> Result<Event> {
        let entity = self.entity.pick("entity", &ENTITIES.map(|name| (name, name)))?;
        webhook::event(entity, self.action.pick("action", &ACTIONS.map(|name| (name, name)))?)
    }

    fn list(events: &[Self]) -> Result<Vec<Event>> {
        events.iter().map(Self::read).collect()
    }
}

/// A URL that is told of events.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Webhook {
    webhook_id: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    url: String,
    events: Vec<WebhookEvent>,
    /// `ACTIVE` or `DISABLED`.
    status: &'static str,
    creation_timestamp: i64,
    last_updated_timestamp: i64,
}

impl From<webhook::Webhook> for Webhook {
    fn from(stored: webhook::Webhook) -> Self {
        let upper = |event: &Event| (event.0.to_ascii_uppercase(), event.1.to_ascii_uppercase());
        let mut events: Vec<(String, String)> = stored.events.iter().map(upper).collect();
        events.sort_unstable();
        let events = events.into_iter();
        let events = events
            .map(|(entity, action)| WebhookEvent { entity: entity.into(), action: action.into() })
            .collect();
        Self {
            webhook_id: stored.id,
            name: stored.name,
            description: stored.description.filter(|text| !text.is_empty()),
            url: stored.url,
            events,
            status: if stored.active { "ACTIVE" } else { "DISABLED" },
            creation_timestamp: stored.created,
            last_updated_timestamp: stored.updated,
        }
    }
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct WebhookAnswer {
    webhook: Webhook,
}

/// Whether a status means that the webhook is called.
fn active(status: &Option<String>) -> Result<Option<bool>> {
    match status.as_deref() {
        None | Some("") => Ok(None),
        Some("ACTIVE" | "1") => Ok(Some(true)),
        Some("DISABLED" | "2") => Ok(Some(false)),
        Some(other) => Err(Error::invalid(format!(
            "Invalid value \"{other}\" for parameter 'status' supplied: it must be ACTIVE or DISABLED"
        ))),
    }
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct CreateWebhook {
    name: String,
    description: String,
    url: String,
    events: Vec<WebhookEvent>,
    /// Signs what is sent.
    secret: String,
    /// `ACTIVE` or `DISABLED`.
    status: Option<String>,
}

impl Message for CreateWebhook {
    const REQUIRED: &'static [&'static str] = &["name", "url", "events"];
}

/// Create a webhook
#[utoipa::path(post, path = "/2.0/mlflow/webhooks", tag = "webhooks", request_body = CreateWebhook,
    responses((status = 200, body = WebhookAnswer), (status = 400, body = ErrorBody)))]
async fn create(
    State(service): State<Service>,
    Request(request): Request<CreateWebhook>,
) -> Reply<WebhookAnswer> {
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    let fields = Fields {
        events: Some(WebhookEvent::list(&request.events)?),
        name: Some(request.name),
        description: given(request.description),
        url: Some(request.url),
        secret: given(request.secret),
        active: active(&request.status)?,
    };
    let mut session = service.db().write().await?;
    let created = webhook::create(&mut session, fields, &service.options().webhooks, now_ms()).await?;
    session.commit().await?;
    Ok(Answer(WebhookAnswer { webhook: created.into() }))
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct ListWebhooks {
    /// 100 when absent, 1000 at most.
    max_results: Option<Int64>,
    page_token: String,
}

impl Message for ListWebhooks {}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct WebhooksAnswer {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    webhooks: Vec<Webhook>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

/// List webhooks
#[utoipa::path(get, path = "/2.0/mlflow/webhooks", tag = "webhooks", params(ListWebhooks),
    responses((status = 200, body = WebhooksAnswer), (status = 400, body = ErrorBody)))]
async fn list(
    State(service): State<Service>,
    Request(request): Request<ListWebhooks>,
) -> Reply<WebhooksAnswer> {
    let size = request.max_results.map(i64::from).unwrap_or_default();
    let mut session = service.db().read().await?;
    let page = webhook::list(&mut session, size, &request.page_token).await?;
    Ok(Answer(WebhooksAnswer {
        webhooks: page.items.into_iter().map(Webhook::from).collect(),
        next_page_token: page.next_page_token,
    }))
}

/// Get a webhook
#[utoipa::path(get, path = "/2.0/mlflow/webhooks/{webhook_id}", tag = "webhooks",
    params(("webhook_id" = String, Path, description = "a UUID")),
    responses((status = 200, body = WebhookAnswer), (status = 404, body = ErrorBody)))]
async fn get(State(service): State<Service>, Path(webhook_id): Path<String>) -> Reply<WebhookAnswer> {
    let mut session = service.db().read().await?;
    Ok(Answer(WebhookAnswer { webhook: webhook::get(&mut session, &webhook_id).await?.into() }))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct UpdateWebhook {
    name: String,
    description: Option<String>,
    url: String,
    events: Vec<WebhookEvent>,
    secret: Option<String>,
    /// `ACTIVE` or `DISABLED`.
    status: Option<String>,
}

impl Message for UpdateWebhook {}

/// Change a webhook
#[utoipa::path(patch, path = "/2.0/mlflow/webhooks/{webhook_id}", tag = "webhooks", request_body = UpdateWebhook,
    params(("webhook_id" = String, Path, description = "a UUID")),
    responses((status = 200, body = WebhookAnswer), (status = 404, body = ErrorBody)))]
async fn update(
    State(service): State<Service>,
    Path(webhook_id): Path<String>,
    Request(request): Request<UpdateWebhook>,
) -> Reply<WebhookAnswer> {
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    let events = WebhookEvent::list(&request.events)?;
    let fields = Fields {
        name: given(request.name),
        description: request.description,
        url: given(request.url),
        events: Some(events).filter(|events| !events.is_empty()),
        secret: request.secret,
        active: active(&request.status)?,
    };
    let mut session = service.db().write().await?;
    let options = &service.options().webhooks;
    let updated = webhook::update(&mut session, &webhook_id, fields, options, now_ms()).await?;
    session.commit().await?;
    Ok(Answer(WebhookAnswer { webhook: updated.into() }))
}

/// Delete a webhook
#[utoipa::path(delete, path = "/2.0/mlflow/webhooks/{webhook_id}", tag = "webhooks",
    params(("webhook_id" = String, Path, description = "a UUID")),
    responses((status = 200, body = Empty), (status = 404, body = ErrorBody)))]
async fn delete(State(service): State<Service>, Path(webhook_id): Path<String>) -> Reply<Empty> {
    let mut session = service.db().write().await?;
    webhook::delete(&mut session, &webhook_id, now_ms()).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct TestWebhook {
    /// The first event of the webhook when absent.
    event: Option<WebhookEvent>,
}

impl Message for TestWebhook {}

/// What came of a test.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
struct WebhookTestResult {
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct TestWebhookAnswer {
    result: WebhookTestResult,
}

/// Call a webhook with an example
#[utoipa::path(post, path = "/2.0/mlflow/webhooks/{webhook_id}/test", tag = "webhooks", request_body = TestWebhook,
    params(("webhook_id" = String, Path, description = "a UUID")),
    responses((status = 200, body = TestWebhookAnswer), (status = 404, body = ErrorBody)))]
async fn test(
    State(service): State<Service>,
    Path(webhook_id): Path<String>,
    Request(request): Request<TestWebhook>,
) -> Reply<TestWebhookAnswer> {
    let webhook = {
        let mut session = service.db().read().await?;
        webhook::get(&mut session, &webhook_id).await?
    };
    let event = match request.event {
        Some(event) => event.read()?,
        None => webhook.events.first().copied().unwrap_or(webhook::EVENTS[0]),
    };
    let example = webhook::example(event);
    let result = match delivery::deliver(&webhook, event, &example, &service.options().webhooks).await {
        Ok(answer) => WebhookTestResult {
            success: answer.status < 400,
            response_status: Some(answer.status),
            response_body: Some(answer.body),
            error_message: None,
        },
        Err(error) => WebhookTestResult {
            error_message: Some(format!("Failed to test webhook: {error}")),
            ..WebhookTestResult::default()
        },
    };
    Ok(Answer(TestWebhookAnswer { result }))
}
