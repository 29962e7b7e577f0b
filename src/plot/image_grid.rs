//! Generated and measured images, pixel by pixel.

use std::sync::Arc;

use candle_core::Tensor;

use super::chart::{LABEL, MARGIN, NUMBER, TITLE, TITLE_LINE, line_of_text, title_lines};
use super::colour::{INK, MUTED};
use super::data::{Values, check_finite};
use super::figure::Figure;
use super::heat_map::check_limits;
use super::shape::{Anchor, Picture, Rect, Shape};
use super::text;
use crate::{Error, Result};

/// Images in rows of `columns`, each pixel a square of whole pixels of the figure.
///
/// `images` is `[n, channels, height, width]` with 1 channel (grey) or 3 (RGB), or
/// `[n, height, width]` (grey). `range` holds the values of black and of full light, `(-1., 1.)`
/// or `(0., 1.)` as a rule; what lies outside is cut. Shown as PNG in a notebook.
///
/// # Errors
/// Another shape, no images, values that are not finite, a range that is not in order, `columns`
/// of 0, or a grid of more than 4096 pixels in width or height.
///
/// ```
/// use scorebook::plot;
/// use scorebook::prelude::*;
///
/// let images = Tensor::arange(0f32, 6. * 64., &Device::Cpu)?.reshape((6, 1, 8, 8))?;
/// let figure = plot::image_grid(&(images / 384.)?, (0., 1.), 3)?
///     .title("Ramps")
///     .row_labels(&["first", "second"])?;
/// assert!(figure.png()?.starts_with(b"\x89PNG"));
/// # Ok::<(), scorebook::Error>(())
/// ```
pub fn image_grid(images: &Tensor, range: (f64, f64), columns: usize) -> Result<Figure> {
    check_limits("range", range)?;
    if columns == 0 {
        return Err(Error::argument("columns", columns, "at least 1"));
    }
    let (channels, height, width) = match images.dims() {
        &[_, height, width] => (1, height, width),
        &[_, channels @ (1 | 3), height, width] => (channels, height, width),
        dims => {
            let expected = "[n, height, width], [n, 1, height, width] or [n, 3, height, width]";
            return Err(Error::shape("images", dims, expected));
        }
    };
    let values = images.values()?;
    check_finite("images", "", &values)?;
    let pictures = values
        .chunks(channels * height * width)
        .map(|image| Arc::new(picture(image, range, channels, height, width)))
        .collect();
    let grid = ImageGrid {
        pictures,
        columns,
        width,
        height,
        captions: Vec::new(),
        row_labels: Vec::new(),
    };
    let figure = Figure::of_images(grid);
    figure.check_size()?;
    Ok(figure)
}

fn picture(
    image: &[f64],
    (low, high): (f64, f64),
    channels: usize,
    height: usize,
    width: usize,
) -> Picture {
    let byte = |value: f64| (255.0 * ((value - low) / (high - low)).clamp(0.0, 1.0)).round() as u8;
    let area = height * width;
    let rgba = (0..area)
        .flat_map(|pixel| {
            // One channel of grey is all three of RGB.
            let channel = |c: usize| byte(image[c.min(channels - 1) * area + pixel]);
            [channel(0), channel(1), channel(2), 255]
        })
        .collect();
    Picture { width, height, rgba }
}

/// Between two images, in pixels.
const GAP: f64 = 3.0;

/// Images are enlarged to about this many pixels in width, and the grid to about [`WIDE`].
const ABOUT: f64 = 112.0;
const WIDE: f64 = 760.0;

const CAPTION: f64 = 15.0;

#[derive(Clone, Debug)]
pub(super) struct ImageGrid {
    pictures: Vec<Arc<Picture>>,
    columns: usize,
    width: usize,
    height: usize,
    captions: Vec<String>,
    row_labels: Vec<String>,
}

impl ImageGrid {
    pub(super) fn set_captions(&mut self, captions: Vec<String>) -> Result<()> {
        if captions.len() != self.pictures.len() {
            let expected = format!("{}, one an image", self.pictures.len());
            return Err(Error::argument("captions", captions.len(), expected));
        }
        self.captions = captions;
        Ok(())
    }

    pub(super) fn set_row_labels(&mut self, labels: Vec<String>) -> Result<()> {
        if labels.len() != self.rows() {
            let expected = format!("{}, one a row", self.rows());
            return Err(Error::argument("row_labels", labels.len(), expected));
        }
        self.row_labels = labels;
        Ok(())
    }

