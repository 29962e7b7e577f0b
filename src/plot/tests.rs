//! What holds for every kind of figure.

use candle_core::{DType, Device, Tensor};

use super::shape::{Anchor, Rect, Shape};
use super::{Figure, text};
use crate::Result;
use crate::notebook::Display;

/// Points of a curve that is no straight line.
fn wave() -> Vec<(f64, f64)> {
    super::curve(0.0, 1.0, |t| (9.0 * t).sin())
}

fn ramp(shape: &[usize]) -> Result<Tensor> {
    let count: usize = shape.iter().product();
    Ok((Tensor::arange(0.0, count as f64, &Device::Cpu)? / count as f64)?.reshape(shape)?)
}

/// One figure of every kind, and several of awkward data.
fn gallery() -> Result<Vec<(&'static str, Figure)>> {
    let long = "a label that is far longer than the axis beside or below which it has to stand, \
                and longer than any title should ever be, so that it must be cut or wrapped";
    let wave = wave();
    let scaled = |x: f64, y: f64, up: f64| -> Vec<(f64, f64)> {
        wave.iter().map(|(t, w)| (x * t, up + y * w)).collect()
    };
    let grid = super::grid((-2.0, 2.0), (-1.0, 3.0), 9, 8, &Device::Cpu)?;
    let vectors = (grid.neg()? * 3.0)?;
    let times: Vec<f64> = (0..20).map(|i| 1.0 - i as f64 / 19.0).collect();
    let map = super::heat_map((-2.0, 2.0), (-1.0, 3.0), &ramp(&[6, 5])?)?;
    let line = super::line(&[("sine", &wave)])?;
    let labelled = |figure: Figure| figure.title("title").x_label("x").y_label("y");
    Ok(vec![
        ("line", labelled(line.clone())),
        ("reference", line.clone().overlay(super::reference(&[("zero", [(0., 0.), (1., 0.)])])?)?),
        ("band", super::band("band", [0., 1.], [-1., -2.], [1., 2.])?.overlay(line.clone())?),
        ("markers", line.clone().markers().x_limits(0.8, 0.2)?.y_limits(-0.3, 0.4)?),
        ("log", super::line(&[("", [(1e-4, 3e-7), (1.0, 2.0)])])?.log_x()?.log_y()?),
        ("log, narrow", super::line(&[("", [(1.0, 3.0), (9.0, 5.0)])])?.log_x()?.log_y()?),
        ("histogram", labelled(super::histogram(&[("a", vec![0.1, 0.2, 0.9])], 7)?)),
        ("scatter", labelled(super::scatter(&[("points", &wave)])?.equal_axes())),
        ("heat map", labelled(map.clone())),
        ("signed map", super::signed_map((0., 1.), (0., 1.), &(ramp(&[3, 4])? * -1e-7)?)?),
        ("field", super::vector_field(&grid, &[("", &vectors)])?),
        ("fields", labelled(super::vector_field(&grid, &[("a", &vectors), ("b", &grid)])?)),
        ("field on map", map.clone().overlay(super::vector_field(&grid, &[("", &vectors)])?)?),
        (
            "trajectories",
            super::trajectories(&times, &ramp(&[20, 12])?)?.overlay(super::mean_band(
                "mean ± std",
                &times,
                &ramp(&[20, 12])?,
            )?)?,
        ),
        ("phase plane", super::phase_plane(&ramp(&[20, 3, 2])?)?),
        ("grey images", super::image_grid(&ramp(&[5, 6, 7])?, (0., 1.), 3)?),
        (
            "coloured images",
            super::image_grid(&ramp(&[4, 3, 6, 7])?, (0., 1.), 2)?
                .title(long)
                .captions(&["one", "two", "three", long])?
                .row_labels(&["first", long])?,
        ),
        ("side by side", super::side_by_side(&[labelled(line.clone()), labelled(map.clone())])?),
        ("stacked", super::stacked(&[line.clone(), map])?.title("both")),
        (
            "long labels",
            super::line(&[(long, &wave), ("b", &wave), ("c", &wave), (long, &wave)])?
                .title(long)
                .x_label(long)
                .y_label(long),
        ),
        ("tiny", labelled(super::line(&[("tiny", scaled(1e-9, 3e-9, 0.0))])?)),
        ("distant", labelled(super::line(&[("distant", scaled(1e6, 1e-7, -1.0))])?)),
        ("large", labelled(super::line(&[("large", scaled(-4e6, 1e12, 0.0))])?).x_label(long)),
        ("huge", super::line(&[("huge", scaled(1e-300, 1e299, 0.0))])?),
        ("one point", super::line(&[("one", [(3., 5.)])])?),
        ("constant", super::line(&[("", [(0., 7.), (1., 7.)])])?),
        ("one value", super::histogram(&[("", [0.0; 3])], 4)?),
        ("one vector", super::vector_field([(0., 0.)], &[("", [(0., 0.)])])?),
        ("gaps", super::line(&[("", [1., f64::NAN, 2., f64::NAN, 0.])])?),
        ("markup", super::line(&[("a < b & \"c\"\u{1}", &wave)])?.title("<&>\u{0}")),
    ])
}

