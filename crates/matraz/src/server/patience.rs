//! Bodies and streams that end with an error when the other side does nothing for too long.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// A clock that runs while something is waited for.
#[derive(Debug)]
struct Patience {
    most: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    fn new(most: Duration) -> Self {
        Self { most, waiting: None }
    }

    /// Passes a result on; one that is not there in time becomes an error.
    fn watch<T>(&mut self, result: Poll<T>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        match result {
            Poll::Ready(value) => {
                self.waiting = None;
                Poll::Ready(Ok(value))
            }
            Poll::Pending => {
                let most = self.most;
                let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(most)));
                match waiting.as_mut().poll(context) {
                    Poll::Ready(()) => {
                        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client took too long")))
                    }
                    Poll::Pending => Poll::Pending,
                }
            }
        }
    }
}

/// The body of a request.
#[derive(Debug)]
pub struct PatientBody {
    body: Incoming,
    patience: Patience,
}

impl PatientBody {
    /// A body whose next piece must come within `most`.
    pub fn new(body: Incoming, most: Duration) -> Self {
        Self { body, patience: Patience::new(most) }
    }
}

impl HttpBody for PatientBody {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let result = Pin::new(&mut self.body).poll_frame(context);
        match self.patience.watch(result, context) {
            Poll::Ready(Ok(frame)) => Poll::Ready(frame.map(|frame| frame.map_err(Into::into))),
            Poll::Ready(Err(late)) => Poll::Ready(Some(Err(late.into()))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection whose other side must read what is sent. How long it may take to send is watched elsewhere.
#[derive(Debug)]
pub struct PatientStream<S> {
    stream: S,
    patience: Patience,
}

impl<S> PatientStream<S> {
    /// A connection on which something must be taken within `most`.
    pub fn new(stream: S, most: Duration) -> Self {
        Self { stream, patience: Patience::new(most) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PatientStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PatientStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.patience.watch(result, context).map(Result::flatten)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.patience.watch(result, context).map(Result::flatten)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(context);
        self.patience.watch(result, context).map(Result::flatten)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_shutdown(context);
        self.patience.watch(result, context).map(Result::flatten)
    }
}
