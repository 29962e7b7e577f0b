//! One output in several formats.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::channel::{self, Message};

/// Something that a notebook can show.
///
/// ```
/// use scorebook::notebook::{Bundle, Display, show};
///
/// struct Percent(f64);
///
/// impl Display for Percent {
///     fn bundle(&self) -> Bundle {
///         Bundle::text(format!("{:.1} %", 100.0 * self.0))
///     }
/// }
///
/// show(&Percent(0.25));
/// ```
pub trait Display {
    /// The output in every format that it has.
    fn bundle(&self) -> Bundle;
}

/// One output in several formats (a MIME bundle), of which the front end shows the richest it knows.
///
/// ```
/// use scorebook::notebook::Bundle;
///
/// let bundle = Bundle::html("<b>E</b> = ½").with("text/plain", "E = ½");
/// assert_eq!(bundle.get("text/plain"), Some("E = ½"));
/// assert_eq!(bundle.get("image/png"), None);
/// assert!(Bundle::default().is_empty() && !bundle.is_empty());
/// // A format each, as text; a picture in base64.
/// let formula = Bundle::latex("$x^2$");
/// assert_eq!(formula.formats().next().unwrap().0, "text/latex");
/// assert_eq!(Bundle::svg("<svg/>").get("image/svg+xml"), Some("<svg/>"));
/// assert_eq!(Bundle::png(b"\x89PNG").get("image/png"), Some("iVBORw=="));
/// let document = Bundle::json(serde_json::json!({"steps": 3}));
/// assert_eq!(document.formats().next().unwrap().1["steps"], 3);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bundle {
    formats: BTreeMap<String, Value>,
}

impl Bundle {
    /// Plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::default().with("text/plain", text)
    }

    /// HTML, as it stands inside a page's body.
    pub fn html(html: impl Into<String>) -> Self {
        Self::default().with("text/html", html)
    }

    /// Markdown, with formulas between `$` signs.
    pub fn markdown(markdown: impl Into<String>) -> Self {
        Self::default().with("text/markdown", markdown)
    }

    /// A formula, with its `$` signs or its environment.
    pub fn latex(latex: impl Into<String>) -> Self {
        Self::default().with("text/latex", latex)
    }

    /// A vector image.
    pub fn svg(svg: impl Into<String>) -> Self {
        Self::default().with("image/svg+xml", svg)
    }

    /// A PNG image, as the bytes of its file.
    pub fn png(png: &[u8]) -> Self {
        Self::default().with("image/png", STANDARD.encode(png))
    }

    /// A JSON document.
    pub fn json(document: Value) -> Self {
        Self { formats: BTreeMap::from([("application/json".into(), document)]) }
    }

    /// The same bundle with `content` in the format `mime` added or replaced.
    pub fn with(mut self, mime: impl Into<String>, content: impl Into<String>) -> Self {
        self.formats.insert(mime.into(), Value::String(content.into()));
        self
    }

    /// The content in the format `mime`, where it is there and is text (images are base64 text).
    pub fn get(&self, mime: &str) -> Option<&str> {
        self.formats.get(mime)?.as_str()
    }

    /// The formats and their contents, in the order of their names.
    pub fn formats(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.formats.iter().map(|(mime, content)| (mime.as_str(), content))
    }

    /// Whether there is no content at all.
    pub fn is_empty(&self) -> bool {
        self.formats.is_empty()
    }

    /// Shows the bundle as the value of the cell; notebooks call it on a cell's last expression.
    pub fn evcxr_display(&self) {
        channel::send(&Message::Result { bundle: self.clone() });
    }
}

impl Display for Bundle {
    fn bundle(&self) -> Bundle {
        self.clone()
    }
}

impl Display for str {
    fn bundle(&self) -> Bundle {
        Bundle::text(self)
    }
}

impl Display for String {
    fn bundle(&self) -> Bundle {
        Bundle::text(self)
    }
}

impl<T: Display + ?Sized> Display for &T {
    fn bundle(&self) -> Bundle {
        (**self).bundle()
    }
}

/// The text as it stands in HTML.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
