//! The load client: many keep-alive HTTP/1.1 connections, one thread, epoll.
//!
//! Its CPU counts against hale in the tables, as that of a peer's client counts against the peer, so it does no more than
//! needed: a request is one write, an answer is read until `Content-Length` is there. A run counts when the answer says
//! COMPLETED; any other answer ends the measurement with its text. Assumes answers with a length, which hale's have.

use super::readings;
use anyhow::{Context, bail};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// The server is asked to wait for the result at most this long; no answer for longer is a failure.
const WAIT: Duration = Duration::from_secs(30);
/// Events taken from the kernel at once; more connections than that wait for the next round.
const EVENTS_MAX: usize = 256;
/// An answer to a run is a few hundred bytes; one that is this long is not what we asked for.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// The pack of most measurements: it answers with its input.
pub const ECHO: &str = "echo";

/// What to send.
pub struct Load {
    pub address: SocketAddr,
    pub clients: usize,
    pub total: usize,
    /// Makes idempotency keys differ between phases.
    pub phase: String,
    pub pack: &'static str,
}

pub struct Outcome {
    pub wall: Duration,
    pub latencies: Vec<Duration>,
}

impl Outcome {
    pub fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.wall.as_secs_f64()
    }

    pub fn quantile_ms(&mut self, q: f64) -> f64 {
        readings::ms(readings::quantile(&mut self.latencies, q))
    }
}

struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
    sent: Instant,
}

/// Submits runs of one pack, each client its next one when its last one ended, and waits for all results.
pub fn run(load: &Load) -> anyhow::Result<Outcome> {
    let epoll = epoll::create(CreateFlags::CLOEXEC).context("make an epoll")?;
    let clients = load.clients.min(load.total);
    let mut connections = Vec::with_capacity(clients);
    for index in 0..clients {
        connections.push(connect(load.address, &epoll, index)?);
    }
    let began = Instant::now();
    let mut started = 0;
    for connection in &mut connections {
        send(connection, load, started)?;
        started += 1;
    }
    let mut latencies = Vec::with_capacity(load.total);
    let mut events = Vec::with_capacity(EVENTS_MAX);
    let wait = WAIT + Duration::from_secs(5);
    let limit = rustix::event::Timespec { tv_sec: wait.as_secs().cast_signed(), tv_nsec: 0 };
    while latencies.len() < load.total {
        events.clear();
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), Some(&limit))
            .context("wait for answers")?;
        if events.is_empty() {
            bail!("no answer in {wait:?}, {} of {} runs ended", latencies.len(), load.total);
        }
        for event in &events {
            let connection = &mut connections[usize::try_from(event.data.u64())?];
            if !receive(connection)? {
                continue;
            }
            latencies.push(connection.sent.elapsed());
            if started < load.total {
                send(connection, load, started)?;
                started += 1;
            }
        }
    }
    Ok(Outcome { wall: began.elapsed(), latencies })
}

fn connect(address: SocketAddr, epoll: &OwnedFd, index: usize) -> anyhow::Result<Connection> {
    let stream = TcpStream::connect(address).with_context(|| format!("connect to {address}"))?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    epoll::add(epoll, &stream, EventData::new_u64(index as u64), EventFlags::IN)?;
    Ok(Connection { stream, answer: Vec::with_capacity(4096), sent: Instant::now() })
}

fn send(connection: &mut Connection, load: &Load, number: usize) -> anyhow::Result<()> {
    let request = request(load, number);
    connection.sent = Instant::now();
    // A few hundred bytes into an empty socket buffer: a short write means that the server is gone.
    connection.stream.write_all(request.as_bytes()).context("send a run")
}

pub fn request(load: &Load, number: usize) -> String {
    let body = format!("{{\"pack\":\"{}\",\"input\":{{\"i\":{number}}}}}", load.pack);
    format!(
        "POST /api/v1/runs HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nPrefer: wait={}\r\n\
        Idempotency-Key: bench-{}-{number}\r\nContent-Length: {}\r\n\r\n{body}",
        load.address,
        WAIT.as_secs(),
        load.phase,
        body.len()
    )
}