/// The boxes of all texts.
fn texts(shapes: &[Shape]) -> Vec<(String, Rect)> {
    let mut boxes = Vec::new();
    for shape in shapes {
        match shape {
            Shape::Clip { shapes, .. } => boxes.extend(texts(shapes)),
            Shape::Text { text, at: (x, y), size, anchor, rising, .. } => {
                let width = text::width(text, *size);
                let before = match anchor {
                    Anchor::Start => 0.0,
                    Anchor::Middle => width / 2.0,
                    Anchor::End => width,
                };
                // From the height of capitals to the depth of most descenders.
                let (up, down) = (0.73 * size, 0.2 * size);
                boxes.push((
                    text.clone(),
                    if *rising {
                        Rect::new(x - up, y + before - width, up + down, width)
                    } else {
                        Rect::new(x - before, y - up, width, up + down)
                    },
                ));
            }
            _ => {}
        }
    }
    boxes
}

#[test]
fn no_text_is_cut_or_covered_by_another() -> Result<()> {
    for (name, figure) in gallery()? {
        let (width, height) = figure.dimensions();
        let card = Rect::new(0.0, 0.0, width as f64, height as f64);
        let texts = texts(&figure.shapes(card)?);
        for (i, (text, rect)) in texts.iter().enumerate() {
            let inside = rect.x >= 2.0
                && rect.y >= 2.0
                && rect.right() <= card.right() - 2.0
                && rect.bottom() <= card.bottom() - 2.0;
            assert!(inside, "{name}: “{text}” at {rect:?} of {card:?}");
            for (other, place) in &texts[..i] {
                let apart = rect.x >= place.right()
                    || place.x >= rect.right()
                    || rect.y >= place.bottom()
                    || place.y >= rect.bottom();
                assert!(apart, "{name}: “{text}” at {rect:?} and “{other}” at {place:?}");
            }
        }
    }
    Ok(())
}

/// Checks tags, attributes, entities and characters of the XML subset that figures use.
fn well_formed(document: &str) -> std::result::Result<(), String> {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = document.trim_end();
    while let Some(start) = rest.find('<') {
        check_text(&rest[..start])?;
        let end = rest.find('>').ok_or("a tag without an end")?;
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            if open.pop() != Some(name) {
                return Err(format!("</{name}> closes nothing"));
            }
            if open.is_empty() && !rest.is_empty() {
                return Err("content after the root".into());
            }
            continue;
        }
        let body = tag.strip_suffix('/').unwrap_or(tag);
        let (name, attributes) = body.split_once(' ').unwrap_or((body, ""));
        let mut pieces = attributes.split('"');
        let mut seen = Vec::new();
        while let Some(piece) = pieces.next().map(str::trim).filter(|piece| !piece.is_empty()) {
            let key = piece.strip_suffix('=').ok_or(format!("{piece} in <{tag}>"))?;
            if key.contains(' ') || seen.contains(&key) {
                return Err(format!("attribute {key} in <{tag}>"));
            }
            seen.push(key);
            check_text(pieces.next().ok_or(format!("{key} without a value"))?)?;
        }
        if !tag.ends_with('/') {
            open.push(name);
        }
    }
    if open.is_empty() { check_text(rest) } else { Err(format!("{open:?} left open")) }
}

