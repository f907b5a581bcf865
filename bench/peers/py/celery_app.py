"""The Celery application: one task that returns its argument, acknowledged after it ran. Needs BENCH_REDIS_PORT."""
import os

from celery import Celery

URL = f"redis://127.0.0.1:{os.environ['BENCH_REDIS_PORT']}/0"
app = Celery("bench", broker=URL, backend=URL)
app.conf.update(task_acks_late=True, task_reject_on_worker_lost=True, broker_connection_retry_on_startup=True)


@app.task
def noop(i):
    return i
