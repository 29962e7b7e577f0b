use crate::*;
use scorebook::metrics::{ks_one_sample, values};

/// Draws of each law, coordinate after coordinate, made independent and standard normal by the law's own formula.
fn straightened(density: &dyn Density, undo: impl Fn(&[f64]) -> Vec<f64>) -> Vec<Vec<f64>> {
    let n = 100_000;
    let x = density.sample(n, &mut Generator::new(1), CPU).unwrap();
    let z: Vec<Vec<f64>> = values(&x).unwrap().chunks_exact(density.dim()).map(undo).collect();
    (0..density.dim()).map(|i| z.iter().map(|z| z[i]).collect()).collect()
}

fn all_normal(coordinates: &[Vec<f64>]) -> bool {
    let bound = 5.0 / (coordinates[0].len() as f64).sqrt();
    coordinates.iter().enumerate().all(|(i, z)| {
        ks_one_sample(z, normal_cdf(0.0, 1.0)).unwrap().p_value > 1e-7
            && coordinates[..i].iter().all(|other| covariance(z, other).abs() < bound)
    })
}

#[test]
fn banana_and_funnel_draw_their_laws() {
    let banana = Banana::new(1.5, 0.8, 0.3).unwrap();
    let undo = |b: f64| move |x: &[f64]| vec![x[0] / 1.5, (x[1] - b * x[0] * x[0]) / 0.3];
    assert!(all_normal(&straightened(&banana, undo(0.8))));
    assert!(!all_normal(&straightened(&banana, undo(0.79))));
    let funnel = Funnel::new(4, 2.0).unwrap();
    let undo = |half: f64| {
        move |x: &[f64]| -> Vec<f64> {
            let width = (half * x[0]).exp();
            [x[0] / 2.0].into_iter().chain(x[1..].iter().map(|x| x / width)).collect()
        }
    };
    assert!(all_normal(&straightened(&funnel, undo(0.5))));
    // The ½ of e^(v/2) dropped.
    assert!(!all_normal(&straightened(&funnel, undo(1.0))));
}

/// The densities have the mass 1 (midpoint rule on a grid that holds all but 1e-9 of it), and the scores are their slopes.
#[test]
fn banana_and_funnel_have_densities_and_scores() {
    let banana = Banana::new(0.8, 0.7, 0.5).unwrap();
    let funnel = Funnel::new(2, 0.5).unwrap();
    let laws: [(&dyn Density, [f64; 4]); 2] =
        [(&banana, [-5.5, 5.5, -4.0, 25.0]), (&funnel, [-3.5, 3.5, -30.0, 30.0])];
    for (law, [left, right, bottom, top]) in laws {
        let (columns, rows) = (400, 1500);
        let (dx, dy) = ((right - left) / f64::from(columns), (top - bottom) / f64::from(rows));
        let points: Vec<f64> = (0..columns * rows)
            .flat_map(|k| {
                let (i, j) = (f64::from(k % columns) + 0.5, f64::from(k / columns) + 0.5);
                [left + i * dx, bottom + j * dy]
            })
            .collect();
        let points = Tensor::from_vec(points, ((columns * rows) as usize, 2), CPU).unwrap();
        let p = law.log_prob(&points).unwrap().exp().unwrap().sum_all().unwrap();
        let mass = p.to_scalar::<f64>().unwrap() * dx * dy;
        assert!((mass - 1.0).abs() < 1e-6, "{mass}");

        let x = Tensor::new(&[[0.3, -0.4], [-1.2, 1.7], [0.9, 0.1]], CPU).unwrap();
        let score = law.score(&x).unwrap().to_vec2::<f64>().unwrap();
        let h = 1e-5;
        for i in 0..2 {
            let mut e = [0.0; 2];
            e[i] = h;
            let e = Tensor::new(&[e], CPU).unwrap();
            let up = law.log_prob(&x.broadcast_add(&e).unwrap()).unwrap();
            let down = law.log_prob(&x.broadcast_sub(&e).unwrap()).unwrap();
            for (k, slope) in values(&(up - down).unwrap()).unwrap().iter().enumerate() {
                assert!((slope / (2.0 * h) - score[k][i]).abs() < 1e-6, "{score:?}");
            }
        }
    }
    assert!(Banana::new(0.0, 1.0, 1.0).is_err() && Banana::new(1.0, f64::NAN, 1.0).is_err());
    assert!(Funnel::new(1, 1.0).is_err() && Funnel::new(2, -1.0).is_err());
    let wrong = Tensor::zeros((3, 3), DType::F64, CPU).unwrap();
    let error = banana.log_prob(&wrong).unwrap_err().to_string();
    assert_eq!(error, "`x` has shape [3, 3]; expected [batch, 2]");
}
