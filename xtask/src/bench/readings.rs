//! What is read from the machine: CPU and memory of processes, the cost of a sync, quantiles.
//!
//! CPU counts whole processes with all their threads, from `/proc`, in ticks of 10 ms: fine over seconds, useless below.

use anyhow::Context;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// Linux counts CPU for user space in hundredths of a second, whatever the kernel's own rate.
const TICK: Duration = Duration::from_millis(10);

pub fn cpu(pid: u32) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("read the CPU of process {pid}"))?;
    // The name may hold spaces and brackets; what follows its last bracket is plain.
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let ticks: u32 = fields.iter().skip(11).take(4).filter_map(|field| field.parse::<u32>().ok()).sum();
    Ok(TICK * ticks)
}

/// Resident memory in bytes.
pub fn memory(pid: u32) -> anyhow::Result<u64> {
    let status =
        fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("read process {pid}"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("find VmRSS")?;
    let kib: u64 = line.split_whitespace().nth(1).context("read VmRSS")?.parse()?;
    Ok(kib * 1024)
}

/// Times of `samples` appends of 4 KiB, each synced with fdatasync.
pub fn syncs(folder: &Path, samples: usize) -> anyhow::Result<Vec<Duration>> {
    let path = folder.join("sync-probe");
    let mut file = File::create(&path).with_context(|| format!("make {}", path.display()))?;
    let block = [0x5a_u8; 4096];
    let mut times = Vec::with_capacity(samples);
    for _ in 0..samples {
        let began = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        times.push(began.elapsed());
    }
    fs::remove_file(&path)?;
    Ok(times)
}

/// The value below which the share `q` of all lies. Sorts.
pub fn quantile(times: &mut [Duration], q: f64) -> Duration {
    times.sort_unstable();
    let at = (times.len() as f64 * q) as usize;
    times.get(at.min(times.len().saturating_sub(1))).copied().unwrap_or_default()
}

pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The machine in one line each: processors, kernel, file system under the data, load.
pub fn conditions(folder: &Path) -> serde_json::Value {
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let model =
        text("/proc/cpuinfo").lines().find_map(|line| Some(line.strip_prefix("model name")?.to_owned()));
    let said = |program: &str, args: &[&str]| {
        crate::shell::output(crate::shell::command(program).args(args)).unwrap_or_default().trim().to_owned()
    };
    serde_json::json!({
        "date": said("date", &["-u", "+%Y-%m-%d"]),
        "cpus": std::thread::available_parallelism().map_or(0, usize::from),
        "cpu_model": model.unwrap_or_default().trim_start_matches(['\t', ' ', ':']),
        "kernel": text("/proc/sys/kernel/osrelease").trim(),
        "file_system": said("stat", &["-f", "-c", "%T", &folder.to_string_lossy()]),
        "load_1m": text("/proc/loadavg").split(' ').next().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_take_the_value_at_their_place() {
        let mut times: Vec<_> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(quantile(&mut times, 0.5), Duration::from_millis(51));
        assert_eq!(quantile(&mut times, 0.99), Duration::from_millis(100));
        assert_eq!(quantile(&mut [], 0.5), Duration::ZERO);
    }

    #[test]
    fn our_own_process_has_memory_and_its_cpu_grows() {
        let me = std::process::id();
        assert!(memory(me).unwrap() > 1 << 20);
        let before = cpu(me).unwrap();
        let began = Instant::now();
        let mut sum = 0_u64;
        while cpu(me).unwrap() - before < TICK * 3 {
            sum = sum.wrapping_mul(31).wrapping_add(7);
            assert!(began.elapsed() < Duration::from_secs(20), "{sum}");
        }
    }
}
