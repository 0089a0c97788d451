//! Linear layers with an adapter of low rank, as one operation.

use burn::tensor::Tensor;

#[cfg(feature = "cpu")]
use crate::decoder::product_of;
use crate::weight::Weight;
#[cfg(feature = "cpu")]
use crate::{cpu, custom::Inputs};

impl Weight {
    /// `x w^T + s x a^T b^T`, `[rows, out]`, of `x`, `[rows, in]`, for `a: [rank, in]` and `b: [out, rank]`, in the type
    /// of `x`. Source: Hu et al. 2021, arXiv:2106.09685, equation 3.
    ///
    /// On the CPU in f32 this is one operation: what the adapter adds, to the outputs and to the gradient by `x`, is
    /// added where they are, and not made as a tensor of its own. The gradient flows to whatever has one.
    ///
    /// ```
    /// use bestof_kernels::Weight;
    /// use burn::tensor::{Device, Tensor};
    ///
    /// let device = Device::flex().autodiff();
    /// let ones = |rows, width| Tensor::<2>::ones([rows, width], &device);
    /// let (a, b) = (ones(1, 3).require_grad(), ones(2, 1).require_grad());
    /// let y = Weight::from(ones(2, 3)).linear_with_low_rank(ones(4, 3), &a, &b, 0.5);
    /// assert_eq!(y.clone().into_data().to_vec::<f32>().unwrap(), [4.5; 8]);
    /// let gradients = y.sum().backward();
    /// assert_eq!(a.grad(&gradients).unwrap().into_data().to_vec::<f32>().unwrap(), [4.0; 3]);
    /// ```
    pub fn linear_with_low_rank(
        &self,
        x: Tensor<2>,
        a: &Tensor<2>,
        b: &Tensor<2>,
        scale: f64,
    ) -> Tensor<2> {
        #[cfg(feature = "cpu")]
        if [&x, a, b].into_iter().all(|x| cpu::Route::of(x).is_some()) {
            return fused(self, x, [a, b], scale as f32);
        }
        let down = Self::from(a.clone()).linear(x.clone()).mul_scalar(scale);
        self.linear(x).add(Self::from(b.clone()).linear(down))
    }
}

#[cfg(feature = "cpu")]
fn fused(weight: &Weight, x: Tensor<2>, [a, b]: [&Tensor<2>; 2], scale: f32) -> Tensor<2> {
    let mut inputs = Inputs::new();
    let by_x = inputs.add(&x);
    inputs.add(a);
    inputs.add(b);
    let trained = match weight {
        Weight::Tensor(weight) => inputs.add(weight),
        Weight::Blocks(_) => false,
    };
    let (weight, x, a, b) =
        (weight.clone().inner(), x.inner(), a.clone().inner(), b.clone().inner());
    let b = cpu::laid_out(b.transpose());
    let (y, down) = cpu::add_low_rank(weight.linear(x.clone()), &x, [&a, &b], scale);
    inputs.differentiable(y, move |dy: Tensor<2>| {
        let dx = if by_x { weight.times(dy.clone()) } else { Tensor::zeros(x.dims(), &x.device()) };
        let (dx, up) = cpu::add_low_rank(dx, &dy, [&b, &a], scale);
        let [da, db] = cpu::outer_sums([(&up, &x), (&down, &dy)]);
        let dw = trained.then(|| product_of(dy.transpose(), x).into());
        vec![
            by_x.then(|| dx.into()),
            Some(da.into()),
            Some(cpu::laid_out(db.transpose()).into()),
            dw,
        ]
    })
}
