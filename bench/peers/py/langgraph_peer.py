"""LangGraph with its SQLite saver at synchronous=FULL: one node that does nothing. No queue and no worker, so this is the
floor of what a run costs there. Argument: a folder."""
import os
import sqlite3
import sys
from importlib.metadata import version
from typing import TypedDict

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph
from measure import alone, together


class State(TypedDict):
    i: int


connection = sqlite3.connect(os.path.join(sys.argv[1], "langgraph.db"), check_same_thread=False)
saver = SqliteSaver(connection)
saver.setup()
connection.execute("PRAGMA synchronous=FULL")
journal, = connection.execute("PRAGMA journal_mode").fetchone()
ABOUT = {"peer": "langgraph", "version": version("langgraph"), "durability": f"SQLite {journal}, synchronous=FULL"}

graph = StateGraph(State)
graph.add_node("noop", lambda state: {"i": state["i"]})
graph.add_edge(START, "noop")
graph.add_edge("noop", END)
app = graph.compile(checkpointer=saver)


def run(phase):
    return lambda i: app.invoke({"i": i}, {"configurable": {"thread_id": f"{phase}-{i}"}})


run("warm")(0)
together(ABOUT, run("many"))
alone(ABOUT, run("one"))
