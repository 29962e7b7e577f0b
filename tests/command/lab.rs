//! `scorebook lab`.

use super::*;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// What compiling cells needs; `lab` looks for it before it does anything.
const COMPILER: [&str; 3] = ["rustc", "cargo", "cc"];

#[test]
fn no_python_is_an_error_with_the_remedy() {
    let home = Folder::new("no-python");
    let mut command = scorebook(&home);
    let error = fails(command.env("PATH", home.with_programs(&COMPILER)), ["lab"]);
    assert!(error.contains("there is no Python on the PATH"), "{error}");
    assert!(error.contains("apt install python3 python3-venv"), "{error}");
    assert!(!error.contains("rustc"), "{error}");
}

#[test]
fn a_python_that_cannot_make_environments_is_an_error_with_the_remedy() {
    let home = Folder::new("no-venv");
    let path = home.with_programs(&COMPILER);
    // As Debian's Python without its package python3-venv.
    home.program("bin/python3", "case \"$2\" in *version_info*) echo 3 12 $0;; *) exit 1;; esac");
    let mut command = scorebook(&home);
    let error = fails(command.env("PATH", path), ["lab"]);
    assert!(error.contains("cannot make environments"), "{error}");
    assert!(error.contains("apt install python3-venv"), "{error}");
}

#[test]
fn a_python_that_is_too_old_is_an_error_with_the_remedy() {
    let home = Folder::new("old-python");
    let path = home.with_programs(&COMPILER);
    home.program("bin/python3", "case \"$2\" in *version_info*) echo 3 6 $0;; *) exit 1;; esac");
    let mut command = scorebook(&home);
    let error = fails(command.env("PATH", path), ["lab"]);
    assert!(error.contains("python3 is Python 3.6, too old"), "{error}");
}

#[test]
fn a_bad_folder_or_port_is_said_at_once() {
    let home = Folder::new("bad-lab");
    let error = fails(&mut scorebook(&home), ["lab", "nowhere"]);
    assert!(error.contains("nowhere: no such folder"), "{error}");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let error = fails(&mut scorebook(&home), ["lab", "--port", &port]);
    assert!(error.contains(&format!("port {port} cannot be used")), "{error}");
}

/// A running `lab`, which a test that fails does not leave behind.
struct Lab(Child);

impl Lab {
    fn interrupt(&self) -> bool {
        let id = self.0.id().to_string();
        Command::new("kill").args(["-INT", &id]).status().is_ok_and(|status| status.success())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            self.interrupt();
            let _ = self.0.wait();
        }
    }
}

/// With this user's cache, where the notebooks' build and JupyterLab may be already.
#[test]
#[ignore = "needs the network for JupyterLab and the notebooks' build, minutes once"]
fn jupyterlab_opens_answers_and_ends() {
    let home = Folder::new("lab");
    let cache = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let child = scorebook(&home)
        .env(
            "XDG_CACHE_HOME",
            std::env::var_os("XDG_CACHE_HOME").map_or(cache.unwrap(), Into::into),
        )
        .args(["lab", "--no-browser"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lab = Lab(child);
    let mut lines = BufReader::new(lab.0.stdout.take().unwrap()).lines();
    let line = lines.next().expect("no address").unwrap();
    let (_, address) = line.split_once("http://").unwrap();
    let (host, path) = address.split_once('/').unwrap();
    let token = path.rsplit_once("token=").unwrap().1;
    assert!(home.join("scorebook-notebooks").is_dir());

    let answer = get(host, &format!("/api/kernelspecs?token={token}"));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("Rust (scorebook)"), "{answer}");
    assert!(get(host, "/api/kernelspecs").starts_with("HTTP/1.1 403"));

    let start = Instant::now();
    assert!(lab.interrupt());
    assert_eq!(lab.0.wait().unwrap().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(20));
    assert!(TcpStream::connect(host).is_err(), "JupyterLab is still there");
}

/// The answer of a server to a plain request.
fn get(host: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
