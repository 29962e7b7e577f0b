//! Marks between two axes: the layout of everything but pictures.

use std::sync::Arc;

use super::axis::{Axis, Ticks};
use super::colour::{CARD, Colour, ColourMap, GRID, INK, MUTED};
use super::mark::{Axes, Brush, ColourBar, Entry, Extent, Fit, Mark, Sign};
use super::shape::{Anchor, Picture, Point, Rect, Shape};
use super::text;
use super::vector_field::arrow;
use crate::{Error, Result};

/// Text sizes, in pixels an em.
pub(super) const TITLE: f64 = 15.0;
pub(super) const LABEL: f64 = 12.5;
pub(super) const NUMBER: f64 = 11.0;

/// From one base line to the next.
pub(super) const TITLE_LINE: f64 = 20.0;
const LEGEND_LINE: f64 = 18.0;
const LABEL_LINE: f64 = 18.0;
const NUMBER_LINE: f64 = 16.0;

/// Free room along the sides of a card.
pub(super) const MARGIN: f64 = 12.0;

/// Marks and how their axes are to be drawn.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    pub(super) marks: Vec<Arc<dyn Mark>>,
    pub(super) x_label: String,
    pub(super) y_label: String,
    pub(super) x_limits: Option<(f64, f64)>,
    pub(super) y_limits: Option<(f64, f64)>,
    pub(super) log_x: bool,
    pub(super) log_y: bool,
    pub(super) equal: bool,
    pub(super) markers: bool,
}

impl Chart {
    pub(super) fn of(mark: impl Mark + 'static) -> Self {
        Self {
            marks: vec![Arc::new(mark)],
            x_label: String::new(),
            y_label: String::new(),
            x_limits: None,
            y_limits: None,
            log_x: false,
            log_y: false,
            equal: false,
            markers: false,
        }
    }

    /// Whether the logarithmic axes can show the data.
    pub(super) fn check(&self) -> Result<()> {
        let extent = self.extent();
        for (name, log, data, limits) in [
            ("log_x", self.log_x, extent.x, self.x_limits),
            ("log_y", self.log_y, extent.y, self.y_limits),
        ] {
            let lowest = limits.map_or(data.0, |(low, high)| data.0.min(low).min(high));
            if log && lowest <= 0.0 {
                let value = format!("applied to values down to {lowest}");
                return Err(Error::argument(name, value, "only values above 0"));
            }
            if log && self.marks.iter().any(|mark| mark.fit() == Fit::Tight) {
                return Err(Error::argument(name, "applied to a grid", "lines, bands or points"));
            }
        }
        Ok(())
    }

    /// The data's range; a heat map is the frame of what lies over it.
    fn extent(&self) -> Extent {
        let tight = |mark: &&Arc<dyn Mark>| mark.fit() == Fit::Tight;
        let framed = self.marks.iter().any(|mark| mark.fit() == Fit::Tight);
        self.marks
            .iter()
            .filter(|mark| !framed || tight(mark))
            .map(|mark| mark.extent())
            .reduce(|a, b| a.union(&b))
            .unwrap_or(Extent { x: (0.0, 1.0), y: (0.0, 1.0) })
    }

    fn x_axis(&self) -> Axis {
        if let Some((low, high)) = self.x_limits {
            return Axis { low, high, log: self.log_x };
        }
        let fits = |wanted: &[Fit]| self.marks.iter().any(|mark| wanted.contains(&mark.fit()));
        let margin = match () {
            _ if fits(&[Fit::Tight, Fit::Spanning]) => 0.0,
            _ if fits(&[Fit::Grounded]) => 0.02,
            _ => 0.04,
        };
        let (low, high) = self.extent().x;
        let axis = Axis::around(low, high, self.log_x, (margin, margin));
        if self.marks.first().is_some_and(|mark| mark.descends()) {
            return Axis { low: axis.high, high: axis.low, ..axis };
        }
        axis
    }

