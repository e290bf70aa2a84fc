"""Chromium without a screen, told what to do over its debugging pipe: phones, dark colours, what a screen reader hears.

    with Browser(folder) as b:
        page = b.open(url, 390, 844, mobile=True)
        page.wait("document.title !== ''")
        page.shoot("phone.png")
"""

import base64
import contextlib
import fcntl
import json
import os
import select
import subprocess
import time

import rig

FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
         "--remote-debugging-pipe"]
ANSWER_S = 60


def _pipe():
    """A pipe whose numbers are not those that the browser wants."""
    ends = os.pipe()
    high = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends)
    for end in ends:
        os.close(end)
    return high


class Browser:
    def __init__(self, folder):
        theirs_in, self._to = _pipe()
        self._from, theirs_out = _pipe()
        argv = ["bash", "-c", f'exec chromium "$@" 3<&{theirs_in} 4>&{theirs_out}', "bash", *FLAGS,
                f"--user-data-dir={folder}/profile", "about:blank"]
        env = {**os.environ, "HOME": str(folder), "TZ": "UTC", "LANG": "C.UTF-8"}
        self._log = open(f"{folder}/chromium.log", "wb")
        self.process = subprocess.Popen(argv, pass_fds=(theirs_in, theirs_out), stdin=subprocess.DEVNULL, env=env,
                                        stdout=self._log, stderr=self._log, start_new_session=True)
        os.close(theirs_in)
        os.close(theirs_out)
        self._rest = b""
        self._number = 0
        rig._running.append(self)

    def call(self, method, session=None, **params):
        """Sends a command and returns its result; events in between are dropped."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._to, data):]
        while True:
            answer = self._read(method)
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def _read(self, method):
        end = time.monotonic() + ANSWER_S
        while b"\0" not in self._rest:
            assert select.select([self._from], [], [], max(0, end - time.monotonic()))[0], f"the browser is silent: {method}"
            data = os.read(self._from, 1 << 20)
            assert data, "the browser has ended"
            self._rest += data
        message, self._rest = self._rest.split(b"\0", 1)
        return json.loads(message)

    def open(self, url, width=1200, height=1000, mobile=False, dark=False):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session, target)
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=height, mobile=mobile,
                  deviceScaleFactor=2 if mobile else 1)
        page.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        page.call("Page.enable")
        page.call("Page.navigate", url=url)
        return page

    def sweep(self):
        with contextlib.suppress(OSError):
            os.close(self._to)  # ends it
            os.close(self._from)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        rig._running.remove(self)
        self.sweep()


class Page:
    def __init__(self, browser, session, target):
        self.browser, self.session, self.target = browser, session, target

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def value(self, expression):
        """What a JavaScript expression gives."""
        r = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in r, r["exceptionDetails"]
        return r["result"].get("value")

    def wait(self, expression, timeout=30):
        self.call("Page.bringToFront")  # a page that nobody sees is brought up to date rarely
        return rig.eventually(expression, lambda: self.value(f"Boolean({expression})"), timeout)

    def text(self):
        """What a person sees, in one line."""
        return " ".join(self.value("document.body.innerText").split())

    def shoot(self, path):
        """A picture of the whole page, also of what is below the screen; returns it."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        data = base64.b64decode(shot["data"])
        with open(path, "wb") as f:
            f.write(data)
        if os.environ.get("REBECO_KEEP"):
            print(f"kept: {path}")
        return data

    def heard(self):
        """What a screen reader is told: [(role, name, properties)], in the page's order, without what is ignored."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [(n["role"]["value"], n.get("name", {}).get("value", ""),
                 {p["name"]: p["value"].get("value") for p in n.get("properties", [])})
                for n in nodes if not n.get("ignored")]

    def close(self):
        self.browser.call("Target.closeTarget", targetId=self.target)
