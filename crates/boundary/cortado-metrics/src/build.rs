//! Which build runs.
//!
//! Start reading at [`Build`].

use crate::samples::{Samples, Source};

/// Which build runs: the family `cortado_build_info`.
#[derive(Clone, Copy, Debug)]
pub struct Build {
    /// The version of the software.
    pub version: &'static str,
    /// The commit that it was built from.
    pub revision: &'static str,
}

impl Source for Build {
    fn collect(&self, samples: &mut Samples<'_>) {
        let labels = [("version", self.version), ("revision", self.revision)];
        let help = "Always 1; the labels say which build runs";
        samples.gauges("cortado_build_info", help, |family| family.sample(&labels, 1_u64));
    }
}
