use super::*;

fn text(stream: Stream, text: &str) -> Item {
    Item::Event(Event::Text { stream, text: text.into() })
}

fn protocol(line: &str) -> Item {
    Item::Protocol(line.into())
}

fn display(bundle: Bundle) -> Message {
    Message::Display { bundle, id: None }
}

#[test]
fn text_and_outputs_stay_in_order_on_one_line_too() {
    let mut sorter = Sorter::default();
    let line = channel::line(&display(Bundle::text("figure")));
    let items = sorter.stdout(format!("first\nbefore{line}after\n").as_bytes());
    assert_eq!(
        items,
        [
            text(Stream::Stdout, "first\nbefore"),
            message(display(Bundle::text("figure"))),
            text(Stream::Stdout, "after\n"),
        ]
    );
}

#[test]
fn a_message_in_pieces_is_one_message() {
    let mut sorter = Sorter::default();
    let line = channel::line(&display(Bundle::text("é".repeat(1000))));
    let mut items = Vec::new();
    for piece in line.as_bytes().chunks(7) {
        items.extend(sorter.stdout(piece));
        items.extend(sorter.pause());
    }
    assert_eq!(items, [message(display(Bundle::text("é".repeat(1000))))]);
}

#[test]
fn text_without_a_newline_is_shown_after_a_pause() {
    let mut sorter = Sorter::default();
    assert_eq!(sorter.stdout(b"50 %"), []);
    assert_eq!(sorter.pause(), [text(Stream::Stdout, "50 %")]);
    assert_eq!(sorter.pause(), []);
    assert_eq!(sorter.stdout(b" done\n"), [text(Stream::Stdout, " done\n")]);
}

#[test]
fn a_character_in_pieces_is_not_broken_and_invalid_bytes_are_replaced() {
    let mut sorter = Sorter::default();
    let bytes = "aé".as_bytes();
    assert_eq!(sorter.stdout(&bytes[..2]), []);
    assert_eq!(sorter.pause(), [text(Stream::Stdout, "a")]);
    sorter.stdout(&bytes[2..]);
    assert_eq!(sorter.pause(), [text(Stream::Stdout, "é")]);
    assert_eq!(sorter.stdout(b"\xff\xfe\n"), [text(Stream::Stdout, "\u{fffd}\u{fffd}\n")]);
}

#[test]
fn the_end_of_the_cell_is_found_behind_text() {
    let mut sorter = Sorter::default();
    let items = sorter.stdout(b"tailEVCXR_EXECUTION_COMPLETE\n");
    assert_eq!(items, [text(Stream::Stdout, "tail"), Item::EndOfCell]);
    assert_eq!(sorter.end(), []);
}

#[test]
fn a_panic_takes_its_text_along() {
    let mut sorter = Sorter::default();
    let panic = Message::Panic {
        text: "no".into(),
        location: "src/lib.rs:1:1".into(),
        thread: "main".into(),
        in_cell: true,
    };
    let bytes = format!("{}EVCXR_PANIC_NOTIFICATION\n", channel::line(&panic));
    assert_eq!(sorter.stdout(bytes.as_bytes()), [protocol("EVCXR_PANIC_NOTIFICATION")]);
    let panicked = Event::Panicked { text: "no".into(), location: "src/lib.rs:1:1".into() };
    assert_eq!(sorter.end(), [Item::Event(panicked)]);
    assert_eq!(sorter.end(), [], "the next cell begins afresh");
}

#[test]
fn a_panic_that_was_caught_is_text() {
    let mut sorter = Sorter::default();
    let panic = Message::Panic {
        text: "no".into(),
        location: "x.rs:1:1".into(),
        thread: "main".into(),
        in_cell: true,
    };
    assert_eq!(sorter.stdout(channel::line(&panic).as_bytes()), []);
    assert_eq!(sorter.end(), [text(Stream::Stderr, "panicked at x.rs:1:1: no\n")]);
}

#[test]
fn the_text_of_a_question_mark_is_the_failure_and_not_output() {
    let mut sorter = Sorter::default();
    assert_eq!(sorter.stderr(b"`steps` is 0; expected at least 1\n"), []);
    let items = sorter.stdout(b"EVCXR_ERROR_OCCURRED\nEVCXR_EXECUTION_COMPLETE\n");
    assert_eq!(items, [protocol("EVCXR_ERROR_OCCURRED"), Item::EndOfCell]);
    let text = "`steps` is 0; expected at least 1".into();
    assert_eq!(sorter.end(), [Item::Event(Event::Failed { text })]);
}

