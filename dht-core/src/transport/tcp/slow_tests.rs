//! Large items of a stream on a slow way.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::tests::{ask, options, transport};
use super::*;
use crate::transport::{Answer, Service};
use crate::wire::message::Response;

const LEN: usize = 3 << 20;
const IDLE_MAX: Duration = Duration::from_millis(400);

/// Answers with much text.
struct Large;

impl Service for Large {
    fn serve(&self, call: Call) -> Answer {
        Answer::Now(Reply::new(call.head, Response::Described { json: "x".repeat(LEN) }))
    }
}

/// Passes on what `to` says in parts of 32 KiB with a pause between them, but `first` bytes at most.
async fn slowly(to: &Address, pause: Duration, first: usize) -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = Address::new(&listener.local_addr().expect("bound").to_string());
    let to = to.clone();
    tokio::spawn(async move {
        while let Ok((from, _)) = listener.accept().await {
            let onward = TcpStream::connect(to.as_str()).await.expect("listening");
            let ((mut from_read, mut from_write), (mut to_read, mut to_write)) =
                (from.into_split(), onward.into_split());
            tokio::spawn(async move { tokio::io::copy(&mut from_read, &mut to_write).await });
            tokio::spawn(async move {
                let (mut buffer, mut left) = (vec![0; 32 << 10], first);
                while let Ok(read @ 1..) = to_read.read(&mut buffer).await {
                    let part = read.min(left);
                    left -= part;
                    if part == 0 || from_write.write_all(&buffer[..part]).await.is_err() {
                        // Nothing more comes, and the connection stays.
                        std::future::pending::<()>().await;
                    }
                    tokio::time::sleep(pause).await;
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn a_large_item_takes_its_time_while_it_comes() {
    let wide = |name| TcpOptions { frame_max: 2 * LEN, ..options(name) };
    let (a, b) = (transport(wide("a")).await, transport(wide("b")).await);
    b.accept(Arc::new(Large));
    let slow = slowly(&b.local_address(), Duration::from_millis(20), usize::MAX).await;
    let begun = Env::system().now();
    let mut stream = a.open(&slow, ask(""), IDLE_MAX).await.expect("opened");
    let item = stream.next().await.expect("an item").expect("it came");
    assert!(matches!(item.body, Response::Described { json } if json.len() == LEN));
    assert!(Env::system().now() > begun + 2 * IDLE_MAX, "it was to be slow");
    assert!(stream.next().await.is_none());
    let silent = slowly(&b.local_address(), Duration::from_millis(1), LEN / 2).await;
    let mut stream = a.open(&silent, ask(""), IDLE_MAX).await.expect("opened");
    let error = stream.next().await.expect("an end").expect_err("half of it never came");
    assert!(matches!(error, TransportError::Deadline(_) | TransportError::Broken(_)), "{error}");
    a.close().await;
    b.close().await;
}
