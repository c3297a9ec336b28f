//! `ngx_http_browser_module`, as far as the header alone decides.

use super::super::request::{Cx, HttpRequest};
use super::Value;

/// `$msie`: `1` for an Internet Explorer that is not Opera in disguise.
pub(super) fn msie<'a>(r: &mut HttpRequest<'a>, _: &mut Cx<'a>) -> Value {
    let Some(agent) = r.header(b"User-Agent") else { return Value::text("") };
    let holds = |needle: &[u8]| agent.windows(needle.len()).any(|part| part == needle);
    Value::text(if holds(b"MSIE ") && !holds(b"Opera") { "1" } else { "" })
}
