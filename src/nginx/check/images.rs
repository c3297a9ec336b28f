//! Values of `image_filter` and its kin (`ngx_http_image_filter_module.c`). What holds a variable is looked at when a
//! request comes.

use super::{Block, Checker, Verdict, bad, show, value};
use crate::nginx::include::Placed;

impl<'a> Checker<'a> {
    /// `image_filter off | test | size | rotate ANGLE | resize WIDTH HEIGHT | crop WIDTH HEIGHT`.
    pub(super) fn image_filter(&mut self, directive: Placed<'a>, values: &[&'a [u8]], block: &Block<'a>) -> Verdict {
        let refused = |word: &[u8]| bad(format!("invalid parameter \"{}\"", show(word)));
        match *values {
            [b"off" | b"test" | b"size"] => Ok(()),
            [b"rotate", angle] => {
                self.text(angle, directive, block)?;
                let is_angle = matches!(positive(angle), Some(90 | 180 | 270));
                if is_angle || angle.contains(&b'$') { Ok(()) } else { refused(angle) }
            }
            [b"resize" | b"crop", width, height] => {
                for side in [width, height] {
                    self.text(side, directive, block)?;
                    if side != b"-" && positive(side).is_none() && !side.contains(&b'$') {
                        return refused(side);
                    }
                }
                Ok(())
            }
            [word, ..] => refused(word),
            [] => Ok(()),
        }
    }

    /// `image_filter_jpeg_quality`, `image_filter_webp_quality`; of `image_filter_sharpen`, any text is a number.
    pub(super) fn image_quality(&mut self, directive: Placed<'a>, text: &'a [u8], block: &Block<'a>) -> Verdict {
        self.text(text, directive, block)?;
        match positive(text).is_some() || text.contains(&b'$') {
            true => Ok(()),
            false => bad(format!("invalid value \"{}\"", show(text))),
        }
    }
}

fn positive(text: &[u8]) -> Option<i64> {
    value::number(text).filter(|number| *number > 0)
}
