//! Calling a webhook: signed, with retries, and only at addresses that it may call.
//!
//! Names are looked up by [`PublicOnly`], which hands on public addresses only; the connection goes to exactly these, so a
//! name that changes its address between a check and the call reaches nothing private. Redirects are not followed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde_json::{Value as Json, json};

use super::{Event, Options, Webhook, check_url};
use crate::error::{Error, Result};
use crate::python;
use crate::service::new_id;

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 << 10;
/// The longest wait between two attempts.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// What a webhook answered.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The HTTP status.
    pub status: u16,
    /// The first part of the body.
    pub body: String,
}

/// Sends an event, again when the receiver is busy or away.
pub async fn deliver(webhook: &Webhook, event: Event, data: &Json, options: &Options) -> Result<Answered> {
    let url = check_url(&webhook.url, options)?;
    let timestamp = jiff::Timestamp::now();
    let body = python::json(&json!({
        "entity": event.0,
        "action": event.1,
        "timestamp": timestamp.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string(),
        "data": data,
    }));
    let id = new_id()?;
    let id = format!("{}-{}-{}-{}-{}", &id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]);
    let seconds = timestamp.as_second().to_string();
    let signature = match &webhook.secret {
        None => None,
        Some(sealed) => {
            let secret = options.key.open(sealed).ok_or_else(|| {
                Error::invalid(
                    "the secret of the webhook was encrypted with another key: set it again, and keep \
                     MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY",
                )
            })?;
            Some(sign(&secret, &id, &seconds, &body))
        }
    };
    let client = client(options)?;
    let mut attempt = 0;
    loop {
        let mut request = client
            .post(url.clone())
            .header("Content-Type", "application/json")
            .header("X-MLflow-Delivery-Id", &id)
            .header("X-MLflow-Timestamp", &seconds)
            .body(body.clone());
        if let Some(signature) = &signature {
            request = request.header("X-MLflow-Signature", signature);
        }
        let sent = request.send().await;
        let (again, after) = match &sent {
            Ok(answer) => (
                matches!(answer.status().as_u16(), 429 | 500 | 502 | 503 | 504),
                answer
                    .headers()
                    .get("retry-after")
                    .and_then(|value| value.to_str().ok()?.parse::<u64>().ok()),
            ),
            Err(error) => (!error.is_builder(), None),
        };
        if !again || attempt >= options.max_retries {
            return read(sent).await;
        }
        let wait = after.map_or_else(|| Duration::from_secs(1 << attempt.min(6)), Duration::from_secs);
        tokio::time::sleep(wait.min(MAX_WAIT)).await;
        attempt += 1;
    }
}

async fn read(sent: reqwest::Result<reqwest::Response>) -> Result<Answered> {
    let failed = |error: reqwest::Error| {
        let mut message = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            message.push_str(&format!(": {cause}"));
            source = cause.source();
        }
        Error::invalid(message)
    };
    let mut answer = sent.map_err(failed)?;
    let status = answer.status().as_u16();
    let mut bytes = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(failed)? {
        bytes.extend_from_slice(&part[..part.len().min(MAX_ANSWER - bytes.len())]);
        if bytes.len() >= MAX_ANSWER {
            break;
        }
    }
    Ok(Answered { status, body: String::from_utf8_lossy(&bytes).into_owned() })
}

/// `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`.
fn sign(secret: &str, id: &str, timestamp: &str, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signature = hmac::sign(&key, format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", BASE64_STANDARD.encode(signature))
}

fn client(options: &Options) -> Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .timeout(options.timeout)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    if !options.allow_private {
        builder = builder.dns_resolver(Arc::new(PublicOnly));
    }
    builder.build().map_err(|error| Error::Bug(format!("no HTTP client for webhooks: {error}")))
}

/// Looks names up and passes on public addresses only.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            match found.iter().find(|address| !is_public(address.ip())) {
                Some(private) => Err(format!("{} is not a public IP address", private.ip()).into()),
                None => Ok(Box::new(found.into_iter()) as Addrs),
            }
        })
    }
}

/// Whether an address is reached over the internet: not a machine of this network, nor the machine itself.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || first == 0
        || first >= 240
        || (first, second) == (100, second & 0x3f | 0x40)
        || (first, second, third) == (192, 0, 0)
        || (first == 198 && (second == 18 || second == 19)))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let parts = address.segments();
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    match parts {
        // 6to4 and NAT64 carry an address of version 4.
        [0x2002, high, low, ..] => embedded(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        // Only 2000::/3 is given out, without the ranges for documentation and tunnels.
        [0x2001, 0xdb8, ..] | [0x2001, 0..=0x1ff, ..] | [0x3fff, 0..=0xfff, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses() {
        for (address, public) in [
            ("8.8.8.8", true),
            ("10.1.2.3", false),
            ("172.31.0.1", false),
            ("172.32.0.1", true),
            ("192.168.0.1", false),
            ("127.0.0.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("100.127.255.255", false),
            ("100.128.0.1", true),
            ("0.0.0.0", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("198.18.0.1", false),
            ("2606:4700::1111", true),
            ("::1", false),
            ("::", false),
            ("fe80::1", false),
            ("fd00::1", false),
            ("ff02::1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:8.8.8.8", true),
            ("2002:7f00:1::", false),
            ("64:ff9b::a00:1", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), public, "{address}");
        }
    }

    #[test]
    fn signatures() {
        // As MLflow signs the same.
        assert_eq!(sign("s3", "id", "17", "{}"), "v1,iUt8a2ODeHRMSpGNmKg3AYz6+zO2Or2dHsZP/5RZ830=");
    }
}
