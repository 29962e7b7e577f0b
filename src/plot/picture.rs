//! Pixels to PNG.

use super::shape::Picture;
use crate::{Error, Result};

/// The PNG file of a picture, eight bits a channel, without a date: the same pixels give the same
/// bytes.
pub(super) fn encode(picture: &Picture) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, picture.width as u32, picture.height as u32);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(&picture.rgba)?;
        writer.finish()
    });
    written.map_err(|error| Error::Io(std::io::Error::other(error)))?;
    Ok(bytes)
}
