//! How many requests are worked on at once, and how many wait: past that, clients are told to come back.
//!
//! MLflow's clients repeat a request that is answered with 429, so a crowd is served in turns instead of all failing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;

/// Requests that are worked on at once; each may hold a body in memory.
const AT_ONCE: usize = 128;
/// Requests that wait; they hold no more than their head.
const WAITING: usize = 4096;
/// How long one waits.
const PATIENCE: Duration = Duration::from_secs(20);

struct Door {
    places: Semaphore,
    waiting: AtomicUsize,
    most_waiting: usize,
    patience: Duration,
}

/// Puts the door before all routes.
pub fn guard(router: Router) -> Router {
    with_door(router, AT_ONCE, WAITING, PATIENCE)
}

fn with_door(router: Router, at_once: usize, most_waiting: usize, patience: Duration) -> Router {
    let (places, waiting) = (Semaphore::new(at_once), AtomicUsize::new(0));
    let door = Arc::new(Door { places, waiting, most_waiting, patience });
    router.layer(from_fn_with_state(door, enter))
}

async fn enter(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    // Files go piece by piece and may take minutes; whoever asks how the server is gets an answer at once.
    if path.contains("artifact") || matches!(path, "/health" | "/version") {
        return next.run(request).await;
    }
    let place = match door.places.try_acquire() {
        Ok(place) => place,
        Err(_) => {
            if door.waiting.fetch_add(1, Ordering::Relaxed) >= door.most_waiting {
                door.waiting.fetch_sub(1, Ordering::Relaxed);
                return come_back();
            }
            // Also counted off when the client goes away while it waits.
            let _counted = Counted(&door.waiting);
            match tokio::time::timeout(door.patience, door.places.acquire()).await {
                Ok(Ok(place)) => place,
                _ => return come_back(),
            }
        }
    };
    let answer = next.run(request).await;
    drop(place);
    answer
}

struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn come_back() -> Response {
    let body = r#"{"error_code": "REQUEST_LIMIT_EXCEEDED", "message": "The server is busy; try again."}"#;
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::RETRY_AFTER, "1")];
    (StatusCode::TOO_MANY_REQUESTS, headers, body).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn who_finds_no_place_and_no_room_to_wait_comes_back_later() {
        let go = Arc::new(Semaphore::new(0));
        let held = Arc::clone(&go);
        let slow = get(move || async move { drop(held.acquire().await) });
        let router = Router::new().route("/slow", slow).route("/health", get(async || "OK"));
        let router = with_door(router, 1, 1, Duration::from_secs(60));
        let ask = |path: &str| {
            let request = Request::builder().uri(path).body(Body::empty()).unwrap();
            tokio::spawn(router.clone().oneshot(request))
        };
        let (first, second) = (ask("/slow"), ask("/slow"));
        tokio::task::yield_now().await;
        let third = ask("/slow").await.unwrap().unwrap();
        assert_eq!((third.status().as_u16(), &third.headers()["retry-after"]), (429, &"1".parse().unwrap()));
        assert_eq!(ask("/health").await.unwrap().unwrap().status(), 200);
        go.add_permits(1);
        for one in [first, second] {
            assert_eq!(one.await.unwrap().unwrap().status(), 200);
        }
    }
}
