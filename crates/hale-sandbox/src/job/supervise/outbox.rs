//! Messages on their way to the server, written without ever waiting for it.
//!
//! Read next: [`super::output`].

use crate::job::limits::WAITING_BYTES;
use crate::job::plan::Message;
use rustix::event::{PollFd, PollFlags, poll};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};

pub(super) struct Outbox {
    /// Non-blocking.
    to: File,
    waiting: Vec<u8>,
    sent: usize,
    /// Nobody reads any more.
    gone: bool,
}

impl Outbox {
    pub(super) fn new(to: File) -> Self {
        Self { to, waiting: Vec::new(), sent: 0, gone: false }
    }

    pub(super) fn push(&mut self, message: &Message) {
        if self.gone {
            return;
        }
        // Plain data of ours: no map with other keys than texts, nothing that fails to be JSON.
        let wrote = serde_json::to_writer(&mut self.waiting, message);
        debug_assert!(wrote.is_ok());
        self.waiting.push(b'\n');
    }

    pub(super) fn flush(&mut self) {
        while !self.is_empty() {
            match self.to.write(&self.waiting[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => {
                    self.gone = true;
                    self.waiting.clear();
                    self.sent = 0;
                }
            }
        }
        if self.is_empty() {
            self.waiting.clear();
            self.sent = 0;
        } else if self.sent >= WAITING_BYTES {
            self.waiting.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Until the reader has taken something; at once if there is none.
    pub(super) fn wait(&mut self) {
        if !self.is_empty() {
            let mut fds = [PollFd::from_borrowed_fd(self.to.as_fd(), PollFlags::OUT)];
            let _ = poll(&mut fds, None);
            self.flush();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sent == self.waiting.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() - self.sent >= WAITING_BYTES
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.to.as_fd()
    }
}
