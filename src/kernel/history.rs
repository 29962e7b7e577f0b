//! The inputs of this session.

use std::collections::HashSet;

use jupyter_protocol::{HistoryEntry, HistoryReply, HistoryRequest};

/// The number of the session.
const SESSION: i32 = 1;

/// What the reader has run, in order.
#[derive(Debug, Default)]
pub(super) struct History {
    entries: Vec<Entry>,
}

/// One cell.
#[derive(Debug)]
struct Entry {
    count: usize,
    code: String,
    /// The plain text of its value.
    output: Option<String>,
}

impl History {
    /// Notes the input of the cell with this execution count.
    pub(super) fn add(&mut self, count: usize, code: &str) {
        self.entries.push(Entry { count, code: code.to_owned(), output: None });
    }

    /// Notes the value of the last cell.
    pub(super) fn shown(&mut self, text: &str) {
        if let Some(entry) = self.entries.last_mut() {
            entry.output = Some(text.to_owned());
        }
    }

    /// The part that `request` asks for. There is one session, the current one, which is number 0 in a request.
    pub(super) fn answer(&self, request: &HistoryRequest) -> HistoryReply {
        let (chosen, output): (Vec<&Entry>, bool) = match request {
            HistoryRequest::Range { session, start, stop, output, .. } => {
                let is_this = session.is_none_or(|session| session == 0 || session == SESSION);
                let from = usize::try_from(*start).unwrap_or(0);
                let to = usize::try_from(*stop).ok().filter(|&to| to > 0).unwrap_or(usize::MAX);
                let within = |entry: &&Entry| is_this && (from..to).contains(&entry.count);
                (self.entries.iter().filter(within).collect(), *output)
            }
            HistoryRequest::Tail { n, output, .. } => (self.last(*n, false, |_| true), *output),
            HistoryRequest::Search { pattern, n, output, unique, .. } => {
                (self.last(*n, *unique, |code| matches(pattern, code)), *output)
            }
        };
        let session = SESSION as usize;
        let entry = |entry: &Entry| {
            let code = entry.code.clone();
            if output {
                let shown = entry.output.clone().unwrap_or_default();
                HistoryEntry::InputOutput(session, entry.count, (code, shown))
            } else {
                HistoryEntry::Input(session, entry.count, code)
            }
        };
        HistoryReply::new(chosen.into_iter().map(entry).collect())
    }

    /// The last `n` entries whose code is wanted; of `unique` ones with the same code only the last.
    fn last(&self, n: i32, unique: bool, wanted: impl Fn(&str) -> bool) -> Vec<&Entry> {
        let n = usize::try_from(n).unwrap_or(0);
        let mut codes = HashSet::new();
        let new = |entry: &&Entry| !unique || codes.insert(entry.code.clone());
        let mut chosen: Vec<&Entry> = self
            .entries
            .iter()
            .rev()
            .filter(|entry| wanted(&entry.code))
            .filter(new)
            .take(n)
            .collect();
        chosen.reverse();
        chosen
    }
}

/// Whether `text` fits the pattern, in which `*` is any text and `?` any character.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    // reachable[i]: the pattern so far fits the first i characters.
    let mut reachable = vec![false; text.len() + 1];
    reachable[0] = true;
    for wanted in pattern {
        if wanted == '*' {
            let first = reachable.iter().position(|&fits| fits).unwrap_or(reachable.len());
            reachable[first..].fill(true);
        } else {
            for i in (1..reachable.len()).rev() {
                reachable[i] = reachable[i - 1] && (wanted == '?' || wanted == text[i - 1]);
            }
            reachable[0] = false;
        }
    }
    reachable[text.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(reply: &HistoryReply) -> Vec<usize> {
        let line = |entry: &HistoryEntry| match entry {
            HistoryEntry::Input(_, line, _) | HistoryEntry::InputOutput(_, line, _) => *line,
        };
        reply.history.iter().map(line).collect()
    }

    #[test]
    fn finds_the_tail_a_range_and_a_pattern() {
        let mut history = History::default();
        for (count, code) in [(1, "let x = 1;"), (2, "x + 1"), (3, "let y = 2;")] {
            history.add(count, code);
        }
        let tail = HistoryRequest::Tail { n: 2, output: false, raw: true };
        assert_eq!(lines(&history.answer(&tail)), [2, 3]);
        let range =
            HistoryRequest::Range { session: None, start: 1, stop: 3, output: true, raw: true };
        assert_eq!(lines(&history.answer(&range)), [1, 2]);
        let search = HistoryRequest::Search {
            pattern: "let*".into(),
            unique: false,
            output: false,
            raw: true,
            n: 10,
        };
        assert_eq!(lines(&history.answer(&search)), [1, 3]);
        // Another session is not there.
        let other = HistoryRequest::Range {
            session: Some(-1),
            start: 0,
            stop: 9,
            output: false,
            raw: true,
        };
        assert!(lines(&history.answer(&other)).is_empty());
    }

    #[test]
    fn outputs_are_remembered_and_unique_inputs_are_the_last_ones() {
        let mut history = History::default();
        for (count, code, output) in [(1, "a", "1"), (2, "b", "2"), (3, "a", "3")] {
            history.add(count, code);
            history.shown(output);
        }
        let search = HistoryRequest::Search {
            pattern: "*".into(),
            unique: true,
            output: true,
            raw: true,
            n: 9,
        };
        let found = history.answer(&search).history;
        assert_eq!(lines(&HistoryReply::new(found.clone())), [2, 3]);
        assert!(format!("{found:?}").contains("(\"a\", \"3\")"), "{found:?}");
    }

    #[test]
    fn patterns() {
        assert!(matches("l?t*;", "let x;") && matches("*", "") && matches("", ""));
        assert!(!matches("let", "let x") && !matches("?", ""));
    }
}
