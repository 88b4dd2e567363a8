//! Webhooks: URLs that are told what happens in the registry.

pub mod delivery;
pub mod seal;

use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Map, Value as Json, json};

use crate::db::{self, Session};
use crate::error::{Error, Result};
use crate::name::single_quoted;
use crate::search::models::Page;
use crate::search::page;
use crate::service::{Service, new_id};
use seal::SealKey;

/// Webhooks on a page when the client does not say.
const DEFAULT_SIZE: i64 = 100;
/// The most webhooks on a page.
const MAX_SIZE: i64 = 1000;

/// How webhooks are delivered.
#[derive(Clone, Debug)]
pub struct Options {
    /// `https` unless something else is wanted.
    pub allowed_schemes: Vec<String>,
    /// Whether addresses that are not public may be called.
    pub allow_private: bool,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// Attempts after the first one.
    pub max_retries: u32,
    /// Encrypts the secrets in the store.
    pub key: SealKey,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            allowed_schemes: vec!["https".to_owned()],
            allow_private: false,
            timeout: Duration::from_secs(30),
            max_retries: 3,
            key: SealKey::random(),
        }
    }
}

/// Something that happens: a kind of thing and what is done with it, as `("registered_model", "created")`.
pub type Event = (&'static str, &'static str);

/// All events, with an example of what is told about each.
pub const EVENTS: [Event; 15] = [
    ("registered_model", "created"),
    ("model_version", "created"),
    ("model_version_tag", "set"),
    ("model_version_tag", "deleted"),
    ("model_version_alias", "created"),
    ("model_version_alias", "deleted"),
    ("prompt", "created"),
    ("prompt_version", "created"),
    ("prompt_tag", "set"),
    ("prompt_tag", "deleted"),
    ("prompt_version_tag", "set"),
    ("prompt_version_tag", "deleted"),
    ("prompt_alias", "created"),
    ("prompt_alias", "deleted"),
    ("budget_policy", "exceeded"),
];

/// A webhook as stored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Webhook {
    /// A UUID.
    pub id: String,
    /// For people, not unique.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Where events go.
    pub url: String,
    /// Which events.
    pub events: Vec<Event>,
    /// Whether it is called.
    pub active: bool,
    /// Signs what is sent; encrypted.
    pub secret: Option<String>,
    /// Milliseconds since 1970.
    pub created: i64,
    /// Milliseconds since 1970.
    pub updated: i64,
}

/// Reads an event as clients name it: entity and action in any case.
pub fn event(entity: &str, action: &str) -> Result<Event> {
    let (entity, action) = (entity.to_ascii_lowercase(), action.to_ascii_lowercase());
    let known: Vec<&str> =
        EVENTS.iter().filter(|(known, _)| *known == entity).map(|(_, action)| *action).collect();
    if known.is_empty() {
        return Err(Error::invalid(format!("Unknown webhook entity '{entity}'")));
    }
    EVENTS.iter().find(|event| event.0 == entity && event.1 == action).copied().ok_or_else(|| {
        let known: Vec<String> = known.iter().map(|action| format!("'{action}'")).collect();
        Error::invalid(format!(
            "Invalid action '{action}' for entity '{entity}'. Valid actions are: [{}]",
            known.join(", ")
        ))
    })
}

fn check_name(name: &str) -> Result<()> {
    let ends = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_alphanumeric());
    let inner = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    if name.len() <= 63
        && ends(name.chars().next())
        && ends(name.chars().next_back())
        && name.chars().all(inner)
    {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "Webhook name {} is invalid. It must start and end with a letter or digit, be less than 63 characters long, and contain \
         only letters, digits, dots (.), underscores (_), and hyphens (-).",
        single_quoted(name)
    )))
}

