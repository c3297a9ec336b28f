//! A client that puts a request line of the contract on the wire, from any address, and reads how it was answered.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine;
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

/// Longest wait for a part of an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The header by which a stub's answer is told from the server's own.
pub const STUB: &str = "X-Why403-Stub";
/// The header by which a script of a case says that it answered.
pub const SCRIPT: &str = "X-Why403-Script";

/// Sends the request of `line`; the answer has `kind`, `status` and `location` as in an `expect`.
pub fn ask(line: &Value) -> Result<Value, String> {
    let url = Url::parse(line["url"].as_str().ok_or("no url")?)?;
    let request = wire(line, &url)?;
    let from = line["from"].as_str().unwrap_or("127.0.0.1");
    let mut connection = match connect(line, &url, from) {
        Ok(connection) => connection,
        Err(error) if error.contains("Connection refused") => return Ok(json!({"kind": "closed", "status": null})),
        Err(error) => return Err(format!("{}: {error}", line["url"])),
    };
    // A server may answer and close before it has read everything; what it said still counts.
    let sent = connection.write_all(&request).and_then(|()| connection.flush());
    let answer = read_head(&mut *connection);
    if answer.is_empty() {
        return match sent {
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => Err(format!("{}: {error}", line["url"])),
            _ => Ok(json!({"kind": "closed", "status": null})),
        };
    }
    // The frames of HTTP/2 begin with a length, which is small.
    if answer[0] == 0 {
        return Ok(json!({"kind": "closed", "status": null}));
    }
    understand(&answer)
}

/// The parts of a URL; the path and query are left as they are.
struct Url {
    tls: bool,
    host: String,
    port: u16,
    target: String,
    authority: String,
}

impl Url {
    fn parse(url: &str) -> Result<Url, String> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| format!("{url}: no scheme"))?;
        let tls = scheme.eq_ignore_ascii_case("https");
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                (host, port.parse().map_err(|_| format!("{url}: port {port}"))?)
            }
            _ => (authority, if tls { 443 } else { 80 }),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        Ok(Url { tls, host, port, target, authority: authority.to_owned() })
    }
}

/// The bytes of the request.
fn wire(line: &Value, url: &Url) -> Result<Vec<u8>, String> {
    let method = line["method"].as_str().unwrap_or("GET");
    let target = line["target"].as_str().unwrap_or(&url.target);
    let version = line["version"].as_str().unwrap_or("1.1");
    if version == "0.9" {
        return Ok(format!("{method} {target}\r\n").into_bytes());
    }
    let mut headers: Vec<(String, String)> = Vec::new();
    for header in line["headers"].as_array().into_iter().flatten() {
        let name = header[0].as_str().ok_or("a header without a name")?;
        if let Some(value) = header[1].as_str() {
            headers.push((name.to_owned(), value.to_owned()));
        }
    }
    let has = |headers: &[(String, String)], name: &str| headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
    if !has(&headers, "host") && line["no_host"] != true {
        headers.insert(0, ("Host".to_owned(), url.authority.clone()));
    }
    if let Some(user) = line["user"].as_str()
        && !has(&headers, "authorization")
    {
        let credentials = if user.contains(':') { user.to_owned() } else { format!("{user}:") };
        let encoded = base64::engine::general_purpose::STANDARD.encode(credentials);
        headers.push(("Authorization".to_owned(), format!("Basic {encoded}")));
    }
    let mut request = format!("{method} {target} HTTP/{version}\r\n");
    for (name, value) in &headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    request.push_str(&body(&headers));
    Ok(request.into_bytes())
}

/// A body as the headers announce it: as long as they say, up to some length, or a chunk of 32 bytes.
fn body(headers: &[(String, String)]) -> String {
    const LONGEST: usize = 4096;
    let value = |name: &str| headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    if value("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        return format!("20\r\n{}\r\n0\r\n\r\n", "b".repeat(32));
    }
    let length = value("content-length").and_then(|length| length.parse::<usize>().ok());
    "b".repeat(length.filter(|length| *length <= LONGEST).unwrap_or(0))
}

