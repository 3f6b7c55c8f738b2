//! The two ends of one connection's bytes: plain, or sealed by a session. Plain bytes take the way that they would
//! take if there were no other.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::super::security::{Opening, Session};
use super::outbound::consume;

/// Frames per system call.
const SLICES_MAX: usize = 64;

/// Room for sealed bytes that is kept between two small batches; beyond that it is for batches as large as the last one.
pub(super) const SEALED_KEPT: usize = 8 << 10;

/// Where frames go.
pub(super) struct Sink {
    socket: OwnedWriteHalf,
    session: Option<Arc<Session>>,
}

/// Where frames come from.
pub(super) struct Source {
    socket: OwnedReadHalf,
    opening: Option<Opening>,
}

/// How much of a batch left.
pub(super) struct Written {
    /// Bytes of the batch that need not be written again.
    pub(super) taken: usize,
    /// Bytes with the operating system.
    pub(super) sent: usize,
    /// The socket takes no more now.
    pub(super) blocked: bool,
}

/// Both ends of `socket`; `opening` has the session, and what of it was read already.
pub(super) fn ends(socket: TcpStream, opening: Option<Opening>) -> (Source, Sink) {
    let (source, sink) = socket.into_split();
    let session = opening.as_ref().map(|opening| opening.session().clone());
    (Source { socket: source, opening }, Sink { socket: sink, session })
}

impl Sink {
    /// What is written from here on leaves as it is.
    #[cfg(feature = "fuzzing")]
    pub(super) fn bare(self) -> Self {
        Self { session: None, ..self }
    }

    pub(super) fn socket(&self) -> &TcpStream {
        self.socket.as_ref()
    }

    /// Writes all of `frame`, before there is anybody else who writes; how many bytes that was.
    pub(super) async fn write_all(&self, frame: Bytes) -> io::Result<usize> {
        let (mut batch, mut sealed, mut total) = (VecDeque::from([frame]), BytesMut::new(), 0_usize);
        while !batch.is_empty() || !sealed.is_empty() {
            self.socket.writable().await?;
            match self.write(&batch, &mut sealed) {
                Ok(Written { taken, sent, .. }) => {
                    total = total.saturating_add(sent);
                    consume(&mut batch, taken);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(total)
    }

    /// Writes from the front of `batch`. `sealed` has what was sealed and not written, which goes first.
    pub(super) fn write(&self, batch: &VecDeque<Bytes>, sealed: &mut BytesMut) -> io::Result<Written> {
        let Some(session) = &self.session else {
            let sent = write_plain(&self.socket, batch)?;
            return Ok(Written { taken: sent, sent, blocked: false });
        };
        // The room before what was left is out of sight until all is written.
        let left = !sealed.is_empty();
        let taken = if left { 0 } else { session.seal(batch, sealed)? };
        match self.socket.try_write(sealed) {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Ok(sent) => {
                if sent < sealed.len() {
                    sealed.advance(sent);
                } else if left || sent <= SEALED_KEPT && sealed.capacity() > SEALED_KEPT {
                    // Most connections say little for hours after something large.
                    *sealed = BytesMut::new();
                } else {
                    // Its room stays where it is; a buffer that was advanced to its end seems lost to leak checkers.
                    sealed.clear();
                }
                Ok(Written { taken, sent, blocked: false })
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Written { taken, sent: 0, blocked: true }),
            Err(error) => Err(error),
        }
    }
}

impl Source {
    /// How many bytes the operating system gave for a read of `plain` bytes.
    pub(super) fn received(&mut self, plain: usize) -> usize {
        self.opening.as_mut().map_or(plain, Opening::take_read)
    }

    /// All that was not read is with the operating system: what is sealed may have been taken from it already.
    pub(super) fn holds_nothing(&self) -> bool {
        self.opening.is_none()
    }

    /// Waits until the operating system has something to read.
    ///
    /// # Errors
    /// Those of the socket, which a read would meet too.
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }
}

impl AsyncRead for Source {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { socket, opening } = self.get_mut();
        match opening {
            None => Pin::new(socket).poll_read(cx, into),
            Some(opening) => opening.poll_read(socket, cx, into),
        }
    }
}

fn write_plain(socket: &OwnedWriteHalf, batch: &VecDeque<Bytes>) -> io::Result<usize> {
    if let [frame] = batch.as_slices().0
        && batch.len() == 1
    {
        return nonzero(socket.try_write(frame)?);
    }
    let mut slices = [IoSlice::new(&[]); SLICES_MAX];
    let mut used = 0;
    for (slice, frame) in slices.iter_mut().zip(batch) {
        *slice = IoSlice::new(frame);
        used += 1;
    }
    nonzero(write_vectored(socket, slices.get(..used).unwrap_or_default())?)
}

/// `writev` raises SIGPIPE when the peer is gone, which ends a program that does not ignore the signal, as C programs
/// do not; `sendmsg` can be told not to. (The standard library tells `send` the same, so a single write is safe, and on
/// Apple's systems the runtime tells the socket.)
#[cfg(any(target_os = "linux", target_os = "android"))]
fn write_vectored(socket: &OwnedWriteHalf, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    const MSG_NOSIGNAL: i32 = 0x4000;
    let stream: &TcpStream = socket.as_ref();
    stream.try_io(tokio::io::Interest::WRITABLE, || {
        socket2::SockRef::from(stream).send_vectored_with_flags(slices, MSG_NOSIGNAL)
    })
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn write_vectored(socket: &OwnedWriteHalf, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    socket.try_write_vectored(slices)
}

/// A socket that takes nothing of something will never take it.
fn nonzero(written: usize) -> io::Result<usize> {
    if written == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(written) }
}
