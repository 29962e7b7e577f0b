//! The flag by which long loops are asked to stop.
use std::sync::atomic::{AtomicBool, Ordering};
static REQUESTED: AtomicBool = AtomicBool::new(false);
/// Whether the running loop was asked to stop.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}
