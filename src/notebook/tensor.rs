//! Tensors as a cell's value.

use candle_core::{DType, Device, Tensor};

use super::bundle::escaped;
use super::{Bundle, Display};
use crate::Result;
use crate::plot::{self, Figure};

/// Of a batch of images this many are shown.
const IMAGES: usize = 64;
/// What is smaller is taken for numbers, what is larger for no image.
const SIDES: std::ops::RangeInclusive<usize> = 8..=512;
/// So many numbers are looked at in one piece.
const PIECE: usize = 1 << 20;

/// Shape, type, device, smallest, mean and largest value, and a preview of the values.
///
/// A batch of images, `[n, 1, height, width]` in grey or `[n, 3, height, width]` in RGB with sides of 8 to 512 pixels,
/// is shown as a grid of its first 64; black and full light are the ends of `[0, 1]`, `[-1, 1]` or `[0, 255]`, the
/// first that holds them all, or else the smallest and the largest value.
impl Display for Tensor {
    fn bundle(&self) -> Bundle {
        under(&summary(self), self)
    }
}

/// The tensor's values, or its images, under a line of text.
pub(super) fn under(heading: &str, tensor: &Tensor) -> Bundle {
    let preview = preview(tensor);
    let bundle = match grid(tensor, heading) {
        Ok(Some(figure)) => figure.bundle(),
        _ => {
            Bundle::html(format!("<div>{}</div><pre>{}</pre>", escaped(heading), escaped(&preview)))
        }
    };
    bundle.with("text/plain", format!("{heading}\n{preview}"))
}

/// One line: `Tensor [2, 3] f32 on cpu: min 0, mean 2.5, max 5`.
pub(super) fn summary(tensor: &Tensor) -> String {
    let (dims, kind) = (tensor.dims(), tensor.dtype().as_str());
    let mut line = format!("Tensor {dims:?} {kind} on {}", place(tensor.device()));
    let Extent { low, mean, high, odd } = match extent(tensor) {
        Ok(extent) => extent,
        Err(error) => return format!("{line}, which cannot be read: {error}"),
    };
    if tensor.elem_count() == odd {
        line += if odd == 0 { ", empty" } else { ": no finite value" };
    } else if tensor.elem_count() == 1 {
        line += &format!(": {}", number(low));
    } else {
        line += &format!(": min {}, mean {}, max {}", number(low), number(mean), number(high));
        if odd > 0 {
            line += &format!(", {odd} not finite");
        }
    }
    line
}

/// The device in a word.
pub(super) fn place(device: &Device) -> String {
    match device.location() {
        candle_core::DeviceLocation::Cpu => "cpu".into(),
        candle_core::DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        candle_core::DeviceLocation::Metal { gpu_id } => format!("metal:{gpu_id}"),
    }
}

