"""Passwords that change while the daemon runs: from files and from a command, for every connection anew;
and none of them comes out anywhere."""

import os
import pwd
import shutil
import signal
import stat
import subprocess

import pytest

import rig

TABLES = """
CREATE TABLE item (id int PRIMARY KEY, name text);
INSERT INTO item SELECT i, 'item ' || i FROM generate_series(1, 100) i;
"""


def ask_for_password(server, role):
    """From now on the server lets this role in with its password only."""
    path = server.data + "/pg_hba.conf"
    with open(path) as f:
        rules = f.read()
    with open(path, "w") as f:
        f.write(f"host all {role} 127.0.0.1/32 scram-sha-256\n" + rules)
    with server.admin() as c:
        c.run("SELECT pg_reload_conf()")


def set_password(server, role, password):
    with server.admin() as c:
        c.run(f"ALTER ROLE {role} PASSWORD '{password}'")


def rows(server):
    with server.admin() as c:
        return c.value("SELECT count(*) FROM item")


@pytest.fixture
def locked(source, target):
    """Both ends with passwords: role and first password of each."""
    source.psql(TABLES)
    for server, role in ((source, "app"), (target, "rds")):
        set_password(server, role, "first-secret")
        ask_for_password(server, role)
    return source, target


def write(path, text, mode=0o600):
    with open(path + ".new", "w") as f:
        f.write(text)
    os.chmod(path + ".new", mode)
    os.rename(path + ".new", path)


def configured(rebecos, source, target, databases, env=None, **sync):
    text = rig.yaml.safe_dump({"databases": databases,
                               "syncs": [{"name": "default", "source": "source", "target": "target", **sync}]})
    return rebecos(source, target, text, env=env)


def url(server, password):
    return server.url().replace("@", f":{password}@", 1)


def add_rows(source, n):
    with source.admin() as c:
        c.run("INSERT INTO item SELECT i, 'more' FROM generate_series((SELECT max(id) + 1 FROM item), "
              f"(SELECT max(id) + {n} FROM item)) i")


def has_all(source, target):
    return rows(source) == rows(target)


def check_nothing_shown(r, *secrets):
    with r._target_admin() as c:
        status = str(c.run("SELECT doc FROM rebeco.status"))
    for secret in secrets:
        for text in (r.log(), status, r.command("config").out):
            assert secret not in text


def test_rotation_of_files_passes_unnoticed(locked, rebecos, tmp_path):
    """One file is a whole URL, as DATABASE_URL is; the other the password alone. Schema and rows are
    copied with them by pg_dump and pg_restore too."""
    source, target = locked
    whole, word = str(tmp_path / "url"), str(tmp_path / "password")
    write(whole, url(source, "first-secret") + "\n")
    write(word, "first-secret\n")
    r = configured(rebecos, source, target,
                   {"source": {"url": "${file:%s}" % whole}, "target": {"url": url(target, "${file:%s}" % word)}})
    r.start()
    rig.eventually("the copy", lambda: has_all(source, target))
    set_password(source, "app", "second-secret")
    set_password(target, "rds", "second-secret")
    add_rows(source, 10)
    source.terminate_backends()
    target.terminate_backends()
    # The files come late, as a mounted Secret does: until then the login is refused.
    r.wait("a refused login", lambda: r.log_lines("28P01"))
    write(word, "second-secret\n")
    write(whole, url(source, "second-secret") + "\n")
    rig.eventually("all rows after the rotation", lambda: has_all(source, target))
    assert r.is_running()
    check_nothing_shown(r, "first-secret", "second-secret")
    r.wait_in_sync()
    rig.check_equal(source, target)


def test_a_table_that_needs_its_schema_late(locked, rebecos, tmp_path):
    """pg_dump and pg_restore run with the password of then: it changes between the two stages."""
    source, target = locked
    word = str(tmp_path / "password")
    write(word, "first-secret")
    with source.admin() as c:
        c.run("CREATE INDEX item_name ON item (name)")
    r = configured(rebecos, source, target, {"source": {"url": url(source, "${file:%s}" % word)},
                                             "target": {"url": url(target, "${file:%s}" % word)}},
                   copy={"max_rate": "1kB/s"})
    r.start()
    r.wait_phase("copy")
    set_password(source, "app", "second-secret")
    set_password(target, "rds", "second-secret")
    write(word, "second-secret")
    r.wait_phase("follow")
    with target.admin() as c:
        assert c.value("SELECT to_regclass('item_name') IS NOT NULL")
    assert not r.log_lines("28P01")


SCRIPT = """#!/bin/sh
echo "$PGHOST $PGPORT $PGUSER $PGDATABASE" >>%(home)s/calls
cat %(home)s/password
echo 'not-the-password'
"""


@pytest.fixture
def script(tmp_path):
    """A password command; what it was called for is in the file `calls`."""
    path = str(tmp_path / "token")
    write(path, SCRIPT % {"home": tmp_path}, 0o700)
    write(str(tmp_path / "password"), "first-secret\n")
    return path


