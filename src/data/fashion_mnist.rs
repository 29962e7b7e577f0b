//! Fashion-MNIST: 70,000 grey images of clothes, 28×28, in ten classes.

use super::{ImageSet, Split, idx::read_pair, shipped};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// The classes of Fashion-MNIST, by label.
pub const FASHION_CLASSES: [&str; 10] = [
    "T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Boot",
];

/// Where to look for Fashion-MNIST (Xiao, Rasul & Vollgraf 2017).
///
/// Looked through in this order: `folder` alone if it is given; else the Debian package `dataset-fashion-mnist` in
/// `/usr/share/datasets/fashion-mnist` and the user's cache, which hold all 60,000 training images; else, unless all of
/// them are asked for, the shipped subset of the first 30,000; else a download into the cache, where the library was built
/// with the feature `download`. The 10,000 test images are shipped whole. Every file is checked against its SHA-256. The
/// set that comes back says where it was found: print it.
///
/// ```
/// use scorebook::data::{FashionMnist, Split};
///
/// let test = FashionMnist::default().load(Split::Test)?;
/// println!("{test}"); // Fashion-MNIST: 10000 images of 1×28×28 in 10 classes, from ...
/// assert_eq!(test.len(), 10_000);
/// assert_eq!(test.attribute("class")?.value_of(0), "Boot");
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct FashionMnist {
    /// Look in this folder and nowhere else.
    pub folder: Option<PathBuf>,
    /// Take all 60,000 training images or fail.
    pub whole: bool,
}

/// A pair of files: images and labels, with the SHA-256 of their decompressed contents.
struct Files {
    images: (&'static str, &'static str),
    labels: (&'static str, &'static str),
}

const TRAIN: Files = Files {
    images: (
        "train-images-idx3-ubyte.gz",
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    ),
    labels: (
        "train-labels-idx1-ubyte.gz",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ),
};
const TRAIN_SHIPPED: Files = Files {
    images: (
        "train30k-images-idx3-ubyte.gz",
        "a45bf0d2a14e3043717e09c1c005904f3d7374dc3ce7c8a44485c2ff8da18d4e",
    ),
    labels: (
        "train30k-labels-idx1-ubyte.gz",
        "7c495d82f8de8ce7a5122da6f3555584d4fb7c7232bf0622eafd343a7a2b41a7",
    ),
};
const TEST: Files = Files {
    images: (
        "t10k-images-idx3-ubyte.gz",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    ),
    labels: (
        "t10k-labels-idx1-ubyte.gz",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
};

impl Files {
    fn in_folder(&self, folder: &Path) -> bool {
        [self.images.0, self.labels.0].iter().all(|name| folder.join(name).is_file())
    }

    fn read(&self, folder: &Path) -> Result<ImageSet> {
        let (images, labels) = (folder.join(self.images.0), folder.join(self.labels.0));
        let files = [(&*images, Some(self.images.1)), (&*labels, Some(self.labels.1))];
        read_pair("Fashion-MNIST", files, &FASHION_CLASSES)
    }
}

impl FashionMnist {
    /// The training or the test set.
    ///
    /// # Errors
    /// If it is found nowhere, or a file of it is broken.
    pub fn load(&self, split: Split) -> Result<ImageSet> {
        let whole = match split {
            Split::Train => &TRAIN,
            Split::Test => &TEST,
        };
        let subset = match split {
            Split::Train => &TRAIN_SHIPPED,
            Split::Test => &TEST,
        };
        if let Some(named) = &self.folder {
            if whole.in_folder(named) {
                return whole.read(named);
            }
            if !self.whole && subset.in_folder(named) {
                return subset.read(named);
            }
            let cause = format!("holds no {} and {}", whole.images.0, whole.labels.0);
            return Err(Error::file(named, cause, "Name a folder that has both"));
        }
        let debian = PathBuf::from("/usr/share/datasets/fashion-mnist");
        let cache = dirs::cache_dir().map(|cache| cache.join("scorebook/datasets/fashion-mnist"));
        let book = shipped::place("fashion-mnist", subset.images.0, &None);
        for folder in [Some(&debian), cache.as_ref()].into_iter().flatten() {
            if whole.in_folder(folder) {
                return whole.read(folder);
            }
        }
        if (!self.whole || split == Split::Test) && subset.in_folder(&book) {
            return subset.read(&book);
        }
        #[cfg(feature = "download")]
        if let Some(cache) = cache {
            for (name, sha256) in [whole.images, whole.labels] {
                super::download::download(&format!("{MIRROR}/{name}"), &cache.join(name), sha256)?;
            }
            return whole.read(&cache);
        }
        let cause = "holds no Fashion-MNIST, nor does any place of it";
        let remedy =
            format!("Install the Debian package dataset-fashion-mnist. Or: {}", shipped::REMEDY);
        Err(Error::file(book, cause, remedy))
    }
}

/// Where its authors publish it.
#[cfg(feature = "download")]
const MIRROR: &str = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com";
