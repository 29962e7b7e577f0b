//! Pictures in files, and how they become small squares.

use super::pixels;
use png::{ColorType, Transformations};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// A decoded picture: bytes in which the channels of a point, one (grey) or three (RGB), stand together.
pub(super) struct Picture {
    pub width: usize,
    pub height: usize,
    pub channels: usize,
    pub pixels: Vec<u8>,
}

/// A picture from the contents of a PNG or JPEG file, whatever its name says; or what is wrong with them.
pub(super) fn decode(bytes: &[u8]) -> Result<Picture, String> {
    match bytes {
        [] => Err("an empty file".into()),
        [0x89, b'P', b'N', b'G', ..] => decode_png(bytes),
        [0xff, 0xd8, ..] => decode_jpeg(bytes),
        _ => Err("neither a PNG nor a JPEG file by what is in it".into()),
    }
}

/// Palettes are looked up, 16 bits a channel become 8, and what is transparent is laid on white. Of an animation, the
/// first picture.
fn decode_png(bytes: &[u8]) -> Result<Picture, String> {
    let broken = |error: png::DecodingError| format!("a broken PNG file ({error})");
    let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(broken)?;
    let size = reader.output_buffer_size().ok_or("a PNG file too large for the memory")?;
    let mut pixels = vec![0; size];
    let frame = reader.next_frame(&mut pixels).map_err(broken)?;
    pixels.truncate(frame.buffer_size());
    let (channels, pixels) = match frame.color_type {
        ColorType::Grayscale => (1, pixels),
        ColorType::GrayscaleAlpha => (1, on_white::<2>(&pixels)),
        ColorType::Rgba => (3, on_white::<4>(&pixels)),
        ColorType::Rgb | ColorType::Indexed => (3, pixels),
    };
    Ok(Picture { width: frame.width as usize, height: frame.height as usize, channels, pixels })
}

