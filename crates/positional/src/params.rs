//! Parameters of any rule, as plain optional values: the flags of a command line, the keys of a run
//! configuration and those of a `config.json` are all this one struct.

use alloc::vec::Vec;

use crate::error::RopeError;
use crate::method::{Method, join};

/// Defines the struct and, from the same list, everything that goes through all its fields.
macro_rules! params {
    ($($(#[$attribute:meta])* $name:ident: $kind:ty,)*) => {
        /// Parameters of a scaling, named as in Hugging Face configs. [`Method::parameters`] says
        /// which of them a method reads.
        ///
        /// With feature `serde` it is a map without the entries that are not set, and an unknown key
        /// is an error. With feature `clap` it is a group of flags, to be flattened into a command.
        ///
        /// ```
        /// use bestof_positional::{Method, RopeParams, RopeScaling};
        /// let params = RopeParams { factor: Some(4.0), ..RopeParams::default() };
        /// let yarn = RopeScaling::from_params(Method::Yarn, &params, Some(2048))?;
        /// assert_eq!(yarn.original_max_position_embeddings(), Some(2048));
        /// let missing = RopeScaling::from_params(Method::Yarn, &params, None).unwrap_err();
        /// assert!(missing.to_string().contains("original_max_position_embeddings"));
        /// # Ok::<(), bestof_positional::RopeError>(())
        /// ```
        #[derive(Debug, Clone, PartialEq, Default)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize))]
        #[cfg_attr(feature = "clap", derive(clap::Args))]
        pub struct RopeParams {
            $(
                #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
                #[cfg_attr(feature = "clap", arg(long, allow_negative_numbers = true))]
                $(#[$attribute])*
                pub $name: Option<$kind>,
            )*
        }

        impl RopeParams {
            /// The names of all parameters.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name)),*];

            /// The names of the parameters that are set.
            pub fn given(&self) -> impl Iterator<Item = &'static str> {
                [$(self.$name.is_some().then_some(stringify!($name))),*].into_iter().flatten()
            }

            /// Each parameter from here, or from `other` where it is not set here.
            #[must_use]
            pub fn or(self, other: Self) -> Self {
                Self { $($name: self.$name.or(other.$name)),* }
            }

            /// The parameters in a JSON map; other keys are passed over.
            ///
            /// # Errors
            /// [`RopeError::WrongType`] naming the key.
            #[cfg(feature = "serde")]
            pub(crate) fn read(map: &crate::json::Object) -> Result<Self, RopeError> {
                Ok(Self { $($name: crate::json::field(map, stringify!($name))?),* })
            }
        }

        #[cfg(feature = "serde")]
        impl<'de> serde::de::Visitor<'de> for Keys {
            type Value = RopeParams;

            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("a map of RoPE parameters")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<RopeParams, A::Error> {
                use serde::de::Error;
                let mut params = RopeParams::default();
                while let Some(key) = map.next_key::<alloc::string::String>()? {
                    // Within a flattened struct no one else says which key the error is about.
                    let of_key = |error: A::Error| A::Error::custom(format_args!("`{key}`: {error}"));
                    match key.as_str() {
                        $(stringify!($name) => params.$name = map.next_value().map_err(of_key)?,)*
                        _ => return Err(A::Error::unknown_field(&key, RopeParams::NAMES)),
                    }
                }
                Ok(params)
            }
        }
    };
}

#[cfg(feature = "serde")]
struct Keys;

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for RopeParams {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct("RopeParams", Self::NAMES, Keys)
    }
}

params! {
    /// How many times longer the context gets.
    factor: f64,
    /// Power scaling: the exponent, at least 0.
    power: f64,
    /// Truncation: length of pre-training, in tokens, from which the thresholds follow; the model's
    /// length where missing.
    #[cfg_attr(feature = "clap", arg(long = "truncate"))]
    truncate_length: usize,
    /// Truncation: frequencies at or below it become 0.
    a: f64,
    /// Truncation: frequencies at or above it are kept.
    b: f64,
    /// Truncation: the frequency given to those between.
    rho: f64,
    /// Length of pre-training, in tokens; the model's length where missing.
    original_max_position_embeddings: usize,
    /// llama3: number of turns below which a pair is divided.
    low_freq_factor: f64,
    /// llama3: number of turns above which a pair is kept.
    high_freq_factor: f64,
    /// yarn: number of turns from which on a pair is kept; 32 where missing.
    beta_fast: f64,
    /// yarn: number of turns below which a pair is interpolated; 1 where missing.
    beta_slow: f64,
    /// yarn: whether the ends of the ramp are rounded to whole pairs; true where missing.
    #[cfg_attr(feature = "clap", arg(long = "truncate-ramp"))]
    truncate: bool,
    /// yarn: weight of ln(factor) in the numerator of the attention factor.
    mscale: f64,
    /// yarn: weight of ln(factor) in its denominator.
    mscale_all_dim: f64,
    /// yarn, longrope: what cosine and sine are multiplied by.
    attention_factor: f64,
    /// longrope: divisors up to the original length, one per pair, separated by commas.
    #[cfg_attr(feature = "clap", arg(value_delimiter = ','))]
    short_factor: Vec<f64>,
    /// longrope: divisors beyond the original length, one per pair, separated by commas.
    #[cfg_attr(feature = "clap", arg(value_delimiter = ','))]
    long_factor: Vec<f64>,
    /// Share of each head that rotates, in (0, 1]; 1 where missing.
    partial_rotary_factor: f64,
    /// xpos: how much the decay of the fast pairs is weakened; 0.4 where missing.
    gamma: f64,
    /// xpos: number of positions over which a pair decays by its base; 512 where missing.
    scale_base: f64,
    /// xpos: the position with amplitude 1; 0 where missing.
    centre: f64,
    /// randomized: the smallest step between positions, in [0, 2); 0 where missing.
    smallest_step: f64,
    /// drope: c of the scale `1 + c ln(factor)` of attention scores; 0 where missing.
    logit_slope: f64,
}

impl RopeParams {
    /// Refuses parameters that the method does not read.
    ///
    /// # Errors
    /// [`RopeError::UnusedParameter`] naming the first such parameter.
    pub fn refuse_unused(&self, method: Method) -> Result<(), RopeError> {
        let accepted = method.parameters();
        match self.given().find(|key| !accepted.contains(key)) {
            None => Ok(()),
            Some(key) => {
                let accepted = match accepted {
                    [] => "no parameters".into(),
                    names => join(names),
                };
                Err(RopeError::UnusedParameter { rope_type: method.name(), key, accepted })
            }
        }
    }
}
