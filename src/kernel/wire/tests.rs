use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

const KEY: &str = "a key";

fn signed(key: &str, documents: [&str; 4]) -> Vec<Bytes> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    let tag = hmac::sign(&key, documents.concat().as_bytes());
    let signature: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let mut frames = vec![Bytes::from_static(b"client"), Bytes::from_static(DELIMITER)];
    frames.push(signature.into());
    frames.extend(documents.map(|document| Bytes::from(document.to_owned())));
    frames
}

fn header(kind: &str) -> String {
    json!({ "msg_id": "1", "username": "u", "session": "s", "date": "2026-01-01T00:00:00Z",
            "msg_type": kind, "version": "5.4" })
    .to_string()
}

fn request(kind: &str, content: &str) -> Result<Request, String> {
    Checkpoint::new(KEY).pass(signed(KEY, [&header(kind), "{}", "{}", content]))
}

#[test]
fn what_a_client_leaves_out_has_its_usual_value() {
    let request = request("execute_request", r#"{"code": "1"}"#).unwrap();
    assert_eq!(request.fault, None);
    let JupyterMessageContent::ExecuteRequest(request) = request.message.content else { panic!() };
    assert!(request.store_history && request.stop_on_error && !request.silent);
    for content in ["{}", r#"{"hist_access_type": "range", "start": 1, "stop": 2}"#] {
        assert_eq!(super::tests::request("history_request", content).unwrap().fault, None);
    }
}

#[test]
fn a_forged_a_repeated_and_an_unsigned_message_are_dropped() {
    let checkpoint = Checkpoint::new(KEY);
    let documents = [&header("execute_request"), "{}", "{}", r#"{"code": "1"}"#];
    let good = signed(KEY, documents);
    assert!(checkpoint.pass(good.clone()).is_ok());
    assert_eq!(checkpoint.clone().pass(good.clone()).unwrap_err(), "it has come before");
    let forged = signed("another key", documents);
    assert_eq!(checkpoint.pass(forged).unwrap_err(), "its signature is wrong");
    let mut unsigned = good;
    unsigned[2] = Bytes::new();
    assert_eq!(checkpoint.pass(unsigned.clone()).unwrap_err(), "its signature is not one");
    // A connection file without a key asks for no signature.
    assert!(Checkpoint::new("").pass(unsigned).is_ok());
}

#[test]
fn what_is_signed_and_cannot_be_understood_is_at_fault() {
    for (kind, content) in [
        ("execute_request", "{}"),
        ("execute_request", r#"{"code": 7}"#),
        ("complete_request", r#"{"code": "x", "cursor_pos": -1}"#),
        ("execute_request", "no JSON"),
        ("execute_request", "\u{fffd}"),
        ("is_complete_request", "[]"),
    ] {
        let request = request(kind, content).unwrap();
        assert!(request.fault.is_some(), "{kind} {content}");
        assert_eq!(request.message.content.message_type(), kind);
    }
    assert_eq!(request("no_such_request", r#"{"a": 1}"#).unwrap().fault, None);
    // A document nested deeper than any stack.
    let deep = format!("{}{}", "[".repeat(1 << 20), "]".repeat(1 << 20));
    assert!(request("execute_request", &deep).unwrap().fault.is_some());
}

#[test]
fn the_memory_of_signatures_is_bounded() {
    let mut seen = Seen::default();
    let signature = |n: usize| {
        let mut bytes = [0; SIGNATURE];
        bytes[..8].copy_from_slice(&n.to_le_bytes());
        bytes
    };
    for n in 0..=REMEMBERED {
        assert!(seen.is_new(signature(n)));
    }
    assert_eq!((seen.all.len(), seen.order.len()), (REMEMBERED, REMEMBERED));
    assert!(!seen.is_new(signature(REMEMBERED)) && seen.is_new(signature(0)));
}

/// Random frames, and good messages with bytes, frames and documents changed. `SCOREBOOK_FUZZ` sets how many.
#[test]
fn no_frames_make_it_panic() {
    let inputs = std::env::var("SCOREBOOK_FUZZ").ok().and_then(|n| n.parse().ok());
    let mut random = StdRng::seed_from_u64(5);
    let checkpoint = Checkpoint::new(KEY);
    let open = Checkpoint::new("");
    let kinds = [
        "execute_request",
        "complete_request",
        "inspect_request",
        "history_request",
        "comm_open",
        "is_complete_request",
        "shutdown_request",
        "kernel_info_request",
        "input_reply",
        "x",
    ];
    let values = [
        "null",
        "-1",
        "1e400",
        "\"\"",
        "\"\\ud800\"",
        "[]",
        "{}",
        "18446744073709551616",
        "true",
        "\"fn f() { \\u0000\"",
        "[[[[]]]]",
        "{\"code\":{}}",
    ];
    let fields =
        ["code", "cursor_pos", "silent", "n", "hist_access_type", "user_expressions", "data"];
    let mut passed = 0;
    for input in 0..inputs.unwrap_or(20_000) {
        let mut pick = |list: &[&str]| list[random.random_range(0..list.len())].to_owned();
        let content = format!(
            "{{\"{}\":{},\"{}\":{},\"code\":\"x\"}}",
            pick(&fields),
            pick(&values),
            pick(&fields),
            pick(&values)
        );
        let documents = [header(&pick(&kinds)), pick(&values), pick(&values), content];
        let mut frames = signed(KEY, documents.each_ref().map(String::as_str));
        for _ in 0..random.random_range(0..3) {
            let at = random.random_range(0..frames.len());
            match random.random_range(0..5) {
                0 => drop(frames.remove(at)),
                1 => frames.insert(at, frames[at].clone()),
                2 => {
                    frames[at] =
                        (0..random.random_range(0..40)).map(|_| random.random::<u8>()).collect()
                }
                3 => frames[at] = frames[at].slice(..frames[at].len() / 2),
                _ => {
                    let mut bytes = frames[at].to_vec();
                    if let Some(byte) = bytes.first_mut() {
                        *byte ^= 1 << random.random_range(0..8);
                    }
                    frames[at] = bytes.into();
                }
            }
            if frames.is_empty() {
                break;
            }
        }
        passed += usize::from(checkpoint.pass(frames.clone()).is_ok());
        // Without a key everything reaches the documents.
        let _ = open.pass(frames);
        assert!(input < 1000 || passed > 0, "no input was a good message");
    }
}