def test_password_command_runs_for_every_connection(locked, rebecos, script, tmp_path):
    source, target = locked
    r = configured(rebecos, source, target, {"source": {"url": source.url(), "password_command": f"'{script}' --for me"},
                                             "target": {"url": target.url(), "password_command": script}})

    def calls():
        with open(tmp_path / "calls") as f:
            return f.read().splitlines()

    r.start()
    rig.eventually("the copy", lambda: has_all(source, target))
    assert f"127.0.0.1 {source.port} app app" in calls()
    assert f"127.0.0.1 {target.port} rds app" in calls()
    before = len(calls())
    for server, role in ((source, "app"), (target, "rds")):
        set_password(server, role, "second-secret")
    write(str(tmp_path / "password"), "second-secret\n")
    add_rows(source, 10)
    assert target.terminate_backends() > 0
    rig.eventually("all rows after the rotation", lambda: has_all(source, target))
    assert len(calls()) > before
    assert not r.log_lines("28P01")
    check_nothing_shown(r, "first-secret", "second-secret")
    r.wait_in_sync()
    rig.check_equal(source, target)


def test_a_refused_login_is_asked_for_once_more(locked, rebecos, tmp_path):
    """Between reading a password and using it, it may have been rotated: commands, too, ask twice."""
    source, target = locked
    path = str(tmp_path / "every-other")
    write(path, "#!/bin/sh\nif mkdir %s/turn 2>/dev/null; then echo old; else rmdir %s/turn; echo first-secret; fi\n"
          % (tmp_path, tmp_path), 0o700)
    r = configured(rebecos, source, target, {"source": {"url": url(source, "first-secret")},
                                             "target": {"url": target.url(), "password_command": path}})
    out = r.command("status")
    assert "password authentication failed" not in out.err
    write(path, "#!/bin/sh\necho >>%s/asked\necho old-secret\n" % tmp_path, 0o700)
    out = r.command("status")
    assert out.code == 1
    assert "password authentication failed" in out.err and "28P01" in out.err
    assert "old-secret" not in out.err
    with open(tmp_path / "asked") as f:
        assert len(f.read()) == 2


def test_a_refusal_says_what_to_mend(locked, rebecos):
    """Also where libpq, not the server, misses the password: then `run --until` must not try for ever either."""
    source, target = locked
    good = url(target, "first-secret")
    for bad, code, words in ((url(source, "wrong"), "28P01", "the user or the password"),
                             (source.url(), "28P01", "the user or the password"),
                             (url(source, "first-secret") + "s", "3D000", "the last part of the URL"),
                             (url(source, "first-secret").replace(str(source.port), "1"), "", "that the server runs")):
        r = rebecos(bad, good).command("check")
        assert r.code == 1 and "source: cannot connect" in r.err and words in r.err, r.err
        assert code in r.err and ("sqlstate" in r.err) == bool(code)


@pytest.mark.parametrize("script, said", [
    ("echo the-secret; echo no token today >&2; exit 3", "no token today"),
    ("exit 0", "wrote no password"),
    ("echo the-secret; sleep 100", "did not end within 1 seconds"),
    (None, "there is no program"),
])
def test_a_password_command_that_fails_says_so(locked, rebecos, tmp_path, script, said):
    source, target = locked
    path = str(tmp_path / "command")
    if script:
        write(path, f"#!/bin/sh\n{script}\n", 0o700)
    r = configured(rebecos, source, target, {"source": {"url": url(source, "first-secret")},
                                             "target": {"url": target.url(), "password_command": path}},
                   network_timeout="1s")
    r.start()
    r.wait("the message", lambda: said in r.log())
    assert "the-secret" not in r.log()
    assert r.is_running()


def test_a_file_that_is_gone_is_waited_for(locked, rebecos, tmp_path):
    source, target = locked
    word = str(tmp_path / "password")
    write(word, "first-secret")
    r = configured(rebecos, source, target, {"source": {"url": url(source, "first-secret")},
                                             "target": {"url": url(target, "${file:%s}" % word)}})
    r.start()
    rig.eventually("the copy", lambda: has_all(source, target))
    os.unlink(word)
    add_rows(source, 5)
    target.terminate_backends()
    r.wait("the message", lambda: f"cannot read {word}" in r.log())
    write(word, "first-secret")
    rig.eventually("all rows", lambda: has_all(source, target))


def test_a_command_holds_no_secret(rebecos, source, target):
    r = configured(rebecos, source, target, {"source": {"url": source.url(), "password_command": "x ${SECRET}"},
                                             "target": {"url": target.url()}}, env={"SECRET": "hunter2"})
    out = r.command("config")
    assert out.code == 2 and "no secret" in out.err and "hunter2" not in out.err


SPY = """#!/bin/sh
{ tr '\\0' '\\n' </proc/$$/cmdline; tr '\\0' '\\n' </proc/$$/environ; echo "core $(ulimit -c)"; } >>%(seen)s
exec %(real)s "$@"
"""