/// Checks a URL before it is stored or called. Names are looked up when it is called.
pub(crate) fn check_url(url: &str, options: &Options) -> Result<reqwest::Url> {
    let shown = single_quoted(url);
    if url.trim().is_empty() {
        return Err(Error::invalid(format!("Webhook URL cannot be empty or just whitespace: {shown}")));
    }
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    if !options.allowed_schemes.iter().any(|allowed| allowed == scheme) {
        return Err(Error::invalid(format!(
            "Invalid webhook URL scheme: {}. Allowed schemes are: {}.",
            single_quoted(scheme),
            options.allowed_schemes.join(", ")
        )));
    }
    let no_host = || Error::invalid(format!("Webhook URL must include a hostname: {shown}"));
    if url[scheme.len() + 1..].trim_start_matches('/').is_empty() || url.contains(":///") {
        return Err(no_host());
    }
    let parsed = reqwest::Url::parse(url)
        .map_err(|error| Error::invalid(format!("Invalid webhook URL {shown}: {error}")))?;
    let host = parsed.host_str().filter(|host| !host.is_empty()).ok_or_else(no_host)?;
    let literal = host.trim_matches(['[', ']']).parse::<IpAddr>();
    if let Ok(address) = literal
        && !options.allow_private
        && !delivery::is_public(address)
    {
        return Err(Error::invalid(format!(
            "Webhook URL must not resolve to a non-public IP address: {host} is {address}"
        )));
    }
    if host.eq_ignore_ascii_case("localhost") && !options.allow_private {
        return Err(Error::invalid("Webhook URL must not resolve to a non-public IP address: localhost"));
    }
    Ok(parsed)
}

/// Fields of a webhook that a client sets; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    /// For people.
    pub name: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Where events go.
    pub url: Option<String>,
    /// Which events.
    pub events: Option<Vec<Event>>,
    /// Signs what is sent.
    pub secret: Option<String>,
    /// Whether it is called.
    pub active: Option<bool>,
}

fn apply(webhook: &mut Webhook, fields: Fields, options: &Options) -> Result<()> {
    if let Some(name) = fields.name {
        check_name(&name)?;
        webhook.name = name;
    }
    if let Some(url) = fields.url {
        check_url(&url, options)?;
        webhook.url = url;
    }
    if let Some(events) = fields.events {
        if events.is_empty() {
            return Err(Error::invalid(
                "Webhook events must be a non-empty list of WebhookEvent objects: [].",
            ));
        }
        webhook.events = events;
    }
    webhook.description = fields.description.or(webhook.description.take());
    if let Some(secret) = fields.secret {
        webhook.secret = Some(options.key.seal(&secret)?);
    }
    webhook.active = fields.active.unwrap_or(webhook.active);
    Ok(())
}

/// Makes a webhook.
pub async fn create(session: &mut Session, fields: Fields, options: &Options, now: i64) -> Result<Webhook> {
    let id = new_id()?;
    let id = format!("{}-{}-{}-{}-{}", &id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]);
    let mut webhook = Webhook { id, active: true, created: now, updated: now, ..Webhook::default() };
    apply(&mut webhook, fields, options)?;
    db::webhook::insert(session, &webhook).await?;
    Ok(webhook)
}

/// A webhook that is not deleted.
pub async fn get(session: &mut Session, id: &str) -> Result<Webhook> {
    match db::webhook::by_id(session, id).await? {
        Some(webhook) => Ok(webhook),
        None => Err(Error::missing(format!("Webhook with ID {id} not found."))),
    }
}

/// Changes a webhook.
pub async fn update(
    session: &mut Session,
    id: &str,
    fields: Fields,
    options: &Options,
    now: i64,
) -> Result<Webhook> {
    let mut webhook = get(session, id).await?;
    apply(&mut webhook, fields, options)?;
    webhook.updated = now;
    db::webhook::update(session, &webhook).await?;
    Ok(webhook)
}

/// Marks a webhook as deleted.
pub async fn delete(session: &mut Session, id: &str, now: i64) -> Result<()> {
    get(session, id).await?;
    db::webhook::mark_deleted(session, id, now).await
}

/// A page of webhooks, newest first.
pub async fn list(session: &mut Session, max_results: i64, page_token: &str) -> Result<Page<Webhook>> {
    let size = if max_results == 0 { DEFAULT_SIZE } else { max_results };
    if !(1..=MAX_SIZE).contains(&size) {
        return Err(Error::invalid("max_results must be between 1 and 1000."));
    }
    let offset = page::offset(Some(page_token))?;
    let mut items = db::webhook::list(session, size + 1, offset).await?;
    let next_page_token = page::cut(&mut items, offset, size);
    Ok(Page { items, next_page_token })
}

/// Tells the webhooks that want to know; returns at once, failures go to the log.
pub(crate) async fn fire(service: &Service, event: Event, data: Json) {
    let found = async {
        let mut session = service.db().read().await?;
        db::webhook::of_event(&mut session, event).await
    };
    let webhooks = match found.await {
        Ok(webhooks) => webhooks,
        Err(error) => {
            tracing::error!(%error, "the webhooks for an event could not be read");
            return;
        }
    };
    for webhook in webhooks {
        let (options, data) = (service.options().webhooks.clone(), data.clone());
        tokio::spawn(async move {
            let sent = delivery::deliver(&webhook, event, &data, &options).await;
            match sent {
                Ok(answer) if answer.status < 400 => {}
                Ok(answer) => {
                    tracing::error!(
                        webhook = webhook.id,
                        status = answer.status,
                        "a webhook refuses an event"
                    );
                }
                Err(error) => {
                    tracing::error!(webhook = webhook.id, %error, "a webhook could not be called");
                }
            }
        });
    }
}

