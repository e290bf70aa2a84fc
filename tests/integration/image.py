"""Builds the images of docker/Dockerfile with buildah, without a daemon and without a registry.

The base image is made with debootstrap from the Debian mirror that this machine uses. Base, layers and images are
kept in a cache outside the checkout, so that only what has changed is built again. Needs root.

  REBECO_CACHE    the cache, default ~/.cache/rebeco

As a program it builds both beforehand, so that the tests find them; what goes wrong then they say.
"""

import contextlib
import ctypes
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess

import rig

CACHE = os.environ.get("REBECO_CACHE") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "rebeco")
INPUTS = ["Makefile", "docker/Dockerfile", "replicator", "schema", "sql"]
IMAGES_KEPT = 60  # with the layers in between; more are forgotten


def missing():
    """Why images cannot be built here, or None."""
    if os.getuid() != 0:
        return "building an image needs root"
    for program in ("buildah", "crun", "debootstrap"):
        if shutil.which(program) is None:
            return f"{program} is not installed (tests/setup does it)"
    return None


@contextlib.contextmanager
def _locked():
    os.makedirs(CACHE, mode=0o700, exist_ok=True)
    with open(CACHE + "/lock", "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def _run(*argv, env=None):
    p = subprocess.run(argv, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, cwd=rig.TOP,
                       env={**os.environ, **(env or {})})
    assert p.returncode == 0, f"{' '.join(argv)} ended with {p.returncode}:\n{p.stdout[-6000:]}\n{p.stderr[-6000:]}"
    return p.stdout


def _store(driver):
    # What is mounted is noted beside the images' store and must not outlive this boot.
    return ["--root", CACHE + "/images", "--runroot", "/run/rebeco-images", "--storage-driver", driver]


def _driver():
    """overlay, or where that cannot be (inside a container), plain copies."""
    kept = CACHE + "/driver"
    if not os.path.exists(kept):
        p = subprocess.run(["buildah", *_store("overlay"), "info"], capture_output=True)
        driver = "overlay" if p.returncode == 0 else "vfs"
        if driver == "vfs":
            shutil.rmtree(CACHE + "/images", ignore_errors=True)
        with open(kept, "w") as f:
            f.write(driver)
    with open(kept) as f:
        return f.read()


def _buildah(*args, **more):
    return _run("buildah", *_store(_driver()), *args, **more)


def _network():
    """How this machine reaches its Debian mirror: (mirror or None, environment)."""
    env = {}
    for protocol in ("http", "https"):
        proxy = re.search(r'"(.+)"', _run("apt-config", "dump", f"Acquire::{protocol}::Proxy"))
        if proxy and not os.environ.get(f"{protocol}_proxy"):
            env[f"{protocol}_proxy"] = proxy.group(1)
    sites = _run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages").split()
    mirrors = [s for s in sites if s.startswith("http") and re.search(r"/debian/?$", s)]
    return (mirrors[0] if mirrors else None), env


def _make_base(release):
    """debian:RELEASE-slim, made of the same packages as the one of that name, and without the same files."""
    name = f"debian:{release}-slim"
    if _exists(name):
        return
    root = f"{CACHE}/{release}"
    shutil.rmtree(root, ignore_errors=True)
    mirror, env = _network()
    _run("debootstrap", "--variant=minbase", release, root, *([mirror] if mirror else []), env=env)
    for heap in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale",
                 "usr/share/info", "var/log"):
        for entry in os.scandir(f"{root}/{heap}"):
            shutil.rmtree(entry.path) if entry.is_dir(follow_symlinks=False) else os.unlink(entry.path)
    with open(root + "/etc/dpkg/dpkg.cfg.d/fast", "w") as f:
        f.write("force-unsafe-io\n")
    container = _buildah("from", "scratch").strip()
    _buildah("add", "--quiet", container, root, "/")
    _buildah("config", "--cmd", "bash", container)
    _buildah("commit", "--quiet", "--rm", container, name)
    shutil.rmtree(root)


def _exists(name):
    known = _buildah("images", "--format", "{{.Name}}:{{.Tag}}").split()
    return any(k.endswith("/" + name) for k in known)


def _hash(args):
    h = hashlib.sha256(repr(sorted(args.items())).encode())
    for entry in INPUTS:
        path = os.path.join(rig.TOP, entry)
        files = [path] if os.path.isfile(path) else sorted(os.path.join(path, n) for n in os.listdir(path))
        for name in files:
            with open(name, "rb") as f:
                h.update(name[len(rig.TOP):].encode() + b"\0" + f.read() + b"\0")
    return h.hexdigest()[:16]


class Image:
    """A built image: its configuration, its size in bytes, and how to get its files."""

    def __init__(self, target="rebeco", **args):
        """args: build arguments, such as DEBIAN="trixie"."""
        self.name = f"rebeco-test-{target}:{_hash(args)}"
        with _locked():
            releases = {args.get("DEBIAN", "bookworm"), args.get("DEBIAN_OLDER", args.get("DEBIAN", "bookworm"))}
            for release in sorted(releases):
                _make_base(release)
            if not _exists(self.name):
                self._build(target, args)
            doc = json.loads(_buildah("inspect", "--type", "image", "localhost/" + self.name))
            self.config = doc["OCIv1"]["config"]
            (listed,) = json.loads(_buildah("images", "--json", "localhost/" + self.name))
            self.size = _bytes(listed["size"])

    def _build(self, target, args):
        if len(_buildah("images", "--all", "--quiet").split()) > IMAGES_KEPT:
            _buildah("rmi", "--prune", "--force")
        _, env = _network()
        flags = [f"--build-arg={k}={v}" for k, v in args.items()]
        _buildah("bud", "--layers", "--pull=never", "--isolation", "chroot", "--network", "host", "--target", target,
                 *flags, "-f", "docker/Dockerfile", "-t", self.name, ".", env=env)

    def unpack(self, folder):
        """Copies the image's root file system to `folder`."""
        with _locked():
            container = _buildah("from", "--pull-never", "localhost/" + self.name).strip()
            try:
                subprocess.run(["cp", "-a", _buildah("mount", container).strip(), folder], check=True)
            finally:
                _buildah("rm", container)


def _bytes(text):
    """"92.9 MB", as buildah prints a size."""
    number, unit = text.split()
    return float(number) * {"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9}[unit.upper()]


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if missing() is None:
        for target in ("rebeco", "small"):
            Image(target)
