//! A figure: data, labels and a size.

use std::fmt;
use std::path::Path;

use super::chart::{Chart, card};
use super::image_grid::ImageGrid;
use super::mark::Mark;
use super::shape::{Rect, Shape};
use super::side_by_side::Panels;
use super::{bitmap, picture, vector};
use crate::{Error, Result};

/// A figure, made by the functions of [`plot`](super) and shown by a notebook when it is the last
/// expression of a cell.
///
/// It owns its data, is cheap to clone, and is drawn anew by each of [`svg`](Self::svg),
/// [`png`](Self::png) and [`save`](Self::save): the same data give the same bytes. It lies on a
/// light card of its own, so that it reads the same in a light and in a dark theme.
///
/// ```
/// use scorebook::plot;
///
/// let parabola = plot::curve(-1., 1., |x| x * x);
/// let figure = plot::line(&[("x²", &parabola)])?.title("A parabola").size(480, 300);
/// assert_eq!(figure.to_string(), "Figure “A parabola”, 480 × 300");
/// assert!(figure.png()?.starts_with(b"\x89PNG"));
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Figure {
    title: String,
    /// `None` for the size that suits the content.
    size: Option<(usize, usize)>,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Chart(Chart),
    Images(ImageGrid),
    Panels(Panels),
}

/// The pixels of a PNG to a pixel of the figure, for screens with small ones.
const PNG_SCALE: f64 = 2.0;

impl Figure {
    pub(super) fn of(mark: impl Mark + 'static) -> Self {
        Self { title: String::new(), size: None, content: Content::Chart(Chart::of(mark)) }
    }

    pub(super) fn of_images(images: ImageGrid) -> Self {
        Self { title: String::new(), size: None, content: Content::Images(images) }
    }

    pub(super) fn of_panels(panels: Panels) -> Self {
        Self { title: String::new(), size: None, content: Content::Panels(panels) }
    }

    /// Puts a title above.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Names the horizontal axis.
    pub fn x_label(mut self, label: impl Into<String>) -> Self {
        let label = label.into();
        self.for_charts(&mut |chart| chart.x_label.clone_from(&label));
        self
    }

    /// Names the vertical axis.
    pub fn y_label(mut self, label: impl Into<String>) -> Self {
        let label = label.into();
        self.for_charts(&mut |chart| chart.y_label.clone_from(&label));
        self
    }

    /// Sets width and height in pixels; without it 640 × 400 for a chart, 480 × 440 with equal
    /// axes, and what the content needs for images and several figures. A PNG has twice as many
    /// pixels each way.
    pub fn size(mut self, width: usize, height: usize) -> Self {
        self.size = Some((width, height));
        self
    }

    /// The values at the left and the right end; `low > high` turns the axis round.
    ///
    /// ```
    /// use scorebook::plot;
    ///
    /// let figure = plot::line(&[("x²", plot::curve(-1., 1., |x| x * x))])?;
    /// assert!(!figure.svg()?.contains("\n8\n"));
    /// let wide = figure.clone().x_limits(0., 10.)?;
    /// assert!(wide.svg()?.contains("\n8\n"));
    /// assert!(figure.x_limits(1., 1.).is_err());
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// Limits that are equal or not finite, or not above 0 on a logarithmic axis.
    pub fn x_limits(self, low: f64, high: f64) -> Result<Self> {
        check_ends("x_limits", low, high)?;
        self.checked(&mut |chart| chart.x_limits = Some((low, high)))
    }

    /// The values at the lower and the upper end; `low > high` turns the axis round.
    ///
    /// ```
    /// use scorebook::plot;
    ///
    /// let figure = plot::line(&[("x²", plot::curve(-1., 1., |x| x * x))])?.y_limits(0., 10.)?;
    /// assert!(figure.svg()?.contains("\n8\n"));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// Limits that are equal or not finite, or not above 0 on a logarithmic axis.
    pub fn y_limits(self, low: f64, high: f64) -> Result<Self> {
        check_ends("y_limits", low, high)?;
        self.checked(&mut |chart| chart.y_limits = Some((low, high)))
    }

    /// Makes the horizontal axis logarithmic.
    ///
    /// # Errors
    /// Data that are not above 0, and grids.
    pub fn log_x(self) -> Result<Self> {
        self.checked(&mut |chart| chart.log_x = true)
    }

