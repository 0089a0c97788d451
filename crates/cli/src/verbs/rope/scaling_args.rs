//! What scaling methods read, as flags.

use bestof_positional::RopeParams;

/// What a method reads; anything it does not read is refused.
#[derive(Debug, clap::Args)]
pub(crate) struct ScalingArgs {
    /// How many times longer the context gets
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) factor: Option<f64>,
    /// Exponent of power scaling
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) power: Option<f64>,
    /// Length from which truncation takes its thresholds
    #[arg(long)]
    pub(crate) truncate: Option<usize>,
    /// Truncation: frequencies at or below it stop
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) a: Option<f64>,
    /// Truncation: frequencies at or above it are kept
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) b: Option<f64>,
    /// Truncation: the frequency of those between
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) rho: Option<f64>,
    /// Length of pre-training
    #[arg(long)]
    pub(crate) original_max_position_embeddings: Option<usize>,
    /// llama3: turns below which a pair is divided
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) low_freq_factor: Option<f64>,
    /// llama3: turns above which a pair is kept
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) high_freq_factor: Option<f64>,
    /// yarn: turns from which on a pair is kept
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) beta_fast: Option<f64>,
    /// yarn: turns below which a pair is interpolated
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) beta_slow: Option<f64>,
    /// yarn: whether the ramp's ends are whole pairs
    #[arg(long)]
    pub(crate) truncate_ramp: Option<bool>,
    /// yarn: weight of the factor's logarithm above the fraction bar
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) mscale: Option<f64>,
    /// yarn: the same below it
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) mscale_all_dim: Option<f64>,
    /// yarn, longrope: what cosine and sine are multiplied by
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) attention_factor: Option<f64>,
    /// longrope: divisors up to the original length, with commas between
    #[arg(long, value_delimiter = ',')]
    pub(crate) short_factor: Option<Vec<f64>>,
    /// longrope: divisors beyond it
    #[arg(long, value_delimiter = ',')]
    pub(crate) long_factor: Option<Vec<f64>>,
}

impl ScalingArgs {
    /// The parameters that were given.
    pub(crate) fn read(&self) -> RopeParams {
        RopeParams {
            factor: self.factor,
            power: self.power,
            truncate_length: self.truncate,
            a: self.a,
            b: self.b,
            rho: self.rho,
            original_max_position_embeddings: self.original_max_position_embeddings,
            low_freq_factor: self.low_freq_factor,
            high_freq_factor: self.high_freq_factor,
            beta_fast: self.beta_fast,
            beta_slow: self.beta_slow,
            truncate: self.truncate_ramp,
            mscale: self.mscale,
            mscale_all_dim: self.mscale_all_dim,
            attention_factor: self.attention_factor,
            short_factor: self.short_factor.clone(),
            long_factor: self.long_factor.clone(),
            ..RopeParams::default()
        }
    }
}
