//! The same answers as one JSON document: an object for one question, an array for several.

use std::io::{self, Write};

use serde::Serialize;

/// Writes one answer, indented.
pub fn write(out: &mut dyn Write, answer: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, answer)?;
    out.write_all(b"\n")
}

/// An array that is written as its members come.
#[derive(Debug, Default)]
pub struct List {
    begun: bool,
}

impl List {
    /// What stands in front of the next member.
    pub fn next(&mut self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(if std::mem::replace(&mut self.begun, true) { b"," } else { b"[" })
    }

    /// What stands after the last one.
    pub fn end(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(if self.begun { b"]\n" } else { b"[]\n" })
    }
}
