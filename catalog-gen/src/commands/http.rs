//! As much of HTTP as a preview needs: GET and HEAD over connections that stay open, each with a
//! thread of its own, so that nobody waits for somebody else's slow one.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// A browser opens connections in advance; one that says nothing for so long has forgotten it.
const IDLE: Duration = Duration::from_mins(1);
/// Whoever takes nothing for so long is gone or stopped.
const STALLED: Duration = Duration::from_secs(30);
/// Longest line of a request, and most of them. Cookies of other servers on this host come along.
const MAX_LINE: u64 = 64 << 10;
const MAX_LINES: usize = 200;

/// What is asked for.
pub(crate) struct Request {
    pub(crate) method: String,
    /// Decoded, without the first slash and without a query.
    pub(crate) path: String,
    if_none_match: String,
    keeps_open: bool,
}

/// What is answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) bytes: Vec<u8>,
    /// Identifies the content; empty: none does.
    pub(crate) etag: String,
}

impl Answer {
    pub(crate) fn new(status: u16, content_type: &'static str, bytes: Vec<u8>) -> Self {
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        Self {
            status,
            content_type,
            bytes,
            etag: format!("{:016x}", hasher.finish()),
        }
    }
}

/// Answers connections for ever. `respond` answers a request, or takes the connection over by
/// writing to it, and gives `None` when it is done.
pub(crate) fn listen(
    listener: &TcpListener,
    respond: impl Fn(&Request, &mut TcpStream) -> Option<Answer> + Clone + Send + 'static,
) {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                let respond = respond.clone();
                // Without a thread for it the connection is closed. Its end is no news to anybody.
                let _ = std::thread::Builder::new().spawn(move || drop(converse(stream, respond)));
            }
            // Too many connections, most likely: some will end.
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

fn converse(
    mut stream: TcpStream,
    respond: impl Fn(&Request, &mut TcpStream) -> Option<Answer>,
) -> io::Result<()> {
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_write_timeout(Some(STALLED))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(request) = Request::read(&mut reader)? {
        let Some(answer) = respond(&request, &mut stream) else {
            break;
        };
        write(&mut stream, &request, answer)?;
        if !request.keeps_open {
            break;
        }
    }
    Ok(())
}

impl Request {
    /// `None` at the end of the connection. What is no HTTP is an error.
    fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let first = line(reader)?;
        let mut words = first.split(' ');
        let (Some(method), Some(target), Some(version)) =
            (words.next(), words.next(), words.next())
        else {
            return Ok(None);
        };
        let path = target.split(['?', '#']).next().unwrap_or_default();
        let mut request = Self {
            method: method.to_owned(),
            path: decode(path.trim_start_matches('/')),
            if_none_match: String::new(),
            keeps_open: version == "HTTP/1.1",
        };
        for _ in 0..MAX_LINES {
            let line = line(reader)?;
            if line.is_empty() {
                return Ok(Some(request));
            }
            let (name, value) = line.split_once(':').unwrap_or_default();
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "if-none-match" => value.clone_into(&mut request.if_none_match),
                "connection" if value.eq_ignore_ascii_case("close") => request.keeps_open = false,
                // Nobody reads a body, so whatever follows would be taken for a request.
                "content-length" | "transfer-encoding" => request.keeps_open = false,
                _ => {}
            }
        }
        Err(io::ErrorKind::InvalidData.into())
    }

    /// Whether the browser has this state already.
    fn has(&self, etag: &str) -> bool {
        let mut known = self.if_none_match.split(',');
        known.any(|known| known.trim().trim_matches('"') == etag)
    }
}

fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut bytes = Vec::new();
    reader.take(MAX_LINE).read_until(b'\n', &mut bytes)?;
    if bytes.len() as u64 == MAX_LINE {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

fn write(stream: &mut TcpStream, request: &Request, answer: Answer) -> io::Result<()> {
    let Answer {
        mut status,
        content_type,
        mut bytes,
        etag,
    } = answer;
    if status == 200 && request.has(&etag) {
        status = 304;
        bytes.clear();
    }
    let reason = match status {
        200 => "OK",
        304 => "Not Modified",
        404 => "Not Found",
        405 => "Method Not Allowed",
        500 => "Internal Server Error",
        _ => "Service Unavailable",
    };
    let connection = if request.keeps_open {
        "keep-alive"
    } else {
        "close"
    };
    let mut message = format!(
        "HTTP/1.1 {status} {reason}\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\ncache-control: no-cache\r\netag: \"{etag}\"\r\nconnection: {connection}\r\n\r\n",
        bytes.len()
    )
    .into_bytes();
    if request.method != "HEAD" {
        message.append(&mut bytes);
    }
    stream.write_all(&message)
}

/// Percent-decodes a path.
fn decode(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail
            .get(..2)
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Request> {
        Request::read(&mut text.as_bytes()).ok().flatten()
    }

    #[test]
    fn reads_requests() {
        let request = read("GET /a%20b/?q=1#x HTTP/1.1\r\nIF-None-Match: \"x\", \"y\"\r\n\r\n");
        let request = request.expect("a request");
        assert_eq!(
            (request.method.as_str(), request.path.as_str()),
            ("GET", "a b/")
        );
        assert!(request.keeps_open && request.has("y") && !request.has("z"));
        for closes in [
            "GET / HTTP/1.0\r\n\r\n",
            "GET / HTTP/1.1\r\nConnection: Close\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 99999999999999999999\r\n\r\n",
        ] {
            assert!(!read(closes).expect("a request").keeps_open, "{closes}");
        }
        for nothing in ["", "\r\n", "nonsense\r\n\r\n"] {
            assert!(read(nothing).is_none(), "{nothing}");
        }
        let endless = format!("GET / HTTP/1.1\r\n{}", "a: b\r\n".repeat(MAX_LINES + 1));
        assert!(read(&endless).is_none());
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(70_000));
        assert!(read(&long).is_none());
    }

    #[test]
    fn decodes_paths() {
        for (text, path) in [
            ("a%2fb", "a/b"),
            ("%", "%"),
            ("%2", "%2"),
            ("%+f", "%+f"),
            ("%ff", "\u{fffd}"),
        ] {
            assert_eq!(decode(text), path);
        }
    }
}
