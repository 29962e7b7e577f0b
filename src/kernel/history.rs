//! The inputs of this session.

use jupyter_protocol::{HistoryEntry, HistoryReply, HistoryRequest};

/// What the reader has run, in order.
#[derive(Debug, Default)]
pub(super) struct History {
    inputs: Vec<(usize, String)>,
}

impl History {
    /// Notes the input of the cell with this execution count.
    pub(super) fn add(&mut self, count: usize, code: &str) {
        self.inputs.push((count, code.to_owned()));
    }

    /// The part that `request` asks for. There is one session, and outputs are not kept.
    pub(super) fn answer(&self, request: &HistoryRequest) -> HistoryReply {
        let (chosen, output): (Vec<_>, bool) = match request {
            HistoryRequest::Range { start, stop, output, .. } => {
                let from = usize::try_from(*start).unwrap_or(0);
                let to = usize::try_from(*stop).ok().filter(|&to| to > 0).unwrap_or(usize::MAX);
                let within = self.inputs.iter().filter(|(count, _)| (from..to).contains(count));
                (within.collect(), *output)
            }
            HistoryRequest::Tail { n, output, .. } => (self.last(*n, |_| true), *output),
            HistoryRequest::Search { pattern, n, output, .. } => {
                (self.last(*n, |code| matches(pattern, code)), *output)
            }
        };
        let entry = |(count, code): &(usize, String)| {
            if output {
                HistoryEntry::InputOutput(1, *count, (code.clone(), String::new()))
            } else {
                HistoryEntry::Input(1, *count, code.clone())
            }
        };
        HistoryReply::new(chosen.into_iter().map(entry).collect())
    }

    fn last(&self, n: i32, wanted: impl Fn(&str) -> bool) -> Vec<&(usize, String)> {
        let n = usize::try_from(n).unwrap_or(0);
        let mut chosen: Vec<_> =
            self.inputs.iter().rev().filter(|(_, code)| wanted(code)).take(n).collect();
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
    }

    #[test]
    fn patterns() {
        assert!(matches("l?t*;", "let x;") && matches("*", "") && matches("", ""));
        assert!(!matches("let", "let x") && !matches("?", ""));
    }
}
