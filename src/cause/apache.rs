//! The causes of apache.

use super::Cause;

/// Every cause of apache.
pub const CAUSES: &[&Cause] = &[];
