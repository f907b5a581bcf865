"""DBOS Transact on SQLite: a workflow with one step, started directly (its queue polls and is slower). Argument: a folder."""
import os
import sys
from importlib.metadata import version

from dbos import DBOS
from measure import alone, together

ABOUT = {"peer": "dbos", "version": version("dbos"), "durability": "SQLite, a commit per checkpoint"}
DBOS(config={
    "name": "bench",
    "system_database_url": f"sqlite:///{os.path.join(sys.argv[1], 'dbos.db')}",
    "log_level": "ERROR",
    "run_admin_server": False,
})


@DBOS.step()
def echo(i: int) -> int:
    return i


@DBOS.workflow()
def noop(i: int) -> int:
    return echo(i)


DBOS.launch()
for warm in range(5):
    noop(warm)
together(ABOUT, lambda i: DBOS.start_workflow(noop, i).get_result())
alone(ABOUT, noop)
sys.stdout.flush()
os._exit(0)  # its threads outlive destroy() now and then
