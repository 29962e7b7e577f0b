//! How the value of a cell's last expression is shown.
//!
//! The kernel makes a statement of a last expression: `e` becomes `(&(e)).evcxr_display();`. The compiler then takes
//! the first of these that the type has:
//!
//! 1. a method `evcxr_display` of its own, by which other crates show their values in notebooks;
//! 2. [`Display`], through [`ByDisplay`];
//! 3. [`Debug`], through [`ByDebug`].
//!
//! The order is that in which methods are looked up: [`ByDebug`] asks for a `&mut` to the reference, which is tried
//! last. Nothing has to be compiled twice to find out what a type can do, as stock `evcxr` does.

use std::fmt::Debug;

use super::channel::{self, Message};
use super::{Bundle, Display};

/// More text than this is no output but a mistake, and freezes a browser.
const LONGEST: usize = 100_000;

/// Shows what has a [`Display`].
pub trait ByDisplay {
    /// Shows it as the value of the cell.
    fn evcxr_display(&self);
}

impl<T: Display + ?Sized> ByDisplay for T {
    fn evcxr_display(&self) {
        channel::send(&Message::Result { bundle: self.bundle() });
    }
}

/// Shows what has nothing better than [`Debug`].
pub trait ByDebug {
    /// Shows it as the value of the cell, unless it is `()`.
    fn evcxr_display(&mut self);
}

impl<T: Debug + ?Sized> ByDebug for &T {
    fn evcxr_display(&mut self) {
        let text = shortened(format!("{self:?}"));
        if text != "()" {
            channel::send(&Message::Result { bundle: Bundle::text(text) });
        }
    }
}

/// The text, cut where it is too long to be read.
fn shortened(mut text: String) -> String {
    if text.len() > LONGEST {
        let all = text.len();
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push_str(&format!("… ({all} bytes in all)"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Plain;

    struct Own;

    impl Own {
        fn evcxr_display(&self) -> &'static str {
            "its own"
        }
    }

    // As the kernel writes it.
    #[allow(clippy::needless_borrow, clippy::double_parens)]
    #[test]
    fn each_type_is_shown_by_the_best_that_it_has() {
        assert_eq!((&(Own)).evcxr_display(), "its own");
        // These compile, which is the point: by `Display`, and by `Debug` alone.
        (&("text")).evcxr_display();
        (&(Plain)).evcxr_display();
        let kept = vec![1, 2];
        (&(kept)).evcxr_display();
        (&(())).evcxr_display();
        assert_eq!(kept.len(), 2, "showing a variable does not move it");
    }

    #[test]
    fn a_text_of_megabytes_is_cut() {
        let long = shortened("é".repeat(100_000));
        assert!(long.len() < LONGEST + 100 && long.ends_with("… (200000 bytes in all)"));
        assert_eq!(shortened("short".into()), "short");
    }
}
