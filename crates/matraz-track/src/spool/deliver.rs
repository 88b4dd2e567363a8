//! Delivers what waits, one call after the other, and finds out what became of a call whose answer was lost.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use bytes::Bytes;
use matraz_base::Progress;
use matraz_base::progress::Unit;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::calls::{self, Call};
use super::ids::Known;
use super::log::{self, Log, Place, Record};
use super::lost::{is_done_already, known};
use super::remote::{Ask, Told};
use super::{DELIVERED, EVENTS, Event, FILES, Outcome, REFUSED, Spool, SpoolError, parse};
use crate::artifact::ArtifactPath;

/// How long one call may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// How often a call that makes the server fail is tried before it is put aside.
const FAILURES: u32 = 4;
/// Metrics that are sent together.
const TOGETHER: usize = 1000;
/// A log that is larger than this is emptied when nothing waits.
const TIDY: u64 = 1 << 20;

/// A call that the server refused. It is kept in the spool.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Refused {
    /// The path of the call.
    pub call: String,
    /// What the server says.
    pub message: String,
    #[serde(flatten)]
    event: Event,
}

impl Refused {
    pub(super) fn file(&self) -> Option<String> {
        self.event.file.as_ref().map(|(name, _)| name.clone())
    }
}

/// What came of a delivery.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Delivery {
    /// Calls that the server took.
    pub delivered: u64,
    /// Calls that it refused.
    pub refused: Vec<Refused>,
}

/// A call that stands for several.
struct Together {
    /// The number of the last of them.
    last: u64,
    event: Event,
    body: Bytes,
}

/// What the server made of a call.
enum Answer {
    Taken(Vec<(String, Known)>),
    Refused(String),
}

impl Spool {
    /// Delivers what waits until nothing does.
    ///
    /// # Errors
    /// [`SpoolError::Away`] when the server is, and errors of the disk; what was delivered by then is.
    pub async fn deliver(&self, progress: &dyn Progress) -> Result<Delivery, SpoolError> {
        let task = progress.begin("Delivering", self.state().waiting, Unit::Files);
        let mut delivery = Delivery::default();
        let ended = loop {
            match self.step().await {
                Ok(Some(step)) => {
                    progress.advance(task, step.delivered + step.refused.len() as u64);
                    delivery.delivered += step.delivered;
                    delivery.refused.extend(step.refused);
                }
                Ok(None) => break Ok(delivery),
                Err(error) => break Err(error),
            }
        };
        progress.end(task);
        ended
    }

