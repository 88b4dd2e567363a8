//! What goes between this program and a worker: a number, a head and a body, each length first.
//!
//! `worker.py` is the other end.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Nothing that a worker sends has a longer head.
const MAX_HEAD: u32 = 64 << 10;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// Which request it belongs to; 0 is none.
    pub number: u64,
    /// The content type of a request, the status and content type of an answer.
    pub head: String,
    /// The rest.
    pub body: Vec<u8>,
}

impl Frame {
    /// Writes the frame whole. A caller that gives up in between leaves the stream unusable.
    pub async fn write(
        number: u64,
        head: &str,
        body: &[u8],
        to: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<()> {
        let mut start = Vec::with_capacity(20 + head.len());
        start.extend_from_slice(&number.to_be_bytes());
        start.extend_from_slice(&u32::try_from(head.len()).unwrap_or(u32::MAX).to_be_bytes());
        start.extend_from_slice(&(body.len() as u64).to_be_bytes());
        start.extend_from_slice(head.as_bytes());
        to.write_all(&start).await?;
        to.write_all(body).await?;
        to.flush().await
    }

    /// Reads the next frame; an error at the end of the stream.
    pub async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let number = from.read_u64().await?;
        let head_length = from.read_u32().await?;
        let body_length = from.read_u64().await?;
        let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("a frame with {what}"));
        if head_length > MAX_HEAD {
            return Err(wrong("an endless head"));
        }
        let mut head = vec![0; head_length as usize];
        from.read_exact(&mut head).await?;
        let head = String::from_utf8(head).map_err(|_| wrong("a head that is no text"))?;
        // The body grows as it arrives: a wrong length takes no memory.
        let mut body = Vec::new();
        if from.take(body_length).read_to_end(&mut body).await? as u64 != body_length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Self { number, head, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_come_back_as_they_were_sent() {
        let mut wire = Vec::new();
        Frame::write(7, "200 text/plain", b"one", &mut wire).await.unwrap();
        Frame::write(8, "", b"", &mut wire).await.unwrap();
        let mut from = wire.as_slice();
        let first = Frame { number: 7, head: "200 text/plain".into(), body: b"one".to_vec() };
        assert_eq!(Frame::read(&mut from).await.unwrap(), first);
        assert_eq!(Frame::read(&mut from).await.unwrap().number, 8);
        assert!(Frame::read(&mut from).await.is_err());
        for cut in 1..wire.len() - 20 {
            assert!(Frame::read(&mut &wire[..cut]).await.is_err(), "{cut}");
        }
    }

    #[tokio::test]
    async fn lengths_that_lie_are_refused() {
        let mut wire = Vec::new();
        wire.extend_from_slice(&1_u64.to_be_bytes());
        wire.extend_from_slice(&u32::MAX.to_be_bytes());
        wire.extend_from_slice(&u64::MAX.to_be_bytes());
        assert!(Frame::read(&mut wire.as_slice()).await.is_err());
        wire[8..12].copy_from_slice(&0_u32.to_be_bytes());
        assert!(Frame::read(&mut wire.as_slice()).await.is_err());
    }
}
