//! Steps against an f64 rewrite, clipping, and what is decayed.

use burn::module::Param;
use burn::nn::LinearConfig;
use burn::optim::{GradientsParams, ModuleOptimizer};

use super::*;

/// A vector and a matrix.
#[derive(Module, Debug)]
struct Bag {
    norm: Param<Tensor<1>>,
    weight: Param<Tensor<2>>,
}

impl Bag {
    fn new(norm: &[f32], weight: &[f32]) -> Self {
        let device = Device::flex().autodiff();
        let weight = Tensor::<1>::from_floats(weight, &device).unsqueeze();
        Self {
            norm: Param::from_tensor(Tensor::from_floats(norm, &device)),
            weight: Param::from_tensor(weight),
        }
    }

    fn norm(&self) -> Vec<f32> {
        host_values(self.norm.val().inner())
    }

    fn weight(&self) -> Vec<f32> {
        host_values(self.weight.val().inner())
    }
}

fn gradients(values: &[(&str, &[f32])]) -> NamedGradients {
    let flat = |g: &[f32]| Tensor::from_floats(g, &Device::flex());
    values.iter().map(|(name, g)| ((*name).to_owned(), flat(g))).collect()
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
    let mut bag = Bag::new(&[1.0, -2.0], &[0.5, 3.0]);
    let mut optimizer = NamedAdamW::new(CONFIG);
    let mut scalars = [1.0, -2.0, 0.5, 3.0].map(|p| Scalar { p, m: 0.0, v: 0.0, t: 0 });
    let steps = [[0.1, -0.2, 30.0, 0.0], [0.3, 0.2, -20.0, 1e-4], [-0.1, 0.1, 5.0, 1e-3]];
    for (step, g) in steps.iter().enumerate() {
        let lr = 0.1 / (step + 1) as f64;
        let g32 = g.map(|x| x as f32);
        let grads = gradients(&[("norm", &g32[..2]), ("weight", &g32[2..])]);
        optimizer.step(&mut bag, grads, &|_| lr, 0.5);
        for (index, scalar) in scalars.iter_mut().enumerate() {
            scalar.step(0.5 * g[index], lr, CONFIG, index >= 2);
        }
    }
    for (found, scalar) in [bag.norm(), bag.weight()].concat().into_iter().zip(&scalars) {
        let found = f64::from(found);
        assert!((found - scalar.p).abs() < 2e-6, "{found} against {}", scalar.p);
    }
}

#[test]
fn the_first_step_by_hand() {
    // Without epsilon the first update is lr times the sign of the gradient, whatever its size.
    let mut bag = Bag::new(&[1.0, 1.0, 1.0], &[0.0]);
    let config = AdamWConfig { beta1: 0.9, beta2: 0.999, epsilon: 1e-12, weight_decay: 0.5 };
    let grads = gradients(&[("norm", &[1e-3, -40.0, 2.0])]);
    NamedAdamW::new(config).step(&mut bag, grads, &|_| 0.25, 1.0);
    for (found, expected) in bag.norm().iter().zip([0.75, 1.25, 0.75]) {
        assert!((found - expected).abs() < 1e-6, "{found} against {expected}");
    }
}

#[test]
fn the_device_formula_equals_the_host_loop() {
    let device = Device::flex();
    let n = 1000;
    let wave = |k: f32| -> Vec<f32> { (0..n).map(|i| (i as f32 * k).sin()).collect() };
    let update = CONFIG.update(3, 0.01, 0.3, true);
    let (mut p, g, mut m) = (wave(0.1), wave(0.7), wave(0.3));
    let mut v: Vec<f32> = wave(0.2).iter().map(|x| x * x).collect();
    let upload = |x: &[f32]| Tensor::<1>::from_floats(x, &device);
    let mut moments = DeviceMoments { mean: upload(&m), square: upload(&v) };
    let on_device = update.run_on_device(upload(&p), upload(&g), &mut moments);
    update.run(&mut p, &g, &mut m, &mut v);
    let same = |tensor: &Tensor<1>, host: &[f32]| {
        for (x, y) in host_values(tensor.clone()).iter().zip(host) {
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
    let mut bag = Bag::new(&[0.0], &values);
    let mut optimizer = NamedAdamW::new(CONFIG);
    let step = |bag: &mut Bag, optimizer: &mut NamedAdamW| {
        let grads = gradients(&[("weight", &gradient)]);
        optimizer.step(bag, grads, &|_| 1e-3, 0.9);
    };
    step(&mut bag, &mut optimizer);
    step(&mut bag, &mut optimizer);
    let state: Vec<_> = optimizer
        .state()
        .map(|s| (s.name.to_owned(), s.mean.into_owned(), s.square.into_owned()))
        .collect();
    let mut restored = NamedAdamW::new(CONFIG);
    restored.restore(optimizer.step_count(), state, &Device::flex());
    let mut twin = Bag::new(&[0.0], &bag.weight());
    step(&mut bag, &mut optimizer);
    step(&mut twin, &mut restored);
    assert!(bag.weight().iter().zip(twin.weight()).all(|(a, b)| a.to_bits() == b.to_bits()));
}

/// burn's driver with the fused update gives what the trainer's own does, and goes on from its
/// record.
#[test]
fn as_burns_optimiser_it_makes_the_same_steps() {
    let device = Device::flex().autodiff();
    let input = Tensor::<2>::from_floats([[0.5, -1.0, 2.0]], &device);
    let mut theirs = LinearConfig::new(3, 2).init(&device);
    let mut ours = theirs.clone();
    let mut by_burn = ModuleOptimizer::from(AdamW::new(CONFIG));
    let mut by_name = NamedAdamW::new(CONFIG);
    for step in 0..4 {
        let lr = 0.1 / f64::from(step + 1);
        let backward = |model: &burn::nn::Linear| {
            let loss = model.forward(input.clone()).powi_scalar(2).sum();
            GradientsParams::from_grads(loss.backward(), model)
        };
        let found = backward(&theirs);
        theirs = by_burn.step(lr, theirs, found);
        let mut named = NamedGradients::default();
        named.accumulate(&ours, backward(&ours));
        by_name.step(&mut ours, named, &|_| lr, 1.0);
        let bits = |model: &burn::nn::Linear| -> Vec<u32> {
            host_values(model.weight.val().inner()).into_iter().map(f32::to_bits).collect()
        };
        assert_eq!(bits(&theirs), bits(&ours), "step {step}");
        let bytes = by_burn.into_bytes().unwrap();
        by_burn = ModuleOptimizer::from(AdamW::new(CONFIG)).from_bytes(bytes).unwrap();
    }
}

#[test]
fn parameters_without_gradient_stay() {
    let mut bag = Bag::new(&[1.0], &[2.0]);
    let mut optimizer = NamedAdamW::new(CONFIG);
    optimizer.step(&mut bag, gradients(&[("norm", &[1.0])]), &|_| 0.1, 1.0);
    assert_eq!(bag.weight(), [2.0]);
    assert_eq!(optimizer.state().count(), 1);
}
