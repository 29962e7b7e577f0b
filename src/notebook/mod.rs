//! What a cell uses to speak to its kernel: rich display and live figures.
//!
//! | where the program runs | what happens |
//! |---|---|
//! | a cell of the kernel `scorebook` | outputs appear at once and in order; [`Handle`] and [`Live`] replace theirs in place |
//! | a cell of stock `evcxr_jupyter` | outputs appear when the cell ends, the last one of each format only |
//! | a terminal, a test | the plain text of an output is printed; nothing rich |
//!
//! The last expression of a cell is shown by itself, as [`Display`] says or else as [`Debug`](std::fmt::Debug) does;
//! [`show`] is for every other place. [`ask`] puts a question to the reader, and an [`Exercise`] says what is wrong with an answer.

mod attach;
mod bundle;
mod chain;
#[doc(hidden)]
pub mod channel;
mod exercise;
mod handle;
mod live;
mod question;
mod results;
mod table;
mod tensor;
mod value;

#[doc(hidden)]
pub use attach::attach;
pub use bundle::{Bundle, Display};
#[doc(hidden)]
pub use chain::chain;
pub use exercise::{Answer, Exercise};
pub use handle::{Handle, clear_output, show};
pub use live::Live;
pub use question::{ask, ask_password};
pub use table::Table;
#[doc(hidden)]
pub use value::{ByDebug, ByDisplay};
