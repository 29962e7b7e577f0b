//! Colours that the colour-blind can tell apart, and maps from numbers to colours.

use std::f64::consts::PI;

/// A colour in sRGB, each channel and the opacity in `[0, 1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Colour {
    pub(super) rgb: [f64; 3],
    pub(super) opacity: f64,
}

impl Colour {
    const fn hex(code: u32) -> Self {
        let [_, red, green, blue] = code.to_be_bytes();
        Self { rgb: [red as f64 / 255.0, green as f64 / 255.0, blue as f64 / 255.0], opacity: 1.0 }
    }

    pub(super) fn with_opacity(self, opacity: f64) -> Self {
        Self { opacity, ..self }
    }

    /// The three channels as bytes.
    pub(super) fn bytes(self) -> [u8; 3] {
        self.rgb.map(|channel| (channel * 255.0).round() as u8)
    }
}

/// The card that every figure lies on: opaque, so that a dark theme cannot swallow the ink.
pub(super) const CARD: Colour = Colour::hex(0xfcfcfb);
/// The edge of the card.
pub(super) const EDGE: Colour = Colour::hex(0xdcdcda);
/// Titles and axis labels.
pub(super) const INK: Colour = Colour::hex(0x2a2a2a);
/// Axes and the numbers on them.
pub(super) const MUTED: Colour = Colour::hex(0x5c5c5c);
/// The lines of the grid.
pub(super) const GRID: Colour = Colour::hex(0xe7e7e5);
/// Marks over a heat map.
pub(super) const PAPER: Colour = Colour::hex(0xffffff);

/// Okabe and Ito, "Color Universal Design" (2008), without yellow, which a light card swallows,
/// and in the order in which neighbours differ most.
const OKABE_ITO: [Colour; 7] = [
    Colour::hex(0x0072b2),
    Colour::hex(0xd55e00),
    Colour::hex(0x009e73),
    Colour::hex(0xcc79a7),
    Colour::hex(0xe69f00),
    Colour::hex(0x56b4e9),
    Colour::hex(0x000000),
];

/// The colour of series number `index`; after seven it starts again.
pub(super) fn series(index: usize) -> Colour {
    OKABE_ITO[index % OKABE_ITO.len()]
}

/// The same over a heat map, where dark colours vanish: white, orange, sky blue, purple.
pub(super) fn series_on_map(index: usize) -> Colour {
    [PAPER, OKABE_ITO[4], OKABE_ITO[1], OKABE_ITO[5]][index % 4]
}

/// How numbers become colours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum ColourMap {
    /// From dark violet over teal to pale yellow, for densities.
    Sequential,
    /// From blue over white to red, for signed fields.
    Diverging,
}

impl ColourMap {
    /// The colour of `t` in `[0, 1]`.
    ///
    /// Both are paths through OKLab (B. Ottosson, "A perceptual color space for image
    /// processing", 2020), where equal steps look equal; the sequential one follows the idea, not
    /// the table, of viridis (N. Smith and S. van der Walt, SciPy 2015).
    pub(super) fn colour(self, t: f64) -> Colour {
        let t = t.clamp(0.0, 1.0);
        let rgb = match self {
            Self::Sequential => {
                // Teal has the least room in sRGB: less chroma in the middle stays inside it.
                let chroma = 0.095 + 0.075 * (2.0 * t - 1.0).powi(2);
                oklch(0.27 + 0.65 * t, chroma, 310.0 - 205.0 * t)
            }
            Self::Diverging => {
                let signed = 2.0 * t - 1.0;
                let hue = if signed < 0.0 { 250.0 } else { 35.0 };
                oklch(0.97 - 0.50 * signed.abs(), 0.15 * signed.abs(), hue)
            }
        };
        Colour { rgb, opacity: 1.0 }
    }
}

/// sRGB of the colour with this lightness, chroma and hue (degrees) in OKLab, cut to `[0, 1]`.
fn oklch(lightness: f64, chroma: f64, hue: f64) -> [f64; 3] {
    let hue = hue * PI / 180.0;
    let (a, b) = (chroma * hue.cos(), chroma * hue.sin());
    let l = (lightness + 0.3963377774 * a + 0.2158037573 * b).powi(3);
    let m = (lightness - 0.1055613458 * a - 0.0638541728 * b).powi(3);
    let s = (lightness - 0.0894841775 * a - 1.2914855480 * b).powi(3);
    let linear = [
        4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
        -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
        -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s,
    ];
    linear.map(|c| {
        let c = c.clamp(0.0, 1.0);
        if c <= 0.0031308 { 12.92 * c } else { 1.055 * c.powf(1.0 / 2.4) - 0.055 }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// OKLab of an sRGB colour: the forward transform, written from its own matrices.
    fn oklab(rgb: [f64; 3]) -> [f64; 3] {
        let [r, g, b] =
            rgb.map(|c| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) });
        let l = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b).cbrt();
        let m = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b).cbrt();
        let s = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b).cbrt();
        [
            0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
            1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
            0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s,
        ]
    }

    fn steps(map: ColourMap) -> Vec<f64> {
        let colours: Vec<_> = (0..=64).map(|i| oklab(map.colour(i as f64 / 64.0).rgb)).collect();
        colours
            .windows(2)
            .map(|w| w[0].iter().zip(w[1]).map(|(p, q)| (p - q).powi(2)).sum::<f64>().sqrt())
            .collect()
    }

    #[test]
    fn maps_are_perceptually_even() {
        for map in [ColourMap::Sequential, ColourMap::Diverging] {
            let steps = steps(map);
            let mean = steps.iter().sum::<f64>() / steps.len() as f64;
            for (i, step) in steps.iter().enumerate() {
                assert!((step / mean - 1.0).abs() < 0.4, "{map:?} step {i}: {step} of {mean}");
            }
        }
    }

    #[test]
    fn lightness_says_the_value() {
        let lightness: Vec<_> =
            (0..=32).map(|i| oklab(ColourMap::Sequential.colour(i as f64 / 32.0).rgb)[0]).collect();
        assert!(lightness.windows(2).all(|w| w[1] > w[0]), "{lightness:?}");
        let [low, high] = [0.2, 0.8].map(|t| oklab(ColourMap::Diverging.colour(t).rgb)[0]);
        assert!((low - high).abs() < 0.01, "{low} {high}");
    }

    #[test]
    fn series_contrast_with_the_card() {
        for index in 0..7 {
            let lightness = oklab(series(index).rgb)[0];
            assert!(oklab(CARD.rgb)[0] - lightness > 0.2, "series {index}: {lightness}");
        }
    }
}