fn check_text(text: &str) -> std::result::Result<(), String> {
    if text.chars().any(|c| (c < ' ' && c != '\n') || c == '<' || c == '"') {
        return Err(format!("characters of {text:?}"));
    }
    for after in text.split('&').skip(1) {
        if !["lt;", "gt;", "amp;", "quot;"].iter().any(|entity| after.starts_with(entity)) {
            return Err(format!("an entity in {text:?}"));
        }
    }
    Ok(())
}

#[test]
fn the_check_of_xml_finds_faults() {
    assert_eq!(well_formed("<a b=\"c\"><d/>e &amp; f</a>\n"), Ok(()));
    for fault in ["<a>", "<a></b>", "<a b=c/>", "<a>&</a>", "<a/>\u{1}", "<a b=\"1\" b=\"2\"/>"] {
        assert!(well_formed(fault).is_err(), "{fault}");
    }
}

/// Every number is finite, and no length negative. What stands before a number keeps the letters of
/// embedded pictures out.
fn check_numbers(name: &str, svg: &str) {
    for number in ["NaN", "inf", "-inf"] {
        for before in ["\"", ",", " "] {
            assert!(!svg.contains(&format!("{before}{number}")), "{name}: {number}");
        }
    }
    for length in ["width", "height", "r", "rx", "font-size", "stroke-width"] {
        assert!(!svg.contains(&format!(" {length}=\"-")), "{name}: negative {length}");
    }
}

#[test]
fn svg_is_xml_with_finite_numbers() -> Result<()> {
    for (name, figure) in gallery()? {
        let svg = figure.svg()?;
        assert_eq!(well_formed(&svg), Ok(()), "{name}");
        check_numbers(name, &svg);
        let (width, height) = figure.dimensions();
        assert!(svg.contains(&format!("viewBox=\"0 0 {width} {height}\"")), "{name}");
    }
    Ok(())
}

#[test]
fn figures_without_room_are_drawn_all_the_same() -> Result<()> {
    for (name, figure) in gallery()? {
        for (width, height) in [(80, 60), (1000, 60), (80, 1000)] {
            let svg = figure.clone().size(width, height).svg()?;
            assert_eq!(well_formed(&svg), Ok(()), "{name}");
            check_numbers(name, &svg);
        }
        figure.size(80, 60).png()?;
    }
    Ok(())
}

/// Width, height and pixels of a PNG file.
fn decode(bytes: &[u8]) -> (usize, usize, Vec<[u8; 4]>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    let pixels = pixels.chunks(4).map(|p| [p[0], p[1], p[2], p[3]]).collect();
    (info.width as usize, info.height as usize, pixels)
}

#[test]
fn png_has_twice_the_size_and_ink() -> Result<()> {
    for (name, figure) in gallery()? {
        let (width, height) = figure.dimensions();
        let (w, h, pixels) = decode(&figure.png()?);
        assert_eq!((w, h), (2 * width, 2 * height), "{name}");
        assert_eq!(pixels[0][3], 0, "{name}: the corner of the card is round");
        let paper = pixels[20 + 10 * w];
        assert_eq!(paper, [0xfc, 0xfc, 0xfb, 255], "{name}");
        let ink = pixels.iter().filter(|pixel| pixel[0] < 120).count();
        assert!(ink > 100, "{name}: {ink} dark pixels");
    }
    Ok(())
}

#[test]
fn the_same_data_give_the_same_bytes() -> Result<()> {
    for (i, ((name, one), (_, two))) in gallery()?.into_iter().zip(gallery()?).enumerate() {
        assert!(one.svg()? == two.svg()?, "{name}");
        // Every fifth, for the time it takes.
        assert!(i % 5 != 0 || one.png()? == two.png()?, "{name}");
    }
    Ok(())
}

