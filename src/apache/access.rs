//! Who may: the access, authentication and authorization modules, one file each (modules/aaa).

pub(crate) mod address;
pub(crate) mod allowmethods;
pub(crate) mod authn;
pub(crate) mod authz_core;
pub(crate) mod compat;
pub(crate) mod digest;
pub(crate) mod form;
pub(crate) mod providers;
pub(crate) mod ssl;
