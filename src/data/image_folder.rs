//! Any folder of pictures.

use super::picture::{self, Picture};
use super::{Attribute, ImageSet, Split};
use crate::progress::Progress;
use crate::{Error, Result, interrupt};
use candle_core::{Device, Tensor};
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A folder of PNG and JPEG files as a data set; its subfolders, if it has any, are the classes.
///
/// Each picture is cropped to the square in its middle and brought to `side` pixels, each the mean of what it covers.
/// What is transparent is laid on white, 16 bits become 8, photographs are turned upright as their EXIF tag says. Files of
/// other kinds (`.txt`, `.webp`) and hidden ones are passed over; a file that cannot be read is an error.
///
/// Where the folder holds the folders `train` and `test`, these are the two parts; else every tenth picture of each
/// class, in the order of their names, is for judging.
///
/// ```
/// use scorebook::{plot, prelude::*};
///
/// let folder = std::env::temp_dir().join(format!("scorebook-doc-images-{}", std::process::id()));
/// for class in ["dark", "light"] {
///     std::fs::create_dir_all(folder.join(class))?;
///     let grey = if class == "dark" { -0.8 } else { 0.8 };
///     let image = Tensor::full(grey, (1, 1, 20, 30), &Device::Cpu)?;
///     plot::image_grid(&image, (-1., 1.), 1)?.save(folder.join(class).join("a.png"))?;
/// }
/// let set = ImageFolder { channels: Some(1), ..ImageFolder::new(&folder, 8) }.all()?;
/// assert_eq!((set.shape(), set.attribute("class")?.values.len()), (&[1, 8, 8][..], 2));
/// # std::fs::remove_dir_all(folder)?;
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ImageFolder {
    /// Where the pictures are.
    pub folder: PathBuf,
    /// How many pixels the images shall have in a row and in a column.
    pub side: usize,
    /// 1 turns all pictures grey, 3 gives all of them three channels; `None` takes them as they are, all alike.
    pub channels: Option<usize>,
    /// Show a progress bar.
    pub progress: bool,
}

/// The files of one part, and the class of each.
struct Listing {
    files: Vec<PathBuf>,
    of: Vec<u8>,
}

impl ImageFolder {
    /// The pictures of `folder` at `side` pixels, with the channels that they have.
    pub fn new(folder: impl Into<PathBuf>, side: usize) -> Self {
        Self { folder: folder.into(), side, channels: None, progress: false }
    }

    /// All pictures. An interrupt ends the reading with an error, as half of the pictures are not the set.
    ///
    /// ```
    /// use scorebook::{interrupt, prelude::*};
    ///
    /// let notes = std::env::temp_dir().join(format!("scorebook-doc-stopped-{}", std::process::id()));
    /// std::fs::create_dir_all(&notes)?;
    /// std::fs::write(notes.join("one.png"), "")?;
    /// interrupt::request();
    /// let error = ImageFolder::new(&notes, 8).all().unwrap_err();
    /// assert!(error.to_string().contains("interrupted: 0 of 1 pictures were read"));
    /// # std::fs::remove_dir_all(notes)?;
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If a setting is out of its range; if the folder, or a class, has no pictures; if pictures lie beside classes; if a
    /// file cannot be read; if some pictures are grey and some are not, and `channels` is `None`.
    pub fn all(&self) -> Result<ImageSet> {
        self.read(&classes(&self.folder)?, |classes| list(&self.folder, classes))
    }

