//! What can go wrong, each error naming its cause and the remedy.

use std::path::PathBuf;

/// The result of everything in the library that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the library.
///
/// ```
/// use scorebook::Error;
///
/// let error = Error::argument("steps", 0, "at least 1");
/// assert_eq!(error.to_string(), "`steps` is 0; expected at least 1");
/// let error = Error::shape("x", &[3], "[batch, 2]");
/// assert_eq!(error.to_string(), "`x` has shape [3]; expected [batch, 2]");
/// let error = Error::file("model.safetensors", "cut short", "Copy it again");
/// assert_eq!(error.to_string(), "model.safetensors: cut short. Copy it again");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument outside its range.
    #[error("`{name}` is {value}; expected {expected}")]
    Argument {
        /// The argument's name as the signature spells it.
        name: &'static str,
        /// The value that was given.
        value: String,
        /// What would have been accepted.
        expected: String,
    },
    /// A tensor of the wrong shape.
    #[error("`{name}` has shape {got:?}; expected {expected}")]
    Shape {
        /// The argument's name as the signature spells it.
        name: &'static str,
        /// The shape that was given.
        got: Vec<usize>,
        /// What would have been accepted, for example `[batch, 2]`.
        expected: String,
    },
    /// A file that is missing, cut short, or not what its name says.
    #[error("{path}: {cause}. {remedy}", path = path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
        /// What the reader can do about it, as a sentence.
        remedy: String,
    },
    /// A device that was asked for and is not there.
    #[error("device {device}: {cause}. {remedy}")]
    Device {
        /// `cuda`, `metal`, ...
        device: String,
        /// Why it cannot be used.
        cause: String,
        /// What the reader can do about it, as a sentence.
        remedy: String,
    },
    /// A number that stopped being one, in training or sampling.
    #[error("{what} is not finite at {at}. {remedy}")]
    NotFinite {
        /// What was computed: the loss, a state, a gradient.
        what: String,
        /// Where: a step, a time.
        at: String,
        /// What the reader can do about it, as a sentence.
        remedy: String,
    },
    /// An error of candle.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
    /// An error of the operating system.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A JSON document that could not be read or written.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl Error {
    /// The argument `name` has a `value` that is not `expected`.
    pub fn argument(
        name: &'static str,
        value: impl std::fmt::Display,
        expected: impl Into<String>,
    ) -> Self {
        Self::Argument { name, value: value.to_string(), expected: expected.into() }
    }

    /// The tensor `name` has the shape `got`, which is not `expected`.
    pub fn shape(name: &'static str, got: &[usize], expected: impl Into<String>) -> Self {
        Self::Shape { name, got: got.to_vec(), expected: expected.into() }
    }

    /// The file at `path` cannot be used because of `cause`; `remedy` is what to do about it.
    pub fn file(
        path: impl Into<PathBuf>,
        cause: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::File { path: path.into(), cause: cause.into(), remedy: remedy.into() }
    }
}
