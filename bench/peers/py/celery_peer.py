"""Celery on Redis, acks_late, result backend on. The bench starts Redis and `celery -A celery_app worker` beside it.

All tasks are submitted first and collected after, from one client: kinder to Celery than 64 clients that wait."""
import time
from importlib.metadata import version

from celery_app import noop
from measure import CONC, N, alone, cpu, show

ABOUT = {"peer": "celery", "version": version("celery"), "durability": "redis AOF, fsync always; acks_late"}

for warm in range(20):
    noop.delay(warm).get(timeout=30)
spent, began = cpu(), time.perf_counter()
for result in [noop.delay(i) for i in range(N)]:
    result.get(timeout=300)
show(ABOUT, CONC, N, time.perf_counter() - began, cpu() - spent, note="all submitted, then all collected")
alone(ABOUT, lambda i: noop.delay(i).get(timeout=30))