    fn y_axis(&self) -> Axis {
        if let Some((low, high)) = self.y_limits {
            return Axis { low, high, log: self.log_y };
        }
        let (low, high) = self.extent().y;
        let fits = |wanted: Fit| self.marks.iter().any(|mark| mark.fit() == wanted);
        let margins = match () {
            _ if fits(Fit::Tight) => (0.0, 0.0),
            _ if fits(Fit::Grounded) && low >= 0.0 => (0.0, 0.06),
            _ => (0.05, 0.05),
        };
        Axis::around(low, high, self.log_y, margins)
    }

    /// Every mark with its brush.
    fn painted(&self) -> Vec<(&dyn Mark, Brush)> {
        let mut first = 0;
        let mut on_map = false;
        let mut painted = Vec::new();
        for mark in &self.marks {
            painted.push((mark.as_ref(), Brush { first, on_map, markers: self.markers }));
            first += mark.colours();
            on_map |= mark.fills();
        }
        painted
    }

    /// The shapes of the chart with its `title` in `rect`.
    pub(super) fn shapes(&self, title: &str, rect: Rect) -> Vec<Shape> {
        let inner = rect.grown(-MARGIN);
        let titles = text::wrap(title, TITLE, inner.width, 2);
        let painted = self.painted();
        let entries: Vec<(Entry, bool)> = painted
            .iter()
            .flat_map(|(mark, brush)| mark.legend(brush).into_iter().map(|e| (e, brush.on_map)))
            .filter(|(entry, _)| !entry.name.is_empty())
            .collect();
        let rows = legend_rows(&entries, inner.width);
        let bar = self.marks.iter().find_map(|mark| mark.colour_bar());

        let (x_axis, y_axis) = (self.x_axis(), self.y_axis());
        let head = titles.len() as f64 * TITLE_LINE + rows.len() as f64 * LEGEND_LINE + 6.0;
        let foot = NUMBER_LINE + 8.0 + if self.x_label.is_empty() { 0.0 } else { LABEL_LINE };
        let rough = (inner.height - head - foot).max(10.0);

        // The numbers need the height, and the height depends on whether they carry a note.
        let y_ticks = y_axis.ticks(count(rough, 34.0));
        let bar_ticks = bar.map(|bar| bar.axis.ticks(count(rough, 34.0)));
        let noted =
            y_ticks.note.is_some() || bar_ticks.as_ref().is_some_and(|ticks| ticks.note.is_some());
        let top = inner.y + head + if noted { NUMBER_LINE } else { 0.0 };

        let label_room = if self.y_label.is_empty() { 0.0 } else { LABEL_LINE + 2.0 };
        let left = inner.x + label_room + widest(&y_ticks) + 8.0;
        let bar_room = bar_ticks.as_ref().map_or(0.0, |ticks| {
            let note = ticks.note.as_ref().map_or(0.0, |note| text::width(note, NUMBER));
            BAR_GAP + (BAR_WIDTH + 7.0 + widest(ticks)).max(note)
        });
        let room = (inner.right() - left - bar_room).max(20.0);
        let x_ticks = fitting_ticks(&x_axis, room);
        let overhang = x_ticks.major.iter().fold(0.0_f64, |overhang, (value, label)| {
            let beyond = room * (x_axis.position(*value) - 1.0);
            overhang.max(beyond + text::width(label, NUMBER) / 2.0)
        });
        let width = (room - (overhang - bar_room).max(0.0)).max(20.0);
        let noted_below = x_ticks.note.is_some() && self.x_label.is_empty();
        let foot = foot + if noted_below { LABEL_LINE } else { 0.0 };
        let height = (inner.bottom() - foot - top).max(20.0);
        let mut area = Rect::new(left, top, width, height);
        if self.equal && !self.log_x && !self.log_y {
            area = with_equal_units(area, &x_axis, &y_axis);
        }
        let axes = Axes { area, x: x_axis, y: y_axis };

        let mut shapes = Vec::new();
        let filled = self.marks.iter().any(|mark| mark.fit() == Fit::Tight);
        if !filled {
            shapes.extend(grid_lines(&axes, &x_ticks, &y_ticks));
        }
        let layer =
            |beneath: bool| painted.iter().filter(move |(mark, _)| mark.lies_beneath() == beneath);
        let drawn = layer(true)
            .chain(layer(false))
            .flat_map(|(mark, brush)| mark.draw(&axes, brush))
            .collect();
        shapes.push(Shape::Clip { rect: area.grown(1.0), shapes: drawn });
        shapes.extend(frame(&axes, &x_ticks, &y_ticks));
        let label_left = inner.x + area.x - left;
        let room = Rect {
            x: label_left,
            y: top,
            width: inner.right() - label_left,
            height: inner.bottom() - top,
        };
        shapes.extend(self.labels(&axes, room, &x_ticks));
        if let (Some(bar), Some(ticks)) = (bar, &bar_ticks) {
            shapes.extend(colour_bar(&bar, ticks, area));
        }
        shapes.extend(title_lines(&titles, Rect { y: rect.y + MARGIN, ..inner }));
        let legend_top = inner.y + titles.len() as f64 * TITLE_LINE;
        shapes.extend(legend(&rows, (inner.x, legend_top), inner.width));
        shapes
    }

