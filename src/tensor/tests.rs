//! The ops against candle's own and against finite differences.

use super::tape::{Added, Buffers, Map, Tape};
use super::*;
use crate::random::Generator;
use candle_core::{DType, Device, Var};

fn normal(generator: &mut Generator, shape: &[usize], dtype: DType) -> Tensor {
    generator.normal(shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
}

fn largest(x: &Tensor) -> f64 {
    let x = x.to_dtype(DType::F64).unwrap().abs().unwrap().flatten_all().unwrap();
    x.max(0).unwrap().to_scalar().unwrap()
}

fn distance(a: &Tensor, b: &Tensor) -> f64 {
    let (a, b) = (a.to_dtype(DType::F64).unwrap(), b.to_dtype(DType::F64).unwrap());
    largest(&(&a - &b).unwrap()) / largest(&b)
}

/// A function's derivatives in each argument, in a random direction, against central differences.
fn check_derivatives(arguments: &[Tensor], f: impl Fn(&[Tensor]) -> Tensor) {
    let mut generator = Generator::new(99);
    let variables: Vec<Var> = arguments.iter().map(|x| Var::from_tensor(x).unwrap()).collect();
    let tensors: Vec<Tensor> = variables.iter().map(|v| v.as_tensor().clone()).collect();
    let y = f(&tensors);
    let weights = normal(&mut generator, y.dims(), DType::F64);
    let project = |x: &[Tensor]| (f(x) * &weights).unwrap().sum_all().unwrap();
    let gradients = project(&tensors).backward().unwrap();
    for (i, x) in arguments.iter().enumerate() {
        let direction = normal(&mut generator, x.dims(), DType::F64);
        let gradient = gradients.get(&variables[i]).unwrap();
        let exact: f64 = (gradient * &direction).unwrap().sum_all().unwrap().to_scalar().unwrap();
        let at = |h: f64| -> f64 {
            let mut moved = arguments.to_vec();
            moved[i] = (x + (&direction * h).unwrap()).unwrap();
            project(&moved).to_scalar().unwrap()
        };
        let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
        let error = (exact - difference).abs() / difference.abs().max(1.0);
        assert!(error < 1e-7, "argument {i}: {exact} by backward, {difference} by differences");
    }
}

/// Candle keeps its channels in the second place.
fn candles(x: &Tensor, f: impl Fn(&Tensor) -> candle_core::Result<Tensor>) -> Tensor {
    let x = x.permute((0, 3, 1, 2)).unwrap().contiguous().unwrap();
    f(&x).unwrap().permute((0, 2, 3, 1)).unwrap().contiguous().unwrap()
}

#[test]
fn convolutions_are_candles() {
    let mut generator = Generator::new(1);
    // Batch, channels, size, filters, side, stride, padding; sizes that leave rests, paddings as large as the kernel,
    // strides beyond the kernel, numbers of channels on both sides of one, two, four vectors and their rests.
    for (b, c, n, o, k, s, p) in [
        (1, 1, 5, 1, 3, 1, 0),
        (3, 2, 7, 4, 3, 2, 0),
        (2, 3, 8, 5, 3, 1, 1),
        (5, 4, 9, 3, 3, 2, 1),
        (7, 2, 6, 3, 1, 1, 0),
        (2, 2, 12, 3, 5, 3, 2),
        (9, 3, 4, 2, 4, 2, 3),
        (3, 2, 7, 4, 1, 3, 0),
        (2, 1, 9, 32, 3, 1, 0),
        (2, 40, 7, 1, 3, 1, 1),
        (3, 17, 6, 67, 3, 2, 0),
        (2, 64, 5, 115, 3, 2, 1),
        (4, 33, 6, 20, 3, 1, 1),
    ] {
        for dtype in [DType::F32, DType::F64] {
            let tolerance = if dtype == DType::F32 { 1e-5 } else { 1e-13 };
            let x = Var::from_tensor(&normal(&mut generator, &[b, n, n + 1, c], dtype)).unwrap();
            let kernel = Var::from_tensor(&normal(&mut generator, &[o, c, k, k], dtype)).unwrap();
            let compare = |ours: &Tensor, theirs: &Tensor, inputs: [&Var; 2], what: &str| {
                let what = format!("{what} {b} {c} {n} {o} {k} {s} {p} {dtype:?}");
                assert_eq!(ours.dims(), theirs.dims(), "{what}");
                assert!(distance(ours, theirs) < tolerance, "{what}");
                // Candle's backward pass takes the rest that the height leaves for that of the width too.
                let rest = |size: usize| (size + 2 * p - k) % s;
                if rest(n) != rest(n + 1) {
                    return;
                }
                let weights = normal(&mut Generator::new(9), ours.dims(), dtype);
                let gradients =
                    |y: &Tensor| (y * &weights).unwrap().sum_all().unwrap().backward().unwrap();
                let (ours, theirs) = (gradients(ours), gradients(theirs));
                for (i, input) in inputs.into_iter().enumerate() {
                    let error = distance(ours.get(input).unwrap(), theirs.get(input).unwrap());
                    assert!(error < 10.0 * tolerance, "{what}: gradient {i} off by {error:e}");
                }
            };
            let y = conv2d(&x, &kernel, s, p).unwrap();
            let theirs = candles(&x, |x| x.conv2d(&kernel, p, s, 1, 1));
            compare(&y, &theirs, [&x, &kernel], "conv");
            let y = Var::from_tensor(&y.detach()).unwrap();
            let output_padding = s - 1;
            let back = conv_transpose2d(&y, &kernel, s, p, output_padding).unwrap();
            let theirs = candles(&y, |y| y.conv_transpose2d(&kernel, p, output_padding, s, 1));
            compare(&back, &theirs, [&y, &kernel], "transposed");
        }
    }
}

#[test]
fn convolutions_have_the_right_derivatives() {
    let mut generator = Generator::new(2);
    for (b, s, p) in [(1, 1, 0), (5, 2, 0), (6, 2, 1), (3, 1, 2)] {
        let x = normal(&mut generator, &[b, 7, 8, 3], DType::F64);
        let kernel = normal(&mut generator, &[4, 3, 3, 3], DType::F64);
        let arguments = [x, kernel];
        check_derivatives(&arguments, |a| conv2d(&a[0], &a[1], s, p).unwrap());
        let y = normal(&mut generator, &[b, 5, 4, 4], DType::F64);
        let arguments = [y, arguments[1].clone()];
        check_derivatives(&arguments, |a| conv_transpose2d(&a[0], &a[1], s, p, s - 1).unwrap());
    }
    // Pixels that no output reaches.
    let x = normal(&mut generator, &[2, 9, 8, 3], DType::F64);
    let kernel = normal(&mut generator, &[4, 3, 1, 1], DType::F64);
    check_derivatives(&[x, kernel], |a| conv2d(&a[0], &a[1], 3, 0).unwrap());
}

#[test]
fn convolution_of_a_strided_view_is_that_of_its_copy() {
    let x = normal(&mut Generator::new(3), &[4, 2, 6, 6], DType::F32);
    let view = x.permute((0, 3, 2, 1)).unwrap();
    let kernel =
        normal(&mut Generator::new(4), &[3, 3, 5, 2], DType::F32).permute((2, 3, 0, 1)).unwrap();
    let y = conv2d(&view, &kernel, 1, 0).unwrap();
    let copied = conv2d(&view.contiguous().unwrap(), &kernel.contiguous().unwrap(), 1, 0).unwrap();
    assert_eq!(largest(&(y - copied).unwrap()), 0.0);
}

/// The same function of the same arguments in F64, by candle's ops, and in F32, by our kernels.
fn check_against_f64(arguments: &[Tensor], tolerance: f64, f: impl Fn(&[Tensor]) -> Tensor) {
    let wide: Vec<Var> = arguments.iter().map(|x| Var::from_tensor(x).unwrap()).collect();
    let narrow = |x: &Tensor| Var::from_tensor(&x.to_dtype(DType::F32).unwrap()).unwrap();
    let narrow: Vec<Var> = arguments.iter().map(narrow).collect();
    let tensors = |v: &[Var]| v.iter().map(|v| v.as_tensor().clone()).collect::<Vec<_>>();
    let (y, ours) = (f(&tensors(&wide)), f(&tensors(&narrow)));
    assert!(distance(&ours, &y) < 1e-5, "off by {:e}", distance(&ours, &y));
    let weights = normal(&mut Generator::new(10), y.dims(), DType::F64);
    let exact = (&y * &weights).unwrap().sum_all().unwrap().backward().unwrap();
    let weights = weights.to_dtype(DType::F32).unwrap();
    let found = (&ours * &weights).unwrap().sum_all().unwrap().backward().unwrap();
    for (i, (wide, narrow)) in wide.iter().zip(&narrow).enumerate() {
        let (exact, found) = (exact.get(wide).unwrap(), found.get(narrow).unwrap());
        // Groups of few numbers cancel: the scale is that of the upstream gradient.
        let error = largest(&(exact - found.to_dtype(DType::F64).unwrap()).unwrap());
        assert!(error < tolerance * largest(exact).max(1.0), "argument {i} off by {error:e}");
    }
}

fn norm(a: &[Tensor], groups: usize) -> Norm<'_> {
    Norm { shift: &a[0], weight: &a[1], bias: &a[2], groups, epsilon: 1e-5 }
}