/// At most five digits that count.
fn number(x: f64) -> String {
    if x != 0.0 && !(1e-4..1e6).contains(&x.abs()) {
        return format!("{x:.3e}");
    }
    let digits = (4 - x.abs().max(1.0).log10().floor() as i32).max(0) as usize;
    let text = format!("{x:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// What can be said of all values at once.
struct Extent {
    low: f64,
    mean: f64,
    high: f64,
    /// How many are NaN or infinite.
    odd: usize,
}

fn extent(tensor: &Tensor) -> Result<Extent> {
    let values = tensor.detach().flatten_all()?;
    let (mut low, mut high, mut sum, mut odd) = (f64::INFINITY, f64::NEG_INFINITY, 0.0, 0);
    for start in (0..values.elem_count()).step_by(PIECE) {
        let piece = values.narrow(0, start, PIECE.min(values.elem_count() - start))?;
        for x in piece.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_vec1::<f64>()? {
            if x.is_finite() {
                (low, high, sum) = (low.min(x), high.max(x), sum + x);
            } else {
                odd += 1;
            }
        }
    }
    let mean = sum / (values.elem_count() - odd) as f64;
    Ok(Extent { low, mean, high, odd })
}

/// The first and last values along each axis, as candle writes them, without its own line of shape and type.
fn preview(tensor: &Tensor) -> String {
    let text = tensor.to_string();
    match text.rfind("\nTensor[") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// The pictures of a batch of images, if `tensor` is one.
fn grid(tensor: &Tensor, heading: &str) -> Result<Option<Figure>> {
    let &[count, 1 | 3, height, width] = tensor.dims() else { return Ok(None) };
    if count == 0 || !SIDES.contains(&height) || !SIDES.contains(&width) {
        return Ok(None);
    }
    let shown = count.min(IMAGES);
    let images = tensor.detach().narrow(0, 0, shown)?;
    let Extent { low, high, odd, .. } = extent(&images)?;
    if odd > 0 {
        return Ok(None);
    }
    let known = [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)];
    let within = known.into_iter().find(|&(black, white)| black <= low && high <= white);
    let range = within.unwrap_or((low, high));
    let rest = if shown < count { format!("; the first {shown}") } else { String::new() };
    let columns = if shown <= 8 { shown } else { (shown as f64).sqrt().ceil() as usize };
    Ok(Some(plot::image_grid(&images, range, columns)?.title(format!("{heading}{rest}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(tensor: &Tensor) -> String {
        tensor.bundle().get("text/plain").unwrap().to_owned()
    }

    #[test]
    fn shape_type_device_and_values_are_told() {
        let x = Tensor::arange(0f32, 6., &Device::Cpu).unwrap().reshape((2, 3)).unwrap();
        let text = plain(&x);
        assert!(text.starts_with("Tensor [2, 3] f32 on cpu: min 0, mean 2.5, max 5\n"), "{text}");
        assert!(text.contains("[3., 4., 5.]") && !text.contains("Tensor[["), "{text}");
        assert!(x.bundle().get("text/html").unwrap().contains("mean 2.5"));
    }

    #[test]
    fn one_number_none_and_numbers_that_are_none() {
        let one = Tensor::new(0.25f64, &Device::Cpu).unwrap();
        assert!(plain(&one).starts_with("Tensor [] f64 on cpu: 0.25\n"), "{}", plain(&one));
        let none = Tensor::zeros((0, 3), DType::F32, &Device::Cpu).unwrap();
        assert!(plain(&none).starts_with("Tensor [0, 3] f32 on cpu, empty"), "{}", plain(&none));
        let odd = Tensor::new(&[1f32, f32::NAN, 3.], &Device::Cpu).unwrap();
        assert!(plain(&odd).contains("min 1, mean 2, max 3, 1 not finite"), "{}", plain(&odd));
        let lost = Tensor::new(&[f32::NAN, f32::NAN], &Device::Cpu).unwrap();
        assert!(plain(&lost).contains("no finite value"), "{}", plain(&lost));
    }

    #[test]
    fn a_batch_of_images_is_a_picture_and_other_shapes_are_not() {
        let images = |dims: &[usize]| {
            let bundle = Tensor::zeros(dims, DType::F32, &Device::Cpu).unwrap().bundle();
            bundle.get("image/png").is_some()
        };
        assert!(images(&[5, 1, 28, 28]) && images(&[100, 3, 8, 16]) && images(&[1, 1, 32, 32]));
        assert!(!images(&[5, 2, 28, 28]) && !images(&[5, 1, 4, 4]) && !images(&[0, 1, 28, 28]));
        let bytes = Tensor::zeros((2, 3, 8, 8), DType::U8, &Device::Cpu).unwrap();
        assert!(bytes.bundle().get("image/png").is_some());
    }

    #[test]
    fn numbers_have_five_digits_that_count() {
        for (x, text) in [
            (0.0, "0"),
            (2.5, "2.5"),
            (-12345.678, "-12346"),
            (1.0 / 3.0, "0.3333"),
            (1e-7, "1.000e-7"),
            (250.0, "250"),
        ] {
            assert_eq!(number(x), text);
        }
    }
}
