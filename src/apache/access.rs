//! Access control: who may, by address, name, password or group.

pub(crate) mod address;