trait Connection: Read + Write {}
impl<T: Read + Write> Connection for T {}

fn connect(line: &Value, url: &Url, from: &str) -> Result<Box<dyn Connection>, String> {
    let text = |error: std::io::Error| error.to_string();
    if let Some(path) = line["to"].as_str().and_then(|to| to.strip_prefix("unix:")) {
        let stream = UnixStream::connect(path).map_err(text)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(text)?;
        return Ok(Box::new(stream));
    }
    let from: IpAddr = from.parse().map_err(|_| format!("from {from:?} is no address"))?;
    let loopback = match from {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    let to = match line["to"].as_str() {
        Some(to) => to.parse().map_err(|_| format!("to {to:?} is no address"))?,
        None => url.host.parse().unwrap_or(loopback),
    };
    if url.tls {
        return tls(line, url, from, SocketAddr::new(to, url.port));
    }
    let domain = if to.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::STREAM, None).map_err(text)?;
    socket.bind(&SocketAddr::new(from, 0).into()).map_err(text)?;
    socket.connect_timeout(&SocketAddr::new(to, url.port).into(), PATIENCE).map_err(text)?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).map_err(text)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(text)?;
    Ok(Box::new(stream))
}

/// TLS by openssl's own client, which takes a source address and a certificate.
fn tls(line: &Value, url: &Url, from: IpAddr, to: SocketAddr) -> Result<Box<dyn Connection>, String> {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-quiet", "-connect", &to.to_string(), "-bind", &SocketAddr::new(from, 0).to_string()]);
    match url.host.parse::<IpAddr>() {
        Ok(_) => command.arg("-noservername"),
        Err(_) => command.args(["-servername", &url.host]),
    };
    if let Some(path) = line["client_cert"].as_str().filter(|cert| !matches!(*cert, "none" | "ok" | "failed")) {
        let key = path.replace(".crt", ".key");
        command.args(["-cert", path, "-key", &key]);
    }
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = child.map_err(|error| format!("openssl s_client: {error}"))?;
    let pipes = child.stdin.take().zip(child.stdout.take());
    let (stdin, stdout) = pipes.ok_or("openssl s_client has no pipes")?;
    Ok(Box::new(Pipes { child, stdin, stdout }))
}

struct Pipes {
    child: std::process::Child,
    stdin: std::process::ChildStdin,
    stdout: std::process::ChildStdout,
}

impl Read for Pipes {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.stdout.read(buffer)
    }
}

impl Write for Pipes {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.stdin.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stdin.flush()
    }
}

impl Drop for Pipes {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Everything up to the end of the header of the final response (100-continue and its like skipped), or to the end.
fn read_head(connection: &mut dyn Connection) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 << 10];
    loop {
        while bytes.starts_with(b"HTTP/1.1 1") {
            match head_end(&bytes) {
                Some(end) => drop(bytes.drain(..end)),
                None => break,
            }
        }
        if head_end(&bytes).is_some() {
            return bytes;
        }
        match connection.read(&mut buffer) {
            Ok(0) | Err(_) => return bytes,
            Ok(length) => bytes.extend_from_slice(&buffer[..length]),
        }
    }
}

fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

fn understand(answer: &[u8]) -> Result<Value, String> {
    let head = &answer[..head_end(answer).unwrap_or(answer.len())];
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let first = lines.next().unwrap_or_default();
    let status = first.split(' ').nth(1).filter(|_| first.starts_with("HTTP/")).and_then(|it| it.parse::<u16>().ok());
    let Some(status) = status else { return Err(format!("no status line: {first:?}")) };
    let header = |name: &str| {
        let mut found =
            head.lines().filter_map(|line| line.split_once(':')).filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.trim().to_owned())
    };
    let kind = if header(STUB).is_some() { "upstream" } else { "response" };
    let mut answer = json!({"kind": kind, "status": status});
    if header(SCRIPT).is_some() {
        answer["handler"] = json!("cgi-script");
    }
    if let Some(location) = header("location") {
        answer["location"] = json!(location);
    }
    Ok(answer)
}