/// What an example of an event tells.
pub fn example(event: Event) -> Json {
    let (thing, is_prompt) = match event.0.split('_').next() {
        Some("prompt") => ("prompt", true),
        _ => ("model", false),
    };
    let name = format!("example_{thing}");
    let tags = json!({"example_key": "example_value"});
    match event {
        ("registered_model", _) => {
            json!({"name": name, "tags": tags, "description": "An example registered model"})
        }
        ("prompt", _) => json!({"name": name, "tags": tags, "description": "An example prompt"}),
        ("model_version", _) => json!({"name": name, "version": "1", "source": "models:/123",
            "run_id": "abcd1234abcd5678", "tags": tags, "description": "An example model version"}),
        ("prompt_version", _) => json!({"name": name, "version": "1", "template": "Hello {{name}}!",
            "tags": tags, "description": "An example prompt version"}),
        ("budget_policy", _) => {
            json!({"budget_policy_id": "bp-abc123", "budget_unit": "USD", "budget_amount": 100.0,
            "current_spend": 105.5, "duration_unit": "MONTHS", "duration_value": 1, "target_scope": "ENDPOINT",
            "workspace": "default", "target_value": "ep-abc123", "window_start": 1_704_067_200_000_i64})
        }
        (entity, action) => {
            let mut data = Map::new();
            data.insert("name".to_owned(), Json::from(name));
            let mut add = |key: &str, value: &str| data.insert(key.to_owned(), Json::from(value));
            if entity.ends_with("_alias") {
                add("alias", "example_alias");
                if action == "created" {
                    add("version", "1");
                }
            } else {
                if !is_prompt || entity == "prompt_version_tag" {
                    add("version", "1");
                }
                add("key", "example_key");
                if action == "set" {
                    add("value", "example_value");
                }
            }
            Json::Object(data)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_events() {
        for (name, good) in
            [("a", true), ("a.b-c_9", true), ("-a", false), ("a-", false), ("", false), ("a b", false)]
        {
            assert_eq!(check_name(name).is_ok(), good, "{name}");
        }
        assert!(check_name(&"a".repeat(64)).is_err());
        assert_eq!(event("REGISTERED_MODEL", "CREATED").unwrap(), ("registered_model", "created"));
        let message = event("REGISTERED_MODEL", "DELETED").unwrap_err().to_string();
        assert_eq!(
            message,
            "Invalid action 'deleted' for entity 'registered_model'. Valid actions are: ['created']"
        );
        assert_eq!(
            example(("model_version_tag", "deleted")),
            json!({"name": "example_model", "version": "1", "key": "example_key"})
        );
        assert_eq!(
            example(("prompt_tag", "set")),
            json!({"name": "example_prompt", "key": "example_key", "value": "example_value"})
        );
        assert_eq!(
            example(("prompt_alias", "deleted")),
            json!({"name": "example_prompt", "alias": "example_alias"})
        );
    }

    #[test]
    fn only_public_https_by_default() {
        let standard = Options::default();
        let open = Options {
            allowed_schemes: vec!["http".into(), "https".into()],
            allow_private: true,
            ..Options::default()
        };
        for (url, by_default, when_open) in [
            ("https://example.com/hook", true, true),
            ("http://example.com", false, true),
            ("https://127.0.0.1/", false, true),
            ("https://127.1/", false, true),
            ("https://0x7f000001/", false, true),
            ("https://[::1]/", false, true),
            ("https://[::ffff:10.0.0.1]/", false, true),
            ("https://169.254.169.254/latest", false, true),
            ("https://100.64.0.1/", false, true),
            ("https://localhost/", false, true),
            ("https://8.8.8.8/", true, true),
            ("ftp://x/", false, false),
            ("file:///etc/passwd", false, false),
            ("https:///", false, false),
            ("https://", false, false),
            (" ", false, false),
        ] {
            assert_eq!(check_url(url, &standard).is_ok(), by_default, "{url}");
            assert_eq!(check_url(url, &open).is_ok(), when_open, "{url}");
        }
    }
}
