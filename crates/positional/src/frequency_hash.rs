//! A hash that tells whether two bases rotate a model's heads in the same way.

use alloc::string::{String, ToString};

use sha2::{Digest, Sha256};

use crate::basis::STANDSTILL;
use crate::{Rope, RopeConfig, RopeError, RopeTable};

impl Rope {
    /// SHA-256, in hex, of the frequencies, the attention factor and any decay.
    ///
    /// A checkpoint that stores it can tell when its model is about to run on other frequencies.
    /// A basis that depends on length is hashed at lengths on both sides of its change.
    ///
    /// ```
    /// use bestof_positional::RopeConfig;
    /// let hash = RopeConfig::new(64, 10_000.0).build()?.frequency_hash();
    /// assert_eq!(hash.len(), 64);
    /// assert_ne!(hash, RopeConfig::new(64, 500_000.0).build()?.frequency_hash());
    /// # Ok::<(), bestof_positional::RopeError>(())
    /// ```
    ///
    /// # Numerics
    /// Values are hashed as f32, the precision models compute them in, and frequencies below 2e-30
    /// as 0; so a basis and its export have the same hash although their last bits differ.
    pub fn frequency_hash(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update(b"rope frequencies 1");
        let mut add = |value: f64| hasher.update((value as f32).to_bits().to_le_bytes());
        for length in self.basis().probe_lengths() {
            let RopeTable { inv_freq, attention_factor } = self.table(length);
            add(inv_freq.len() as f64);
            inv_freq.iter().map(|f| if f.abs() < STANDSTILL { 0.0 } else { *f }).for_each(&mut add);
            add(attention_factor);
        }
        if let Some(decay) = self.basis().decay() {
            [decay.gamma, decay.scale_base].into_iter().for_each(&mut add);
        }
        hasher.finalize().iter().flat_map(|byte| hex(*byte)).collect()
    }

    /// Checks the basis against a stored hash.
    ///
    /// # Errors
    /// [`RopeError::FrequencyMismatch`] with both hashes.
    pub fn verify_frequency_hash(&self, stored: &str) -> Result<(), RopeError> {
        let found = self.frequency_hash();
        if found.eq_ignore_ascii_case(stored) {
            Ok(())
        } else {
            Err(RopeError::FrequencyMismatch { expected: stored.to_string(), found })
        }
    }
}

impl RopeConfig {
    /// [`Rope::frequency_hash`] of the basis this config builds.
    ///
    /// # Errors
    /// Those of [`RopeConfig::build`].
    pub fn frequency_hash(&self) -> Result<String, RopeError> {
        Ok(self.build()?.frequency_hash())
    }
}

fn hex(byte: u8) -> [char; 2] {
    [byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))
}
