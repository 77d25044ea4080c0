//! An HTTP/1.1 client that costs next to nothing: one connection, one request, always the same.

use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Sends one request over and over.
pub struct Client {
    stream: TcpStream,
    request: Vec<u8>,
    expected: Vec<u8>,
    buffer: Vec<u8>,
}

impl Client {
    /// `headers` are whole lines.
    pub fn new(address: SocketAddr, path: &str, headers: &str, body: &[u8], expected: Vec<u8>) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(35)))?;
        let length = body.len();
        let mut request =
            format!("POST {path} HTTP/1.1\r\nHost: {address}\r\n{headers}Content-Length: {length}\r\n\r\n")
                .into_bytes();
        request.extend_from_slice(body);
        Ok(Self { stream, request, expected, buffer: vec![0; 256 << 10] })
    }

    /// Sends the request, and yields the body of the answer.
    pub fn ask(&mut self) -> Result<Vec<u8>> {
        self.stream.write_all(&self.request).context("cannot send a request")?;
        let answer = read_message(&mut self.stream, &mut self.buffer)?.context("the server closed the connection")?;
        if !answer.head.starts_with(b"HTTP/1.1 200") {
            bail!("answered with {}", String::from_utf8_lossy(answer.head));
        }
        Ok(answer.body.to_vec())
    }

    /// Sends the request and checks the answer.
    pub fn run(&mut self) -> Result<()> {
        self.stream.write_all(&self.request).context("cannot send a request")?;
        let answer = read_message(&mut self.stream, &mut self.buffer)?.context("the server closed the connection")?;
        if !answer.head.starts_with(b"HTTP/1.1 200") {
            bail!("answered with {}", String::from_utf8_lossy(answer.head));
        }
        if answer.body != self.expected {
            bail!("the result is wrong: {} bytes, expected {}", answer.body.len(), self.expected.len());
        }
        Ok(())
    }
}

/// Sends one request that is answered with 202.
pub fn post(address: SocketAddr, path: &str, headers: &str, body: &[u8]) -> Result<()> {
    let mut client = Client::new(address, path, headers, body, Vec::new())?;
    client.stream.write_all(&client.request).context("cannot send a request")?;
    let answer = read_message(&mut client.stream, &mut client.buffer)?.context("the server closed the connection")?;
    if !answer.head.starts_with(b"HTTP/1.1 202") {
        bail!("answered with {}", String::from_utf8_lossy(answer.head));
    }
    Ok(())
}

/// A request or a response.
pub struct Message<'a> {
    pub head: &'a [u8],
    pub body: &'a [u8],
}

/// Reads one message whose length is told in its head; none at the end of the connection.
pub fn read_message<'a>(stream: &mut impl Read, buffer: &'a mut Vec<u8>) -> Result<Option<Message<'a>>> {
    let mut filled = 0;
    let mut parts: Option<(usize, usize)> = None;
    loop {
        if let Some((head, all)) = parts {
            if filled >= all {
                let (head, rest) = buffer.split_at(head);
                return Ok(Some(Message { head, body: rest.get(..all - head.len()).unwrap_or_default() }));
            }
            if buffer.len() < all {
                buffer.resize(all, 0);
            }
        }
        let read = stream.read(buffer.get_mut(filled..).unwrap_or_default()).context("cannot read")?;
        if read == 0 {
            if filled == 0 {
                return Ok(None);
            }
            bail!("the message has no end");
        }
        filled += read;
        if parts.is_none() {
            let message = buffer.get(..filled).unwrap_or_default();
            if let Some(end) = message.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = end + 4;
                parts = Some((head, head + content_length(message.get(..head).unwrap_or_default())?));
            }
        }
    }
}

fn content_length(head: &[u8]) -> Result<usize> {
    let head = std::str::from_utf8(head).context("the head is no text")?;
    // An answer without a body.
    if head.starts_with("HTTP/1.1 304") {
        return Ok(0);
    }
    for line in head.lines() {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            return value.trim().parse().context("the length is no number");
        }
    }
    bail!("the message does not tell its length: {head}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_whole_however_they_arrive() {
        let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
        for cut in 1..whole.len() {
            let (a, b) = whole.split_at(cut);
            let mut buffer = vec![0; 48];
            let message = read_message(&mut a.chain(b), &mut buffer).unwrap().unwrap();
            assert_eq!((message.head.len(), message.body), (whole.len() - 5, &b"hello"[..]));
        }
        assert!(read_message(&mut &b""[..], &mut vec![0; 48]).unwrap().is_none());
    }
}
