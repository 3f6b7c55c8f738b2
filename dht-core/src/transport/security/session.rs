//! One TLS session, shared by the end that sends and the end that receives.
//!
//! The lock is held while bytes are sealed or opened, never during a system call: what was sealed is written, and what
//! is opened was read, outside of it.

use std::collections::VecDeque;
use std::io::BufRead as _;
use std::io::{self, IoSlice, Write as _};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use rustls::Connection;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncReadExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;

/// What makes one channel unlike all others, for proofs.
const CHANNEL_LABEL: &[u8] = b"EXPORTER-dht-cluster-key";

/// Frames sealed together, and their bytes: four records, as long as there may be.
const SLICES_MAX: usize = 64;
const SEALED_TOGETHER_MAX: usize = 64 << 10;

/// The buffer of sealed bytes of a quiet connection, and of a busy one.
const CIPHER_LEN_MIN: usize = 4 << 10;
const CIPHER_LEN_MAX: usize = 64 << 10;

/// After so many reads in a row that used less than a quarter of it, the buffer is made small again.
const QUIET_READS: u32 = 256;

/// A session whose handshake is over.
pub(in crate::transport) struct Session(Mutex<Connection>);

impl Session {
    pub(in crate::transport) fn new(mut tls: Connection) -> Arc<Self> {
        // What is sealed is taken out at once, and bounded by what is sealed together.
        tls.set_buffer_limit(None);
        Arc::new(Self(Mutex::new(tls)))
    }

