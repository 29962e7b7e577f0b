//! A JupyterLab that runs: its start, its address, and its end without leftovers.

use std::fs::{self, OpenOptions};
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::cache;
use super::device::{self, Device};
use super::kernelspec::{self, Place};
use super::process::{self, Descendants};
use super::python::Environment;
use crate::kernel::standby;

/// How long JupyterLab may take to start.
const START: Duration = Duration::from_secs(120);
/// How long it may take to end its kernels and itself when asked to.
const END: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(100);

/// Runs JupyterLab as `python -m` does. On Linux it is first tied to its parent's life (`PR_SET_PDEATHSIG`, which is 1): it
/// ends in order, with its kernels, when we are killed and cannot ask it to. A Python that cannot do that runs it all the
/// same.
const JUPYTERLAB: &str = "\
import os, runpy, signal, sys
if sys.platform == 'linux':
    try:
        import ctypes
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    except (ImportError, OSError, AttributeError):
        pass
    if os.getppid() != int(os.environ['SCOREBOOK_KEEPER']):
        sys.exit('scorebook has ended')
runpy.run_module('jupyterlab', run_name='__main__', alter_sys=True)
";

/// A JupyterLab that we started.
pub struct Server {
    process: Child,
    log: PathBuf,
    /// The folder in which it describes itself while it runs.
    runtime: PathBuf,
    /// Set by a signal that asks us to end.
    asked: Arc<AtomicBool>,
}

