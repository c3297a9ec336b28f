//! Back ends that answer everything: HTTP on 127.0.0.1:8081, FastCGI on 127.0.0.1:9000.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use super::client::STUB;

/// The ports of the stubs.
pub const PORTS: [u16; 2] = [8081, 9000];

/// Starts both; a port that the server under test has itself is left to it.
pub fn start() {
    let answers: [fn(TcpStream) -> std::io::Result<()>; 2] = [http, fastcgi];
    for (port, answer) in PORTS.into_iter().zip(answers) {
        let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) else { continue };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || {
                    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
                    let _ = answer(stream);
                });
            }
        });
    }
}

fn http(mut stream: TcpStream) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    while !bytes.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            length => bytes.extend_from_slice(&buffer[..length]),
        }
    }
    write!(
        stream,
        "HTTP/1.1 200 OK\r\n{STUB}: http\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"
    )?;
    if !bytes.starts_with(b"HEAD ") {
        stream.write_all(b"stub\n")?;
    }
    Ok(())
}

/// One FastCGI request: records are read until the input ends, then one response is written.
fn fastcgi(mut stream: TcpStream) -> std::io::Result<()> {
    const END_REQUEST: u8 = 3;
    const STDIN: u8 = 5;
    const STDOUT: u8 = 6;
    loop {
        let mut header = [0; 8];
        stream.read_exact(&mut header)?;
        let [_, kind, id_high, id_low, high, low, padding, _] = header;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let mut content = vec![0; length + usize::from(padding)];
        stream.read_exact(&mut content)?;
        if kind == STDIN && length == 0 {
            let body = format!("Status: 200 OK\r\n{STUB}: fastcgi\r\nContent-Type: text/plain\r\n\r\nstub\n");
            let record = |kind: u8, content: &[u8]| {
                let [high, low] = u16::try_from(content.len()).unwrap_or(0).to_be_bytes();
                let mut record = vec![1, kind, id_high, id_low, high, low, 0, 0];
                record.extend_from_slice(content);
                record
            };
            stream.write_all(&record(STDOUT, body.as_bytes()))?;
            stream.write_all(&record(STDOUT, b""))?;
            return stream.write_all(&record(END_REQUEST, &[0; 8]));
        }
    }
}
