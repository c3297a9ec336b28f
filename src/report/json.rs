//! The same answers as one JSON document: an object for one question, an array for several.

use std::io::{self, Write};

use serde::Serialize;

/// Writes one answer, indented.
pub fn write(out: &mut dyn Write, answer: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, answer)?;
    out.write_all(b"\n")
}