    /// Seals the front of `batch` into `out`; how many bytes of it.
    pub(in crate::transport) fn seal(&self, batch: &VecDeque<Bytes>, out: &mut BytesMut) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let (mut used, mut room) = (0, SEALED_TOGETHER_MAX);
        for (slice, frame) in slices.iter_mut().zip(batch) {
            let part = frame.get(..room).unwrap_or(frame);
            *slice = IoSlice::new(part);
            used += 1;
            room -= part.len();
            if room == 0 {
                break;
            }
        }
        let mut tls = self.lock();
        let taken = match slices.get(..used).unwrap_or_default() {
            [one] => tls.writer().write(one)?,
            many => tls.writer().write_vectored(many)?,
        };
        while tls.wants_write() {
            tls.write_tls(&mut out.writer())?;
        }
        Ok(taken)
    }

    /// Opens what is whole in `cipher`, into `into`, as far as there is room.
    fn open(&self, cipher: &mut BytesMut, into: &mut ReadBuf<'_>) -> io::Result<()> {
        let mut tls = self.lock();
        loop {
            take_plain(&mut tls, into)?;
            if cipher.is_empty() || into.remaining() == 0 {
                return Ok(());
            }
            take_cipher(&mut tls, cipher)?;
        }
    }

    /// What was agreed by ALPN.
    pub(in crate::transport) fn protocol(&self) -> Option<Vec<u8>> {
        self.lock().alpn_protocol().map(<[u8]>::to_vec)
    }

    /// The certificate that the peer showed and whose chain was checked, in DER.
    pub(in crate::transport) fn peer_certificate(&self) -> Option<CertificateDer<'static>> {
        self.lock().peer_certificates().and_then(<[_]>::first).cloned()
    }

    /// A secret of exactly this session, known to both ends.
    pub(in crate::transport) fn channel(&self) -> Option<[u8; 32]> {
        self.lock().export_keying_material([0; 32], CHANNEL_LABEL, Some(b"")).ok()
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A session that panicked half way is in a state of its own, which fails whatever comes next.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Moves what was opened.
fn take_plain(tls: &mut Connection, into: &mut ReadBuf<'_>) -> io::Result<()> {
    let mut plain = tls.reader();
    while into.remaining() > 0 {
        let chunk = match plain.fill_buf() {
            Ok([]) => break,
            Ok(chunk) => chunk,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        };
        let part = chunk.get(..into.remaining()).unwrap_or(chunk);
        let len = part.len();
        into.put_slice(part);
        plain.consume(len);
    }
    Ok(())
}

/// Gives the session the front of `cipher`.
pub(super) fn take_cipher(tls: &mut Connection, cipher: &mut BytesMut) -> io::Result<()> {
    let taken = tls.read_tls(&mut cipher.as_ref())?;
    if taken == 0 {
        // The peer said that nothing more comes.
        cipher.clear();
    }
    cipher.advance(taken);
    tls.process_new_packets().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(())
}

/// The receiving end: reads sealed bytes and gives plain ones.
pub(in crate::transport) struct Opening {
    session: Arc<Session>,
    cipher: BytesMut,
    size: usize,
    quiet_reads: u32,
    ended: bool,
    /// Sealed bytes that were read and not told of yet.
    read: usize,
}

impl Opening {
    /// `cipher` was read already.
    pub(in crate::transport) fn new(session: Arc<Session>, cipher: BytesMut) -> Self {
        Self { session, cipher, size: CIPHER_LEN_MIN, quiet_reads: 0, ended: false, read: 0 }
    }

    /// Sealed bytes read since this was asked last.
    pub(in crate::transport) fn take_read(&mut self) -> usize {
        std::mem::take(&mut self.read)
    }

    pub(in crate::transport) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// As `AsyncRead::poll_read`, of what `socket` brings.
    pub(in crate::transport) fn poll_read(
        &mut self,
        socket: &mut OwnedReadHalf,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        loop {
            self.session.open(&mut self.cipher, into)?;
            if into.filled().len() > before || into.remaining() == 0 || self.ended {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_fill(socket, cx))?;
        }
    }

    fn poll_fill(&mut self, socket: &mut OwnedReadHalf, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.make_room();
        let room = self.cipher.capacity() - self.cipher.len();
        // Not `try_read_buf`: this notes that a read which gave less than there was room for has emptied the socket.
        let read = ready!(pin!(socket.read_buf(&mut self.cipher)).poll(cx))?;
        self.ended = read == 0;
        self.read += read;
        if read >= room {
            self.size = (self.size * 2).min(CIPHER_LEN_MAX);
        }
        self.quiet_reads = if read < self.size / 4 { self.quiet_reads.saturating_add(1) } else { 0 };
        Poll::Ready(Ok(()))
    }

    /// All of it was opened, so the buffer is empty.
    fn make_room(&mut self) {
        if self.quiet_reads >= QUIET_READS && self.size > CIPHER_LEN_MIN {
            self.size = CIPHER_LEN_MIN;
            self.quiet_reads = 0;
            self.cipher = BytesMut::new();
        }
        self.cipher.reserve(self.size);
    }
}

/// Speaks TLS over `socket` until both sides have finished: the session, and what was read beyond. `counted` is told of
/// bytes sent and received, `unwanted` of the first byte that comes: what it says of it ends the handshake.
pub(in crate::transport) async fn shake_hands<T>(
    mut tls: Connection,
    socket: &TcpStream,
    mut counted: impl FnMut(usize, usize),
    unwanted: impl FnOnce(u8) -> Option<T>,
) -> io::Result<Result<(Arc<Session>, BytesMut), T>> {
    let mut cipher = BytesMut::with_capacity(CIPHER_LEN_MIN);
    let mut out = BytesMut::new();
    let mut unwanted = Some(unwanted);
    loop {
        // An error is to be told to the peer first: what is sealed then is the alert.
        let failed = loop {
            if cipher.is_empty() || !tls.is_handshaking() {
                break None;
            }
            if let Err(error) = take_cipher(&mut tls, &mut cipher) {
                break Some(error);
            }
        };
        while tls.wants_write() {
            tls.write_tls(&mut (&mut out).writer())?;
        }
        counted(out.len(), 0);
        write_all(socket, &mut out).await?;
        if let Some(error) = failed {
            return Err(error);
        }
        if !tls.is_handshaking() {
            return Ok(Ok((Session::new(tls), cipher)));
        }
        socket.readable().await?;
        cipher.reserve(CIPHER_LEN_MIN);
        match socket.try_read_buf(&mut cipher) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                counted(0, read);
                if let (Some(unwanted), Some(first)) = (unwanted.take(), cipher.first())
                    && let Some(what) = unwanted(*first)
                {
                    return Ok(Err(what));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// Writes `bytes`, before anybody else writes to the socket.
async fn write_all(socket: &TcpStream, bytes: &mut BytesMut) -> io::Result<()> {
    while !bytes.is_empty() {
        socket.writable().await?;
        match socket.try_write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes.advance(written),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
