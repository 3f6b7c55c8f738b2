//! What the fuzz targets need of secured connections: see `fuzz/README.md`.

use std::convert::Infallible;
use std::io;

use bytes::Bytes;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::super::security::{Opening, Security, shake_hands};
use super::channel::ends;

/// Makes a TLS session over `socket` as the dialler, showing what `security` has; then says `inside` in it, `beneath` on
/// the socket as it is, and that this is all. What came back inside until the other side was done, or broke the session.
///
/// # Errors
/// The other side let no session come to be.
pub async fn said_inside(
    socket: TcpStream,
    security: &Security,
    inside: Vec<u8>,
    beneath: Vec<u8>,
) -> io::Result<Vec<u8>> {
    let tls = security.dial().map_err(io::Error::other)?;
    let Ok((session, cipher)) = shake_hands(tls, &socket, |_, _| {}, |_| None::<Infallible>).await?;
    let (mut source, sink) = ends(socket, Some(Opening::new(session, cipher)));
    let say = async move {
        if !inside.is_empty() {
            sink.write_all(Bytes::from(inside)).await?;
        }
        let sink = sink.bare();
        if !beneath.is_empty() {
            sink.write_all(Bytes::from(beneath)).await?;
        }
        // What is dropped says that nothing more comes.
        io::Result::Ok(())
    };
    let mut answers = Vec::new();
    // Either fails if the other side has had enough.
    let (_said, _heard) = tokio::join!(say, source.read_to_end(&mut answers));
    Ok(answers)
}
