//! Names of devices: `cpu`, `wgpu`, `vulkan`, `cuda`, with a number as in `cuda:1`.

use burn::tensor::Device;

/// Why a device could not be opened.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceError {
    /// No device has that name.
    #[error("device `{found}` is not known; known are cpu, wgpu, vulkan and cuda")]
    Unknown {
        /// The name given.
        found: String,
    },
    /// What follows the colon is no number.
    #[error("device `{found}`: after the colon stands a number, as in `cuda:0`")]
    Number {
        /// The name given.
        found: String,
    },
    /// The device's feature was left out of this build.
    #[error(
        "this program was built without `{feature}`; build it with \
         `cargo build --release -p bestof --features {feature}` \
         (`cargo xtask VERB --device {feature}` does so by itself)"
    )]
    NotBuilt {
        /// The cargo feature to build with.
        feature: &'static str,
    },
}

/// The device called `name`.
///
/// `wgpu` and `vulkan` without a number take the best adapter there is, with one the discrete
/// adapter of that number.
///
/// # Errors
/// [`DeviceError`], which names the cargo feature when it is one of this build that is missing.
///
/// ```
/// use bestof_models::open_device;
/// assert!(open_device("cpu").is_ok());
/// assert!(open_device("tpu").unwrap_err().to_string().contains("known are cpu"));
/// ```
pub fn open_device(name: &str) -> Result<Device, DeviceError> {
    let (kind, number) = match name.split_once(':') {
        None => (name, None),
        Some((kind, number)) => {
            let number = number
                .parse::<usize>()
                .map_err(|_| DeviceError::Number { found: name.to_owned() })?;
            (kind, Some(number))
        }
    };
    match kind {
        "cpu" => cpu(),
        "wgpu" => wgpu(number),
        "vulkan" => vulkan(number),
        "cuda" => cuda(number.unwrap_or(0)),
        _ => Err(DeviceError::Unknown { found: name.to_owned() }),
    }
}

#[cfg(feature = "cpu")]
#[expect(clippy::unnecessary_wraps, reason = "without the feature it fails")]
fn cpu() -> Result<Device, DeviceError> {
    Ok(Device::flex())
}

#[cfg(not(feature = "cpu"))]
fn cpu() -> Result<Device, DeviceError> {
    Err(DeviceError::NotBuilt { feature: "cpu" })
}

#[cfg(feature = "cuda")]
#[expect(clippy::unnecessary_wraps, reason = "without the feature it fails")]
fn cuda(number: usize) -> Result<Device, DeviceError> {
    Ok(Device::cuda(number))
}

#[cfg(not(feature = "cuda"))]
fn cuda(_: usize) -> Result<Device, DeviceError> {
    Err(DeviceError::NotBuilt { feature: "cuda" })
}

#[cfg(any(feature = "wgpu", feature = "vulkan"))]
fn adapter(number: Option<usize>) -> burn::tensor::DeviceKind {
    number.map_or(burn::tensor::DeviceKind::DefaultDevice, burn::tensor::DeviceKind::DiscreteGpu)
}

#[cfg(feature = "wgpu")]
#[expect(clippy::unnecessary_wraps, reason = "without the feature it fails")]
fn wgpu(number: Option<usize>) -> Result<Device, DeviceError> {
    Ok(Device::wgpu(adapter(number)))
}

#[cfg(not(feature = "wgpu"))]
fn wgpu(_: Option<usize>) -> Result<Device, DeviceError> {
    Err(DeviceError::NotBuilt { feature: "wgpu" })
}

#[cfg(feature = "vulkan")]
#[expect(clippy::unnecessary_wraps, reason = "without the feature it fails")]
fn vulkan(number: Option<usize>) -> Result<Device, DeviceError> {
    Ok(Device::vulkan(adapter(number)))
}

#[cfg(not(feature = "vulkan"))]
fn vulkan(_: Option<usize>) -> Result<Device, DeviceError> {
    Err(DeviceError::NotBuilt { feature: "vulkan" })
}

#[cfg(test)]
mod tests {
    use super::{DeviceError, open_device};

    #[test]
    fn a_bad_name_says_what_is_wrong() {
        let unknown = open_device("tpu").unwrap_err();
        assert_eq!(unknown, DeviceError::Unknown { found: "tpu".into() });
        assert!(matches!(open_device("cuda:x").unwrap_err(), DeviceError::Number { .. }));
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_device_left_out_names_its_feature() {
        let message = open_device("cuda:0").unwrap_err().to_string();
        assert!(message.contains("--features cuda"), "{message}");
    }
}
