//! Clients that order, ask again, read and cancel at random, and remember what they asked and heard.
//!
//! Each reads its own runs only, so that its sightings of a run are in order.

use crate::world::{Http, order, submit};
use hale_lab::history::Submission;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

const CLIENTS: usize = 6;
/// A client's pause after an answer, so that the machine has something left for the work itself.
const PAUSE: Duration = Duration::from_millis(2);

/// What the clients share.
pub struct Load {
    pub address: Mutex<String>,
    pub acknowledged: AtomicU64,
    pub stop: AtomicBool,
}

/// What one client asked and heard.
pub struct Client {
    load: Arc<Load>,
    http: Http,
    chance: Chance,
    name: String,
    pub orders: Vec<Submission>,
    pub sightings: Vec<Value>,
}

impl Client {
    fn work(mut self) -> Self {
        while !self.load.stop.load(Ordering::Relaxed) {
            let address = self.load.address.lock().unwrap().clone();
            if self.http.address != address {
                self.http = Http::new(&address);
            }
            // A server that is not there answers nothing: the order stands, and is sent again sooner or later.
            if let Ok(true) = self.one() {
                self.load.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            std::thread::sleep(PAUSE);
        }
        self
    }

    /// One operation; tells whether it was acknowledged.
    fn one(&mut self) -> std::io::Result<bool> {
        match self.chance.below(20) {
            0..=3 => self.order_anew(),
            4 => self.order_again(),
            5 => self.cancel(),
            _ => self.read(),
        }
    }

    fn order_anew(&mut self) -> std::io::Result<bool> {
        let pack = ["echo", "stages", "echo", "hello", "echo", "doze", "echo", "echo"][self.orders.len() % 8];
        let key = format!("{}-{}", self.name, self.orders.len());
        self.orders.push(order(pack, &key));
        self.send(self.orders.len() - 1)
    }

    fn order_again(&mut self) -> std::io::Result<bool> {
        if self.orders.is_empty() {
            return Ok(false);
        }
        let n = self.chance.below(self.orders.len() as u64) as usize;
        self.send(n)
    }

    fn send(&mut self, n: usize) -> std::io::Result<bool> {
        let answer = submit(&mut self.http, &mut self.orders[n])?;
        // 409 and 503 are said by a server that ends, or of a pack that is held back; 429 when there is too much.
        assert!(
            matches!(answer.status, 200 | 202 | 409 | 423 | 429 | 503),
            "{} {}",
            answer.status,
            answer.text
        );
        Ok(matches!(answer.status, 200 | 202))
    }

    /// One of the last runs, mostly: those are under way.
    fn some_run(&mut self) -> Option<String> {
        let known: Vec<&Submission> = self.orders.iter().filter(|order| !order.receipts.is_empty()).collect();
        let n = known.len() as u64;
        let last = if self.chance.below(4) == 0 { n } else { n.min(8) };
        let order = known.get(n.checked_sub(1 + self.chance.below(last.max(1)))? as usize)?;
        Some(order.receipts[0]["id"].as_str().unwrap().to_owned())
    }

    fn read(&mut self) -> std::io::Result<bool> {
        let Some(run) = self.some_run() else { return Ok(false) };
        let answer = self.http.get(&format!("/api/v1/runs/{run}"))?;
        assert!(matches!(answer.status, 200 | 503), "{run}: {} {}", answer.status, answer.text);
        if answer.status != 200 {
            return Ok(false);
        }
        let seen = answer.json();
        self.sightings.push(json!({ "id": seen["id"], "state": seen["state"] }));
        Ok(true)
    }

    fn cancel(&mut self) -> std::io::Result<bool> {
        let Some(run) = self.some_run() else { return Ok(false) };
        let answer = self.http.post(&format!("/api/v1/runs/{run}/cancel"), &json!({}))?;
        assert!(matches!(answer.status, 200 | 202 | 409 | 503), "{run}: {} {}", answer.status, answer.text);
        Ok(matches!(answer.status, 200 | 202))
    }
}

/// A small generator of our own: the seed is printed, so that a failure can be repeated as far as time allows.
#[derive(Clone)]
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

pub fn clients(load: &Arc<Load>, chance: &mut Chance) -> Vec<JoinHandle<Client>> {
    let client = |n: usize| {
        let (load, chance) = (load.clone(), Chance(chance.below(u64::MAX) | 1));
        let name = format!("k-{n}");
        let client =
            Client { load, http: Http::new(""), chance, name, orders: Vec::new(), sightings: Vec::new() };
        std::thread::spawn(move || client.work())
    };
    (0..CLIENTS).map(client).collect()
}
