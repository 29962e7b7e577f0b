//! Literals of Rust: what a value on the command line or in a cell is.

/// What kind of literal a piece of Rust is.
#[derive(Debug, PartialEq)]
pub enum Literal<'a> {
    Bool,
    Integer { suffix: &'a str },
    Float { suffix: &'a str },
    Text,
    OwnedText,
    Other,
}

impl<'a> Literal<'a> {
    /// The type, `{integer}` and `{float}` where only its kind is known, nothing for other expressions.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Integer { .. } => "{integer}",
            Self::Float { .. } => "{float}",
            Self::Text => "&str",
            Self::OwnedText => "String",
            Self::Other => "",
        }
    }

    /// The type that is written behind a number, such as `f32`.
    pub fn suffix(&self) -> &'a str {
        match self {
            Self::Integer { suffix } | Self::Float { suffix } => suffix,
            _ => "",
        }
    }
}

/// Reads a piece of Rust.
pub fn literal(text: &str) -> Literal<'_> {
    if ["true", "false"].contains(&text) {
        return Literal::Bool;
    }
    let owned = text.starts_with("String::from(\"")
        || (text.starts_with('"')
            && [".to_string()", ".to_owned()", ".into()"].iter().any(|end| text.ends_with(end)));
    if owned {
        return Literal::OwnedText;
    }
    if text.len() >= 2 && text.starts_with('"') && text.ends_with('"') {
        return Literal::Text;
    }
    number(text).unwrap_or(Literal::Other)
}

/// A number with its suffix, such as `1_000`, `-2.5e-3`, `64usize`, `0xff`.
fn number(text: &str) -> Option<Literal<'_>> {
    const SUFFIXES: [&str; 14] = [
        "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32", "u64", "u128", "usize",
        "f32", "f64",
    ];
    let hexadecimal = text.trim_start_matches('-').starts_with("0x");
    let suffix = SUFFIXES.into_iter().find(|suffix| {
        // `f32` may be digits of a hexadecimal number.
        text.ends_with(suffix) && !(hexadecimal && suffix.starts_with('f'))
    });
    let digits = &text[..text.len() - suffix.map_or(0, str::len)];
    let suffix = &text[digits.len()..];
    let digits = digits.replace('_', "");
    if !digits.trim_start_matches('-').starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    if let Some(digits) = digits.trim_start_matches('-').strip_prefix("0x") {
        return i128::from_str_radix(digits, 16).is_ok().then_some(Literal::Integer { suffix });
    }
    match digits.parse::<i128>() {
        Ok(_) if suffix.starts_with('f') => Some(Literal::Float { suffix }),
        Ok(_) => Some(Literal::Integer { suffix }),
        Err(_) => digits.parse::<f64>().is_ok().then_some(Literal::Float { suffix }),
    }
}

/// Whether a number is decimal digits alone, so that `.0` makes a float of it.
pub fn plain(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    digits.chars().all(|digit| digit.is_ascii_digit() || digit == '_')
}

/// Whether this is the name of a type of whole numbers.
pub fn is_integer(kind: &str) -> bool {
    let width = kind.strip_prefix(['i', 'u']).unwrap_or_default();
    ["8", "16", "32", "64", "128", "size"].contains(&width)
}

/// A Rust literal of the text. Quotes around it, which say that a number is meant as text, go.
pub fn quoted(text: &str) -> String {
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    format!("{text:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_told_apart() {
        for (text, expected) in [
            ("true", Literal::Bool),
            ("-1_000", Literal::Integer { suffix: "" }),
            ("64usize", Literal::Integer { suffix: "usize" }),
            ("0xf32", Literal::Integer { suffix: "" }),
            ("2.5e-3", Literal::Float { suffix: "" }),
            ("1f32", Literal::Float { suffix: "f32" }),
            ("\"a\"", Literal::Text),
            ("\"a\".to_string()", Literal::OwnedText),
            ("String::from(\"a\")", Literal::OwnedText),
            ("inf", Literal::Other),
            ("1.2.3", Literal::Other),
            ("load()?", Literal::Other),
        ] {
            assert_eq!(literal(text), expected, "{text}");
        }
    }
}