    /// Makes the vertical axis logarithmic.
    ///
    /// # Errors
    /// Data that are not above 0, and grids.
    pub fn log_y(self) -> Result<Self> {
        self.checked(&mut |chart| chart.log_y = true)
    }

    /// Gives both axes the same unit, so that a circle is round.
    pub fn equal_axes(mut self) -> Self {
        self.for_charts(&mut |chart| chart.equal = true);
        self
    }

    /// Marks the points of lines.
    pub fn markers(mut self) -> Self {
        self.for_charts(&mut |chart| chart.markers = true);
        self
    }

    /// Draws `other` over this figure, between the axes and with the labels of this one: an exact
    /// density over a histogram, samples or arrows over a heat map. Colours go on where this
    /// figure's end.
    ///
    /// # Errors
    /// Figures that are not single charts with axes (image grids, rows of figures), or data that
    /// logarithmic axes cannot show.
    ///
    /// ```
    /// use scorebook::plot;
    ///
    /// let path = plot::line(&[("one path", [(0., 0.), (1., 0.7)])])?;
    /// let band = plot::band("± √t", [0., 1.], [0., -1.], [0., 1.])?;
    /// assert!(path.clone().overlay(band.clone())?.svg()?.contains("± √t"));
    /// assert!(path.overlay(plot::side_by_side(&[band])?).is_err());
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    pub fn overlay(mut self, other: Self) -> Result<Self> {
        let (below, above) = (self.content.name(), other.content.name());
        match (&mut self.content, other.content) {
            (Content::Chart(chart), Content::Chart(other)) => {
                chart.marks.extend(other.marks);
                chart.equal |= other.equal;
                chart.markers |= other.markers;
                chart.check()?;
                Ok(self)
            }
            _ => {
                let value = format!("{above} over {below}");
                Err(Error::argument("other", value, "one chart over another"))
            }
        }
    }

    /// Writes a caption under each image of an image grid.
    ///
    /// ```
    /// use scorebook::{plot, prelude::*};
    ///
    /// let images = Tensor::zeros((2, 1, 8, 8), DType::F32, &Device::Cpu)?;
    /// let figure = plot::image_grid(&images, (-1., 1.), 2)?;
    /// assert!(figure.clone().captions(&["a boot", "a bag"])?.svg()?.contains("a boot"));
    /// assert!(figure.captions(&["one for two"]).is_err());
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// A number of captions that is not that of the images; a figure that is no image grid.
    pub fn captions<S: AsRef<str>>(mut self, captions: &[S]) -> Result<Self> {
        let captions = captions.iter().map(|caption| caption.as_ref().to_owned()).collect();
        self.images("captions")?.set_captions(captions)?;
        Ok(self)
    }

    /// Writes a label to the left of each row of an image grid.
    ///
    /// # Errors
    /// A number of labels that is not that of the rows; a figure that is no image grid.
    pub fn row_labels<S: AsRef<str>>(mut self, labels: &[S]) -> Result<Self> {
        let labels = labels.iter().map(|label| label.as_ref().to_owned()).collect();
        self.images("row_labels")?.set_row_labels(labels)?;
        Ok(self)
    }

    /// The figure as an SVG document. Charts of very many points hold them as a picture.
    ///
    /// # Errors
    /// A size outside 80 × 60 to 4096 × 4096.
    pub fn svg(&self) -> Result<String> {
        vector::document(&self.to_string(), self.dimensions(), &self.drawn()?)
    }

    /// The figure as a PNG file, twice as many pixels wide and high as its size.
    ///
    /// # Errors
    /// A size outside 80 × 60 to 4096 × 4096.
    pub fn png(&self) -> Result<Vec<u8>> {
        self.png_at(PNG_SCALE)
    }

    /// The figure as a PNG file of `scale` pixels to each of its own.
    pub(super) fn png_at(&self, scale: f64) -> Result<Vec<u8>> {
        picture::encode(&bitmap::picture(self.rect(), scale, &self.drawn()?)?)
    }

