//! What answers: mod_dir, mod_autoindex, CGI, send-as-is, the core's default handler (modules/generators, mod_dir).

pub(crate) mod asis;
pub(crate) mod autoindex;
pub(crate) mod cgi;
pub(crate) mod dav;
pub(crate) mod default_handler;
pub(crate) mod dir;
pub(crate) mod include;
