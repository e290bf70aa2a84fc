"""The promise: a page that a person keeps open during a migration: on a phone, in the dark, with a screen reader."""

import json
import re
import struct

import pytest
import rig
from browser import Browser
from test_http import HOSTILE, answers, ask, conf, started

DESKTOP = {"width": 1200, "height": 900}
PHONE = {"width": 390, "height": 844, "mobile": True}


@pytest.fixture
def browser(tmp_path):
    with Browser(tmp_path) as b:
        yield b


def opened(browser, port, **how):
    page = browser.open(f"http://127.0.0.1:{port}/", **how)
    page.wait("document.title.includes('Rebeco') && document.readyState === 'complete'")
    return page


def shown(browser, port, **how):
    """A page that has heard of the daemon."""
    page = opened(browser, port, **how)
    page.wait("document.querySelector('section') !== null")
    return page


# Texts whose colour is too near to what is behind them (WCAG 2.1, 1.4.3), as "ratio text".
PALE = """(() => {
  const parse = (c) => c.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((x) => x / 255).map((x) => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4)
    .reduce((sum, x, i) => sum + x * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll("body *")].filter((e) => e.checkVisibility() &&
      [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())).map((e) => {
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
    return [(a + 0.05) / (b + 0.05), e.textContent.trim().slice(0, 40)];
  }).filter(([ratio]) => ratio < 4.5).map(([ratio, text]) => ratio.toFixed(2) + " " + text);
})()"""


def check_readable(page):
    """What a person with a phone, or with weak eyes, needs."""
    assert page.value("document.documentElement.scrollWidth <= innerWidth"), "it must be scrolled sideways"
    assert page.value("""[...document.querySelectorAll("body *")].filter((e) => e.checkVisibility())
                         .every((e) => parseFloat(getComputedStyle(e).fontSize) >= 13)"""), "letters that are too small"
    assert page.value(PALE) == []
    small = page.value("""[...document.querySelectorAll("button, input, a[href]")].filter((e) => e.checkVisibility())
                          .map((e) => e.getBoundingClientRect()).filter((r) => r.height < 24 || r.width < 24).length""")
    assert small == 0, "something that a finger does not hit"


def check_heard(page):
    """What somebody needs who hears the page: language, landmarks, headings in order, names of everything that can be
    used, a table with heads, and that changes are said without being asked for."""
    heard = page.heard()
    roles = [role for role, _, _ in heard]
    assert page.value("document.documentElement.lang") == "en" and page.value("document.title")
    assert roles.count("main") == 1 and "banner" in roles
    headings = [p["level"] for role, _, p in heard if role == "heading"]
    assert headings[0] == 1 and headings.count(1) == 1
    assert all(b - a <= 1 for a, b in zip(headings, headings[1:])), headings
    for role, name, _ in heard:
        if role in ("heading", "button", "textbox", "searchbox", "progressbar", "link", "region", "columnheader",
                    "rowheader", "table"):
            assert name.strip(), f"a {role} without a name"
    assert roles.count("columnheader") == 3 and "rowheader" in roles and "table" in roles
    says = {role: p for role, _, p in heard if p.get("live")}
    assert says["status"]["live"] == "polite" and says["alert"]["live"] == "assertive"
    assert page.value("""[...document.querySelectorAll("svg")].every((e) => e.getAttribute("aria-hidden") === "true")""")
    ids = page.value("""[...document.querySelectorAll("[id]")].map((e) => e.id)""")
    assert len(ids) == len(set(ids))


def check_keyboard(page):
    """Everything that can be used is reached with Tab, and one sees where one is."""
    usable = page.value("""[...document.querySelectorAll("button, input, a[href]")].filter((e) => e.checkVisibility()).length""")
    reached = set()
    for _ in range(usable + 1):
        for kind in ("rawKeyDown", "keyUp"):
            page.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        style = page.value("getComputedStyle(document.activeElement).outlineStyle")
        name = page.value("document.activeElement.id || document.activeElement.tagName")
        if name != "BODY":
            assert style == "solid", f"nobody sees that {name} is active"
            reached.add(name)
    assert len(reached) == usable


def size_of(png):
    return struct.unpack(">II", png[16:24])


