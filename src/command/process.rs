//! Processes and all that they started: nothing outlives a command.

use std::collections::HashMap;
use std::process::Command;

/// Everything that runs below a process, taken as a snapshot while the lines of descent are whole:
/// a process whose parent has gone cannot be found any more.
pub struct Descendants(Vec<u32>);

impl Descendants {
    /// The processes that `root` started, directly or not.
    pub fn of(root: u32) -> Self {
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        for (process, parent) in parents() {
            children.entry(parent).or_default().push(process);
        }
        let mut found = children.remove(&root).unwrap_or_default();
        let mut next = 0;
        while let Some(process) = found.get(next) {
            let below = children.remove(process).unwrap_or_default();
            found.extend(below);
            next += 1;
        }
        Self(found)
    }

    /// Ends those that are still there, at once.
    pub fn kill(&self) {
        for process in &self.0 {
            signal(*process, libc::SIGKILL);
        }
    }
}

/// Sends a signal; a process that has already gone is fine.
pub fn signal(process: u32, signal: i32) {
    let Ok(process) = libc::pid_t::try_from(process) else { return };
    // SAFETY: `kill` takes two integers and touches no memory of ours.
    unsafe { libc::kill(process, signal) };
}

/// Whether this process runs as the superuser.
pub fn is_root() -> bool {
    // SAFETY: `geteuid` has no arguments, cannot fail and touches no memory of ours.
    unsafe { libc::geteuid() == 0 }
}

/// Each process with its parent.
#[cfg(target_os = "linux")]
fn parents() -> Vec<(u32, u32)> {
    let Ok(folders) = std::fs::read_dir("/proc") else { return Vec::new() };
    let parent = |process: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The second field is the name in parentheses, which may hold anything; the parent is the
        // second field after it.
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    };
    folders
        .filter_map(|folder| folder.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|process| Some((process, parent(process)?)))
        .collect()
}

/// Each process with its parent.
#[cfg(not(target_os = "linux"))]
fn parents() -> Vec<(u32, u32)> {
    let Ok(listing) = Command::new("ps").args(["-A", "-o", "pid=,ppid="]).output() else {
        return Vec::new();
    };
    String::from_utf8_lossy(&listing.stdout)
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace().map(|field| field.parse().ok());
            Some((fields.next()??, fields.next()??))
        })
        .collect()
}

/// Whether the program runs and says that it succeeded; its first line of output if so.
pub fn answer(command: &mut Command) -> Option<String> {
    let output = command.stdin(std::process::Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then(|| text.lines().next().unwrap_or_default().trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;

    #[test]
    fn grandchildren_are_found_and_ended() {
        // A shell that starts a sleep and says which process that is.
        let mut shell = Command::new("sh")
            .args(["-c", "sleep 600 & echo $!; wait"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let sleeper: u32 = line.trim().parse().unwrap();

        let own = Descendants::of(std::process::id());
        assert!(own.0.contains(&shell.id()) && own.0.contains(&sleeper));

        let below = Descendants::of(shell.id());
        assert_eq!(below.0, [sleeper]);
        below.kill();
        // The shell waits for the sleep, so its end proves the sleep's.
        assert!(shell.wait().unwrap().success());
    }

    #[test]
    fn a_program_that_is_missing_or_fails_has_no_answer() {
        assert_eq!(answer(Command::new("echo").arg("yes")), Some("yes".into()));
        assert_eq!(answer(&mut Command::new("false")), None);
        assert_eq!(answer(&mut Command::new("/no/such/program")), None);
    }
}
