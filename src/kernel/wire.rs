//! From frames to messages: whatever comes in over the network is suspect until it has been through here.
//!
//! A message is several frames: routing identities, a delimiter, a signature, and four JSON documents (header, parent's
//! header, metadata, content). One that is not signed with the connection's key, or that comes a second time, is
//! dropped. One that is well signed but cannot be understood is answered as such.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use jupyter_protocol::{Header, JupyterMessage, JupyterMessageContent, UnknownMessage};
use ring::hmac;
use serde_json::{Map, Value, json};

const DELIMITER: &[u8] = b"<IDS|MSG>";
/// The length of a signature in bytes; on the wire it is hexadecimal.
const SIGNATURE: usize = 32;
/// So many signatures are remembered, the last ones.
const REMEMBERED: usize = 1 << 16;

/// A message of a client.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// The message. If it is at fault, its content is what could be read of it.
    pub(super) message: JupyterMessage,
    /// Why the content is not what its type demands.
    pub(super) fault: Option<String>,
}

/// Checks and reads what comes in; clones share their memory of what has come.
#[derive(Clone)]
pub(super) struct Checkpoint {
    /// None where the connection file holds no key.
    key: Option<hmac::Key>,
    seen: Arc<Mutex<Seen>>,
}

impl Checkpoint {
    /// For the key of the connection file.
    pub(super) fn new(key: &str) -> Self {
        let key = (!key.is_empty()).then(|| hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()));
        Self { key, seen: Arc::default() }
    }

    /// The message that these frames carry.
    ///
    /// # Errors
    /// The frames are no message, its signature is wrong or was seen before; with the reason.
    pub(super) fn pass(&self, frames: Vec<Bytes>) -> Result<Request, String> {
        let delimiter = frames.iter().position(|frame| frame == DELIMITER);
        let delimiter = delimiter.ok_or("it has no delimiter")?;
        let [signature, header, parent, metadata, content, buffers @ ..] = &frames[delimiter + 1..]
        else {
            return Err("it has fewer than six frames".into());
        };
        if let Some(key) = &self.key {
            let signature = decoded(signature).ok_or("its signature is not one")?;
            let signed = [header, parent, metadata, content].map(|frame| &frame[..]).concat();
            // The comparison takes the same time wherever the first difference is.
            hmac::verify(key, &signed, &signature).map_err(|_| "its signature is wrong")?;
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if !seen.is_new(signature) {
                return Err("it has come before".into());
            }
        }
        let header: Header =
            serde_json::from_slice(header).map_err(|error| format!("its header: {error}"))?;
        let (content, fault) = understood(&header.msg_type, content);
        let message = JupyterMessage {
            zmq_identities: frames[..delimiter].to_vec(),
            header,
            parent_header: serde_json::from_slice(parent).ok(),
            metadata: serde_json::from_slice(metadata).unwrap_or_else(|_| json!({})),
            content,
            buffers: buffers.to_vec(),
            channel: None,
        };
        Ok(Request { message, fault })
    }
}

/// The content as its type demands; or as it is, with what is wrong with it.
fn understood(kind: &str, bytes: &[u8]) -> (JupyterMessageContent, Option<String>) {
    let unknown = |content: Value| {
        JupyterMessageContent::UnknownMessage(UnknownMessage { msg_type: kind.to_owned(), content })
    };
    let mut content: Value = match serde_json::from_slice(bytes) {
        Ok(content) => content,
        Err(error) => return (unknown(json!({})), Some(error.to_string())),
    };
    if let Value::Object(fields) = &mut content {
        complete(kind, fields);
    }
    match JupyterMessageContent::from_type_and_content(kind, content.clone()) {
        Ok(content) => (content, None),
        Err(error) => (unknown(content), Some(error.to_string())),
    }
}

/// Adds what a client may leave out, with the values that the protocol gives it.
fn complete(kind: &str, fields: &mut Map<String, Value>) {
    let mut default = |name: &str, value: Value| {
        if fields.get(name).is_none_or(Value::is_null) {
            fields.insert(name.to_owned(), value);
        }
    };
    match kind {
        "execute_request" => {
            default("silent", json!(false));
            default("store_history", json!(true));
            default("user_expressions", json!({}));
            default("allow_stdin", json!(true));
            default("stop_on_error", json!(true));
        }
        "history_request" => {
            default("hist_access_type", json!("tail"));
            default("output", json!(false));
            default("raw", json!(true));
            default("unique", json!(false));
            default("session", json!(0));
            default("start", json!(0));
            default("stop", json!(0));
            default("n", json!(i32::MAX));
            default("pattern", json!("*"));
        }
        "complete_request" | "inspect_request" => default("cursor_pos", json!(u32::MAX)),
        "shutdown_request" => default("restart", json!(false)),
        _ => {}
    }
}

fn decoded(hexadecimal: &[u8]) -> Option<[u8; SIGNATURE]> {
    let mut bytes = [0; SIGNATURE];
    if hexadecimal.len() != 2 * SIGNATURE {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(hexadecimal.chunks(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = (16 * digit(digits[0])? + digit(digits[1])?) as u8;
    }
    Some(bytes)
}

/// The signatures that have come, the last [`REMEMBERED`] of them.
#[derive(Debug, Default)]
struct Seen {
    order: VecDeque<[u8; SIGNATURE]>,
    all: HashSet<[u8; SIGNATURE]>,
}

impl Seen {
    fn is_new(&mut self, signature: [u8; SIGNATURE]) -> bool {
        if !self.all.insert(signature) {
            return false;
        }
        self.order.push_back(signature);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.all.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests;