#[test]
fn a_line_has_the_colour_and_the_place_of_its_data() -> Result<()> {
    let level = super::line(&[("", [(0., 1.), (1., 1.)])])?.y_limits(0., 2.)?.size(300, 200);
    let (width, _, pixels) = decode(&level.png()?);
    let blue: Vec<_> = pixels
        .iter()
        .enumerate()
        .filter(|(_, pixel)| **pixel == [0x00, 0x72, 0xb2, 255])
        .map(|(i, _)| (i % width, i / width))
        .collect();
    assert!(blue.len() > 400, "{}", blue.len());
    let rows: Vec<_> = blue.iter().map(|(_, y)| *y).collect();
    assert!(rows.iter().max().unwrap() - rows.iter().min().unwrap() <= 4);
    Ok(())
}

#[test]
fn images_keep_their_pixels() -> Result<()> {
    let image = Tensor::new(&[[[-1f32, 1.], [0., 1.]]], &Device::Cpu)?;
    let figure = super::image_grid(&image, (-1., 1.), 4)?;
    let (width, height, pixels) = decode(&figure.png()?);
    // Two by two pixels enlarged 56 times, in a margin of 12.
    assert_eq!((width, height), (2 * (112 + 24), 2 * (112 + 24)));
    let light = |x: usize, y: usize| pixels[(24 + y) * width + 24 + x][0];
    for (x, y, expected) in
        [(0, 0, 0), (111, 111, 0), (112, 0, 255), (0, 112, 128), (223, 223, 255)]
    {
        assert_eq!(light(x, y), expected, "at {x}, {y}");
    }
    Ok(())
}

#[test]
fn heat_maps_start_at_the_bottom() -> Result<()> {
    let values = Tensor::new(&[[0f32, 0.], [1., 1.]], &Device::Cpu)?;
    let (width, height, pixels) = decode(&super::heat_map((0., 1.), (0., 1.), &values)?.png()?);
    let light = |y: usize| pixels[y * width + width / 3].iter().map(|&c| c as u32).sum::<u32>();
    assert!(light(height / 4) > light(3 * height / 4));
    Ok(())
}

#[test]
fn heavy_figures_stay_small() -> Result<()> {
    let many: Vec<_> =
        (0..50_000).map(|i| i as f64).map(|i| ((i * 0.7).sin() * i, (i * 1.3).cos() * i)).collect();
    let svg = super::scatter(&[("many", &many)])?.svg()?;
    assert!(svg.len() < 600_000, "{}", svg.len());
    assert_eq!(svg.matches("<circle").count(), 1, "the dots are a picture, the legend's is not");
    Ok(())
}

#[test]
fn a_notebook_gets_a_picture_and_a_text() -> Result<()> {
    let chart = super::line(&[("", wave())])?.title("Wave");
    let bundle = chart.bundle();
    assert_eq!(bundle.get("image/svg+xml"), Some(chart.svg()?.as_str()));
    assert_eq!(bundle.get("text/plain"), Some("Figure “Wave”, 640 × 400"));
    let images = super::image_grid(&ramp(&[1, 4, 4])?, (0., 1.), 1)?.bundle();
    assert!(images.get("image/png").is_some_and(|png| png.starts_with("iVBOR")));
    let impossible = chart.size(10, 10).bundle();
    assert!(impossible.get("text/plain").is_some_and(|text| text.contains("10 × 10")));
    Ok(())
}