#[test]
fn group_norm_is_the_composition_and_so_are_its_derivatives() {
    let mut generator = Generator::new(5);
    // Numbers of channels below, at and above a vector, with and without a rest.
    for (b, c, groups, n) in
        [(3, 8, 4, 2), (2, 4, 4, 4), (5, 6, 2, 5), (17, 16, 8, 7), (1, 32, 32, 3), (2, 72, 8, 3)]
    {
        let x = ((normal(&mut generator, &[b, n, n, c], DType::F64) * 2.).unwrap() + 3.).unwrap();
        let shift = normal(&mut generator, &[b, c], DType::F64);
        let weight = normal(&mut generator, &[c], DType::F64);
        let bias = normal(&mut generator, &[c], DType::F64);
        let arguments = [x, shift, weight, bias];
        let f = |a: &[Tensor]| group_norm_silu(&a[0], &norm(&a[1..], groups)).unwrap();
        check_derivatives(&arguments, f);
        check_against_f64(&arguments, 2e-4, f);
    }
}

#[test]
fn a_block_is_its_parts() {
    let mut generator = Generator::new(11);
    for (b, c, n, o, groups, stride, transposed) in [
        (5, 1, 9, 32, 4, 1, None),
        (9, 8, 7, 24, 8, 2, None),
        (5, 24, 4, 8, 4, 2, Some(0)),
        (6, 16, 3, 12, 3, 2, Some(1)),
    ] {
        let convolution = Convolution { stride, padding: 0, transposed };
        let x = normal(&mut generator, &[b, n, n, c], DType::F64);
        let dims = if transposed.is_some() { [c, o, 3, 3] } else { [o, c, 3, 3] };
        let kernel = normal(&mut generator, &dims, DType::F64);
        let shift = normal(&mut generator, &[b, o], DType::F64);
        let weight = normal(&mut generator, &[o], DType::F64);
        let bias = normal(&mut generator, &[o], DType::F64);
        let arguments = [x, kernel, shift, weight, bias];
        let f = |a: &[Tensor]| {
            conv_norm_silu(&[&a[0]], &a[1], convolution, &norm(&a[2..], groups)).unwrap()
        };
        check_against_f64(&arguments, 2e-4, f);
        // The same of two maps, the second of three channels: in F64 they are concatenated.
        let second = normal(&mut generator, &[b, n, n, 3], DType::F64);
        let dims = if transposed.is_some() { [c + 3, o, 3, 3] } else { [o, c + 3, 3, 3] };
        let kernel = normal(&mut generator, &dims, DType::F64);
        let [x, _, shift, weight, bias] = arguments;
        check_against_f64(&[x, second, kernel, shift, weight, bias], 2e-4, |a| {
            let norm = norm(&a[3..], groups);
            conv_norm_silu(&[&a[0], &a[1]], &a[2], convolution, &norm).unwrap()
        });
    }
}

