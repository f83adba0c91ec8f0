"""A Ray to work on: one of our own on this machine, or a cluster that is there already."""

from __future__ import annotations

import logging
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType

from artsearch.base.errors import ArtsearchError, EngineError

#: Bytes in memory for what is on its way between the processes of a Ray of our own.
STORE_BYTES = 500_000_000
#: Seconds that a cluster has to answer.
PATIENCE = 10
#: Seconds that the first process of a Ray of our own has to come up, instead of Ray's 30.
START_PATIENCE = 60
#: How often that is tried: a first try that comes too late leaves the disk read for the next one.
TRIES = 3
#: What Ray's agents import. They have 15 seconds to start, which Ray lets nobody change, and to
#: read and compile all of it for the first time takes longer on two cores that have other work:
#: the raylet then ends, and nothing answers. Done before, by one process, it has no limit.
AGENTS = """
import ray.dashboard.agent
import ray._private.runtime_env.agent.main
from ray.dashboard.utils import DashboardAgentModule, get_all_modules
get_all_modules(DashboardAgentModule)
"""
#: Seconds within which Ray gives up for other reasons than its limits, and does so again.
AT_ONCE = 10
#: How long Ray waits for its first process where it starts one, and how often it tries to join.
PORT_WAIT = "RAY_gcs_server_port_wait_time_s"
#: Neither what the workers print nor what Ray says of itself.
QUIET = {"log_to_driver": False, "logging_level": logging.CRITICAL}
#: What Ray is told by the environment, unless the user says otherwise.
VARIABLES = {
    # It would warn of a future default that concerns tasks without a GPU, of which ours need none,
    # and of actors that cannot start anew once this process is gone, which ends the job anyway.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    # Workers that nobody has asked for yet would take the processors from Ray's agents, which have
    # to be in time. Beside three busy processes on two cores 2 of 2 starts succeeded so, and 1 of
    # 3 without these three settings.
    "RAY_enable_worker_prestart": "0",
    "RAY_prestart_worker_first_driver": "0",
    "RAY_agent_register_timeout_ms": "60000",
    # Ray tells its makers how it is used, unless it is told not to: nothing leaves the machine.
    "RAY_USAGE_STATS_ENABLED": "0",
}
#: What Ray sets itself, and what is not to count for whatever comes next.
SET_BY_RAY = ("RAY_AUTH_MODE",)


@contextmanager
def session(address: str | None = None) -> Iterator[ModuleType]:
    """Start a Ray on this machine, or join the one at `address`; let go of it in the end.

    Yields the module `ray`. Where this process is connected already, that Ray is used, and stays;
    otherwise the environment is in the end what it was. Raises EngineError for a package that is
    missing and for a Ray that does not start, and ArtsearchError for an address at which there is
    nothing, or nothing for us.
    """
    with _variables(VARIABLES, SET_BY_RAY):
        ray = import_ray()
        if ray.is_initialized():
            if address is not None:
                raise ArtsearchError(
                    "this process is connected to a Ray already, so it cannot join "
                    f"{address!r}; call ray.shutdown() first, or leave the address out to use "
                    "the one there is"
                )
            yield ray
            return
        try:
            if address in (None, "local"):
                _start(ray)
            else:
                _join(ray, address)
            yield ray
        finally:
            ray.shutdown()


@contextmanager
def quiet() -> Iterator[None]:
    """Leave the terminal to our own progress bar; what goes wrong comes as an error anyway."""
    from ray.data import DataContext

    logger, context = logging.getLogger("ray.data"), DataContext.get_current().copy()
    context.enable_progress_bars = context.print_on_execution_start = False
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with DataContext.current(context):
            yield
    finally:
        logger.setLevel(level)


def import_ray():
    """Import Ray with Ray Data; raises EngineError where it is not installed."""
    try:
        import ray
        import ray.data
    except ImportError:
        raise EngineError(
            "the engine 'ray' wants the package ray[data]: pip install 'artsearch[scale]'"
        ) from None
    return ray


def _start(ray) -> None:
    warm_up()
    for number in range(1, TRIES + 1):
        begin = time.monotonic()
        try:
            _start_once(ray)
        except Exception as error:  # the disk, the memory, the ports: each has its own
            ray.shutdown()
            if number == TRIES or time.monotonic() - begin < AT_ONCE:
                raise EngineError(
                    f"Ray does not start on this machine ({_reason(error)}); take the engine "
                    "'local'"
                ) from error
        else:
            return


def warm_up() -> None:
    """Read and compile what Ray's agents import, so that they are in time when they start."""
    # Where another version of Ray has other names, it starts as cold as it was.
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([sys.executable, "-c", AGENTS], check=False, **quiet)


def _start_once(ray) -> None:
    # Without a dashboard, and with nothing that others could reach but what asks for a token: Ray
    # makes one itself (~/.ray/auth_token), as its control port listens on all interfaces.
    options = {"include_dashboard": False, "object_store_memory": STORE_BYTES}
    with _muted(), _variables({PORT_WAIT: str(START_PATIENCE)}):
        ray.init("local", **options, **QUIET, _node_ip_address="127.0.0.1")


def _join(ray, address: str) -> None:
    import artsearch

    try:
        # Where something else answers, each try takes most of a minute, and Ray would try 20 times.
        with _muted(), _variables({PORT_WAIT: "1"}):
            # The nodes run what runs here, whichever version they have themselves.
            ray.init(address, **QUIET, runtime_env={"py_modules": [artsearch]})
    except Exception as error:  # a port of something else, another version, a token: each its own
        raise ArtsearchError(
            f"cannot join the Ray cluster at {address!r} ({_reason(error)}); it wants the same "
            "versions of Ray and Python there and here, and its token (RAY_AUTH_MODE=token, and "
            "RAY_AUTH_TOKEN_PATH naming the file that holds it)"
        ) from error


@contextmanager
def _variables(values: Mapping[str, str], others: Iterable[str] = ()) -> Iterator[None]:
    """Set environment variables that are not set; in the end take back those, and `others`."""
    new = {*values, *others} - os.environ.keys()
    os.environ.update({name: values[name] for name in values.keys() & new})
    try:
        yield
    finally:
        for name in new:
            os.environ.pop(name, None)


@contextmanager
def _muted() -> Iterator[None]:
    """Keep from the terminal what Ray's core writes to it past Python while it is connected.

    It cannot be told not to: with a log level of its own it writes a line that says so, without
    one an error for each pool of actors, both in the midst of a notebook's output too.
    """
    sys.stderr.flush()
    terminal = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)


def check_address(address: str | None) -> None:
    """Raise ArtsearchError for an address that is none, or where nobody answers."""
    if address in (None, "local", "auto"):
        return
    found = re.fullmatch(r"\[?([^\s/\]]+?)\]?:(\d{1,5})", address)
    if not found or int(found[2]) > 65535:
        raise ArtsearchError(
            f"{address!r} is no address of a Ray cluster; take 'auto' for the one that runs on "
            "this machine, or HOST:PORT as `ray start` gives it"
        )
    try:
        socket.create_connection((found[1], int(found[2])), timeout=PATIENCE).close()
    except OSError as error:
        raise ArtsearchError(
            f"no Ray cluster answers at {address!r} ({error.strerror or error}); name the address "
            "that `ray start --head` gave, or leave it out to run on this machine"
        ) from None


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return " ".join(lines[0].split())[:300]
