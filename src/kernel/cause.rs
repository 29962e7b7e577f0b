//! Why a process has ended.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// The cause in words, as far as the operating system tells it, and the last words of the process.
pub(super) fn describe(status: ExitStatus, last_words: &str) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("the cell ended its process with exit code {code}"),
        (None, Some(signal)) => match signal {
            libc::SIGABRT => abortion(last_words),
            libc::SIGSEGV => "the process touched memory that is not its own (SIGSEGV)".into(),
            libc::SIGILL => "the process came upon an illegal instruction (SIGILL)".into(),
            libc::SIGBUS => "the process touched memory that is not there (SIGBUS)".into(),
            libc::SIGKILL => "the process was killed (SIGKILL), perhaps for want of memory".into(),
            signal => format!("the process was ended by signal {signal}"),
        },
        (None, None) => format!("the process ended: {status}"),
    }
}

/// Why a process has aborted itself: the standard library says so before it does.
fn abortion(last_words: &str) -> String {
    let line = |part: &str| last_words.lines().rev().find(|line| line.contains(part));
    if line("has overflowed its stack").is_some() {
        "the stack overflowed: a recursion without end, or a large array on the stack".into()
    } else if let Some(line) = line("memory allocation of") {
        format!("the process ran out of memory: {}", line.trim())
    } else if line("cannot unwind").is_some() || line("panic in a destructor").is_some() {
        "the process was aborted: a panic in a place that cannot unwind".into()
    } else {
        "the process was aborted (SIGABRT)".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_and_signals_are_told_apart() {
        let exited = describe(ExitStatus::from_raw(3 << 8), "");
        assert!(exited.contains("exit code 3"), "{exited}");
        let killed = describe(ExitStatus::from_raw(libc::SIGKILL), "");
        assert!(killed.contains("SIGKILL"), "{killed}");
    }

    #[test]
    fn an_abort_is_explained_by_the_last_words() {
        for (words, cause) in [
            (
                "\nthread 'main' (7) has overflowed its stack\nfatal runtime error\n",
                "the stack overflowed",
            ),
            (
                "memory allocation of 99 bytes failed\n",
                "out of memory: memory allocation of 99 bytes failed",
            ),
            ("panic in a function that cannot unwind", "cannot unwind"),
            ("", "(SIGABRT)"),
        ] {
            let told = describe(ExitStatus::from_raw(libc::SIGABRT), words);
            assert!(told.contains(cause), "{told}");
        }
    }
}