/// A layer of a tape as a function of tensors, the first of which are its maps.
fn of_tape(a: &[Tensor], maps: usize, layer: impl Fn(&Tape, &[Map]) -> Map) -> Tensor {
    let tape = Tape::new(&a[0], &Buffers::default());
    let maps: Vec<Map> = a[..maps].iter().map(|x| tape.leaf(x).unwrap()).collect();
    let result = layer(&tape, &maps);
    tape.finish(result).unwrap()
}

/// Where the kernels are ours (F32) and where candle's ops do the work (F64): values and all derivatives.
#[test]
fn layers_of_a_tape_are_their_compositions() {
    let mut generator = Generator::new(12);
    let mut of = |shape: &[usize]| normal(&mut generator, shape, DType::F64);
    // Numbers of pixels and channels on both sides of a vector.
    for (b, h, w, c) in [(3, 2, 3, 5), (2, 4, 4, 16), (5, 3, 6, 24), (1, 7, 7, 40)] {
        let all = of(&[b, h, w, 3 * c]);
        check_derivatives(std::slice::from_ref(&all), |a| {
            of_tape(a, 1, |tape, maps| tape.attention(&maps[0]).unwrap())
        });
        check_against_f64(&[all], 1e-4, |a| {
            of_tape(a, 1, |tape, maps| tape.attention(&maps[0]).unwrap())
        });
        let arguments = [of(&[b, h, w, c]), of(&[b, h, w, 7]), of(&[7, c]), of(&[7])];
        check_against_f64(&arguments, 1e-4, |a| {
            of_tape(a, 2, |tape, maps| tape.linear(&maps[0], &a[2], &a[3], Some(&maps[1])).unwrap())
        });
        let arguments = [of(&[b, c]), of(&[7, c]), of(&[7])];
        check_against_f64(&arguments, 1e-4, |a| {
            of_tape(a, 1, |tape, maps| tape.linear(&maps[0], &a[1], &a[2], None).unwrap())
        });
        // Two maps as one, with a bias and a residual, and the same map twice.
        let (bias, residual) = (of(&[6]), of(&[b, h, w, 6]));
        let arguments =
            [of(&[b, h, w, c]), of(&[b, h, w, 4]), residual, of(&[6, c + 4, 3, 3]), bias];
        let convolution = Convolution { stride: 1, padding: 1, transposed: None };
        check_against_f64(&arguments, 1e-4, |a| {
            of_tape(a, 3, |tape, maps| {
                let added = Added { bias: Some(&a[4]), residual: Some(&maps[2]) };
                let both = [&maps[0], &maps[1]];
                let y = tape.convolution(&both, &a[3], convolution, added).unwrap();
                let twice = Added { residual: Some(&y), ..Default::default() };
                let again = a[3].narrow(1, 0, 6.min(c + 4)).unwrap().contiguous().unwrap();
                match again.dims()[1] {
                    6 => tape.convolution(&[&y], &again, convolution, twice).unwrap(),
                    _ => y,
                }
            })
        });
        let (x, factors) = (of(&[b, h, w, c]), of(&[b, h, w, c]));
        check_against_f64(&[x], 1e-4, |a| {
            of_tape(a, 1, |tape, maps| {
                let factors = factors.to_dtype(a[0].dtype()).unwrap();
                tape.silu(&tape.times(&maps[0], factors).unwrap()).unwrap()
            })
        });
    }
}

