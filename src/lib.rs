//! why403: which status nginx or Apache httpd answers, which directive decides it, and a fix that was tried.
//!
//! The tour: a configuration is loaded once ([`server`]), one pure function evaluates a [`request::Request`] in a
//! [`world::World`] to a [`outcome::Run`], and everything else (blame, certainty, fixes, lint) runs it again.

pub mod apache;
pub mod ask;
pub mod calendar;
pub mod capture;
pub mod cause;
pub mod cli;
pub mod client_cert;
pub mod explain;
pub mod fact;
pub mod finding;
pub mod fix;
pub mod fs;
pub mod identity;
pub mod ipset;
pub mod lint;
pub mod nginx;
pub mod outcome;
pub mod password;
pub mod pattern;
pub mod problem;
pub mod recognise;
pub mod report;
pub mod request;
pub mod rules;
pub mod sentence;
pub mod server;
pub mod source;
pub mod syntax;
pub mod trace;
pub mod world;
