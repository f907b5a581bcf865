"""What every Python peer shares: the two phases (64 clients, one client), CPU of all processes that take part, and the
JSON line that `cargo xtask bench` reads. Settings come from the environment:
BENCH_N (runs with many clients), BENCH_LAT_N (runs with one client), BENCH_CONC (how many clients, 64 unless told),
BENCH_PIDS (servers whose CPU counts, comma separated)."""
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor

TICKS = os.sysconf("SC_CLK_TCK")
N = int(os.environ.get("BENCH_N", "500"))
LAT_N = int(os.environ.get("BENCH_LAT_N", "100"))
CONC = int(os.environ.get("BENCH_CONC", "64"))


def cpu():
    """CPU seconds so far: this process with its ended children, and the servers with their children."""
    servers = {int(pid) for pid in os.environ.get("BENCH_PIDS", "").split(",") if pid}
    total = sum(os.times()[:4])
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
        except OSError:
            continue  # ended while we were looking
        own, kids = sum(map(int, fields[11:13])) / TICKS, sum(map(int, fields[13:15])) / TICKS
        if int(name) in servers:
            total += own + kids
        elif int(fields[1]) in servers:
            total += own
    return total


def quantile(values, q):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * q))]


def timed(run, i):
    began = time.perf_counter()
    run(i)
    return time.perf_counter() - began


def show(about, clients, total, wall, spent, latencies=(), **more):
    line = dict(about, conc=clients, n=total, per_s=total / wall, cpu_ms_per_op=spent / total * 1e3)
    if latencies:
        line.update(p50_ms=quantile(latencies, 0.5) * 1e3, p99_ms=quantile(latencies, 0.99) * 1e3)
    print(json.dumps(dict(line, **more)), flush=True)


def alone(about, run):
    """One client, one run after another."""
    spent, began = cpu(), time.perf_counter()
    latencies = [timed(run, i) for i in range(LAT_N)]
    show(about, 1, LAT_N, time.perf_counter() - began, cpu() - spent, latencies)


def together(about, run):
    """CONC clients, each submitting its next run when the last one ended."""
    with ThreadPoolExecutor(CONC) as pool:
        spent, began = cpu(), time.perf_counter()
        latencies = list(pool.map(lambda i: timed(run, i), range(N)))
        wall = time.perf_counter() - began
    show(about, CONC, N, wall, cpu() - spent, latencies)
