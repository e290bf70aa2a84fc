"""Fixtures and habits of the tests on real servers; the classes behind them are in integration/rig.py."""

import ctypes
import os
import signal
import sys
import threading

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "integration"))
import rig  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "limit(seconds): how long this test may take (default 120)")
    config.addinivalue_line("markers", "alone: measures, so nothing else may run beside it")
    config.addinivalue_line("markers", "long: runs only with REBECO_LONG=1")


def pytest_collection_modifyitems(config, items):
    """The long ones first, so that no processor is left with one of them at the end; those of the images, which may still be
    building, among them."""
    items[:] = [i for i in items if rig.LONG or not i.get_closest_marker("long")]
    if os.environ.get("REBECO_ROLES"):
        items[:] = [i for i in items if "roles" in i.fixturenames]
    if hasattr(config, "workerinput"):
        items.sort(key=lambda i: -min(limit_of(i), 240))


def limit_of(item):
    marker = item.get_closest_marker("limit")
    return marker.args[0] if marker else 120


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Hands out the test that runs and the next one: what xdist does by itself gives a worker up to fifty, and others wait for
    it in the end. The tests of the images stay together, for each worker would have to unpack them."""
    from xdist.scheduler import LoadScheduling

    class OneByOne(LoadScheduling):
        def _send_tests(self, node, num):
            num = min(num, max(1, 2 - len(self.node2pending[node])))
            while 0 < num < len(self.pending) and all(TOGETHER in self.collection[self.pending[i]] for i in (num - 1, num)):
                num += 1
            super()._send_tests(node, num)

    return OneByOne(config, log) if config.getvalue("dist") == "load" else None


TOGETHER = "test_image.py"


def pytest_unconfigure(config):
    rig.sweep()


@pytest.fixture
def servers():
    """Makes servers: servers(name, owner, version=None, **settings). They end with the test. The version is that of
    the end that such an owner has."""
    made = []

    def make(name, owner, version=None, **settings):
        end = "REBECO_PG_SOURCE" if owner == "app" else "REBECO_PG_TARGET"
        made.append(rig.Server(name, owner, version or os.environ.get(end), **settings))
        return made[-1]

    yield make
    for server in made:
        server.drop()


@pytest.fixture
def source(servers):
    """A hosted source: Rebeco has no more than the role `app`, the owner of its database."""
    return servers("source", "app")


@pytest.fixture
def target(servers):
    """A hosted target: Rebeco has the role `rds`, which may set session_replication_role (15+)."""
    return servers("target", "rds")


@pytest.fixture
def plain_target(servers):
    """A target whose role may not even set session_replication_role, as at Heroku."""
    return servers("target", "plain")


@pytest.fixture
def rebecos():
    """Makes Rebeco objects: rebecos(source, target, config=None, env=None, binary=None)."""
    made = []

    def make(*args, **kwargs):
        made.append(rig.Rebeco(*args, **kwargs))
        return made[-1]

    yield make
    try:
        for r in made:
            end(r)
    finally:
        for r in made:
            r.drop()


def end(r):
    """A daemon that still runs must end when it is told to, and say nothing wrong."""
    if r.is_running():
        r.process.send_signal(signal.SIGTERM)
        r.wait_exit(15)
    r.check_log()


@pytest.fixture
def rebeco(source, target, rebecos):
    """A Rebeco between source and target, configured by --source and --target; not started."""
    return rebecos(source, target)


@pytest.fixture
def running(request, source, rebeco):
    """A daemon in sync, with what the test file's TABLES makes at the source."""
    source.psql(request.module.TABLES)
    rebeco.start()
    rebeco.wait_in_sync(60)
    return rebeco


@pytest.fixture
def proxy():
    """Makes a Proxy in front of a server."""
    made = []

    def make(server):
        made.append(rig.Proxy(server))
        return made[-1]

    yield make
    for p in made:
        p.sweep()
        rig._running.remove(p)


class _TooLong(Exception):
    pass


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    seconds = limit_of(item)

    def expire(*_):
        raise _TooLong(f"the test took longer than {seconds} s")

    # A test worker may run its tests in another thread than the first, where no signal can be caught.
    if threading.current_thread() is threading.main_thread():
        before = signal.signal(signal.SIGALRM, expire)
        signal.alarm(int(seconds))
        yield
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        return
    me = ctypes.c_ulong(threading.get_ident())
    timer = threading.Timer(seconds, lambda: ctypes.pythonapi.PyThreadState_SetAsyncExc(me, ctypes.py_object(_TooLong)))
    timer.daemon = True
    timer.start()
    yield
    timer.cancel()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows what the daemon and the servers said last."""
    outcome = yield
    report = outcome.get_result()
    if not report.failed:
        return
    for thing in rig._running:
        if isinstance(thing, (rig.Rebeco, rig.Server)):
            try:
                report.sections.append((f"log of {getattr(thing, 'name', 'rebeco')}", thing.log_tail()))
            except OSError:
                pass