    /// Delivers whenever something waits and the server is there. Never ends; drop it.
    pub async fn keep_delivering(&self) {
        let mut pause = Duration::from_millis(250);
        loop {
            match self.step().await {
                Ok(Some(_)) => pause = Duration::from_millis(250),
                Ok(None) if self.queue().away.is_none() => self.0.bell.notified().await,
                // Nothing waits: is the server there again?
                Ok(None) => {
                    if !self.look().await {
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(Duration::from_secs(5));
                    }
                }
                Err(_) => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(5));
                }
            }
        }
    }

    /// Whether the server answers; calls pass through again then.
    async fn look(&self) -> bool {
        let timeout = Duration::from_secs(5);
        let (content_type, headers, body) = (None, &[][..], Bytes::new());
        let ask = Ask { method: Method::GET, target: "/health", content_type, headers, body, timeout };
        let answered = self.0.remote.ask(&ask).await.is_ok();
        let mut queue = self.queue();
        if answered && queue.waiting.is_empty() {
            queue.away = None;
        }
        answered
    }

    /// Delivers the next call, or some that go together. `None` when nothing waits.
    async fn step(&self) -> Result<Option<Delivery>, SpoolError> {
        let mut outcomes = self.0.delivering.lock().await;
        let (next, maybe_sent) = {
            let queue = self.queue();
            match queue.waiting.first_key_value() {
                None => return Ok(None),
                Some((seq, place)) => ((*seq, *place), queue.maybe_sent == Some(*seq)),
            }
        };
        let (seq, Some(place)) = next else {
            // It is just being written.
            tokio::time::sleep(Duration::from_millis(1)).await;
            return Ok(Some(Delivery::default()));
        };
        let record = self.0.events.read(place)?;
        let mut event: Event = parse(&record, &self.0.dir, EVENTS)?;
        event.maybe_sent |= maybe_sent;
        if let Some(batch) = self.metrics_together(seq, &event, &record.body)? {
            match self.attempt(&batch.event, &batch.body).await {
                Ok(Answer::Taken(_)) => {
                    let count = self.note(&mut outcomes, batch.last, Vec::new()).await?;
                    return Ok(Some(Delivery { delivered: count, refused: Vec::new() }));
                }
                Err(why) => return Err(self.gone(why, seq)),
                // One of them is at fault; alone each gets its own answer.
                Ok(Answer::Refused(_)) => {}
            }
        }
        let delivery = match self.attempt(&event, &record.body).await {
            Ok(Answer::Taken(ids)) => {
                self.note(&mut outcomes, seq, ids).await?;
                Delivery { delivered: 1, refused: Vec::new() }
            }
            Ok(Answer::Refused(message)) => {
                let call = event.target.split('?').next().unwrap_or_default().to_owned();
                let refused = Refused { call, message, event: event.clone() };
                self.keep_refused(&refused, &record.body)?;
                self.note(&mut outcomes, seq, Vec::new()).await?;
                Delivery { delivered: 0, refused: vec![refused] }
            }
            Err(why) => return Err(self.gone(why, seq)),
        };
        if let Some((name, _)) = event.file.as_ref().filter(|_| delivery.refused.is_empty()) {
            let _ = fs::remove_file(self.0.dir.join(FILES).join(name));
        }
        Ok(Some(delivery))
    }

    fn gone(&self, why: String, seq: u64) -> SpoolError {
        let mut queue = self.queue();
        queue.away = Some(why.clone());
        queue.maybe_sent = Some(seq);
        SpoolError::Away { url: self.0.remote.url().to_owned(), why }
    }

    /// Notes that all up to `seq` are done. How many there were.
    async fn note(&self, outcomes: &mut Log, seq: u64, ids: Vec<(String, Known)>) -> Result<u64, SpoolError> {
        // Without ids the worst that a power failure does is that calls are sent again which may be.
        let sync = !ids.is_empty();
        let head = Outcome { seq, ids: ids.clone() };
        outcomes.append(Record::new(&head, b""), sync).await?;
        let mut files = 0;
        let places: Vec<Place> = {
            let queue = self.queue();
            queue.waiting.range(..=seq).filter_map(|(_, place)| *place).collect()
        };
        for place in &places {
            let event: Event = parse(&self.0.events.read(*place)?, &self.0.dir, EVENTS)?;
            files += event.file.map_or(0, |(_, size)| size);
        }
        let mut queue = self.queue();
        queue.waiting = queue.waiting.split_off(&(seq + 1));
        queue.files -= files;
        queue.delivered += places.len() as u64;
        queue.maybe_sent = None;
        for (local, known) in ids {
            Arc::make_mut(&mut queue.ids).insert(&local, known);
        }
        if queue.waiting.is_empty() {
            queue.away = None;
            if self.0.events.size() > TIDY {
                // Nobody can begin to wait meanwhile. The numbers go on, so that after a crash between the two steps what
                // is left counts as done.
                let ids = queue.ids.iter().map(|(local, known)| (local.clone(), known.clone())).collect();
                let path = self.0.dir.join(DELIVERED);
                log::rewrite(&path, &[Record::new(&Outcome { seq, ids }, b"")])?;
                *outcomes = Log::open(&path, |_, _| Ok(()))?;
                self.0.events.clear()?;
            }
        }
        Ok(places.len() as u64)
    }

    fn keep_refused(&self, refused: &Refused, body: &[u8]) -> Result<(), SpoolError> {
        let path = self.0.dir.join(REFUSED);
        let mut records = log::records(&path)?;
        // A process that was killed here may have kept it already.
        let known = records.iter().any(|record| {
            parse::<Refused>(record, &self.0.dir, REFUSED)
                .is_ok_and(|known| known.event.seq == refused.event.seq)
        });
        if !known {
            records.push(Record::new(refused, body));
            log::rewrite(&path, &records)?;
            self.queue().refused += 1;
        }
        Ok(())
    }

    /// The calls that the server refused and that are kept.
    pub fn refused(&self) -> Result<Vec<Refused>, SpoolError> {
        let records = log::records(&self.0.dir.join(REFUSED))?;
        records.iter().map(|record| parse(record, &self.0.dir, REFUSED)).collect()
    }

    /// Puts the calls that the server refused at the end of those that wait.
    pub async fn try_refused_again(&self) -> Result<(), SpoolError> {
        let path = self.0.dir.join(REFUSED);
        for record in log::records(&path)? {
            let refused: Refused = parse(&record, &self.0.dir, REFUSED)?;
            self.wait_in_line(refused.event, &record.body).await?;
        }
        log::rewrite(&path, &[])?;
        self.queue().refused = 0;
        Ok(())
    }

    /// The call that stands for this one and those behind it that log metrics of the same run one by one, with the number
    /// of the last.
    fn metrics_together(
        &self,
        first: u64,
        event: &Event,
        body: &[u8],
    ) -> Result<Option<Together>, SpoolError> {
        const ONE: &str = "/runs/log-metric";
        let Some(before) = event.target.strip_suffix(ONE) else { return Ok(None) };
        let Some((run, first_metric)) = metric(body) else { return Ok(None) };
        let places: Vec<(u64, Option<Place>)> = {
            let queue = self.queue();
            queue.waiting.range(first + 1..).take(TOGETHER - 1).map(|(seq, place)| (*seq, *place)).collect()
        };
        let (mut metrics, mut last) = (vec![first_metric], first);
        for (seq, place) in places {
            let Some(place) = place else { break };
            let record = self.0.events.read(place)?;
            let next: Event = parse(&record, &self.0.dir, EVENTS)?;
            match metric(&record.body).filter(|(of, _)| next.target == event.target && *of == run) {
                Some((_, metric)) => metrics.push(metric),
                None => break,
            }
            last = seq;
        }
        if metrics.len() == 1 {
            return Ok(None);
        }
        let batch = Event { target: format!("{before}/runs/log-batch"), ..event.clone() };
        let body = json!({"run_id": run, "metrics": metrics}).to_string();
        Ok(Some(Together { last, event: batch, body: body.into() }))
    }

    /// Sends a call until the server has taken or refused it; `Err` says why it is away.
    async fn attempt(&self, event: &Event, body: &[u8]) -> Result<Answer, String> {
        let mut failures = 0;
        loop {
            let told = match self.send(event, body).await? {
                Ok(ids) => return Ok(Answer::Taken(ids)),
                Err(told) => told,
            };
            let Some((code, message)) = told.error() else {
                return Err(format!("it answered {} without the words of a tracking server", told.status));
            };
            match told.status.as_u16() {
                401 => return Err(format!("it wants other credentials: {message}")),
                500 if failures < FAILURES => {
                    failures += 1;
                    tokio::time::sleep(Duration::from_millis(250) * 2_u32.pow(failures)).await;
                }
                _ if code == "TEMPORARILY_UNAVAILABLE" => return Err(message),
                _ if event.maybe_sent && is_done_already(event, &message) => {
                    return Ok(Answer::Taken(Vec::new()));
                }
                _ => return Ok(Answer::Refused(format!("{code}: {message}"))),
            }
        }
    }

    /// Sends a call once. `Ok(Err(…))` is an answer that is not a success.
    async fn send(&self, event: &Event, body: &[u8]) -> Result<Result<Vec<(String, Known)>, Told>, String> {
        let ids = self.queue().ids.clone();
        let method = Method::from_bytes(event.method.as_bytes()).unwrap_or(Method::POST);
        let path = event.target.split('?').next().unwrap_or_default();
        if let Some(sent) = calls::artifact_path(path) {
            let decoded = percent_decode_str(sent).decode_utf8_lossy().into_owned();
            let told = match (&event.file, ArtifactPath::parse(&ids.translate(&decoded))) {
                (Some((name, _)), _) => self.send_file(&decoded, &self.0.dir.join(FILES).join(name)).await?,
                (None, Ok(path)) => self.0.remote.remove(&path).await?,
                (None, Err(_)) => return Ok(Ok(Vec::new())),
            };
            return Ok(if told.status.is_success() { Ok(Vec::new()) } else { Err(told) });
        }
        let call = calls::waiting(&method, path).unwrap_or(Call::Plain);
        let source = if call == Call::CreateVersion { ids.source(body) } else { None };
        let text = std::str::from_utf8(body).ok().map(|text| ids.translate(text));
        let mut body: Bytes = text.map_or_else(|| Bytes::copy_from_slice(body), Bytes::from);
        let mut made: Json = serde_json::from_slice(&body).unwrap_or_default();
        if let Some(source) = source {
            made["source"] = json!(source);
            body = made.to_string().into();
        }
        if event.maybe_sent
            && let Some(local) = &event.local
            && let Some(found) = self.find(call, local, &made).await?
        {
            return Ok(Ok(vec![(local.clone(), found)]));
        }
        if event.maybe_sent && path.ends_with("/runs/log-model") && self.history_has(&made).await? {
            return Ok(Ok(Vec::new()));
        }
        let ask = Ask {
            method,
            target: &ids.translate(&event.target),
            content_type: event.content_type.as_deref(),
            headers: &event
                .headers
                .iter()
                .map(|(name, value)| (name.clone(), ids.translate(value)))
                .collect::<Vec<_>>(),
            body,
            timeout: PATIENCE,
        };
        let told = self.0.remote.ask(&ask).await?;
        if !told.status.is_success() {
            return match (call, told.error()) {
                (Call::CreateRegisteredModel, Some((code, _))) if code == "RESOURCE_ALREADY_EXISTS" => {
                    Ok(Ok(Vec::new()))
                }
                (Call::CreateExperiment, Some((code, _))) if code == "RESOURCE_ALREADY_EXISTS" => {
                    let name = made.get("name").and_then(Json::as_str).unwrap_or_default();
                    let found = self.experiment_named(name).await?;
                    Ok(found.map(|id| match (&event.local, id) {
                        (Some(local), Some(id)) => vec![(local.clone(), Known { id, artifacts: None })],
                        _ => Vec::new(),
                    }))
                }
                _ => Ok(Err(told)),
            };
        }
        let Some(local) = &event.local else { return Ok(Ok(Vec::new())) };
        let Some(made_there) = known(call, &told.json().unwrap_or_default()) else {
            return Err("it answered without saying what it has made".to_owned());
        };
        if event.maybe_sent
            && matches!(call, Call::CreateRun | Call::CreateVersion)
            && made_there.id != *local
        {
            self.drop_twins(call, local, &made, &made_there.id).await?;
        }
        Ok(Ok(vec![(local.clone(), made_there)]))
    }

    /// Uploads a file that a client named by its path behind the proxy.
    pub(super) async fn send_file(&self, path: &str, file: &std::path::Path) -> Result<Told, String> {
        let ids = self.queue().ids.clone();
        let place = ids.artifact(path);
        // The one file in which a client writes ids.
        let model = path.ends_with("/MLmodel").then(|| fs::read_to_string(file).ok()).flatten();
        let translated =
            model.as_ref().map(|text| ids.translate(text)).filter(|text| Some(text) != model.as_ref());
        let mut rewritten = None;
        if let Some(text) = translated {
            let temp = tempfile::NamedTempFile::new_in(&self.0.dir).map_err(|error| error.to_string())?;
            fs::write(temp.path(), text).map_err(|error| error.to_string())?;
            rewritten = Some(temp);
        }
        let file = rewritten.as_ref().map_or(file, |temp| temp.path());
        match place {
            Some(uri) => self.0.remote.upload_to(&uri, file).await,
            None => self.0.remote.upload(&ids.translate(path), file).await,
        }
    }
}

/// The run and the metric that a single call logs.
fn metric(body: &[u8]) -> Option<(String, Json)> {
    let mut fields: BTreeMap<String, Json> = serde_json::from_slice(body).ok()?;
    let run = fields.remove("run_id").or_else(|| fields.remove("run_uuid"))?.as_str()?.to_owned();
    fields.remove("run_uuid");
    Some((run, json!(fields)))
}