#[test]
fn files_are_written_by_extension() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("scorebook-plot-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let figure = super::line(&[("", wave())])?;
    figure.save(folder.join("a.svg"))?;
    figure.save(folder.join("a.PNG"))?;
    assert_eq!(std::fs::read_to_string(folder.join("a.svg"))?, figure.svg()?);
    assert_eq!(std::fs::read(folder.join("a.PNG"))?, figure.png()?);
    for name in ["a.pdf", "a", "missing/a.svg"] {
        let error = figure.save(folder.join(name)).unwrap_err().to_string();
        assert!(error.contains(name) && error.len() > 40, "{error}");
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

#[test]
fn bad_data_are_errors_that_name_them() -> Result<()> {
    let nothing: [(f64, f64); 0] = [];
    let none: [(&str, &[f64]); 0] = [];
    let t = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu);
    let nan = Tensor::new(&[[f32::NAN, 1.]], &Device::Cpu)?;
    let line = super::line(&[("", wave())])?;
    let grid = super::grid((0., 1.), (0., 1.), 2, 2, &Device::Cpu)?;
    let cases: Vec<(Result<Figure>, &str)> = vec![
        (super::line(&none), "`series` is empty"),
        (super::line(&[("a", nothing)]), "“a”"),
        (super::line(&[("a", [1., f64::INFINITY])]), "index 1 of “a”"),
        (super::line(&[("a", [f64::NAN, f64::NAN])]), "NaN"),
        (super::line(&[("a", [(f64::NAN, 0.), (0., f64::NAN)])]), "NaN"),
        (super::line(&[("", ([1., 2.], [1.]))]), "2 x with 1 y"),
        (super::line(&[("", t(&[3, 4])?)]), "[3, 4]"),
        (super::band("b", [0., 1.], [0., 1.], [0.]), "1 high"),
        (super::band("b", [0., 1.], [0., f64::NAN], [0., 1.]), "index 1 of “b”"),
        (super::histogram(&[("h", [1.0])], 0), "`bins` is 0"),
        (super::histogram(&[("h", [1.0, f64::NAN])], 5), "“h”"),
        (super::scatter(&[("s", [(0., f64::NAN)])]), "“s”"),
        (super::heat_map((0., 1.), (0., 1.), &t(&[2, 2, 2])?), "[rows, columns]"),
        (super::heat_map((0., 1.), (0., 1.), &t(&[0, 2])?), "empty"),
        (super::heat_map((1., 0.), (0., 1.), &t(&[2, 2])?), "`x` is (1, 0)"),
        (super::heat_map((0., 1.), (0., 1.), &nan), "NaN"),
        (super::vector_field(&grid, &[("v", t(&[3, 2])?)]), "3 vectors of “v”"),
        (super::vector_field(&grid, &[("v", &nan)]), "“v”"),
        (super::trajectories([0., 1.], &t(&[3, 2])?), "[3, 2]"),
        (super::trajectories([0., 1.], &t(&[2, 0])?), "empty"),
        (super::trajectories([0., f64::NAN], &t(&[2, 1])?), "`times`"),
        (super::mean_band("m", [0.], &nan), "NaN"),
        (super::phase_plane(&t(&[3, 2])?), "[steps, batch, 2]"),
        (super::phase_plane(&t(&[0, 2, 2])?), "empty"),
        (super::image_grid(&t(&[2, 2, 4, 4])?, (0., 1.), 2), "[2, 2, 4, 4]"),
        (super::image_grid(&t(&[0, 1, 4, 4])?, (0., 1.), 2), "empty"),
        (super::image_grid(&t(&[1, 4, 4])?, (1., 1.), 2), "`range`"),
        (super::image_grid(&t(&[1, 4, 4])?, (0., 1.), 0), "`columns` is 0"),
        (super::image_grid(&t(&[900, 64, 64])?, (0., 1.), 300), "4096"),
        (super::side_by_side(&[]), "`figures` is empty"),
        (line.clone().log_y(), "above 0"),
        (line.clone().x_limits(1., 1.), "two different"),
        (line.clone().y_limits(0., f64::NAN), "two different"),
        (super::line(&[("", [1., 2.])])?.log_y()?.y_limits(-1., 2.), "above 0"),
        (super::heat_map((1., 2.), (1., 2.), &t(&[2, 2])?)?.log_x(), "a grid"),
        (line.clone().captions(&["a"]), "an image grid"),
        (super::image_grid(&t(&[2, 4, 4])?, (0., 1.), 2)?.captions(&["a"]), "`captions` is 1"),
    ];
    for (i, (result, expected)) in cases.into_iter().enumerate() {
        let error = result.err().unwrap_or_else(|| panic!("case {i} is accepted: {expected}"));
        assert!(error.to_string().contains(expected), "case {i}, {expected}: {error}");
    }
    assert!(line.size(10, 10).svg().unwrap_err().to_string().contains("10 × 10"));
    assert!(super::grid((0., 1.), (0., 1.), 0, 2, &Device::Cpu).is_err());
    Ok(())
}
