//! The flag by which long loops are asked to stop.
//!
//! A loop that may run for minutes looks at [`requested`] once a step and, when it is set, stops
//! where it is and returns `Ok` with a report marked as interrupted, so that everything made so far
//! (a half-trained model, the paths up to now) stays with the reader.
//!
//! In a notebook the kernel sets the flag when the reader presses *Interrupt* and clears it before
//! the next cell. In a terminal program [`listen`] sets it on Ctrl-C; a second Ctrl-C ends the program.
//!
//! ```
//! use scorebook::interrupt;
//!
//! let mut steps = 0;
//! for step in 0..1_000_000 {
//!     if step == 3 {
//!         interrupt::request();
//!     }
//!     if interrupt::requested() {
//!         break;
//!     }
//!     steps += 1;
//! }
//! assert_eq!(steps, 3);
//! interrupt::clear();
//! assert!(!interrupt::requested());
//! ```

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Once};

use signal_hook::consts::SIGINT;
use signal_hook::flag;

static REQUESTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Whether somebody asked the running loop to stop.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}

/// Asks the running loop to stop, as Ctrl-C does.
pub fn request() {
    REQUESTED.store(true, Ordering::Relaxed);
}

/// Takes the request back. Programs that go on after an interrupt call it before the next long loop.
pub fn clear() {
    REQUESTED.store(false, Ordering::Relaxed);
}

/// From now on Ctrl-C (the signal `SIGINT`) is a [`request`] instead of the end of the program.
///
/// Outside a notebook a second Ctrl-C, while the first is still pending, ends the program with
/// exit code 130. Calling it again does nothing.
///
/// # Errors
/// The operating system refused the signal handler.
///
/// ```
/// // In a process of its own, as every example is: the flag is the whole process's.
/// use scorebook::interrupt;
///
/// interrupt::listen()?;
/// interrupt::listen()?;
/// # #[cfg(unix)]
/// # {
/// signal_hook::low_level::raise(signal_hook::consts::SIGINT)?;
/// assert!(interrupt::requested());
/// interrupt::clear();
/// assert!(!interrupt::requested());
/// # }
/// # Ok::<(), scorebook::Error>(())
/// ```
pub fn listen() -> crate::Result<()> {
    static ONCE: Once = Once::new();
    let mut outcome = Ok(());
    ONCE.call_once(|| outcome = install());
    Ok(outcome?)
}

fn install() -> std::io::Result<()> {
    if std::env::var_os(crate::notebook::channel::KERNEL_VARIABLE).is_none() {
        // Registered before the flag's own handler, so that it sees the flag of an earlier Ctrl-C only.
        flag::register_conditional_shutdown(SIGINT, 130, Arc::clone(&REQUESTED))?;
    }
    flag::register(SIGINT, Arc::clone(&REQUESTED))?;
    Ok(())
}