    /// The names of the axes in the `room` that head, sides and foot of the card leave.
    fn labels(&self, axes: &Axes, room: Rect, x_ticks: &Ticks) -> Vec<Shape> {
        let mut shapes = Vec::new();
        let area = axes.area;
        let below = area.bottom() + NUMBER_LINE + 6.0 + 14.0;
        let note = x_ticks.note.as_deref().unwrap_or_default();
        if !note.is_empty() {
            let at = (area.right(), below);
            shapes.push(line_of_text(note, at, NUMBER, Anchor::End, MUTED, false));
        }
        if !self.x_label.is_empty() {
            // Centred under the axis, and kept clear of the note and the card's sides.
            let middle = area.x + area.width / 2.0;
            let to_note = if note.is_empty() {
                f64::INFINITY
            } else {
                area.right() - text::width(note, NUMBER) - 10.0 - middle
            };
            let half = (middle - room.x).min(room.right() - middle).min(to_note);
            let (label, size) = fitting_text(&self.x_label, 2.0 * half);
            let at = (middle, below);
            shapes.push(line_of_text(&label, at, size, Anchor::Middle, INK, false));
        }
        if !self.y_label.is_empty() {
            let middle = area.y + area.height / 2.0;
            let half = (middle - room.y).min(room.bottom() - middle);
            let (label, size) = fitting_text(&self.y_label, 2.0 * half);
            let at = (room.x + 0.9 * LABEL, middle);
            shapes.push(line_of_text(&label, at, size, Anchor::Middle, INK, true));
        }
        shapes
    }
}

const BAR_WIDTH: f64 = 12.0;
const BAR_GAP: f64 = 14.0;

/// How many numbers fit along `length` if each takes `room`.
fn count(length: f64, room: f64) -> usize {
    ((length / room) as usize + 1).clamp(2, 9)
}

fn widest(ticks: &Ticks) -> f64 {
    ticks.major.iter().map(|(_, label)| text::width(label, NUMBER)).fold(0.0, f64::max)
}

/// As many numbers as fit side by side.
fn fitting_ticks(axis: &Axis, length: f64) -> Ticks {
    let fits = |ticks: &Ticks| {
        ticks.major.windows(2).all(|pair| {
            let apart = (axis.position(pair[1].0) - axis.position(pair[0].0)).abs() * length;
            let widths = text::width(&pair[0].1, NUMBER) + text::width(&pair[1].1, NUMBER);
            apart >= widths / 2.0 + 12.0
        })
    };
    (2..=9).rev().map(|count| axis.ticks(count)).find(fits).unwrap_or_else(|| axis.ticks(1))
}

/// The greatest part of `area`, in its middle, in which both axes have the same unit.
fn with_equal_units(area: Rect, x: &Axis, y: &Axis) -> Rect {
    let (columns, rows) = ((x.high - x.low).abs(), (y.high - y.low).abs());
    let unit = (area.width / columns).min(area.height / rows);
    let (width, height) = ((unit * columns).max(20.0), (unit * rows).max(20.0));
    Rect::new(
        area.x + (area.width - width) / 2.0,
        area.y + (area.height - height) / 2.0,
        width,
        height,
    )
}

pub(super) fn line_of_text(
    text: &str,
    at: Point,
    size: f64,
    anchor: Anchor,
    colour: Colour,
    rising: bool,
) -> Shape {
    Shape::Text { text: text.to_owned(), at, size, anchor, colour, rising }
}