@pytest.fixture
def spied(tmp_path):
    """Programs that Rebeco runs, each of which notes its arguments, its environment and its limit for core files;
    spied() is all of that as a text, and spied.env and spied.hook bring them in."""
    seen, folder = str(tmp_path / "seen"), tmp_path / "spies"
    folder.mkdir()
    for name in ("pg_dump", "pg_restore"):
        write(str(folder / name), SPY % {"seen": seen, "real": shutil.which(name)}, 0o700)
    write(str(folder / "hook"), SPY % {"seen": seen, "real": "cat"}, 0o700)
    write(str(folder / "password"), SPY % {"seen": seen, "real": "echo first-secret"}, 0o700)

    def read():
        with open(seen, errors="replace") as f:
            return f.read()

    read.env = {"PATH": f"{folder}:{os.environ['PATH']}"}
    read.hook, read.password = str(folder / "hook"), str(folder / "password")
    return read


def of_process(pid, name):
    with open(f"/proc/{pid}/{name}", "rb") as f:
        return f.read().decode(errors="replace")


def check_children(spied, *programs):
    """None of them saw the secret, and none may write a core file."""
    text = spied()
    for program in programs:
        assert f"/{program}\n" in text, f"{program} was not run: this proves nothing"
    assert "first-secret" not in text
    assert set(rig.re.findall(r"^core (\w+)$", text, rig.re.M)) == {"0"}


def test_a_secret_of_the_command_line_is_in_no_title(locked, rebecos, spied):
    """It is overwritten at the start, and goes to pg_dump and pg_restore another way."""
    source, target = locked
    r = rebecos(url(source, "first-secret"), url(target, "first-secret"), env=spied.env).start()
    rig.eventually("the copy", lambda: has_all(source, target))
    title = of_process(r.process.pid, "cmdline")
    assert "--source\0***" in title and "first-secret" not in title and "127.0.0.1" not in title
    assert "first-secret" not in of_process(r.process.pid, "comm")
    check_children(spied, "pg_dump", "pg_restore")
    watching = subprocess.Popen([r.binary, *r.args, "status", "--watch"], env=r.env, stdout=subprocess.PIPE, text=True)
    try:
        assert "default" in watching.stdout.readline()
        assert "first-secret" not in of_process(watching.pid, "cmdline")
    finally:
        watching.terminate()
        watching.communicate()
    check_nothing_shown_here(r, "first-secret")


def check_nothing_shown_here(r, *secrets):
    for secret in secrets:
        assert secret not in r.log() and secret not in r.ok("status", "--json") and secret not in r.ok("config")


def test_a_secret_in_a_file_is_in_no_process(locked, rebecos, spied, tmp_path):
    """What the README says of environment variables, and that files and commands do better: neither the daemon nor
    a program that it runs has the secret in its environment, which root can read for as long as it lives."""
    source, target = locked
    write(str(tmp_path / "word"), "first-secret\n")
    tree = {"databases": {"source": {"url": url(source, "${file:%s}" % (tmp_path / "word"))},
                          "target": {"url": target.url(), "password_command": spied.password}},
            "syncs": [{"name": "default", "source": "source", "target": "target"}], "hooks": {"in_sync": spied.hook}}
    r = rebecos(source, target, rig.yaml.safe_dump(tree), env=spied.env).start()
    rig.eventually("the copy", lambda: has_all(source, target))
    rig.eventually("the hook", lambda: f"{spied.hook}\n" in spied())
    assert "first-secret" not in of_process(r.process.pid, "environ") + of_process(r.process.pid, "cmdline")
    check_children(spied, "pg_dump", "pg_restore", "hook", "password")
    check_nothing_shown_here(r, "first-secret")
    with open(rig.TOP + "/README.md") as f:
        assert "`/proc/PID/environ`" in f.read(), "people are not warned of environment variables"


def test_memory_is_private(source, target, tmp_path):
    """No core file, and nobody under the same user reads its memory or environment."""
    binary = os.path.join(rig.folder(), "rebeco-private")
    shutil.copy(rig.RELEASE, binary)
    user = pwd.getpwnam("postgres") if os.getuid() == 0 else None

    def become():
        if user:
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)

    p = subprocess.Popen([binary, "--source", source.url(), "--target", target.url(), "run"], preexec_fn=become, cwd="/",
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(tmp_path / "log", "w"))
    try:
        rig.eventually("it is at work", lambda: "event=" in (tmp_path / "log").read_text())
        with open(f"/proc/{p.pid}/limits") as f:
            line = next(line for line in f if line.startswith("Max core file size"))
        assert line.split()[4] == "0"
        info = os.stat(f"/proc/{p.pid}/environ")
        if user:
            assert info.st_uid == 0 and stat.S_IMODE(info.st_mode) == 0o400
        else:
            with pytest.raises(PermissionError):
                open(f"/proc/{p.pid}/environ", "rb").read()
    finally:
        p.send_signal(signal.SIGTERM)
        p.wait(20)
