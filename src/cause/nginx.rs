//! The causes of nginx.

use super::Cause;

/// Every cause of nginx.
pub const CAUSES: &[&Cause] = &[];