/// Reads what is there; true when the answer is whole and good.
fn receive(connection: &mut Connection) -> anyhow::Result<bool> {
    let mut chunk = [0_u8; 16 * 1024];
    match connection.stream.read(&mut chunk) {
        Ok(0) => bail!("the server closed the connection in the middle of a run"),
        Ok(count) => connection.answer.extend_from_slice(&chunk[..count]),
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
        Err(error) => return Err(error).context("read an answer"),
    }
    let Some(length) = whole(&connection.answer)? else { return Ok(false) };
    let answer = &connection.answer[..length];
    if !completed(answer) {
        bail!("a run did not end as COMPLETED:\n{}", String::from_utf8_lossy(answer));
    }
    connection.answer.clear();
    Ok(true)
}

/// The length of the answer if all of it is there.
fn whole(answer: &[u8]) -> anyhow::Result<Option<usize>> {
    let Some(head) = answer.windows(4).position(|end| end == b"\r\n\r\n") else {
        if answer.len() > ANSWER_BYTES_MAX {
            bail!("the head of an answer is longer than {ANSWER_BYTES_MAX} bytes");
        }
        return Ok(None);
    };
    let lines = answer[..head].split(|byte| *byte == b'\n');
    let length = lines.filter_map(|line| line.split_at_checked(15)).find_map(|(name, value)| {
        let named = name.eq_ignore_ascii_case(b"content-length:");
        named.then(|| str::from_utf8(value).ok()?.trim().parse::<usize>().ok()).flatten()
    });
    let Some(length) = length else {
        bail!("an answer without Content-Length:\n{}", String::from_utf8_lossy(&answer[..head]));
    };
    let whole = head + 4 + length;
    Ok((answer.len() >= whole).then_some(whole))
}

/// `"state": "COMPLETED"` in the body.
fn completed(answer: &[u8]) -> bool {
    let key = b"\"state\"";
    let Some(at) = answer.windows(key.len()).position(|word| word == key) else { return false };
    let value = answer[at + key.len()..].iter().skip_while(|byte| matches!(byte, b':' | b' '));
    value.copied().take(11).eq(*b"\"COMPLETED\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;

    const GOOD: &str = "{\"id\":\"run_1\",\"state\": \"COMPLETED\"}";

    /// A server that reads each request to its end and gives one answer, in two parts.
    fn serve(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                std::thread::spawn(move || answer_all(stream, answer));
            }
        });
        address
    }

    fn answer_all(stream: TcpStream, answer: &str) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut writer = stream;
        loop {
            let (mut line, mut length) = (String::new(), 0);
            while line != "\r\n" {
                line.clear();
                if reader.read_line(&mut line)? == 0 {
                    return Ok(());
                }
                if let Some(value) = line.strip_prefix("Content-Length: ") {
                    length = value.trim().parse().unwrap();
                }
            }
            std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink())?;
            writer.write_all(
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", answer.len()).as_bytes(),
            )?;
            writer.write_all(answer.as_bytes())?;
        }
    }

    fn load(address: SocketAddr) -> Load {
        Load { address, clients: 8, total: 200, phase: "test".to_owned(), pack: ECHO }
    }

    #[test]
    fn every_run_is_sent_once_and_answered() {
        let mut outcome = run(&load(serve(GOOD))).unwrap();
        assert_eq!(outcome.latencies.len(), 200);
        assert!(outcome.per_second() > 0.0 && outcome.quantile_ms(0.5) > 0.0);
    }

    #[test]
    fn an_answer_that_is_not_completed_ends_the_measurement() {
        let error = run(&load(serve("{\"state\":\"FAILED\"}"))).err().unwrap();
        assert!(error.to_string().contains("FAILED"), "{error}");
    }

    #[test]
    fn an_answer_is_whole_when_its_length_is_there() {
        let text = b"HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(whole(text).unwrap(), Some(text.len()));
        assert_eq!(whole(&text[..text.len() - 1]).unwrap(), None);
        assert_eq!(whole(&text[..20]).unwrap(), None);
        assert!(whole(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
