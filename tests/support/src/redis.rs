//! Two servers of Redis, one of which has what the other has.

use crate::servers::{Server, redis};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

/// A master, and a replica of it. They can change places.
pub struct Pair {
    /// In no particular order.
    pub servers: [Server; 2],
}

impl Pair {
    /// The first server is the master.
    pub fn new() -> Self {
        let first = redis(&[]);
        let second = redis(&["--replicaof", "127.0.0.1", &first.port().to_string()]);
        Self { servers: [first, second] }
    }

    /// Waits until the server at `place` has all writes of the other one, and makes it the master.
    pub fn promote(&self, place: usize) {
        let (new, old) = (&self.servers[place], &self.servers[1 - place]);
        // `WAIT` waits for the writes of its own connection, and with them for all before.
        while tell(old, "SET mark 1\r\nWAIT 1 20000")[1] != ":1" {}
        tell(new, "REPLICAOF NO ONE");
        tell(old, &format!("REPLICAOF 127.0.0.1 {}", new.port()));
    }
}

impl Default for Pair {
    fn default() -> Self {
        Self::new()
    }
}

/// Sends commands, one a line, over a connection of their own, and returns the line that answers each.
pub fn tell(server: &Server, commands: &str) -> Vec<String> {
    let mut connection = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    connection.write_all(format!("{commands}\r\n").as_bytes()).unwrap();
    let lines = BufReader::new(connection).lines().map(Result::unwrap);
    lines.take(commands.lines().count()).inspect(|line| assert!(!line.starts_with('-'), "{commands}: {line}")).collect()
}
