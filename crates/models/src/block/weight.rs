//! The weight matrix of a layer: a parameter of the module, or blocks that rest.

use bestof_blocks::GgmlType;
use bestof_kernels::{BlockWeight, Weight};
use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
    Param,
};
use burn::tensor::{Device, Tensor};

/// A weight matrix, `[out, in]`.
///
/// To burn a parameter is a parameter and blocks are constants: no visitor sees them, no optimiser
/// changes them, and they are in no record.
#[derive(Debug, Clone)]
pub(crate) enum WeightParam {
    Parameter(Param<Tensor<2>>),
    Blocks(BlockWeight),
}

impl WeightParam {
    /// Rows and columns, `[out, in]`.
    pub(crate) fn dims(&self) -> [usize; 2] {
        match self {
            Self::Parameter(parameter) => parameter.val().dims(),
            Self::Blocks(blocks) => blocks.dims(),
        }
    }

    /// What products are taken with.
    pub(crate) fn val(&self) -> Weight {
        match self {
            Self::Parameter(parameter) => Weight::Tensor(parameter.val()),
            Self::Blocks(blocks) => Weight::Blocks(blocks.clone()),
        }
    }

    /// All values, without automatic differentiation.
    pub(crate) fn values(&self) -> Tensor<2> {
        self.val().inner().values()
    }

    /// The type of the blocks, if it is blocks.
    pub(crate) fn ggml_type(&self) -> Option<GgmlType> {
        match self {
            Self::Parameter(_) => None,
            Self::Blocks(blocks) => Some(blocks.ggml_type()),
        }
    }

    /// Puts other values in place of these, as a parameter, beside others on `device`, which says
    /// whether there is automatic differentiation.
    pub(crate) fn set(&mut self, values: Tensor<2>, device: &Device) {
        let placed = |values: Tensor<2>| {
            if device.is_autodiff() { values.autodiff() } else { values }
        };
        *self = Self::Parameter(match self {
            Self::Parameter(parameter) => parameter.clone().map(|_| placed(values)),
            Self::Blocks(_) => Param::from_tensor(placed(values)).set_require_grad(false),
        });
    }
}

impl Module for WeightParam {
    fn collect_devices(&self, mut devices: Devices) -> Devices {
        match self {
            Self::Parameter(parameter) => parameter.collect_devices(devices),
            Self::Blocks(blocks) => {
                if !devices.contains(blocks.device()) {
                    devices.push(blocks.device().clone());
                }
                devices
            }
        }
    }

    fn fork(self, device: &Device) -> Self {
        match self {
            Self::Parameter(parameter) => Self::Parameter(parameter.fork(device)),
            Self::Blocks(blocks) => Self::Blocks(blocks.to_device(device)),
        }
    }

    fn to_device(self, device: &Device) -> Self {
        match self {
            Self::Parameter(parameter) => Self::Parameter(parameter.to_device(device)),
            Self::Blocks(blocks) => Self::Blocks(blocks.to_device(device)),
        }
    }

    fn train(self) -> Self {
        match self {
            Self::Parameter(parameter) => Self::Parameter(parameter.train()),
            blocks @ Self::Blocks(_) => blocks,
        }
    }

    fn valid(&self) -> Self {
        match self {
            Self::Parameter(parameter) => Self::Parameter(parameter.valid()),
            Self::Blocks(blocks) => Self::Blocks(blocks.clone()),
        }
    }

    fn materialize(self) -> Self {
        match self {
            Self::Parameter(parameter) => Self::Parameter(parameter.materialize()),
            blocks @ Self::Blocks(_) => blocks,
        }
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        if let Self::Parameter(parameter) = self {
            parameter.visit(visitor);
        }
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        match self {
            Self::Parameter(parameter) => Self::Parameter(Module::map(parameter, mapper)),
            blocks @ Self::Blocks(_) => blocks,
        }
    }
}

impl ModuleDisplayDefault for WeightParam {
    fn content(&self, content: Content) -> Option<Content> {
        match self {
            Self::Parameter(parameter) => parameter.content(content),
            Self::Blocks(blocks) => {
                let [out, width] = blocks.dims();
                content.add_single(&format!("{} [{out}, {width}]", blocks.ggml_type())).optional()
            }
        }
    }
}

impl ModuleDisplay for WeightParam {}
