//! Placeholder
use super::{ModuleRow, Row};
pub(super) const MODULES: &[ModuleRow] = &[];
pub(super) const ROWS: &[Row] = &[];
