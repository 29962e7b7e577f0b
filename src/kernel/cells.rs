//! The process that loads the compiled cells and runs them.
//!
//! It does what `evcxr`'s own would, and leaves standard input to the cells: its instructions come on a pipe of their
//! own. It installs no handlers for crashes either, so that the standard library's tell a stack overflow from an access
//! to foreign memory.

use std::ffi::{CStr, CString, c_void};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Tells the process which descriptor its instructions come on.
pub(super) const INSTRUCTIONS: &str = "SCOREBOOK_INSTRUCTIONS";
/// How an instruction begins; the path of a library and the name of its function follow.
pub(super) const RUN: &str = "LOAD_AND_RUN ";
/// What is printed after each cell.
pub(super) const COMPLETE: &str = "EVCXR_EXECUTION_COMPLETE";

/// What a compiled cell exports: it takes the variables' store and gives it back.
type Cell = extern "C" fn(*mut c_void) -> *mut c_void;

/// Makes `command` start this process with instructions from `pipe`. It ends with its parent.
pub(super) fn instruct(command: &mut Command, pipe: &impl AsRawFd) {
    let descriptor = pipe.as_raw_fd();
    command.env(INSTRUCTIONS, descriptor.to_string());
    // SAFETY: only system calls that are allowed between fork and exec.
    unsafe {
        command.pre_exec(move || {
            // A parent that is killed cannot end its child.
            #[cfg(target_os = "linux")]
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            inherit(descriptor, true)
        });
    }
}

/// Whether a program that is started from here gets the descriptor.
fn inherit(descriptor: RawFd, yes: bool) -> std::io::Result<()> {
    let flags = if yes { 0 } else { libc::FD_CLOEXEC };
    // SAFETY: a plain system call on numbers.
    match unsafe { libc::fcntl(descriptor, libc::F_SETFD, flags) } {
        -1 => Err(std::io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// If this process was started by [`instruct`], runs cells and never returns.
pub(super) fn run_if_called() {
    let Some(descriptor) = std::env::var(INSTRUCTIONS).ok().and_then(|text| text.parse().ok())
    else {
        return;
    };
    // What the cells start is not to hold the pipe.
    let _ = inherit(descriptor, false);
    // SAFETY: the parent opened the descriptor for this process, and nobody else uses it.
    let instructions = unsafe { File::from_raw_fd(descriptor) };
    let mut store = std::ptr::null_mut();
    for line in BufReader::new(instructions).lines().map_while(Result::ok) {
        let Some((library, function)) = line.strip_prefix(RUN).and_then(|l| l.rsplit_once(' '))
        else {
            continue;
        };
        match load(library, function) {
            Ok(cell) => store = cell(store),
            Err(why) => {
                eprintln!("the compiled cell cannot be loaded: {why}");
                std::process::exit(1);
            }
        }
        println!("{COMPLETE}");
    }
    std::process::exit(0);
}

/// The function of a library, which is never unloaded: values of the cell may live on, and so may its threads.
fn load(library: &str, function: &str) -> Result<Cell, String> {
    let text = |text: &str| CString::new(text).map_err(|error| error.to_string());
    let (library, function) = (text(library)?, text(function)?);
    // SAFETY: the library is a cell that was compiled for this process; its constructors are Rust's.
    let handle = unsafe { libc::dlopen(library.as_ptr(), libc::RTLD_LAZY | libc::RTLD_LOCAL) };
    if handle.is_null() {
        return Err(last_error());
    }
    // SAFETY: the handle is open, the name ends with a zero.
    let symbol = unsafe { libc::dlsym(handle, function.as_ptr()) };
    if symbol.is_null() {
        return Err(last_error());
    }
    // SAFETY: `evcxr` exports its functions with this signature.
    Ok(unsafe { std::mem::transmute::<*mut c_void, Cell>(symbol) })
}

fn last_error() -> String {
    // SAFETY: the text is copied before another call of the loader.
    unsafe {
        let text = libc::dlerror();
        if text.is_null() {
            "unknown reason".into()
        } else {
            CStr::from_ptr(text).to_string_lossy().into_owned()
        }
    }
}