/// A label, smaller or shortened where it is too long.
fn fitting_text(label: &str, room: f64) -> (String, f64) {
    let size = (LABEL * room / text::width(label, LABEL).max(1e-9)).clamp(10.0, LABEL);
    (text::shorten(label, size, room), size)
}

pub(super) fn title_lines(titles: &[String], inner: Rect) -> Vec<Shape> {
    let middle = inner.x + inner.width / 2.0;
    titles
        .iter()
        .enumerate()
        .map(|(i, line)| {
            let at = (middle, inner.y + TITLE_LINE * i as f64 + TITLE);
            line_of_text(line, at, TITLE, Anchor::Middle, INK, false)
        })
        .collect()
}

fn straight(from: Point, to: Point, colour: Colour) -> Shape {
    Shape::Line { points: vec![from, to], colour, width: 1.0, dash: None }
}

fn grid_lines(axes: &Axes, x_ticks: &Ticks, y_ticks: &Ticks) -> Vec<Shape> {
    let area = axes.area;
    let upright = x_ticks.major.iter().map(|(value, _)| {
        let x = area.x + area.width * axes.x.position(*value);
        straight((x, area.y), (x, area.bottom()), GRID)
    });
    let level = y_ticks.major.iter().map(|(value, _)| {
        let y = area.bottom() - area.height * axes.y.position(*value);
        straight((area.x, y), (area.right(), y), GRID)
    });
    upright.chain(level).collect()
}

/// The axes with their numbers.
fn frame(axes: &Axes, x_ticks: &Ticks, y_ticks: &Ticks) -> Vec<Shape> {
    let area = axes.area;
    let mut shapes = vec![Shape::Line {
        points: vec![(area.x, area.y), (area.x, area.bottom()), (area.right(), area.bottom())],
        colour: MUTED,
        width: 1.0,
        dash: None,
    }];
    let x_at = |value: f64| area.x + area.width * axes.x.position(value);
    let y_at = |value: f64| area.bottom() - area.height * axes.y.position(value);
    for (value, label) in &x_ticks.major {
        let x = x_at(*value);
        shapes.push(straight((x, area.bottom()), (x, area.bottom() + 5.0), MUTED));
        let at = (x, area.bottom() + NUMBER_LINE + 2.0);
        shapes.push(line_of_text(label, at, NUMBER, Anchor::Middle, MUTED, false));
    }
    for (value, label) in &y_ticks.major {
        let y = y_at(*value);
        shapes.push(straight((area.x - 5.0, y), (area.x, y), MUTED));
        let at = (area.x - 8.0, y + 0.36 * NUMBER);
        shapes.push(line_of_text(label, at, NUMBER, Anchor::End, MUTED, false));
    }
    for &value in &x_ticks.minor {
        let x = x_at(value);
        shapes.push(straight((x, area.bottom()), (x, area.bottom() + 3.0), MUTED));
    }
    for &value in &y_ticks.minor {
        let y = y_at(value);
        shapes.push(straight((area.x - 3.0, y), (area.x, y), MUTED));
    }
    if let Some(note) = &y_ticks.note {
        let at = (area.x - 5.0, area.y - 8.0);
        shapes.push(line_of_text(note, at, NUMBER, Anchor::Start, MUTED, false));
    }
    shapes
}

fn colour_bar(bar: &ColourBar, ticks: &Ticks, area: Rect) -> Vec<Shape> {
    const STEPS: usize = 128;
    let colours = (0..STEPS).rev().flat_map(|i| {
        let [r, g, b] = bar.map.colour(i as f64 / (STEPS - 1) as f64).bytes();
        [r, g, b, 255]
    });
    let picture = Arc::new(Picture { width: 1, height: STEPS, rgba: colours.collect() });
    let rect = Rect::new(area.right() + BAR_GAP, area.y, BAR_WIDTH, area.height);
    let mut shapes = vec![Shape::Image { picture, rect }];
    for (value, label) in &ticks.major {
        let y = rect.bottom() - rect.height * bar.axis.position(*value);
        shapes.push(straight((rect.right(), y), (rect.right() + 4.0, y), MUTED));
        let at = (rect.right() + 7.0, y + 0.36 * NUMBER);
        shapes.push(line_of_text(label, at, NUMBER, Anchor::Start, MUTED, false));
    }
    if let Some(note) = &ticks.note {
        let at = (rect.x, rect.y - 8.0);
        shapes.push(line_of_text(note, at, NUMBER, Anchor::Start, MUTED, false));
    }
    shapes
}

