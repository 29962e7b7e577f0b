//! Figures as the result of a notebook cell.

use base64::Engine;

use super::figure::Figure;

/// What a notebook shows of a figure: `(MIME type, content)`, the richest first.
pub(super) fn contents(figure: &Figure) -> crate::Result<[(&'static str, String); 2]> {
    let picture = if figure.is_of_pixels() {
        let png = base64::engine::general_purpose::STANDARD.encode(figure.png()?);
        ("image/png", png)
    } else {
        ("image/svg+xml", figure.svg()?)
    };
    Ok([picture, ("text/plain", figure.to_string())])
}

/// Shows a figure in the notebook, or says why it cannot be drawn.
pub(super) fn show(figure: &Figure) {
    match contents(figure) {
        Ok(contents) => {
            for (mime, content) in contents {
                println!("EVCXR_BEGIN_CONTENT {mime}\n{content}\nEVCXR_END_CONTENT");
            }
        }
        Err(error) => eprintln!("{figure} cannot be drawn: {error}"),
    }
}