#[test]
fn what_does_not_fit_on_a_tape_is_an_error() {
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    let tape = Tape::new(&zeros(&[1]), &Buffers::default());
    let leaf = |shape: &[usize]| tape.leaf(&zeros(shape)).unwrap();
    let same = Convolution { stride: 1, padding: 1, transposed: None };
    let (x, kernel, bias) = (leaf(&[2, 4, 4, 3]), zeros(&[5, 3, 3, 3]), zeros(&[4]));
    let residual = leaf(&[2, 4, 4, 3]);
    let added = |bias, residual| Added { bias, residual };
    for (result, message) in [
        (tape.convolution(&[&x], &kernel, same, added(Some(&bias), None)), "`bias` has shape [4]"),
        (
            tape.convolution(&[&x], &kernel, same, added(None, Some(&residual))),
            "expected [2, 4, 4, 5]",
        ),
        (tape.convolution(&[], &kernel, same, Added::default()), "one map or two"),
        (tape.linear(&x, &zeros(&[5, 2]), &zeros(&[5]), None), "`x` has shape [2, 4, 4, 3]"),
        (tape.linear(&x, &zeros(&[5]), &zeros(&[5]), None), "[outputs, inputs]"),
        (tape.attention(&leaf(&[2, 4, 4, 4])), "3 channels"),
        (tape.times(&x, zeros(&[2, 4, 4])), "`factors` has shape [2, 4, 4]"),
        (tape.leaf(&bias.to_dtype(DType::F64).unwrap()), "F32 on the CPU"),
    ] {
        let error = result.err().unwrap().to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let mut generator = Generator::new(6);
    let x = normal(&mut generator, &[64, 12, 12, 32], DType::F32);
    let kernel = Var::from_tensor(&normal(&mut generator, &[64, 32, 3, 3], DType::F32)).unwrap();
    let shift = normal(&mut generator, &[64, 64], DType::F32);
    let weight = Var::from_tensor(&normal(&mut generator, &[64], DType::F32)).unwrap();
    let bias = normal(&mut generator, &[64], DType::F32);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let norm =
                Norm { shift: &shift, weight: &weight, bias: &bias, groups: 32, epsilon: 1e-5 };
            let convolution = Convolution { stride: 2, padding: 0, transposed: None };
            let y = conv_norm_silu(&[&x], &kernel, convolution, &norm).unwrap();
            let gradients = y.sqr().unwrap().mean_all().unwrap().backward().unwrap();
            let bits = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            [bits(&y), bits(gradients.get(&kernel).unwrap()), bits(gradients.get(&weight).unwrap())]
        })
    };
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(8));
}