    /// Writes the figure to a file, as SVG or PNG by its extension.
    ///
    /// # Errors
    /// Another extension, a file that cannot be written, or a size outside 80 × 60 to 4096 × 4096.
    ///
    /// ```
    /// use scorebook::plot;
    ///
    /// let figure = plot::line(&[("", [(0., 0.), (1., 1.)])])?;
    /// let error = figure.save("figure.pdf").unwrap_err().to_string();
    /// assert!(error.contains("`.svg` or `.png`"), "{error}");
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        let bytes = match extension.as_deref() {
            Some("svg") => self.svg()?.into_bytes(),
            Some("png") => self.png()?,
            _ => {
                let cause = "a figure is written as SVG or PNG";
                return Err(Error::file(path, cause, "End the name with `.svg` or `.png`"));
            }
        };
        std::fs::write(path, bytes).map_err(|error| {
            Error::file(path, error.to_string(), "Check that its folder exists and is writable")
        })
    }

    /// Width and height in pixels.
    pub(super) fn dimensions(&self) -> (usize, usize) {
        self.size.unwrap_or_else(|| match &self.content {
            Content::Chart(chart) if chart.equal => (480, 440),
            Content::Chart(_) => (640, 400),
            Content::Images(images) => images.natural_size(&self.title),
            Content::Panels(panels) => panels.natural_size(&self.title),
        })
    }

    pub(super) fn check_size(&self) -> Result<()> {
        let (width, height) = self.dimensions();
        if (80..=4096).contains(&width) && (60..=4096).contains(&height) {
            return Ok(());
        }
        Err(Error::argument("size", format!("{width} × {height}"), "80 × 60 to 4096 × 4096 pixels"))
    }

    /// Whether the content is pixels, which SVG has no better form for.
    pub(super) fn is_of_pixels(&self) -> bool {
        match &self.content {
            Content::Chart(_) => false,
            Content::Images(_) => true,
            Content::Panels(panels) => panels.figures.iter().all(Self::is_of_pixels),
        }
    }

    /// The shapes of the figure without its card, in `rect`.
    pub(super) fn shapes(&self, rect: Rect) -> Result<Vec<Shape>> {
        match &self.content {
            Content::Chart(chart) => Ok(chart.shapes(&self.title, rect)),
            Content::Images(images) => Ok(images.shapes(&self.title, rect)),
            Content::Panels(panels) => panels.shapes(&self.title, rect),
        }
    }

    fn rect(&self) -> Rect {
        let (width, height) = self.dimensions();
        Rect::new(0.0, 0.0, width as f64, height as f64)
    }

    /// Everything, card included.
    fn drawn(&self) -> Result<Vec<Shape>> {
        self.check_size()?;
        let mut shapes = card(self.rect());
        shapes.extend(self.shapes(self.rect())?);
        Ok(shapes)
    }

    fn images(&mut self, setting: &'static str) -> Result<&mut ImageGrid> {
        let name = self.content.name();
        match &mut self.content {
            Content::Images(images) => Ok(images),
            _ => Err(Error::argument(setting, format!("set on {name}"), "an image grid")),
        }
    }

    fn for_charts(&mut self, change: &mut dyn FnMut(&mut Chart)) {
        match &mut self.content {
            Content::Chart(chart) => change(chart),
            Content::Images(_) => {}
            Content::Panels(panels) => {
                panels.figures.iter_mut().for_each(|figure| figure.for_charts(change));
            }
        }
    }

    /// The figure after a change that not all data allow.
    fn checked(mut self, change: &mut dyn FnMut(&mut Chart)) -> Result<Self> {
        let mut verdict = Ok(());
        self.for_charts(&mut |chart| {
            change(chart);
            if let Err(error) = chart.check() {
                verdict = Err(error);
            }
        });
        verdict.map(|()| self)
    }
}

impl Content {
    fn name(&self) -> &'static str {
        match self {
            Self::Chart(_) => "a chart",
            Self::Images(_) => "an image grid",
            Self::Panels(_) => "several figures",
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (width, height) = self.dimensions();
        if self.title.is_empty() {
            write!(f, "Figure, {width} × {height}")
        } else {
            write!(f, "Figure “{}”, {width} × {height}", self.title)
        }
    }
}

fn check_ends(name: &'static str, low: f64, high: f64) -> Result<()> {
    if low != high && low.abs() <= 1e300 && high.abs() <= 1e300 {
        return Ok(());
    }
    Err(Error::argument(name, format!("({low}, {high})"), "two different finite numbers"))
}