@pytest.mark.limit(300)
def test_the_page(source, target, rebecos, browser, tmp_path):
    with source.connect() as c:
        c.run(f"CREATE TABLE {rig.psycopg2.extensions.quote_ident(HOSTILE, c.raw)} (a int PRIMARY KEY)")
    source.run("CREATE TABLE customer (a int PRIMARY KEY, b text)")
    source.run("INSERT INTO customer SELECT i, repeat('x', 100) FROM generate_series(1, 200000) i")
    for i in range(12):
        source.run(f"CREATE TABLE part_{i} (a int PRIMARY KEY)")
    text, port = conf(sync={"copy": {"max_rate": "400kB/s", "split_size": "256kB"}})
    rebeco = started(rebecos(source, target, text), port)
    html = ask(port, "/")[1]
    assert not re.search(r"(src|href|url)\s*[=(]\s*[\"']?(https?:)?//", html), "it loads something from elsewhere"
    rebeco.wait_phase("copy")
    rebeco.wait("some is copied", lambda: json.loads(ask(port, "/status")[1])[0]["copy"]["bytes_done"] > 0)
    desktop = shown(browser, port, **DESKTOP)
    desktop.wait("document.body.innerText.includes('to go, until about')")
    seen = desktop.text()
    assert rebeco.phase() == "copy", "the copy was over before the browser was there: this proves nothing"
    assert "The tables are being copied." in seen and "asks for its token" not in seen
    percent = r"public\.customer (\d+) % of 2\d\.\d MB, [\d.]+ kB/s, [\d.]+ (s|min) left"
    first = re.search(percent, seen)
    assert first, seen
    before = desktop.shoot(f"{tmp_path}/copy-desktop.png")
    assert size_of(before)[0] == 1200
    phone = shown(browser, port, **PHONE)
    assert size_of(phone.shoot(f"{tmp_path}/copy-phone.png"))[0] == 780, "390 points of two pixels"
    check_readable(phone)
    check_heard(phone)
    # It moves by itself.
    now = "Number(document.body.innerText.match(/customer\\s+(\\d+) %/)[1])"
    desktop.wait(f"{now} > {first.group(1)}")
    assert desktop.shoot(f"{tmp_path}/copy-desktop-later.png") != before
    rebeco.configure(text.replace("400kB/s", "100MB/s"))
    rebeco.hup()
    rebeco.wait_in_sync(90)
    target.run("ALTER TABLE part_3 ADD CHECK (a < 10)")
    source.run("INSERT INTO part_3 VALUES (100)")
    rebeco.ok("pause", "public.part_5")
    (still,) = rebeco.wait("a table stands still", lambda: [
        t for t in json.loads(ask(port, "/status")[1])[0]["tables"] if t["refused"]])
    desktop.wait("document.body.innerText.includes('2 tables stand still; the others go on.')")
    # What is wrong is said more exactly once the row is found.
    desktop.wait(f"document.body.innerText.replace(/\\s+/g, ' ').includes({json.dumps(' '.join(still['what'].split()))})")
    seen = desktop.text()
    assert "public.part_3 stands still: an error" in seen and "public.part_5 stands still: paused by a person" in seen
    assert " ".join(still["what"].split()) in seen and "To do: " in seen and "rebeco retry" in seen
    assert "rebeco resume public.part_5" in seen
    assert " ".join(HOSTILE.split()) in seen, "the hostile name is not shown as it is"
    assert any(role == "status" and "2 tables stand still" in name or "2 tables stand still" in name
               for role, name, _ in desktop.heard())
    desktop.shoot(f"{tmp_path}/still-desktop.png")
    phone.wait("document.body.innerText.includes('public.part_3 stands still')")
    phone.shoot(f"{tmp_path}/still-phone.png")
    night = shown(browser, port, dark=True, **PHONE)
    night.wait("document.body.innerText.includes('public.part_3 stands still')")
    night.shoot(f"{tmp_path}/still-night.png")
    for page in (phone, night, desktop):
        check_readable(page)
        check_heard(page)
    check_keyboard(desktop)
    # Only some tables.
    desktop.value("document.activeElement.blur()")
    desktop.value("""(() => { const e = document.querySelector("input[type=search]"); e.value = "PART_1";
                              e.dispatchEvent(new Event("input")); })()""")
    assert desktop.value("document.querySelectorAll('tbody tr').length") == 3
    target.run("ALTER TABLE part_3 DROP CONSTRAINT part_3_a_check")
    rebeco.ok("resume", "public.part_3")
    rebeco.ok("resume", "public.part_5")
    rig.wait_converged(source, target, 60)
    rebeco.wait_in_sync()
    answers(rebeco, port)
    desktop.wait("document.body.innerText.includes('In sync: what is committed at the source is at the target.')")
    desktop.wait("document.title === 'in sync - Rebeco'")
    # Somebody has forgotten a session at the target.
    with target.connect() as somebody:
        pid = somebody.value("SELECT pg_backend_pid()")
        somebody.run("BEGIN; LOCK TABLE part_1 IN SHARE MODE")
        source.run("INSERT INTO part_1 VALUES (6)")
        desktop.wait(f"document.body.innerText.includes('Changes wait for a lock at the target: session {pid} of role rds')", 60)
        check_readable(desktop)
        somebody.run("COMMIT")
    desktop.wait("document.title === 'in sync - Rebeco'", 60)
    # While an end is away it says what fails, and that nothing is to be done.
    target.stop()
    source.run("INSERT INTO part_1 VALUES (7)")
    desktop.wait("document.body.innerText.includes('This fails now, and is tried again by itself')")
    assert "14 tables, 14 follow, 3 shown, as of" in desktop.text() and "when both databases answered" in desktop.text()
    assert "27.0 MB of 27.0 MB" in desktop.text(), "it looks as if all were gone"
    assert "refused" in desktop.text() and desktop.value("document.title") != "in sync - Rebeco"
    check_readable(desktop)
    desktop.shoot(f"{tmp_path}/away-desktop.png")
    target.start()
    desktop.wait("document.title === 'in sync - Rebeco'", 60)
    desktop.wait("!document.body.innerText.includes('This fails now')")
    # When nobody answers it says so, and that what is shown is old.
    rebeco.terminate()
    desktop.wait("document.title === 'no answer - Rebeco'")
    assert "No answer since" in desktop.text() and "What is below is of then" in desktop.text()
    check_readable(desktop)
    desktop.shoot(f"{tmp_path}/gone-desktop.png")
    rebeco.start()
    desktop.wait("document.title === 'in sync - Rebeco'", 60)
    assert "No answer" not in desktop.text()
    rig.check_equal(source, target)


