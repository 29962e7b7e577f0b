//! Why a process has ended.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// The cause in words, as far as the operating system tells it.
pub(super) fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("the cell ended its process with exit code {code}"),
        (None, Some(signal)) => match signal {
            libc::SIGABRT => {
                "the process was aborted (a panic that may not unwind, or a stack overflow)".into()
            }
            libc::SIGSEGV => "the process touched memory that is not its own (SIGSEGV)".into(),
            libc::SIGILL => "the process came upon an illegal instruction (SIGILL)".into(),
            libc::SIGBUS => "the process touched memory that is not there (SIGBUS)".into(),
            libc::SIGKILL => "the process was killed (SIGKILL), perhaps for want of memory".into(),
            signal => format!("the process was ended by signal {signal}"),
        },
        (None, None) => format!("the process ended: {status}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_and_signals_are_told_apart() {
        let exited = describe(ExitStatus::from_raw(3 << 8));
        assert!(exited.contains("exit code 3"), "{exited}");
        let killed = describe(ExitStatus::from_raw(libc::SIGKILL));
        assert!(killed.contains("SIGKILL"), "{killed}");
    }
}
