//! Stand-ins for `cargo` and `rustup`.
//!
//! `evcxr` and rust-analyzer, which lives in it, call these tools dozens of times before a kernel's first cell, and
//! cargo once or twice for every cell, nearly always to hear what the kernel before was told: the workshop's
//! dependencies do not change. So each kernel puts this program before them, under their names. What cargo answered is
//! remembered beside the workshop ([`answer`]), and so is how it called the compiler for a cell ([`recording`]);
//! whatever is not known for certain goes to the real tool.
//!
//! ```text
//! evcxr, rust-analyzer --cargo ...--> this program --known------> the answer, or rustc at once
//!                                          '-------not known--> cargo, and remember
//! ```

mod answer;
mod cargo;
mod causes;
mod environment;
mod place;
mod recording;
mod trim;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

pub(super) use environment::{install, restore};
use place::Place;

/// Below the kernel's folder: a folder like cargo's own, whose `bin` rust-analyzer looks into before anywhere else.
const HOME: &str = "tools";
/// The name by which cargo calls this program in the place of the compiler, to have the call recorded.
const RECORDER: &str = "rustc-recorder";

/// If this process was called in the place of a tool, does the tool's work and never returns. The program's first act:
/// its environment is the tool's.
pub fn stand_in_if_called() {
    let mut arguments = std::env::args_os();
    let (Some(folder), Some(called)) = (environment::folder(), arguments.next()) else { return };
    let arguments: Vec<OsString> = arguments.collect();
    let place = Place::new(folder);
    let code = match Path::new(&called).file_name().and_then(OsStr::to_str) {
        Some("cargo") => cargo::run(&place, &arguments),
        Some("rustup") => rustup(&place, &arguments),
        Some(RECORDER) => recording::record(&arguments),
        _ => return,
    };
    std::process::exit(code.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        1
    }));
}

/// Where a kernel with this folder has its stand-ins.
fn programs(folder: &Path) -> PathBuf {
    folder.join(HOME).join("bin")
}

/// `evcxr` asks rustup where cargo is. rust-analyzer would have it install a component of 30 MB without a word to
/// the reader: it is refused.
fn rustup(place: &Place, arguments: &[OsString]) -> anyhow::Result<i32> {
    let arguments: Vec<&str> = arguments.iter().filter_map(|argument| argument.to_str()).collect();
    match arguments.as_slice() {
        ["which", "cargo"] => println!("{}", programs(&place.folder).join("cargo").display()),
        ["which", "rustc"] => println!("{}", environment::real_rustc()?.display()),
        ["component", "add", ..] => anyhow::bail!("the kernel installs nothing"),
        _ => return environment::run_real("rustup", &arguments),
    }
    Ok(0)
}