impl Server {
    /// Starts JupyterLab on `folder`; on `port`, or on the first free one from 8888. Its first page
    /// is `page`, such as `lab`.
    pub fn start(
        environment: &Environment,
        folder: &Path,
        page: &str,
        port: Option<u16>,
    ) -> Result<Self> {
        let log = cache::folder()?.join(format!("lab-{}.log", std::process::id()));
        // The log holds the token that opens the server, so it is for this user alone.
        let mut private = OpenOptions::new();
        private.create(true).write(true).truncate(true).mode(0o600);
        let output = private.open(&log).context("cannot write the log")?;
        let runtime = Place::user()?.runtime();
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&asked))?;
        }
        let mut command = Command::new(&environment.interpreter);
        command.args(["-c", JUPYTERLAB, "--no-browser"]);
        command.arg(format!("--ServerApp.root_dir={}", folder.display()));
        command.arg(format!("--LabApp.default_url=/{page}"));
        if let Some(port) = port {
            command.arg(format!("--port={port}")).arg("--ServerApp.port_retries=0");
        }
        command.arg(format!("--MultiKernelManager.default_kernel_name={}", kernelspec::NAME));
        if process::is_root() {
            command.arg("--allow-root");
        }
        let process = command
            .env("JUPYTER_RUNTIME_DIR", &runtime)
            .env(standby::KEEPER_VARIABLE, std::process::id().to_string())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            // A group of its own: Ctrl-C in the terminal is for us, and we end it in order.
            .process_group(0)
            .spawn()
            .context("cannot start JupyterLab")?;
        // A server that crashed long ago may have had the same number.
        let _ = fs::remove_file(runtime.join(format!("jpserver-{}.json", process.id())));
        Ok(Self { process, log, runtime, asked })
    }

    /// Has a kernel warm before the first notebook is opened.
    pub fn start_kernel_ahead(&self, device: Device) -> Result<()> {
        let log = OpenOptions::new().append(true).open(&self.log)?;
        let mut standby = standby::command(std::process::id())?;
        // What the server's own kernels will find in their environment, by its and by the kernelspec's doing.
        standby.env("JUPYTER_RUNTIME_DIR", &self.runtime).env(device::VARIABLE, device.name());
        standby.stdout(log.try_clone()?).stderr(log);
        standby.status().context("cannot start a kernel ahead")?;
        Ok(())
    }

    /// Waits until it answers, and gives the address of `page`; nothing if we are asked to end.
    pub fn address(&mut self, page: &str) -> Result<Option<String>> {
        let description = self.runtime.join(format!("jpserver-{}.json", self.process.id()));
        let start = Instant::now();
        while !self.asked.load(Ordering::Relaxed) {
            if let Some(status) = self.process.try_wait()? {
                bail!("JupyterLab ended at its start ({status}):\n{}", self.last_lines());
            }
            if let Some(address) = address(&description, page) {
                return Ok(Some(address));
            }
            if start.elapsed() > START {
                bail!(
                    "JupyterLab has not started in {} s:\n{}",
                    START.as_secs(),
                    self.last_lines()
                );
            }
            std::thread::sleep(POLL);
        }
        Ok(None)
    }

    /// Waits until we are asked to end, or until it has ended by itself.
    pub fn wait(&mut self) -> Result<Option<ExitStatus>> {
        while !self.asked.load(Ordering::Relaxed) {
            if let Some(status) = self.process.try_wait()? {
                return Ok(Some(status));
            }
            std::thread::sleep(POLL);
        }
        Ok(None)
    }

    /// Opens the first page in the reader's browser, as Python's `webbrowser` finds it: by way of
    /// the file that JupyterLab wrote for this, because the token in the address would be seen by
    /// everybody in a command line.
    pub fn open_in_browser(&self, environment: &Environment) -> Result<()> {
        let page = self.runtime.join(format!("jpserver-{}-open.html", self.process.id()));
        Command::new(&environment.interpreter)
            .args(["-m", "webbrowser", "-t"])
            .arg(format!("file://{}", page.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("cannot open a browser")?;
        Ok(())
    }

    fn last_lines(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

/// Ends the server, its kernels first, and whatever they leave.
impl Drop for Server {
    fn drop(&mut self) {
        let descendants = Descendants::of(self.process.id());
        process::signal(self.process.id(), libc::SIGTERM);
        // Asked once more, we do not wait for it.
        self.asked.store(false, Ordering::Relaxed);
        let start = Instant::now();
        while matches!(self.process.try_wait(), Ok(None))
            && start.elapsed() < END
            && !self.asked.load(Ordering::Relaxed)
        {
            std::thread::sleep(POLL);
        }
        Descendants::of(self.process.id()).kill();
        let _ = self.process.kill();
        let _ = self.process.wait();
        descendants.kill();
        let _ = fs::remove_file(&self.log);
    }
}

/// The address of a page of the server that wrote this description of itself.
fn address(description: &Path, page: &str) -> Option<String> {
    let description: Value = serde_json::from_slice(&fs::read(description).ok()?).ok()?;
    // The file is there before the server listens; one at a socket file has the port 0.
    if let Some(port) = description["port"].as_u64().filter(|port| *port > 0) {
        let host = description["hostname"].as_str().filter(|host| !host.is_empty());
        TcpStream::connect((host.unwrap_or("localhost"), u16::try_from(port).ok()?)).ok()?;
    }
    let url = description["url"].as_str()?;
    Some(match description["token"].as_str() {
        Some(token) if !token.is_empty() => format!("{url}{page}?token={token}"),
        _ => format!("{url}{page}"),
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// With a package that only says that it runs in the place of JupyterLab, and a shell in ours.
    #[test]
    fn jupyterlab_ends_when_its_parent_is_killed() {
        let folder = std::env::temp_dir().join(format!("scorebook-tied-{}", std::process::id()));
        let package = folder.join("jupyterlab");
        fs::create_dir_all(&package).unwrap();
        fs::write(package.join("__init__.py"), "").unwrap();
        let main =
            "import os, sys, time\nopen(sys.argv[1], 'w').write(str(os.getpid()))\ntime.sleep(600)";
        fs::write(package.join("__main__.py"), main).unwrap();
        let sign = folder.join("sign");
        let mut shell = Command::new("sh")
            .args(["-c", "SCOREBOOK_KEEPER=$$ python3 -c \"$0\" \"$1\" & wait", JUPYTERLAB])
            .arg(&sign)
            .env("PYTHONPATH", &folder)
            .spawn()
            .unwrap();
        let wait = |what: &str, holds: &dyn Fn() -> bool| {
            let begun = Instant::now();
            while !holds() {
                assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
                std::thread::sleep(Duration::from_millis(10));
            }
        };
        let process = || fs::read_to_string(&sign).unwrap_or_default();
        wait("it never ran", &|| !process().is_empty());
        let process = PathBuf::from("/proc").join(process());
        assert!(process.exists());
        shell.kill().unwrap();
        shell.wait().unwrap();
        // A zombie that nobody waits for has ended, too.
        let ended = || {
            fs::read_to_string(process.join("stat")).map_or(true, |stat| {
                stat.rsplit_once(')').is_some_and(|(_, rest)| rest.starts_with(" Z"))
            })
        };
        wait("it outlives its parent", &ended);
        fs::remove_dir_all(folder).unwrap();
    }
}