@pytest.mark.limit(200)
def test_both_directions_are_one(source, target, rebecos, browser, tmp_path):
    """A two-way sync is one thing for a person: which end is how far behind, conflicts, what stands still and where."""
    for name in ("t", "u"):
        source.psql(f"CREATE TABLE {name} (a int PRIMARY KEY, n int); INSERT INTO {name} SELECT i, 0 FROM generate_series(1, 50) i")
    text, port = conf(sync={"mode": "two-way", "conflict": {"default": "source"}})
    rebeco = started(rebecos(source, target, text), port)
    rebeco.wait("both directions run", lambda: (rebeco.status() or {}).get("in_sync"), 60)
    page = shown(browser, port, **PHONE)
    page.wait("document.title === 'in sync - Rebeco'")
    assert "In sync both ways" in page.text() and page.value("document.querySelectorAll('section').length") == 1
    rebeco.ok("pause")
    for server, n in ((source, 1), (target, 2)):
        server.run("UPDATE t SET n = %s WHERE a <= 7", n)
    rebeco.ok("resume")
    rebeco.wait_in_sync()
    page.wait(r"/Conflicts decided\s+7\b/.test(document.body.innerText)")
    page.wait("document.body.innerText.includes('7 conflicts decided')")
    assert re.search(r"Target behind .* Source behind ", page.text())
    # What the source refuses stands still in both directions, and is named once, where it is.
    source.run("ALTER TABLE u ADD CHECK (n < 100)")
    target.run("UPDATE u SET n = 1000 WHERE a = 3")
    page.wait("document.body.innerText.includes('1 table stands still; the others go on.')")
    page.wait("document.body.innerText.includes('public.u stands still, from target to source')")
    assert page.text().count("public.u stands still, ") == 1 and page.value("document.querySelectorAll('.needs').length") == 1
    assert "To do: mend what is said above, in the table at the source" in page.text()
    assert "source: new row for relation" in page.text()
    page.shoot(f"{tmp_path}/two-way-phone.png")
    check_readable(page)
    check_heard(page)
    desktop = shown(browser, port, dark=True, **DESKTOP)
    desktop.wait("document.body.innerText.includes('public.u stands still, from target to source')")
    desktop.shoot(f"{tmp_path}/two-way-desktop.png")
    check_readable(desktop)
    source.run("ALTER TABLE u DROP CONSTRAINT u_n_check")
    rebeco.ok("resume", "public.u")  # it would be tried again by itself, half a minute later
    page.wait("document.title === 'in sync - Rebeco'", 90)
    rebeco.wait_in_sync()
    assert rig.compare(source, target, sequences=False) == []


def test_the_page_asks_for_the_token(source, target, rebecos, browser, tmp_path):
    (tmp_path / "token").write_text("secret")
    text, port = conf(token_file=str(tmp_path / "token"))
    started(rebecos(source, target, text), port)
    page = opened(browser, port, **PHONE)
    page.wait("document.body.innerText.includes('This daemon asks for its token')")
    seen = page.text()
    assert "No answer" not in seen and "default" not in seen
    check_readable(page)
    for token, then in (("wrong", "document.body.innerText.includes('not the right one')"),
                        ("secret", "document.querySelector('section') !== null")):
        page.value(f"""(() => {{ document.getElementById("token").value = {json.dumps(token)};
                                 document.querySelector("form").requestSubmit(); }})()""")
        page.wait(then)
    assert "This daemon asks for its token" not in page.text()
    assert page.value("localStorage.length") == 0, "the token is kept on the disk"


def test_nothing_configured_twice(source, target, rebecos):
    """The page's words for why a table stands still are those that the program knows."""
    with open(rig.TOP + "/replicator/page.html") as f:
        words = set(re.findall(r"(\w+): \"", re.search(r"const STILL = \{(.*?)\};", f.read(), re.S).group(1)))
    with open(rig.TOP + "/replicator/sync_names.c") as f:
        names = re.search(r"table_pause_name.*?\n}", f.read(), re.S).group(0)
    assert words == set(re.findall(r'return "(\w+)"', names))