    fn rows(&self) -> usize {
        self.pictures.len().div_ceil(self.columns)
    }

    /// Columns that are there: a single row may be shorter than asked for.
    fn used_columns(&self) -> usize {
        self.columns.min(self.pictures.len())
    }

    fn enlargement(&self) -> f64 {
        let of_one = ABOUT / self.width as f64;
        let of_all = WIDE / (self.width * self.used_columns()) as f64;
        of_one.min(of_all).floor().max(1.0)
    }

    fn label_room(&self) -> f64 {
        let widest =
            self.row_labels.iter().map(|label| text::width(label, LABEL)).fold(0.0, f64::max);
        if widest > 0.0 { widest.min(200.0) + 10.0 } else { 0.0 }
    }

    fn caption_room(&self) -> f64 {
        if self.captions.is_empty() { 0.0 } else { CAPTION }
    }

    /// The size of the grid of images alone at an enlargement.
    fn extent(&self, enlargement: f64) -> (f64, f64) {
        let (columns, rows) = (self.used_columns() as f64, self.rows() as f64);
        let row = self.height as f64 * enlargement + self.caption_room();
        (
            columns * self.width as f64 * enlargement + (columns - 1.0) * GAP,
            rows * row + (rows - 1.0) * GAP,
        )
    }

    pub(super) fn natural_size(&self, title: &str) -> (usize, usize) {
        let (width, height) = self.extent(self.enlargement());
        let width = width + self.label_room() + 2.0 * MARGIN;
        let titles = text::wrap(title, TITLE, width - 2.0 * MARGIN, 2).len() as f64;
        let head = if titles > 0.0 { titles * TITLE_LINE + 4.0 } else { 0.0 };
        (width.ceil() as usize, (height + head + 2.0 * MARGIN).ceil() as usize)
    }

    pub(super) fn shapes(&self, title: &str, rect: Rect) -> Vec<Shape> {
        let inner = rect.grown(-MARGIN);
        let titles = text::wrap(title, TITLE, inner.width, 2);
        let mut shapes = title_lines(&titles, inner);
        let head = if titles.is_empty() { 0.0 } else { titles.len() as f64 * TITLE_LINE + 4.0 };
        let room = (inner.width - self.label_room(), inner.height - head);

        // Whole pixels where one fits, so that every pixel of an image is equally large.
        let (gaps_x, gaps_y) = self.extent(0.0);
        let (one_x, one_y) = self.extent(1.0);
        let fits = ((room.0 - gaps_x) / (one_x - gaps_x)).min((room.1 - gaps_y) / (one_y - gaps_y));
        let enlargement = if fits >= 1.0 { (fits + 1e-9).floor() } else { fits.max(0.01) };
        let extent = self.extent(enlargement);
        let left = (inner.x + self.label_room() + (room.0 - extent.0) / 2.0).round();
        let top = (inner.y + head + (room.1 - extent.1) / 2.0).round();
        let (width, height) = (self.width as f64 * enlargement, self.height as f64 * enlargement);

        for (i, picture) in self.pictures.iter().enumerate() {
            let (row, column) = ((i / self.columns) as f64, (i % self.columns) as f64);
            let x = left + column * (width + GAP);
            let y = top + row * (height + self.caption_room() + GAP);
            let place = Rect::new(x, y, width, height);
            shapes.push(Shape::Image { picture: picture.clone(), rect: place });
            if let Some(caption) = self.captions.get(i) {
                let caption = text::shorten(caption, NUMBER, width);
                let at = (x + width / 2.0, y + height + 11.5);
                shapes.push(line_of_text(&caption, at, NUMBER, Anchor::Middle, MUTED, false));
            }
            if let (Some(label), 0.0) = (self.row_labels.get(i / self.columns), column) {
                let label = text::shorten(label, LABEL, self.label_room() - 10.0);
                let at = (left - 10.0, y + height / 2.0 + 0.36 * LABEL);
                shapes.push(line_of_text(&label, at, LABEL, Anchor::End, INK, false));
            }
        }
        shapes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_light() {
        let grey = picture(&[-1.0, 0.0, 1.0, 7.0], (-1.0, 1.0), 1, 1, 4);
        let light: Vec<u8> = grey.rgba.chunks(4).map(|pixel| pixel[0]).collect();
        assert_eq!(light, [0, 128, 255, 255]);
        let red = picture(&[1.0, 0.0, 0.5], (0.0, 1.0), 3, 1, 1);
        assert_eq!(red.rgba, [255, 0, 128, 255]);
    }
}
