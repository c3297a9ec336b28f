//! `ngx_http_gunzip_filter_module`: files of gzip for clients that do not take it.

use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::super::request::{Cx, Flow, HttpRequest, Leave, Method};
use crate::cause::nginx as causes;
use crate::fact::{Fact, Question, Subject};
use crate::outcome::Decision;

/// A file up to this size is looked into, in bytes.
const MOST_READ: u64 = 8 << 20;
/// More than this is not unpacked, in bytes.
const MOST_UNPACKED: u64 = 256 << 20;
/// What is broken within so many bytes of what it unpacks to is found before anything was sent, in bytes: one of
/// `gunzip_buffers`.
const UNSENT: u64 = 4096;

/// What a file of gzip is worth.
#[derive(Debug, PartialEq, Eq)]
enum Contents {
    Whole,
    /// Broken behind so many bytes.
    Broken(u64),
    TooMuch,
}

/// Unpacks a file that was found by `gzip_static`, where the client needs it. One that is broken closes the connection,
/// unless the header of the response was sent before (case `files-that-cannot-be-unpacked`).
pub(in crate::nginx) fn unpack<'a>(path: &Path, r: &HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
    let gunzip = r.conf.content.gunzip;
    if !gunzip.value || r.method == Method::HEAD || r.conf.filters.gzip_clients().accept(r, cx)? {
        return ControlFlow::Continue(());
    }
    let contents = match cx.disk.read(path, MOST_READ) {
        Ok(Fact::Known(bytes)) => contents(&bytes),
        Ok(Fact::Unknown(_)) | Err(_) => Contents::TooMuch,
    };
    let broken = match contents {
        Contents::Whole => false,
        Contents::Broken(behind) if behind < UNSENT => true,
        Contents::Broken(_) | Contents::TooMuch => {
            let question = Question::at(Subject::Other(format!("what is in {}", path.display())), gunzip.origin);
            cx.inquiry.choose(question, &["its beginning can be unpacked", "it cannot be unpacked"]) == 1
        }
    };
    if !broken {
        return ControlFlow::Continue(());
    }
    let mut decision = Decision::new(causes::GUNZIP_FAILED).by(gunzip.origin).with(r.related());
    decision.path = Some(path.to_owned());
    ControlFlow::Break(Leave::Closed(Box::new(decision)))
}

/// One member after the other up to the end of the file, with their sums and lengths.
fn contents(bytes: &[u8]) -> Contents {
    let mut decoder = MultiGzDecoder::new(bytes).take(MOST_UNPACKED);
    let mut buffer = [0; 16 << 10];
    let mut unpacked = 0;
    loop {
        match decoder.read(&mut buffer) {
            Ok(0) if decoder.limit() == 0 => return Contents::TooMuch,
            Ok(0) => return Contents::Whole,
            Ok(count) => unpacked += count as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Contents::Broken(unpacked),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn whole_files_and_broken_ones() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(b"hello hello hello").expect("memory");
        let whole = encoder.finish().expect("memory");
        assert_eq!(contents(&whole), Contents::Whole);
        assert_eq!(contents(&[&whole[..], &whole].concat()), Contents::Whole);
        for broken in [&b""[..], b"text", &whole[..whole.len() - 1], &[&whole[..], b"\0"].concat()] {
            assert!(matches!(contents(broken), Contents::Broken(_)), "{}", broken.escape_ascii());
        }
    }
}
