//! Data sets by their names.

use super::{
    Digits, Emoji, FashionMnist, ImageFolder, ImageSet, PixelFaces, Split, cifar10, mnist,
};
use crate::{Error, Result};
use std::path::Path;

/// The names that [`open`] knows.
pub const NAMES: [&str; 7] =
    ["fashion-mnist", "pixel-faces-16", "emoji-32", "digits", "mnist", "cifar-10", "images"];

/// The data set of a name, one of [`NAMES`], as commands take it. The first four are shipped, and looked for in `folder`
/// only if it is given; the last three are the reader's and need it. `images` is a folder of pictures, brought to 32×32:
/// [`ImageFolder`] has settings.
///
/// ```
/// use scorebook::{data, prelude::*};
///
/// let faces = data::open("pixel-faces-16", Split::Train, None)?;
/// assert_eq!(faces.len(), 18_000);
/// let error = data::open("imagenet", Split::Train, None).unwrap_err();
/// assert!(error.to_string().contains("one of fashion-mnist, pixel-faces-16"));
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If there is none of this name, or it cannot be read.
pub fn open(name: &str, split: Split, folder: Option<&Path>) -> Result<ImageSet> {
    let own = || {
        folder.ok_or_else(|| {
            let expected = format!("the folder of {name}, which is not shipped");
            Error::argument("folder", "not given", expected)
        })
    };
    let chosen = || folder.map(Path::to_owned);
    match name {
        "fashion-mnist" => FashionMnist { folder: chosen(), whole: false }.load(split),
        "pixel-faces-16" => PixelFaces { folder: chosen(), styles: false }.load(split),
        "emoji-32" => Emoji { folder: chosen() }.load(split),
        "digits" => Digits { folder: chosen() }.load(split),
        "mnist" => mnist(own()?, split),
        "cifar-10" => cifar10(own()?, split),
        "images" => ImageFolder::new(own()?, 32).load(split),
        _ => Err(Error::argument("name", name, format!("one of {}", NAMES.join(", ")))),
    }
}
