//! Steps against an f64 rewrite, clipping, and what is decayed.

use bestof_models::{ModelError, ParameterInfo};

use super::*;

/// Named flat parameters, nothing more.
#[derive(Debug)]
struct Bag {
    device: Device,
    values: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Bag {
    fn new(values: &[(&str, &[usize], &[f32])]) -> Self {
        let values = values
            .iter()
            .map(|(name, shape, values)| ((*name).to_owned(), (shape.to_vec(), values.to_vec())))
            .collect();
        Self { device: Device::flex(), values }
    }

    fn get(&self, name: &str) -> &[f32] {
        &self.values[name].1
    }

    fn gradients(&self, values: &[(&str, &[f32])]) -> Gradients {
        values
            .iter()
            .map(|(name, g)| ((*name).to_owned(), Tensor::from_floats(*g, &self.device)))
            .collect()
    }
}

impl Trainable for Bag {
    fn trainable_parameters(&self) -> Vec<ParameterInfo> {
        self.values
            .iter()
            .map(|(name, (shape, _))| ParameterInfo { name: name.clone(), shape: shape.clone() })
            .collect()
    }

    fn update_parameters(&mut self, update: &mut dyn FnMut(&str, Tensor<1>) -> Tensor<1>) {
        for (name, (_, values)) in &mut self.values {
            let tensor = Tensor::from_floats(values.as_slice(), &self.device);
            *values = update(name, tensor).into_data().try_into_vec().unwrap();
        }
    }

