//! Post-read: realip, for the settings of the server.

use super::super::realip;
use super::super::request::{Cx, Flow, HttpRequest};
use super::opaque;

pub(super) fn post_read<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
    opaque::server(r, cx)?;
    realip::handler(r, cx)
}
