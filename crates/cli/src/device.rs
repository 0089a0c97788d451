//! `--device`: which processor does the work.

use anyhow::Result;
use bestof_models::Device;

use crate::console::Usage;

/// The device of a verb.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DeviceArg {
    /// `cpu`, `wgpu`, `vulkan` or `cuda`, with a number as in `cuda:1`
    #[arg(long, env = "BESTOF_DEVICE", default_value = "cpu")]
    pub(crate) device: String,
}

impl DeviceArg {
    /// The device, or an error that names the feature it needs.
    pub(crate) fn open(&self) -> Result<Device> {
        crate::ranks::ranks()
            .open_device(&self.device)
            .map_err(|error| anyhow::Error::new(Usage(error.to_string())))
    }
}
