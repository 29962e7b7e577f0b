//! A stranger at the kernel's sockets, who sends what no client would.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use jupyter_protocol::ConnectionInfo;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use ring::hmac;

/// Types of messages, known and unknown; but none that ends the kernel.
const KINDS: [&str; 9] = [
    "execute_request",
    "complete_request",
    "inspect_request",
    "history_request",
    "is_complete_request",
    "comm_open",
    "input_reply",
    "no_such_request",
    "\u{202e}\u{0}",
];

/// Contents of which none is a cell that could run.
const CONTENTS: [&str; 10] = [
    "",
    "{}",
    "[]",
    "null",
    "no JSON",
    "{\"code\": 7}",
    "{\"code\": null, \"silent\": \"yes\"}",
    "{\"code\": \"x\", \"cursor_pos\": -1, \"store_history\": []}",
    "{\"hist_access_type\": \"tail\", \"n\": 1e400}",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
];

/// One who knows the ports, and at times the key.
pub struct Stranger {
    random: StdRng,
    sockets: [(u16, &'static str); 5],
    key: hmac::Key,
    connection: Option<TcpStream>,
}

impl Stranger {
    pub fn new(connection: &ConnectionInfo, seed: u64) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            sockets: [
                (connection.shell_port, "DEALER"),
                (connection.control_port, "DEALER"),
                (connection.stdin_port, "DEALER"),
                (connection.iopub_port, "SUB"),
                (connection.hb_port, "REQ"),
            ],
            key: hmac::Key::new(hmac::HMAC_SHA256, connection.key.as_bytes()),
            connection: None,
        }
    }

    /// Sends one input, over a connection of before or a new one.
    pub fn send(&mut self) {
        let bytes = match self.random.random_range(0..8) {
            0 => self.noise(400),
            1 => self.claim(),
            2 => {
                let body = self.noise(60);
                frame(self.random.random(), &body)
            }
            3 => [frame(1, b""), frame(0, &self.noise(80))].concat(),
            _ => self.message(),
        };
        if self.connection.is_none() || self.random.random_range(0..8) == 0 {
            self.connection = Some(self.connect());
        }
        // Whoever was shut out comes back with the next input.
        if let Some(connection) = &mut self.connection
            && connection.write_all(&bytes).is_err()
        {
            self.connection = None;
        }
    }

    /// A connection that has greeted as ZeroMQ demands, or nearly so.
    fn connect(&mut self) -> TcpStream {
        let (port, kind) = self.sockets[self.random.random_range(0..self.sockets.len())];
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the kernel still listens");
        stream.set_read_timeout(Some(Duration::from_millis(50))).expect("a time limit");
        let mut greeting = [0; 64];
        (greeting[0], greeting[9], greeting[10]) = (0xff, 0x7f, 3);
        greeting[12..16].copy_from_slice(b"NULL");
        let mut ready = b"\x05READY\x0bSocket-Type\0\0\0".to_vec();
        ready.push(kind.len() as u8);
        ready.extend(kind.as_bytes());
        let mut hello = [&greeting[..], &frame(4, &ready)].concat();
        if self.random.random_range(0..6) == 0 {
            let at = self.random.random_range(0..hello.len());
            hello[at] ^= 1 << self.random.random_range(0..8);
        }
        let _ = stream.write_all(&hello);
        // Its greeting; that of a connection it has closed is none.
        let _ = stream.read(&mut [0; 128]);
        stream
    }

    fn noise(&mut self, most: usize) -> Vec<u8> {
        (0..self.random.random_range(0..most)).map(|_| self.random.random()).collect()
    }

    /// A frame that claims a length and does not bring it.
    fn claim(&mut self) -> Vec<u8> {
        let length = self.random.random::<u64>() >> self.random.random_range(0..64);
        let more: u8 = self.random.random_range(0..2);
        [&[2 | more][..], &length.to_be_bytes(), &self.noise(40)].concat()
    }

    /// A message of the protocol with something wrong: signature, type, content, text or number of its frames.
    fn message(&mut self) -> Vec<u8> {
        let kind = KINDS[self.random.random_range(0..KINDS.len())];
        let id: u64 = self.random.random();
        let header = serde_json::json!({ "msg_id": format!("{id:x}"), "username": "", "session": "s",
            "date": "2026-01-01T00:00:00Z", "msg_type": kind, "version": "5.4" });
        let content = CONTENTS[self.random.random_range(0..CONTENTS.len())];
        let mut documents =
            [header.to_string(), "{}".into(), "{}".into(), content.into()].map(String::into_bytes);
        if self.random.random_range(0..3) == 0 {
            let broken = &mut documents[self.random.random_range(0..4)];
            // No byte of it is UTF-8.
            broken.extend([0xff, 0xc0, 0x80, 0xfe]);
        }
        let mut signature: String = hmac::sign(&self.key, &documents.concat())
            .as_ref()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        match self.random.random_range(0..4) {
            0 => signature = signature.replace('a', "b"),
            1 => signature.truncate(self.random.random_range(0..64)),
            _ => {}
        }
        let mut frames = vec![b"<IDS|MSG>".to_vec(), signature.into_bytes()];
        frames.extend(documents);
        match self.random.random_range(0..6) {
            0 => drop(frames.remove(self.random.random_range(0..6))),
            1 => frames.insert(self.random.random_range(0..6), vec![0xfe; 300]),
            _ => {}
        }
        let last = frames.len() - 1;
        let more = |i: usize| u8::from(i < last);
        frames.iter().enumerate().flat_map(|(i, body)| frame(more(i), body)).collect()
    }
}

/// A frame as ZeroMQ writes it.
fn frame(flags: u8, body: &[u8]) -> Vec<u8> {
    match u8::try_from(body.len()) {
        Ok(length) => [&[flags & !2, length][..], body].concat(),
        Err(_) => [&[flags | 2][..], &(body.len() as u64).to_be_bytes(), body].concat(),
    }
}
