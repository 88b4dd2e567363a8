//! Workers that answer side by side, each watched by a task that starts it again when it has ended.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::BufReader;
use tokio::process::ChildStdout;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::frame::Frame;
use super::process::{Running, Worker, end, how_ended, kill};
use crate::Error;

/// A worker that ends again at once is started again after this long, then after twice as long, and so on.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A worker that has run for this long is not one that ends at once.
const STEADY: Duration = Duration::from_secs(30);

/// What a worker answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The content type, as MLflow names it.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
}

/// Processes that have the same model loaded. Dropping it ends them; [`close`](Self::close) waits for that.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
    version: String,
    closing: watch::Sender<bool>,
    watchers: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    workers: Mutex<Vec<State>>,
    /// A slot became free, or a worker changed its state.
    changed: Notify,
    numbers: AtomicU64,
}

#[derive(Debug)]
enum State {
    /// It loads the model.
    Starting,
    /// It answers.
    Serving(Serving),
    /// It could not be started again; the next attempt is to come.
    Down { reason: String },
}

#[derive(Debug)]
struct Serving {
    requests: mpsc::UnboundedSender<(u64, String, Vec<u8>)>,
    waiting: HashMap<u64, oneshot::Sender<Answer>>,
    slots: usize,
    /// Raised when every slot is taken by a request that nobody waits for any more.
    stuck: Arc<Notify>,
}

impl Pool {
    /// Starts `count` workers and waits until all have loaded the model.
    pub async fn start(worker: Worker, count: usize) -> Result<Self, Error> {
        // The first one shows whether it can be done at all, before several say the same.
        let first = worker.start().await?;
        let version = first.version.clone();
        let others = (1..count).map(|_| {
            let worker = worker.clone();
            tokio::spawn(async move { worker.start().await })
        });
        let mut started = vec![first];
        for other in others.collect::<Vec<_>>() {
            match other.await {
                Ok(running) => started.push(running?),
                Err(error) => tracing::error!(%error, "a worker was not started"),
            }
        }
        let shared = Arc::new(Shared {
            workers: Mutex::new(started.iter().map(|_| State::Starting).collect()),
            changed: Notify::new(),
            numbers: AtomicU64::new(1),
        });
        let (closing, _) = watch::channel(false);
        let watchers = started.into_iter().enumerate().map(|(position, running)| {
            let watcher = Watcher {
                shared: Arc::clone(&shared),
                position,
                worker: worker.clone(),
                closing: closing.subscribe(),
            };
            let serving = watcher.enter(&running);
            tokio::spawn(watcher.run(running, serving))
        });
        let watchers = Mutex::new(watchers.collect());
        Ok(Self { shared, version, closing, watchers })
    }

    /// The version of the MLflow in the model's environment.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether any worker can answer.
    pub fn is_up(&self) -> bool {
        self.shared.lock().iter().any(|state| matches!(state, State::Serving(_)))
    }

