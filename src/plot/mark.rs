//! What every kind of figure tells the layout: the range of its data, its colours, its legend, and
//! the shapes that it draws between given axes.

use std::fmt::Debug;

use super::axis::Axis;
use super::colour::{self, Colour, ColourMap};
use super::shape::{Point, Rect, Shape};

/// Something drawn between two axes.
pub(super) trait Mark: Debug + Send + Sync {
    /// The range of the data.
    fn extent(&self) -> Extent;
    /// How much room the axes leave around it.
    fn fit(&self) -> Fit {
        Fit::Loose
    }
    /// How many colours of the palette it takes.
    fn colours(&self) -> usize;
    /// What it draws.
    fn draw(&self, axes: &Axes, brush: &Brush) -> Vec<Shape>;
    /// What the legend says of it.
    fn legend(&self, brush: &Brush) -> Vec<Entry>;
    /// The bar that explains its colours.
    fn colour_bar(&self) -> Option<ColourBar> {
        None
    }
    /// Whether it fills the area with colour, so that what lies over it must be light.
    fn fills(&self) -> bool {
        false
    }
    /// Whether it is drawn before what was there first, so as not to tint it.
    fn lies_beneath(&self) -> bool {
        false
    }
    /// Whether the x axis runs from high to low, as reverse time does.
    fn descends(&self) -> bool {
        false
    }
}

/// The smallest rectangle around the data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Extent {
    pub(super) x: (f64, f64),
    pub(super) y: (f64, f64),
}

impl Extent {
    /// Of points, those with a NaN left out.
    pub(super) fn of(points: impl IntoIterator<Item = Point>) -> Self {
        let nothing = (f64::INFINITY, f64::NEG_INFINITY);
        points
            .into_iter()
            .filter(|(x, y)| !x.is_nan() && !y.is_nan())
            .fold(Self { x: nothing, y: nothing }, |extent, (x, y)| {
                extent.union(&Self { x: (x, x), y: (y, y) })
            })
    }

    pub(super) fn union(&self, other: &Self) -> Self {
        let wider = |a: (f64, f64), b: (f64, f64)| (a.0.min(b.0), a.1.max(b.1));
        Self { x: wider(self.x, other.x), y: wider(self.y, other.y) }
    }
}

/// Room between the data and the ends of the axes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fit {
    /// Some on every side.
    Loose,
    /// None to the left and right.
    Spanning,
    /// None below.
    Grounded,
    /// None at all.
    Tight,
}

/// The area of the data and the axes along its sides.
#[derive(Clone, Debug)]
pub(super) struct Axes {
    pub(super) area: Rect,
    pub(super) x: Axis,
    pub(super) y: Axis,
}

impl Axes {
    /// Where a point of the data lies in the figure.
    pub(super) fn place(&self, (x, y): Point) -> Point {
        (
            self.area.x + self.area.width * self.x.position(x),
            self.area.bottom() - self.area.height * self.y.position(y),
        )
    }
}

/// The colours of a mark and how the figure wants its lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct Brush {
    /// How many colours the marks before it took.
    pub(super) first: usize,
    /// Whether it lies over a heat map.
    pub(super) on_map: bool,
    /// Whether the points of lines are marked.
    pub(super) markers: bool,
}

impl Brush {
    pub(super) fn colour(&self, index: usize) -> Colour {
        let index = self.first + index;
        if self.on_map { colour::series_on_map(index) } else { colour::series(index) }
    }

    /// The colour of what is no series: arrows, references.
    pub(super) fn neutral(&self) -> Colour {
        if self.on_map { colour::PAPER } else { colour::INK }
    }
}

/// A line of the legend.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) sign: Sign,
    pub(super) colour: Colour,
}

/// What stands before a name in the legend.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sign {
    Line { dash: Option<(f64, f64)>, marker: bool },
    Patch,
    Dot,
    Arrow,
}

/// The colours of a heat map and the values at their ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct ColourBar {
    pub(super) map: ColourMap,
    pub(super) axis: Axis,
}
