//! `geoip2 DATABASE { $variable [default=V] [source=$address] path…; }` of ngx_http_geoip2_module: a value out of a
//! MaxMind database, where that file can be read. The file is read when the first variable of it is needed.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use maxminddb::{PathElement, Reader};

use super::super::complex::{ComplexValue, Evaluated};
use super::super::inet;
use super::super::mapping::{full_name, path_from};
use super::super::request::{Cx, HttpRequest};
use super::super::variables::{self, Definition, Table, Value};
use super::Entry;
use crate::fact::{Fact, Question, Subject};
use crate::fs::Bytes;
use crate::request::Peer;
use crate::source::Origin;

/// The largest database that is read, in bytes.
pub(in crate::nginx) const LARGEST: u64 = 256 << 20;

/// One variable of a database.
#[derive(Debug)]
pub struct Lookup {
    database: Arc<Database>,
    source: Option<ComplexValue>,
    default: Option<Box<[u8]>>,
    path: Vec<String>,
    origin: Origin,
}

#[derive(Debug)]
struct Database {
    file: Box<[u8]>,
    reader: OnceLock<Option<Reader<Bytes>>>,
}

/// Reads the block of a database and defines its variables.
pub(super) fn define(database: &[u8], lines: &[Entry], table: &mut Table) {
    let database = Arc::new(Database { file: database.into(), reader: OnceLock::new() });
    for line in lines {
        let [name, rest @ ..] = &*line.words else { continue };
        let Some(name) = name.strip_prefix(b"$") else { continue };
        let option = |key: &[u8]| rest.iter().find_map(|word| word.strip_prefix(key));
        let is_option = |word: &[u8]| word.starts_with(b"default=") || word.starts_with(b"source=");
        let path = rest.iter().filter(|word| !is_option(word)).map(|word| variables::shown(word)).collect();
        let lookup = Lookup {
            database: database.clone(),
            source: option(b"source=").map(|source| ComplexValue::compile(source, table)),
            default: option(b"default=").map(Box::from),
            path,
            origin: line.origin,
        };
        table.define(name, Definition::Database(Box::new(lookup)), Some(line.origin));
    }
}

/// Whether these are the bytes of a database.
pub(in crate::nginx) fn is_database(bytes: &[u8]) -> bool {
    Reader::from_source(bytes).is_ok()
}

impl Lookup {
    /// The value for this request; unknown where the database cannot be read.
    pub(in super::super) fn value<'a>(&'a self, r: &mut HttpRequest<'a>, cx: &mut Cx<'a>, name: &[u8]) -> Value {
        let unknown = || Value::Unknown(Question::at(Subject::Variable(variables::shown(name)), Some(self.origin)));
        let address = match &self.source {
            None if cx.variables.geoip_by_header() => return unknown(),
            None => match r.connection.client {
                Peer::Ip(ip) => Some(ip),
                Peer::Unix => None,
            },
            Some(source) => match source.value(r, cx) {
                Evaluated::Text(text) => inet::parse_addr(&text),
                Evaluated::Unknown(question) => return Value::Unknown(question),
                Evaluated::Overrun => None,
            },
        };
        let reader = self.database.reader.get_or_init(|| {
            let path = path_from(full_name(&cx.config.prefix, &self.database.file));
            match cx.world.fs.read(&path, LARGEST) {
                Fact::Known(Ok(bytes)) => Reader::from_source(bytes).ok(),
                _ => None,
            }
        });
        let Some(reader) = reader else { return unknown() };
        if self.path.first().is_some_and(|first| first == "metadata") {
            return unknown();
        }
        match address.map(|address| self.find(reader, address)) {
            Some(Err(_)) => unknown(),
            Some(Ok(Some(text))) => Value::text(text),
            Some(Ok(None)) | None => Value::found(self.default.as_deref()),
        }
    }

    /// The text at the path: strings as they are, numbers in decimals, `1` and `0` for truth values.
    fn find(&self, reader: &Reader<Bytes>, address: IpAddr) -> Result<Option<String>, maxminddb::MaxMindDbError> {
        let found = reader.lookup(address)?;
        let path: Vec<PathElement> =
            self.path.iter().map(|step| step.parse().map_or(PathElement::Key(step), PathElement::Index)).collect();
        Ok(found.decode_path::<serde_json::Value>(&path)?.and_then(|value| match value {
            serde_json::Value::String(text) => Some(text),
            serde_json::Value::Bool(truth) => Some(if truth { "1" } else { "0" }.to_owned()),
            serde_json::Value::Number(number) if number.is_f64() => {
                number.as_f64().map(|number| format!("{number:.5}"))
            }
            serde_json::Value::Number(number) => Some(number.to_string()),
            _ => None,
        }))
    }
}