    fn parameter(&self, name: &str) -> Result<Tensor<1>, ModelError> {
        Ok(Tensor::from_floats(self.get(name), &self.device))
    }
}

/// The published update for one number, in f64, written anew.
struct Scalar {
    p: f64,
    m: f64,
    v: f64,
    t: i32,
}

impl Scalar {
    fn step(&mut self, g: f64, lr: f64, c: AdamWConfig, decay: bool) {
        self.t += 1;
        if decay {
            self.p -= lr * c.weight_decay * self.p;
        }
        self.m = c.beta1 * self.m + (1.0 - c.beta1) * g;
        self.v = c.beta2 * self.v + (1.0 - c.beta2) * g * g;
        let m_hat = self.m / (1.0 - c.beta1.powi(self.t));
        let v_hat = self.v / (1.0 - c.beta2.powi(self.t));
        self.p -= lr * m_hat / (v_hat.sqrt() + c.epsilon);
    }
}

const CONFIG: AdamWConfig =
    AdamWConfig { beta1: 0.9, beta2: 0.95, epsilon: 1e-6, weight_decay: 0.1 };

#[test]
fn steps_follow_the_published_update() {
    let mut bag = Bag::new(&[("norm", &[2], &[1.0, -2.0]), ("weight", &[1, 2], &[0.5, 3.0])]);
    let mut optimizer = AdamW::new(CONFIG);
    let start = [("norm", 0, 1.0), ("norm", 1, -2.0), ("weight", 0, 0.5), ("weight", 1, 3.0)];
    let mut scalars: Vec<Scalar> =
        start.iter().map(|(_, _, p)| Scalar { p: *p, m: 0.0, v: 0.0, t: 0 }).collect();
    let gradients = [[0.1, -0.2, 30.0, 0.0], [0.3, 0.2, -20.0, 1e-4], [-0.1, 0.1, 5.0, 1e-3]];
    for (step, g) in gradients.iter().enumerate() {
        let lr = 0.1 / (step + 1) as f64;
        let g32 = g.map(|x| x as f32);
        let grads = bag.gradients(&[("norm", &g32[..2]), ("weight", &g32[2..])]);
        optimizer.step(&mut bag, grads, lr, 0.5);
        for (index, scalar) in scalars.iter_mut().enumerate() {
            scalar.step(0.5 * g[index], lr, CONFIG, index >= 2);
        }
    }
    for ((name, at, _), scalar) in start.iter().zip(&scalars) {
        let found = f64::from(bag.get(name)[*at]);
        assert!((found - scalar.p).abs() < 2e-6, "{name}[{at}]: {found} against {}", scalar.p);
    }
}

#[test]
fn the_first_step_by_hand() {
    // Without epsilon the first update is lr times the sign of the gradient, whatever its size.
    let mut bag = Bag::new(&[("w", &[3], &[1.0, 1.0, 1.0])]);
    let config = AdamWConfig { beta1: 0.9, beta2: 0.999, epsilon: 1e-12, weight_decay: 0.5 };
    let grads = bag.gradients(&[("w", &[1e-3, -40.0, 2.0])]);
    AdamW::new(config).step(&mut bag, grads, 0.25, 1.0);
    for (found, expected) in bag.get("w").iter().zip([0.75, 1.25, 0.75]) {
        assert!((found - expected).abs() < 1e-6, "{found} against {expected}");
    }
}

#[test]
fn the_device_formula_equals_the_host_loop() {
    let device = Device::flex();
    let n = 1000;
    let wave = |k: f32| -> Vec<f32> { (0..n).map(|i| (i as f32 * k).sin()).collect() };
    let update =
        AdamW { config: CONFIG, step: 3, moments: BTreeMap::new() }.update(0.01, 0.3, true);
    let (mut p, g, mut m) = (wave(0.1), wave(0.7), wave(0.3));
    let mut v: Vec<f32> = wave(0.2).iter().map(|x| x * x).collect();
    let upload = |x: &[f32]| Tensor::<1>::from_floats(x, &device);
    let mut moments = DeviceMoments { mean: upload(&m), square: upload(&v) };
    let on_device = update.run_on_device(upload(&p), upload(&g), &mut moments);
    update.run(&mut p, &g, &mut m, &mut v);
    let same = |tensor: &Tensor<1>, host: &[f32]| {
        for (x, y) in download(tensor).iter().zip(host) {
            assert!((x - y).abs() <= 1e-6 * y.abs().max(1.0), "{x} against {y}");
        }
    };
    same(&on_device, &p);
    same(&moments.mean, &m);
    same(&moments.square, &v);
}

#[test]
fn a_restored_state_goes_on_bit_for_bit() {
    let values: Vec<f32> = (0..40_000).map(|i| (i as f32 * 0.01).cos()).collect();
    let gradient: Vec<f32> = values.iter().map(|x| x * x - 0.3).collect();
    let mut bag = Bag::new(&[("w", &[200, 200], &values)]);
    let mut optimizer = AdamW::new(CONFIG);
    let step = |bag: &mut Bag, optimizer: &mut AdamW| {
        let grads = bag.gradients(&[("w", &gradient)]);
        optimizer.step(bag, grads, 1e-3, 0.9);
    };
    step(&mut bag, &mut optimizer);
    step(&mut bag, &mut optimizer);
    let state: Vec<_> = optimizer
        .state()
        .map(|s| (s.name.to_owned(), s.mean.into_owned(), s.square.into_owned()))
        .collect();
    let mut restored = AdamW::new(CONFIG);
    restored.restore(optimizer.step_count(), state, &bag.device);
    let mut twin = Bag::new(&[("w", &[200, 200], bag.get("w"))]);
    step(&mut bag, &mut optimizer);
    step(&mut twin, &mut restored);
    assert!(bag.get("w").iter().zip(twin.get("w")).all(|(a, b)| a.to_bits() == b.to_bits()));
}

#[test]
fn parameters_without_gradient_stay() {
    let mut bag = Bag::new(&[("a", &[1], &[1.0]), ("b", &[1], &[2.0])]);
    let grads = bag.gradients(&[("a", &[1.0])]);
    let mut optimizer = AdamW::new(CONFIG);
    optimizer.step(&mut bag, grads, 0.1, 1.0);
    assert_eq!(bag.get("b"), [2.0]);
    assert_eq!(optimizer.state().count(), 1);
}

#[test]
fn the_norm_spans_all_parameters_and_names_the_bad_one() {
    let bag = Bag::new(&[]);
    let norm = gradient_norm(&bag.gradients(&[("a", &[3.0]), ("b", &[0.0, 4.0])])).unwrap();
    assert!((norm - 5.0).abs() < 1e-6);
    let big = gradient_norm(&bag.gradients(&[("a", &[1e30, 1e30])])).unwrap();
    assert!((big / (2f64.sqrt() * 1e30) - 1.0).abs() < 1e-6, "squares beyond f32");
    let error = gradient_norm(&bag.gradients(&[("a", &[1.0]), ("b", &[f32::NAN])])).unwrap_err();
    assert!(matches!(error, TrainError::GradientNotFinite { parameter } if parameter == "b"));
}