#[test]
fn what_does_not_fit_is_an_error() {
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    let kernel = zeros(&[4, 3, 3, 3]);
    for (result, message) in [
        (conv2d(&zeros(&[1, 8, 8, 2]), &kernel, 1, 0), "`x` has shape [1, 8, 8, 2]"),
        (conv2d(&zeros(&[1, 2, 8, 3]), &kernel, 1, 0), "at least the kernel's 3 pixels"),
        (conv2d(&zeros(&[3, 8, 8]), &kernel, 1, 0), "[batch, height, width, channels]"),
        (conv2d(&zeros(&[1, 8, 8, 3]), &kernel, 0, 0), "`stride` is 0"),
        (conv2d(&zeros(&[1, 8, 8, 3]), &zeros(&[4, 3, 3, 2]), 1, 0), "a square kernel"),
        (conv_transpose2d(&zeros(&[1, 8, 8, 3]), &kernel, 1, 0, 0), "expected [batch, rows,"),
        (conv_transpose2d(&zeros(&[1, 8, 8, 4]), &kernel, 2, 0, 2), "less than the stride, 2"),
        (conv_transpose2d(&zeros(&[1, 1, 1, 4]), &kernel, 1, 2, 0), "`padding` is 2"),
    ] {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    let refusal = |x: &[usize], shift: &[usize], groups| {
        let (x, shift, affine) = (zeros(x), zeros(shift), zeros(&[4]));
        let norm = Norm { shift: &shift, weight: &affine, bias: &affine, groups, epsilon: 1e-5 };
        group_norm_silu(&x, &norm).unwrap_err().to_string()
    };
    assert!(refusal(&[2, 3, 3, 4], &[2, 4], 3).contains("a divisor of the 4 channels"));
    assert!(refusal(&[2, 3, 3, 4], &[2, 3], 2).contains("expected [2, 4]"));
    assert!(refusal(&[2, 3, 3, 6], &[2, 6], 2).contains("expected [6]"));
    let (x, shift, affine) = (zeros(&[2, 5, 5, 3]), zeros(&[2, 4]), zeros(&[4]));
    let norm = Norm { shift: &shift, weight: &affine, bias: &affine, groups: 3, epsilon: 1e-5 };
    let convolution = Convolution { stride: 1, padding: 0, transposed: None };
    let error = conv_norm_silu(&[&x], &kernel, convolution, &norm).unwrap_err().to_string();
    assert!(error.contains("a divisor of the 4 channels"), "{error}");
}

#[test]
fn adam_in_place_is_adam() {
    let mut generator = Generator::new(7);
    let start = normal(&mut generator, &[37], DType::F32);
    let variable = |x: &Tensor| Var::from_tensor(&x.copy().unwrap()).unwrap();
    // F64 takes candle's ops, F32 our kernel.
    let run = |dtype: DType| {
        let mut generator = Generator::new(8);
        let start = start.to_dtype(dtype).unwrap();
        let (weight, average) = (variable(&start), variable(&start));
        let zeros = start.zeros_like().unwrap();
        let (first, second) = (variable(&zeros), variable(&zeros));
        for n in 1..=20i32 {
            let gradient = normal(&mut generator, &[37], dtype);
            let root = 1.0 / (1.0 - 0.999f64.powi(n)).sqrt();
            let rate = 0.01 / (1.0 - 0.9f64.powi(n));
            let (beta1, beta2) = (0.9, 0.999);
            let step =
                AdamStep { scale: 0.5, keep: 0.999, beta1, beta2, epsilon: 1e-8, rate, root };
            adam_step(&step, &weight, &gradient, &first, &second).unwrap();
            average_into(&average, &weight, 0.9).unwrap();
        }
        (weight.as_detached_tensor(), average.as_detached_tensor())
    };
    let ((narrow, narrow_average), (wide, wide_average)) = (run(DType::F32), run(DType::F64));
    assert!(distance(&narrow, &wide) < 1e-6 && distance(&narrow_average, &wide_average) < 1e-6);
    assert!(distance(&wide, &start) > 0.01 && distance(&wide_average, &wide) > 1e-3);
}