/// Points whose last of `N` channels says how opaque they are, without it.
fn on_white<const N: usize>(pixels: &[u8]) -> Vec<u8> {
    let (points, _) = pixels.as_chunks::<N>();
    let mixed = |byte: u8, alpha: u8| {
        let (byte, alpha) = (u32::from(byte), u32::from(alpha));
        ((byte * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    };
    points
        .iter()
        .flat_map(|point| point[..N - 1].iter().map(move |&byte| mixed(byte, point[N - 1])))
        .collect()
}

/// Turned upright, as the camera says.
fn decode_jpeg(bytes: &[u8]) -> Result<Picture, String> {
    let broken = |error: zune_jpeg::errors::DecodeErrors| format!("a broken JPEG file ({error})");
    // Strict: without it the rest of a file that was cut short comes out grey.
    let options = DecoderOptions::default().set_strict_mode(true);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(broken)?;
    let grey = decoder.input_colorspace() == Some(ColorSpace::Luma);
    let wanted = if grey { ColorSpace::Luma } else { ColorSpace::RGB };
    decoder.set_options(options.jpeg_set_out_colorspace(wanted));
    let pixels = decoder.decode().map_err(broken)?;
    let info = decoder.info().ok_or("a JPEG file without a header")?;
    let (width, height) = (usize::from(info.width), usize::from(info.height));
    let picture = Picture { width, height, channels: if grey { 1 } else { 3 }, pixels };
    let turned = decoder.exif().and_then(|exif| orientation(exif)).unwrap_or(1);
    Ok(picture.upright(turned))
}

/// The tag 0x0112 of the first directory of an EXIF block: how the camera was held, from 1 (upright) to 8.
fn orientation(exif: &[u8]) -> Option<u16> {
    let big = exif.starts_with(b"MM");
    let number = |from: usize, count: usize| {
        let bytes = exif.get(from..from.checked_add(count)?)?;
        let join = |number: usize, byte: &u8| number << 8 | *byte as usize;
        Some(if big { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) })
    };
    let directory = number(4, 4)?;
    let entries = number(directory, 2)?;
    let mut places = (0..entries).map(|entry| directory + 2 + 12 * entry);
    let found = places.find(|&entry| number(entry, 2) == Some(0x0112))?;
    u16::try_from(number(found + 8, 2)?).ok()
}

impl Picture {
    /// The picture as it was seen, whose EXIF orientation is `orientation`: 2 to 4 mirror and turn, from 5 on rows and
    /// columns change places.
    fn upright(self, orientation: u16) -> Self {
        if !(2..=8).contains(&orientation) {
            return self;
        }
        let Self { width, height, channels, ref pixels } = self;
        let swapped = orientation >= 5;
        let (w, h) = if swapped { (height, width) } else { (width, height) };
        let mut upright = Vec::with_capacity(pixels.len());
        for y in 0..h {
            for x in 0..w {
                let (x, y) = match orientation {
                    2 => (width - 1 - x, y),
                    3 => (width - 1 - x, height - 1 - y),
                    4 => (x, height - 1 - y),
                    5 => (y, x),
                    6 => (y, height - 1 - x),
                    7 => (width - 1 - y, height - 1 - x),
                    _ => (width - 1 - y, x),
                };
                let from = (y * width + x) * channels;
                upright.extend_from_slice(&pixels[from..from + channels]);
            }
        }
        Self { width: w, height: h, channels, pixels: upright }
    }

    /// The square in the middle, `side` pixels wide: each the mean of what it covers. Channels first.
    pub fn square(&self, side: usize) -> Vec<u8> {
        let Self { width, height, channels, ref pixels } = *self;
        let size = width.min(height);
        let (left, top) = ((width - size) / 2, (height - size) / 2);
        let shares = shares(size, side);
        // First along the rows, then down the columns.
        let mut rows = vec![0f32; size * side * channels];
        for y in 0..size {
            let row = &pixels[((top + y) * width + left) * channels..][..size * channels];
            let out = &mut rows[y * side * channels..][..side * channels];
            for (point, covered) in out.chunks_exact_mut(channels).zip(&shares) {
                for &(x, share) in covered {
                    for (sum, &byte) in point.iter_mut().zip(&row[x * channels..]) {
                        *sum += share * f32::from(byte);
                    }
                }
            }
        }
        let mut square = Vec::with_capacity(side * side * channels);
        let mut line = vec![0f32; side * channels];
        for covered in &shares {
            line.fill(0.0);
            for &(y, share) in covered {
                let row = &rows[y * side * channels..][..side * channels];
                line.iter_mut().zip(row).for_each(|(sum, value)| *sum += share * value);
            }
            square.extend(line.iter().map(|&mean| mean.round() as u8));
        }
        pixels::channels_first(&square, channels)
    }

    /// The same picture in `channels`: RGB of grey are three equal ones, grey of RGB the luma of BT.601,
    /// `0.299 R + 0.587 G + 0.114 B`.
    pub fn with_channels(self, channels: usize) -> Self {
        let pixels = match (self.channels, channels) {
            (1, 3) => self.pixels.iter().flat_map(|&byte| [byte; 3]).collect(),
            (3, 1) => {
                let (points, _) = self.pixels.as_chunks::<3>();
                let luma = |&[r, g, b]: &[u8; 3]| {
                    let [r, g, b] = [r, g, b].map(u32::from);
                    ((299 * r + 587 * g + 114 * b + 500) / 1000) as u8
                };
                points.iter().map(luma).collect()
            }
            _ => return self,
        };
        Self { channels, pixels, ..self }
    }
}

/// For each of `side` equal parts of a line of `size` points: which points it covers, and the share of each in it.
fn shares(size: usize, side: usize) -> Vec<Vec<(usize, f32)>> {
    let part = |index: usize| {
        // In units of 1/side of a point all ends are whole.
        let (from, to) = (index * size, (index + 1) * size);
        let points = from / side..to.div_ceil(side);
        points
            .map(|point| {
                let covered = to.min((point + 1) * side) - from.max(point * side);
                (point, covered as f32 / size as f32)
            })
            .collect()
    };
    (0..side).map(part).collect()
}