const SIGN_WIDTH: f64 = 20.0;
const ENTRY_GAP: f64 = 18.0;

/// An entry of the legend with the width of its name.
type Placed = (Entry, bool, f64);

/// The entries in rows no wider than `room`, names shortened where one alone is wider.
fn legend_rows(entries: &[(Entry, bool)], room: f64) -> Vec<Vec<Placed>> {
    let mut rows: Vec<Vec<Placed>> = Vec::new();
    let mut used = 0.0;
    for (entry, on_map) in entries {
        let name = text::shorten(&entry.name, LABEL, room - SIGN_WIDTH - 6.0);
        let wide = text::width(&name, LABEL);
        let entry = Entry { name, ..entry.clone() };
        let needed = SIGN_WIDTH + 6.0 + wide;
        match rows.last_mut() {
            Some(row) if used + ENTRY_GAP + needed <= room => {
                used += ENTRY_GAP + needed;
                row.push((entry, *on_map, wide));
            }
            _ => {
                used = needed;
                rows.push(vec![(entry, *on_map, wide)]);
            }
        }
    }
    rows
}

/// The rows of the legend, each in the middle of the room.
fn legend(rows: &[Vec<Placed>], (left, top): Point, room: f64) -> Vec<Shape> {
    let mut shapes = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        let wide: f64 = row.iter().map(|(_, _, wide)| SIGN_WIDTH + 6.0 + wide).sum();
        let mut x = left + (room - wide - ENTRY_GAP * (row.len() - 1) as f64) / 2.0;
        let y = top + LEGEND_LINE * i as f64 + 9.0;
        for (entry, on_map, wide) in row {
            shapes.extend(sign(entry, *on_map, (x, y)));
            let at = (x + SIGN_WIDTH + 6.0, y + 0.36 * LABEL);
            shapes.push(line_of_text(&entry.name, at, LABEL, Anchor::Start, INK, false));
            x += SIGN_WIDTH + 6.0 + wide + ENTRY_GAP;
        }
    }
    shapes
}

/// What stands before a name, its left end's middle at `(x, y)`.
fn sign(entry: &Entry, on_map: bool, (x, y): Point) -> Vec<Shape> {
    let colour = entry.colour;
    let middle = (x + SIGN_WIDTH / 2.0, y);
    let mut shapes = Vec::new();
    if on_map {
        // What is light enough for a heat map needs some of it behind.
        let rect = Rect::new(x, y - 7.0, SIGN_WIDTH, 14.0);
        shapes.push(Shape::Card { rect, radius: 2.0, colour: ColourMap::Sequential.colour(0.2) });
    }
    let (from, to) = ((x + 1.0, y), (x + SIGN_WIDTH - 1.0, y));
    match entry.sign {
        Sign::Line { dash, marker } => {
            let points = vec![from, to];
            shapes.push(Shape::Line { points, colour, width: 2.0, dash });
            if marker {
                shapes.push(Shape::Disc { centre: middle, radius: 3.2, colour });
            }
        }
        Sign::Patch => {
            let rect = Rect::new(x + 3.0, y - 5.0, SIGN_WIDTH - 6.0, 10.0);
            shapes.push(Shape::Card { rect, radius: 1.5, colour });
        }
        Sign::Dot => shapes.push(Shape::Disc { centre: middle, radius: 4.0, colour }),
        Sign::Arrow => shapes.extend(arrow(from, to, colour, 1.4)),
    }
    shapes
}

/// The card itself: its edge, then its paper.
pub(super) fn card(rect: Rect) -> Vec<Shape> {
    vec![
        Shape::Card { rect, radius: 8.0, colour: super::colour::EDGE },
        Shape::Card { rect: rect.grown(-1.0), radius: 7.0, colour: CARD },
    ]
}