    /// The pictures to train on, or those to judge by.
    ///
    /// ```
    /// use scorebook::{plot, prelude::*};
    ///
    /// let folder = std::env::temp_dir().join(format!("scorebook-doc-parts-{}", std::process::id()));
    /// std::fs::create_dir_all(&folder)?;
    /// let picture = plot::image_grid(&Tensor::zeros((1, 1, 8, 8), DType::F32, &Device::Cpu)?, (-1., 1.), 1)?;
    /// for name in "abcdefghij".chars() {
    ///     picture.save(folder.join(format!("{name}.png")))?;
    /// }
    /// let pictures = ImageFolder::new(&folder, 8);
    /// assert_eq!((pictures.load(Split::Train)?.len(), pictures.load(Split::Test)?.len()), (9, 1));
    /// # std::fs::remove_dir_all(folder)?;
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`ImageFolder::all`]; also if there are none to judge by.
    pub fn load(&self, split: Split) -> Result<ImageSet> {
        let parts = [self.folder.join("train"), self.folder.join("test")];
        if parts.iter().all(|part| part.is_dir()) {
            // A label means the same in both parts.
            let names: BTreeSet<_> =
                classes(&parts[0])?.into_iter().chain(classes(&parts[1])?).collect();
            let part = &parts[split as usize];
            return self.read(&names.into_iter().collect::<Vec<_>>(), |names| list(part, names));
        }
        self.read(&classes(&self.folder)?, |classes| {
            let Listing { files, of } = list(&self.folder, classes)?;
            let mut seen = vec![0; classes.len().max(1)];
            let kept = files.into_iter().zip(of).filter(|(_, class)| {
                let place = &mut seen[*class as usize];
                *place += 1;
                (*place % 10 == 0) == (split == Split::Test)
            });
            let (files, of): (Vec<_>, _) = kept.unzip();
            if files.is_empty() {
                let cause = "no class has ten pictures, so none are left to judge by";
                let remedy = "Put some into a folder `test` beside a folder `train`";
                return Err(Error::file(&self.folder, cause, remedy));
            }
            Ok(Listing { files, of })
        })
    }

    fn read(
        &self,
        classes: &[OsString],
        list: impl FnOnce(&[OsString]) -> Result<Listing>,
    ) -> Result<ImageSet> {
        if !(1..=4096).contains(&self.side) {
            return Err(Error::argument("side", self.side, "1 to 4096 pixels"));
        }
        if let Some(channels) = self.channels.filter(|channels| ![1, 3].contains(channels)) {
            return Err(Error::argument("channels", channels, "1 (grey) or 3 (RGB)"));
        }
        let Listing { files, of } = list(classes)?;
        let progress = self.progress.then(|| Progress::new("images", files.len() as u64));
        let mut squares: Vec<(usize, Vec<u8>)> = Vec::with_capacity(files.len());
        for some in files.chunks(256) {
            if interrupt::requested() {
                let cause = format!("{} of {} pictures were read", squares.len(), files.len());
                return Err(Error::file(
                    &self.folder,
                    format!("interrupted: {cause}"),
                    "Read it again",
                ));
            }
            let read: Vec<_> = some.par_iter().map(|path| self.square(path)).collect();
            squares.extend(read.into_iter().collect::<Result<Vec<_>>>()?);
            if let Some(progress) = &progress {
                progress.set(squares.len() as u64, "");
            }
        }
        if let Some(progress) = progress {
            progress.finish();
        }
        let channels = squares[0].0;
        if let Some(other) = squares.iter().position(|(count, _)| *count != channels) {
            let kind = |channels| if channels == 1 { "grey" } else { "RGB" };
            let cause = format!(
                "{}, but {} is {}",
                kind(squares[other].0),
                files[0].display(),
                kind(channels)
            );
            let remedy = "Set `channels` to 3, or to 1 to turn all pictures grey";
            return Err(Error::file(&files[other], cause, remedy));
        }
        let pixels: Vec<u8> = squares.into_iter().flat_map(|(_, square)| square).collect();
        let shape = (files.len(), channels, self.side, self.side);
        let images = Tensor::from_vec(pixels, shape, &Device::Cpu)?;
        let name = self.folder.file_name().unwrap_or(self.folder.as_os_str()).to_string_lossy();
        let values = classes.iter().map(|class| class.to_string_lossy().into_owned()).collect();
        let attributes = match classes.is_empty() {
            true => vec![],
            false => vec![Attribute { name: "class".into(), values, of }],
        };
        ImageSet::with_attributes(&name, &self.folder.display().to_string(), images, attributes)
    }

    /// How many channels a picture has, and its square.
    fn square(&self, path: &Path) -> Result<(usize, Vec<u8>)> {
        let remedy = "Delete the file, or put a whole one in its place";
        let bytes = std::fs::read(path)
            .map_err(|error| Error::file(path, error.to_string(), "Check who may read it"))?;
        let picture = picture::decode(&bytes).map_err(|cause| Error::file(path, cause, remedy))?;
        let channels = self.channels.unwrap_or(picture.channels);
        let picture: Picture = picture.with_channels(channels);
        Ok((channels, picture.square(self.side)))
    }
}

/// The subfolders of a folder, in the order of their names.
fn classes(folder: &Path) -> Result<Vec<OsString>> {
    let entries = entries(folder)?;
    let folders = entries.into_iter().filter(|path| path.is_dir());
    let names: Vec<_> =
        folders.filter_map(|path| path.file_name().map(|name| name.to_owned())).collect();
    if names.len() > 256 {
        let cause = format!("holds {} folders; at most 256 classes are told apart", names.len());
        return Err(Error::file(folder, cause, "Name a folder of fewer"));
    }
    Ok(names)
}

/// The pictures of a folder, and of those of its subfolders that are there.
fn list(folder: &Path, classes: &[OsString]) -> Result<Listing> {
    let own = pictures(folder)?;
    if classes.is_empty() {
        if own.is_empty() {
            let cause = "holds no pictures: no files that end in .png, .jpg or .jpeg";
            return Err(Error::file(folder, cause, "Name another folder, or convert its pictures"));
        }
        let of = vec![0; own.len()];
        return Ok(Listing { files: own, of });
    }
    if let Some(stray) = own.first() {
        let cause = "a picture beside the folders of classes, so that it has no class";
        return Err(Error::file(stray, cause, "Move it into one of them"));
    }
    let mut listing = Listing { files: vec![], of: vec![] };
    for (label, class) in classes.iter().enumerate() {
        let class = folder.join(class);
        if !class.is_dir() {
            continue;
        }
        let files = pictures(&class)?;
        if files.is_empty() {
            let cause = "an empty class: no files in it that end in .png, .jpg or .jpeg";
            return Err(Error::file(class, cause, "Delete the folder, or put pictures into it"));
        }
        listing.of.extend(vec![label as u8; files.len()]);
        listing.files.extend(files);
    }
    if listing.files.is_empty() {
        let cause = "holds no pictures: none of the classes is in it";
        return Err(Error::file(folder, cause, "Put folders of the classes into it"));
    }
    Ok(listing)
}

fn pictures(folder: &Path) -> Result<Vec<PathBuf>> {
    let ends = |path: &PathBuf| {
        let end = path.extension().map(|end| end.to_string_lossy().to_lowercase());
        matches!(end.as_deref(), Some("png" | "jpg" | "jpeg")) && path.is_file()
    };
    Ok(entries(folder)?.into_iter().filter(ends).collect())
}

/// What is in a folder and not hidden, in the order of the names.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error: std::io::Error| {
        Error::file(folder, error.to_string(), "Name a folder of PNG or JPEG files")
    };
    let mut paths = vec![];
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}
