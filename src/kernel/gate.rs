//! What stands between the network and the sockets: a bound on what a stranger can make the kernel reserve.
//!
//! The first bytes of a ZeroMQ frame say how long it will be, and the library below reserves that much before it has
//! seen a signature: a single false length would end the kernel. So the ports of the connection file are the gate's.
//! It reads along, hands everything on to sockets in a folder that is the reader's alone, and closes a connection
//! that claims too much, and one whose client does not read.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::time::timeout;

use super::connection::pause_after_error;

/// The longest message that is let in, all of its frames together.
pub(super) const LONGEST: u64 = 64 << 20;
/// The most frames that a message may have.
const MOST_FRAMES: u32 = 1024;
/// A client that takes nothing for so long holds the kernel up for all others.
const STALLED: Duration = Duration::from_secs(20);
/// What a client says before its first frame.
const GREETING: u64 = 64;

/// Listens at a port and hands on to the socket file `inner`, for as long as the kernel lives.
///
/// # Errors
/// The port is taken, or the address is not this machine's.
pub(super) async fn open(address: &str, port: u16, inner: PathBuf) -> anyhow::Result<()> {
    // ZeroMQ's word for every address of this machine.
    let address = if address == "*" { "0.0.0.0" } else { address };
    let listener = TcpListener::bind((address, port))
        .await
        .with_context(|| format!("cannot bind port {port} of {address}"))?;
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((client, _)) => drop(tokio::spawn(connect(client, port, inner.clone()))),
                Err(_) => pause_after_error().await,
            }
        }
    });
    Ok(())
}

async fn connect(client: TcpStream, port: u16, inner: PathBuf) {
    let _ = client.set_nodelay(true);
    let Ok(socket) = UnixStream::connect(&inner).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_kernel, mut to_kernel) = socket.into_split();
    let inward = async {
        let mut frames = Frames::default();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let length = match from_client.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(length) => length,
            };
            if let Err(claim) = frames.read(&buffer[..length]) {
                eprintln!("a connection to port {port} was closed: {claim}");
                return;
            }
            if to_kernel.write_all(&buffer[..length]).await.is_err() {
                return;
            }
        }
    };
    let outward = async {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let length = match from_kernel.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(length) => length,
            };
            match timeout(STALLED, to_client.write_all(&buffer[..length])).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return,
                Err(_) => {
                    eprintln!("a connection to port {port} was closed: its client does not read");
                    return;
                }
            }
        }
    };
    // Either end closes both.
    tokio::select! {
        () = inward => {}
        () = outward => {}
    }
}

/// Reads along with the frames of one connection.
#[derive(Debug)]
struct Frames {
    state: State,
    /// The length and the frames of the message so far.
    message: u64,
    frames: u32,
}

#[derive(Debug)]
enum State {
    /// So many bytes are passed over.
    Body {
        left: u64,
    },
    Flags,
    /// The bytes of a length; `more` if another frame of the message follows.
    Length {
        more: bool,
        left: u8,
        value: u64,
    },
}

impl Default for Frames {
    fn default() -> Self {
        Self { state: State::Body { left: GREETING }, message: 0, frames: 0 }
    }
}

impl Frames {
    /// Goes on with these bytes.
    ///
    /// # Errors
    /// A message claims to be too long.
    fn read(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        while let Some((&first, rest)) = bytes.split_first() {
            match &mut self.state {
                State::Body { left } => {
                    let passed = (*left).min(bytes.len() as u64);
                    *left -= passed;
                    bytes = &bytes[passed as usize..];
                    if *left == 0 {
                        self.state = State::Flags;
                    }
                    continue;
                }
                State::Flags => {
                    let left = if first & 0b10 != 0 { 8 } else { 1 };
                    self.state = State::Length { more: first & 1 != 0, left, value: 0 };
                }
                State::Length { more, left, value } => {
                    *value = *value << 8 | u64::from(first);
                    *left -= 1;
                    if *left == 0 {
                        let (more, length) = (*more, *value);
                        self.begin(length, more)?;
                    }
                }
            }
            bytes = rest;
        }
        Ok(())
    }

    fn begin(&mut self, length: u64, more: bool) -> Result<(), String> {
        self.message = self.message.saturating_add(length);
        self.frames += 1;
        if self.message > LONGEST {
            return Err(format!(
                "it announced a message of {} bytes or more; the limit is {LONGEST}",
                self.message
            ));
        }
        if self.frames > MOST_FRAMES {
            return Err(format!("it sent a message of more than {MOST_FRAMES} frames"));
        }
        if !more {
            (self.message, self.frames) = (0, 0);
        }
        self.state = if length == 0 { State::Flags } else { State::Body { left: length } };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(flags: u8, length: u64, body: usize) -> Vec<u8> {
        let mut bytes = vec![flags];
        if flags & 0b10 != 0 {
            bytes.extend(length.to_be_bytes());
        } else {
            bytes.push(length as u8);
        }
        bytes.extend(vec![0xff; body]);
        bytes
    }

    fn stream(frames: &[Vec<u8>]) -> Vec<u8> {
        [vec![0xff; GREETING as usize], frames.concat()].concat()
    }

    #[test]
    fn good_frames_pass_in_pieces_of_any_size() {
        let bytes =
            stream(&[frame(1, 3, 3), frame(0, 0, 0), frame(3, 300, 300), frame(0, 255, 255)]);
        for size in [1, 2, 7, bytes.len()] {
            let mut frames = Frames::default();
            for piece in bytes.chunks(size) {
                frames.read(piece).unwrap();
            }
            assert!(matches!(frames.state, State::Flags), "{frames:?}");
        }
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_its_body() {
        for length in [LONGEST + 1, 1 << 62, u64::MAX] {
            let error = Frames::default().read(&stream(&[frame(2, length, 0)])).unwrap_err();
            assert!(error.contains("the limit is"), "{error}");
        }
        assert!(Frames::default().read(&stream(&[frame(2, LONGEST, 0)])).is_ok());
    }

    #[test]
    fn a_message_of_many_frames_is_one_message() {
        let part = frame(3, LONGEST / 4, 0);
        let mut frames = Frames::default();
        frames.read(&stream(&[])).unwrap();
        let body = vec![0; (LONGEST / 4) as usize];
        let refused = (0..6).any(|_| frames.read(&part).is_err() || frames.read(&body).is_err());
        assert!(refused, "six quarters of the limit are one message");
        let endless = stream(&vec![frame(1, 0, 0); MOST_FRAMES as usize + 1]);
        assert!(Frames::default().read(&endless).unwrap_err().contains("frames"));
    }
}
