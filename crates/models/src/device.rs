//! Names of devices: `cpu`, `wgpu`, `vulkan`, `cuda`, with a number as in `cuda:1`.

use burn::tensor::{DType, Device};

/// Why a device could not be opened or used.
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
    /// The machine has no such device.
    #[error("device `{found}`: {reason}")]
    Missing {
        /// The name given.
        found: String,
        /// What the machine has.
        reason: String,
    },
    /// The device does not compute in a float type.
    #[error("device `{device}` does not compute in {dtype}; it computes in {supported}")]
    FloatType {
        /// The device's name.
        device: String,
        /// The float type asked for.
        dtype: &'static str,
        /// The float types that it computes in.
        supported: String,
    },
}

/// The device called `name`.
///
/// `wgpu` and `vulkan` without a number take the best adapter there is, with one the discrete
/// adapter of that number.
///
/// # Errors
/// [`DeviceError`], which names the cargo feature when it is one of this build that is missing, and what
/// the machine has when it has no such device.
///
/// ```
/// use bestof_models::open_device;
/// assert!(open_device("cpu").is_ok());
/// assert!(open_device("tpu").unwrap_err().to_string().contains("known are cpu"));
/// ```
pub fn open_device(name: &str) -> Result<Device, DeviceError> {
    open(name, None)
}

/// The device called `name` for one of several processes of a machine, counted from 0: with a number in its
/// name that one, else each process takes the next device of its kind, and the first again after the last.
///
/// # Errors
/// As [`open_device`].
pub fn open_device_of(name: &str, process: usize) -> Result<Device, DeviceError> {
    open(name, Some(process))
}

fn open(name: &str, process: Option<usize>) -> Result<Device, DeviceError> {
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
        "wgpu" => wgpu(name, number, process),
        "vulkan" => vulkan(name, number, process),
        "cuda" => cuda(name, number, process),
        _ => Err(DeviceError::Unknown { found: name.to_owned() }),
    }
}

/// Whether a device computes in a float type: stores, converts and calculates. `name` is what the user
/// called it.
///
/// # Errors
/// [`DeviceError::FloatType`], which lists the types that it computes in.
///
/// ```
/// use bestof_models::{check_float_type, open_device};
/// use burn::tensor::DType;
/// check_float_type("cpu", &open_device("cpu")?, DType::BF16)?;
/// # Ok::<(), bestof_models::DeviceError>(())
/// ```
pub fn check_float_type(name: &str, device: &Device, dtype: DType) -> Result<(), DeviceError> {
    if device.supports_dtype(dtype) {
        return Ok(());
    }
    let types = [DType::F64, DType::F32, DType::F16, DType::BF16];
    let supported: Vec<&str> =
        types.into_iter().filter(|t| device.supports_dtype(*t)).map(|t| t.name()).collect();
    let supported = supported.join(", ");
    Err(DeviceError::FloatType { device: name.to_owned(), dtype: dtype.name(), supported })
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
fn cuda(name: &str, number: Option<usize>, process: Option<usize>) -> Result<Device, DeviceError> {
    let count = Device::enumerate(burn::tensor::DeviceType::Cuda).len();
    let number = number.unwrap_or_else(|| process.unwrap_or(0) % count.max(1));
    if number < count {
        return Ok(Device::cuda(number));
    }
    let reason = match count {
        0 => "there is no NVIDIA GPU, or no driver for it".to_owned(),
        _ => format!("this machine has {count} NVIDIA GPUs, counted from `cuda:0`"),
    };
    Err(DeviceError::Missing { found: name.to_owned(), reason })
}

#[cfg(not(feature = "cuda"))]
fn cuda(_: &str, _: Option<usize>, _: Option<usize>) -> Result<Device, DeviceError> {
    Err(DeviceError::NotBuilt { feature: "cuda" })
}

/// The adapter of a number among those that `api` reaches.
#[cfg(any(feature = "wgpu", feature = "vulkan"))]
fn adapter(
    name: &str,
    number: Option<usize>,
    process: Option<usize>,
    api: burn::tensor::DeviceType,
    open: fn(burn::tensor::DeviceKind) -> Device,
) -> Result<Device, DeviceError> {
    use burn::tensor::DeviceKind;

    let found = Device::enumerate(api).into_vec();
    let missing = |reason| Err(DeviceError::Missing { found: name.to_owned(), reason });
    if found.is_empty() {
        return missing(
            "no adapter has a driver for it; Debian's package mesa-vulkan-drivers brings those of \
             Mesa, with one that computes on the CPU"
                .to_owned(),
        );
    }
    let discrete = |number| open(DeviceKind::DiscreteGpu(number));
    let count = (0..found.len()).filter(|&number| found.contains(&discrete(number))).count();
    let of_process = process.filter(|_| count > 1).map(|process| process % count);
    let Some(number) = number.or(of_process) else { return Ok(open(DeviceKind::DefaultDevice)) };
    if found.contains(&discrete(number)) {
        return Ok(discrete(number));
    }
    missing(format!(
        "this machine has {count} discrete adapters of {}, counted from 0; the name without a number \
         takes the best adapter of any kind",
        found.len()
    ))
}

#[cfg(feature = "wgpu")]
fn wgpu(name: &str, number: Option<usize>, process: Option<usize>) -> Result<Device, DeviceError> {
    adapter(name, number, process, burn::tensor::DeviceType::Wgpu, Device::wgpu)
}

#[cfg(not(feature = "wgpu"))]
fn wgpu(_: &str, _: Option<usize>, _: Option<usize>) -> Result<Device, DeviceError> {
    Err(DeviceError::NotBuilt { feature: "wgpu" })
}

#[cfg(feature = "vulkan")]
fn vulkan(
    name: &str,
    number: Option<usize>,
    process: Option<usize>,
) -> Result<Device, DeviceError> {
    adapter(name, number, process, burn::tensor::DeviceType::Vulkan, Device::vulkan)
}

#[cfg(not(feature = "vulkan"))]
fn vulkan(_: &str, _: Option<usize>, _: Option<usize>) -> Result<Device, DeviceError> {
    Err(DeviceError::NotBuilt { feature: "vulkan" })
}

#[cfg(test)]
mod tests {
    use super::{DeviceError, open_device, open_device_of};

    #[test]
    fn a_bad_name_says_what_is_wrong() {
        assert_eq!(open_device_of("cpu", 3).unwrap(), open_device("cpu").unwrap());
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