#[test]
fn a_question_mark_whose_text_comes_late_has_it_all_the_same() {
    let mut sorter = Sorter::default();
    assert_eq!(sorter.stdout(b"EVCXR_ERROR_OCCURRED\n"), [protocol("EVCXR_ERROR_OCCURRED")]);
    assert_eq!(sorter.stderr(b"late\n"), []);
    assert_eq!(sorter.end(), [Item::Event(Event::Failed { text: "late".into() })]);
}

#[test]
fn other_text_of_standard_error_is_shown() {
    let mut sorter = Sorter::default();
    assert_eq!(sorter.stderr(b"warning\n"), []);
    assert_eq!(
        sorter.stdout(b"next\n"),
        [text(Stream::Stderr, "warning\n"), text(Stream::Stdout, "next\n")]
    );
    sorter.stderr(b"again\n");
    assert_eq!(sorter.pause(), [text(Stream::Stderr, "again\n")]);
}

#[test]
fn content_blocks_of_one_output_are_one_bundle_and_the_value_of_the_cell() {
    let mut sorter = Sorter::default();
    let block = |mime: &str, content: &str| {
        format!("EVCXR_BEGIN_CONTENT {mime}\n{content}\nEVCXR_END_CONTENT\n")
    };
    let bytes = [block("text/html", "<i>a\nb</i>"), block("text/plain", "a b")].concat();
    assert_eq!(sorter.stdout(bytes.as_bytes()), []);
    let bundle = Bundle::html("<i>a\nb</i>").with("text/plain", "a b");
    // A second output of the same format is another output; the first was no value then.
    let items = sorter.stdout(block("text/plain", "c").as_bytes());
    assert_eq!(items, [message(display(bundle))]);
    let bundle = Bundle::text("c");
    assert_eq!(sorter.end(), [message(Message::Result { bundle })]);
}

#[test]
fn the_value_of_an_empty_expression_is_not_shown() {
    let mut sorter = Sorter::default();
    sorter.stdout(b"EVCXR_BEGIN_CONTENT text/plain\n()\nEVCXR_END_CONTENT\n");
    assert_eq!(sorter.end(), []);
}

#[test]
fn the_marks_come_through_both_streams() {
    let mut sorter = Sorter::default();
    let mark = channel::line(&Message::Sync);
    assert_eq!(
        sorter.stdout(format!("x{mark}").as_bytes()),
        [text(Stream::Stdout, "x"), Item::Sync(Stream::Stdout)]
    );
    assert_eq!(sorter.stderr(&mark.as_bytes()[..4]), []);
    assert_eq!(sorter.stderr(&mark.as_bytes()[4..]), [Item::Sync(Stream::Stderr)]);
}

#[test]
fn questions_are_told_apart() {
    let mut sorter = Sorter::default();
    let ask = |asker, prompt: &str, password| Item::Ask { asker, prompt: prompt.into(), password };
    assert_eq!(
        sorter.stdout(b"EVCXR_INPUT_REQUEST:at 12:30?\nEVCXR_INPUT_REQUEST_PASSWORD:key\n"),
        [ask(Asker::Evcxr, "at 12:30?", false), ask(Asker::Evcxr, "key", true)]
    );
    let question = Message::Question { prompt: "Name? ".into(), password: false };
    assert_eq!(
        sorter.stdout(format!("hello {}", channel::line(&question)).as_bytes()),
        [text(Stream::Stdout, "hello "), ask(Asker::Library, "Name? ", false)]
    );
}

#[test]
fn notices_of_evcxr_reach_it() {
    let mut sorter = Sorter::default();
    let notice = "EVCXR_VARIABLE_CHANGED_TYPE:x";
    assert_eq!(sorter.stdout(format!("{notice}\n").as_bytes()), [protocol(notice)]);
    let other = "EVCXR_SOMETHING a user printed\n";
    assert_eq!(sorter.stdout(other.as_bytes()), [text(Stream::Stdout, other)]);
}
