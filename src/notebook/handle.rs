//! Outputs that are shown now, replaced later, or taken away.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::Display;
use super::channel::{self, Message};

/// Shows `output` below the cell, now. A cell may show as many outputs as it likes.
///
/// ```
/// use scorebook::notebook::{Bundle, show};
///
/// show(&Bundle::markdown("$\\mathrm{d}x = f\\,\\mathrm{d}t + g\\,\\mathrm{d}w$"));
/// show("and a line of text");
/// ```
pub fn show<T: Display + ?Sized>(output: &T) {
    channel::send(&Message::Display { bundle: output.bundle(), id: None });
}

/// Takes away what the cell has shown and printed so far: at once, or, with `wait`, when the next
/// output arrives (which does not flicker).
///
/// ```
/// use scorebook::notebook::{clear_output, show};
///
/// // Counts in one place.
/// for count in 1..=3 {
///     clear_output(true);
///     show(&format!("{count} of 3"));
/// }
/// ```
pub fn clear_output(wait: bool) {
    channel::send(&Message::ClearOutput { wait });
}

/// An output that stays where it was first shown and can be replaced there, from later cells too.
///
/// ```
/// use scorebook::notebook::Handle;
///
/// let state = Handle::new("burning in");
/// state.update("sampling");
/// ```
#[derive(Clone, Debug)]
pub struct Handle {
    id: String,
}

impl Handle {
    /// Shows `output` below the cell.
    pub fn new<T: Display + ?Sized>(output: &T) -> Self {
        let handle = Self { id: fresh_identity() };
        channel::send(&Message::Display { bundle: output.bundle(), id: Some(handle.id.clone()) });
        handle
    }

    /// Replaces what was shown by `output`.
    pub fn update<T: Display + ?Sized>(&self, output: &T) {
        channel::send(&Message::Update { bundle: output.bundle(), id: self.id.clone() });
    }

    /// The identity by which the front end knows the output (Jupyter's `display_id`).
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// An identity that no other output of the notebook has, not even one that an earlier kernel left.
fn fresh_identity() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{now:x}-{:x}-{count:x}", std::process::id())
}

#[cfg(test)]
mod tests {
    #[test]
    fn identities_differ() {
        assert_ne!(super::fresh_identity(), super::fresh_identity());
    }
}