    /// Hands a request over and waits for the answer. Waits for a worker that is being started; fails when the
    /// worker ends over this request, and when none could be started again.
    ///
    /// A request that is given up (the future is dropped) keeps its place in the worker until it is answered, as
    /// nothing can stop Python in the middle; when a worker has only such requests, it is started anew.
    pub async fn predict(&self, content_type: String, body: Vec<u8>) -> Result<Answer, Error> {
        let mut request = Some((content_type, body));
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(given) = self.shared.give(&mut request)? {
                return given.answer().await;
            }
            changed.await;
        }
    }

    /// Ends the workers and waits for it.
    pub async fn close(&self) {
        self.closing.send_replace(true);
        let watchers = std::mem::take(&mut *self.watchers.lock().unwrap_or_else(PoisonError::into_inner));
        for watcher in watchers {
            let _ = watcher.await;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Vec<State>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the request to the worker with the most free slots; nothing while all are busy or starting.
    fn give(self: &Arc<Self>, request: &mut Option<(String, Vec<u8>)>) -> Result<Option<Given>, Error> {
        let mut workers = self.lock();
        let mut best: Option<(usize, usize)> = None;
        let mut down = None;
        let mut hope = false;
        for (position, state) in workers.iter().enumerate() {
            match state {
                State::Serving(serving) => {
                    hope = true;
                    let free = serving.slots.saturating_sub(serving.waiting.len());
                    if free > best.map_or(0, |(_, most)| most) {
                        best = Some((position, free));
                    }
                }
                State::Starting => hope = true,
                State::Down { reason } => down = Some(reason.clone()),
            }
        }
        if let (Some(reason), false) = (down, hope) {
            return Err(Error::NoWorker { reason });
        }
        let Some((position, _)) = best else { return Ok(None) };
        let (State::Serving(serving), Some((content_type, body))) = (&mut workers[position], request.take())
        else {
            return Ok(None);
        };
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        serving.waiting.insert(number, sender);
        // A worker that has just ended drops what is waiting, which is then told.
        let _ = serving.requests.send((number, content_type, body));
        Ok(Some(Given { shared: Arc::clone(self), position, receiver }))
    }
    /// Passes the answers of a worker on until its output ends.
    async fn pass_answers(&self, position: usize, mut output: BufReader<ChildStdout>) {
        while let Ok(frame) = Frame::read(&mut output).await {
            let sender = match &mut self.lock()[position] {
                State::Serving(serving) => serving.waiting.remove(&frame.number),
                _ => None,
            };
            self.changed.notify_one();
            let (status, content_type) = frame.head.split_once(' ').unwrap_or(("500", "text/plain"));
            let answer = Answer {
                status: status.parse().unwrap_or(500),
                content_type: content_type.to_owned(),
                body: frame.body,
            };
            if let Some(sender) = sender {
                // Nobody may wait for it any more.
                let _ = sender.send(answer);
            }
        }
    }
}

/// A request in the hands of a worker.
struct Given {
    shared: Arc<Shared>,
    position: usize,
    receiver: oneshot::Receiver<Answer>,
}

impl Given {
    async fn answer(mut self) -> Result<Answer, Error> {
        (&mut self.receiver).await.map_err(|_| Error::WorkerLost)
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        self.receiver.close();
        if let Some(State::Serving(serving)) = self.shared.lock().get(self.position)
            && serving.waiting.len() >= serving.slots
            && serving.waiting.values().all(oneshot::Sender::is_closed)
        {
            serving.stuck.notify_one();
        }
    }
}

/// Looks after one worker.
struct Watcher {
    shared: Arc<Shared>,
    position: usize,
    worker: Worker,
    closing: watch::Receiver<bool>,
}

/// The ends that the watcher keeps of a worker that answers.
struct Ends {
    requests: mpsc::UnboundedReceiver<(u64, String, Vec<u8>)>,
    stuck: Arc<Notify>,
}

impl Watcher {
    /// Lets requests go to `running`.
    fn enter(&self, running: &Running) -> Ends {
        let (sender, requests) = mpsc::unbounded_channel();
        let stuck = Arc::new(Notify::new());
        self.set(State::Serving(Serving {
            requests: sender,
            waiting: HashMap::new(),
            slots: running.slots,
            stuck: Arc::clone(&stuck),
        }));
        Ends { requests, stuck }
    }

    /// Changes the state. Requests that the old state held are told that their worker is lost.
    fn set(&self, state: State) {
        self.shared.lock()[self.position] = state;
        self.shared.changed.notify_waiters();
    }

    async fn run(mut self, running: Running, ends: Ends) {
        let mut pause = FIRST_PAUSE;
        let mut current = Some((running, ends));
        loop {
            if let Some((running, ends)) = current.take() {
                let since = Instant::now();
                let how = self.serve(running, ends).await;
                if *self.closing.borrow() {
                    return;
                }
                tracing::warn!("worker {}: {how}; it is started again", self.position + 1);
                if since.elapsed() >= STEADY {
                    pause = FIRST_PAUSE;
                }
                self.set(State::Starting);
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = self.closing.wait_for(|closing| *closing) => return,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            let started = tokio::select! {
                started = self.worker.start() => started,
                _ = self.closing.wait_for(|closing| *closing) => return,
            };
            match started {
                Ok(running) => {
                    let ends = self.enter(&running);
                    current = Some((running, ends));
                }
                Err(error) => {
                    tracing::error!(%error, "worker {} could not be started again", self.position + 1);
                    self.set(State::Down { reason: error.to_string() });
                }
            }
        }
    }

    /// Passes requests and answers until the process ends, is stuck, or the pool is closed; says how it went.
    async fn serve(&mut self, running: Running, ends: Ends) -> String {
        let Running { mut child, mut input, output, .. } = running;
        let Ends { mut requests, stuck } = ends;
        let writing = tokio::spawn(async move {
            while let Some((number, content_type, body)) = requests.recv().await {
                if Frame::write(number, &content_type, &body, &mut input).await.is_err() {
                    break;
                }
            }
        });
        let mut how = None;
        tokio::select! {
            () = self.shared.pass_answers(self.position, output) => {}
            () = stuck.notified() => {
                kill(child.id());
                how = Some("all it worked on took too long".to_owned());
            }
            _ = self.closing.wait_for(|closing| *closing) => {}
        }
        // This closes the input of the process, which tells it to end.
        writing.abort();
        let _ = writing.await;
        let status = end(&mut child).await;
        how.unwrap_or_else(|| how_ended(status))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.closing.send_replace(true);
    }
}
