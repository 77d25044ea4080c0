//! The step function that flows apply: answers with what it gets, one thread per connection.

use crate::client::read_message;
use anyhow::{Context, Result};
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

/// Serves until the process ends.
pub fn start() -> Result<SocketAddr> {
    listen(|stream| serve(stream, Duration::ZERO))
}

/// The same, but each answer takes this long.
pub fn slow(delay: Duration) -> Result<SocketAddr> {
    listen(move |stream| serve(stream, delay))
}

/// The same, but says when each request arrived, with its body.
pub fn noting(arrivals: Sender<(Instant, Vec<u8>)>) -> Result<SocketAddr> {
    listen(move |mut stream| {
        stream.set_nodelay(true)?;
        let mut buffer = vec![0; 64 << 10];
        while let Some(request) = read_message(&mut stream, &mut buffer)? {
            arrivals.send((Instant::now(), request.body.to_vec())).context("nobody waits for calls")?;
            let mut answer = Vec::new();
            write!(answer, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", request.body.len())?;
            answer.extend_from_slice(request.body);
            stream.write_all(&answer)?;
        }
        Ok(())
    })
}

/// The same, but nothing is answered: counts the calls that wait.
pub fn never(calls: Arc<AtomicUsize>) -> Result<SocketAddr> {
    listen(move |mut stream| {
        let mut buffer = vec![0; 64 << 10];
        while read_message(&mut stream, &mut buffer)?.is_some() {
            calls.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    })
}

/// The same, but the answers are empty: counts the requests.
pub fn sink(requests: Arc<AtomicUsize>) -> Result<SocketAddr> {
    listen(move |mut stream| {
        let mut buffer = vec![0; 64 << 10];
        while read_message(&mut stream, &mut buffer)?.is_some() {
            requests.fetch_add(1, Ordering::Relaxed);
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n")?;
        }
        Ok(())
    })
}

fn listen(serve: impl Fn(TcpStream) -> Result<()> + Clone + Send + 'static) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            // A client that closes the connection early has its own error to report.
            thread::spawn(move || serve(stream).ok());
        }
    });
    Ok(address)
}

fn serve(mut stream: TcpStream, delay: Duration) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 64 << 10];
    let mut answer = Vec::new();
    while let Some(request) = read_message(&mut stream, &mut buffer)? {
        answer.clear();
        write!(answer, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", request.body.len())?;
        answer.extend_from_slice(request.body);
        thread::sleep(delay);
        stream.write_all(&answer)?;
    }
    Ok(())
}
