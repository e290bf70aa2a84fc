"""Reads the manifests of docker/kubernetes and plays what a cluster does with them.

A Container is started by crun from an unpacked image under what the pod's manifest says: user, groups, read-only root
file system, no capabilities, no new privileges, the seccomp profile of a container runtime, its arguments, and its
ConfigMap and Secret as mounts. It shares the machine's network, so each listens on a port of its own. Kubelet probes it, ends it and starts it again
as the manifest says; JobController decides when the Job is done, and when it has failed.
"""

import contextlib
import http.client
import json
import os
import platform
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import rig
import yaml

MANIFESTS = rig.TOP + "/docker/kubernetes"

# ------------------------------------------------------------------ manifests


def load(path):
    with open(path) as f:
        return [doc for doc in yaml.safe_load_all(f) if doc]


def build(folder):
    """What `kubectl kustomize` makes of a folder: the little of it that the folders here use."""
    (k,) = load(folder + "/kustomization.yaml")
    known = {"apiVersion", "kind", "resources", "images", "patches"}
    assert set(k) <= known, f"{folder}: kubelet.py does not know all of this"
    docs = []
    for entry in k["resources"]:
        path = os.path.normpath(os.path.join(folder, entry))
        docs += build(path) if os.path.isdir(path) else load(path)
    for patch in k.get("patches", []):
        (change,) = load(os.path.join(folder, patch["path"]))
        (doc,) = [d for d in docs if (d["kind"], d["metadata"]["name"]) == (change["kind"], change["metadata"]["name"])]
        _merge(doc, change)
    for image in k.get("images", []):
        for doc in docs:
            for c in containers(doc):
                if c["image"] == image["name"]:
                    c["image"] = f"{image['newName']}:{image['newTag']}"
    return docs


def _merge(doc, change):
    for key, value in change.items():
        assert not isinstance(value, list), "lists are merged by rules that are not known here"
        if isinstance(value, dict):
            _merge(doc.setdefault(key, {}), value)
        else:
            doc[key] = value


def pod_of(doc):
    """The pod's spec in a Job or a Deployment; None in others."""
    return doc["spec"]["template"]["spec"] if doc["kind"] in ("Job", "Deployment") else None


def containers(doc):
    return pod_of(doc)["containers"] if pod_of(doc) else []


class Cluster:
    """The manifests of overlays that are applied together, with the secrets that a user puts in."""

    def __init__(self, *overlays, secrets, config=None):
        self.docs = [doc for overlay in overlays for doc in build(f"{MANIFESTS}/overlays/{overlay}")]
        self.objects = {(d["kind"], d["metadata"]["name"]): d for d in self.docs}
        secret = self.objects["Secret", "rebeco"]
        assert set(secrets) == set(secret["stringData"]), "other secrets than the manifest has"
        secret["stringData"] = dict(secrets)
        if config:
            files = self.objects["ConfigMap", "rebeco"]["data"]
            files["rebeco.yaml"] = config(files["rebeco.yaml"])

    def the(self, kind, name="rebeco"):
        return self.objects[kind, name]

    def files(self, volume):
        """{name: text} and mode of a volume."""
        if "configMap" in volume:
            return self.objects["ConfigMap", volume["configMap"]["name"]]["data"], 0o644
        source = volume["secret"]
        return self.objects["Secret", source["secretName"]]["stringData"], source.get("defaultMode", 0o644)


# ------------------------------------------------------------------ one container


def _seccomp():
    """The profile that container runtimes have by default, in the runtime's own form, for no capabilities."""
    with open("/usr/share/containers/seccomp.json") as f:
        profile = json.load(f)
    native = {"x86_64": ("amd64", "SCMP_ARCH_X86_64"), "aarch64": ("arm64", "SCMP_ARCH_AARCH64")}[platform.machine()]
    calls = []
    for rule in profile["syscalls"]:
        includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
        if includes.get("caps") or native[0] not in includes.get("arches", [native[0]]):
            continue
        if native[0] in excludes.get("arches", []):
            continue
        one = {"names": rule["names"], "action": rule["action"]}
        if rule.get("args"):
            one["args"] = rule["args"]
        if rule.get("errnoRet") is not None:
            one["errnoRet"] = rule["errnoRet"]
        calls.append(one)
    architectures = [native[1]]
    for known in profile["archMap"]:
        if known["architecture"] == native[1]:
            architectures += known["subArchitectures"] or []
    return {"defaultAction": profile["defaultAction"], "defaultErrnoRet": profile.get("defaultErrnoRet", 1),
            "architectures": architectures, "syscalls": calls}


class Container:
    """The only container of a pod, running. Its log is pod-log in its folder, which goes with the test."""

    def __init__(self, cluster, pod, image, root, port):
        """root: the image's files, unpacked. port: where it listens: a pod has an address of its own, but here all
        have the same."""
        (c,) = pod["containers"]
        self.ports = str(c["ports"][0]["containerPort"]), str(port)
        self.home = tempfile.mkdtemp(prefix="pod-", dir=rig.folder())
        self.volumes = {}
        self.log_path = self.home + "/pod-log"
        rules, own = pod["securityContext"], c["securityContext"]
        for volume in pod["volumes"]:
            self.volumes[volume["name"]] = self._write(cluster, volume, rules["fsGroup"])
        mounts = [(m["mountPath"], self.volumes[m["name"]]) for m in c["volumeMounts"]]
        assert rules["runAsNonRoot"] and rules["runAsUser"] != 0 and own["capabilities"] == {"drop": ["ALL"]}
        env = {e.split("=", 1)[0]: e.split("=", 1)[1] for e in image.config["Env"]}
        env.update({e["name"]: e["value"] for e in c.get("env", [])})
        spec = {
            "ociVersion": "1.0.2",
            "hostname": "rebeco",
            "root": {"path": root, "readonly": own["readOnlyRootFilesystem"]},
            "process": {
                "terminal": False, "cwd": "/",
                "user": {"uid": rules["runAsUser"], "gid": rules["runAsGroup"], "additionalGids": [rules["fsGroup"]]},
                "args": c.get("command", image.config["Entrypoint"]) + c.get("args", image.config.get("Cmd", [])),
                "env": [f"{k}={v}" for k, v in env.items()],
                "capabilities": {k: [] for k in ("bounding", "effective", "inheritable", "permitted", "ambient")},
                "noNewPrivileges": not own["allowPrivilegeEscalation"],
            },
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
                {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "nodev"]},
                *({"destination": path, "type": "bind", "source": path, "options": ["rbind", "ro"]}
                  for path in ("/etc/hosts", "/etc/resolv.conf") if os.path.exists(path)),
                *({"destination": to, "type": "bind", "source": folder, "options": ["rbind", "ro"]}
                  for to, folder in mounts)],
            "linux": {
                "namespaces": [{"type": t} for t in ("pid", "ipc", "uts", "mount")],
                "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/scsi"],
                "readonlyPaths": ["/proc/sys", "/proc/bus", "/proc/irq", "/proc/fs"],
                "seccomp": _seccomp(),
            },
        }
        assert rules["seccompProfile"] == {"type": "RuntimeDefault"}
        with open(self.home + "/config.json", "w") as f:
            json.dump(spec, f)
        self._start()

    def _write(self, cluster, volume, group):
        """A volume's folder, laid out as in a pod: each file leads through a link that is exchanged at once."""
        files, mode = cluster.files(volume)
        folder = f"{self.home}/volume-{volume['name']}"
        os.makedirs(folder + "/..first")
        for name, text in files.items():
            path = f"{folder}/..first/{name}"
            with open(path, "w") as f:
                f.write(text.replace("0.0.0.0:" + self.ports[0], "127.0.0.1:" + self.ports[1]))
            os.chmod(path, mode)
            os.chown(path, 0, group)
            os.symlink("..data/" + name, f"{folder}/{name}")
        os.symlink("..first", folder + "/..data")
        return folder

    def _start(self):
        # All of it is in a process namespace that ends with this test process, also when that is killed.
        # There it sees no control groups: not every machine has those that crun knows.
        run = ["crun", "--root", self.home + "/state", "--cgroup-manager", "disabled", "run", "--bundle", self.home,
               os.path.basename(self.home)]
        hide = 'mount -t tmpfs none /sys/fs/cgroup; exec "$@"'
        argv = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", hide, "sh", *run]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            preexec_fn=lambda: rig._libc.prctl(rig._PR_SET_PDEATHSIG, signal.SIGKILL))
        rig._running.append(self)
        self.started_at = time.monotonic()

    def pid(self):
        """The daemon's number, as seen from outside; None before it runs."""
        pid = self.process.pid
        for name in ("crun", "rebeco"):
            out = subprocess.run(["ps", "-o", "pid=,comm=", "--ppid", str(pid)], capture_output=True, text=True).stdout
            found = [int(line.split()[0]) for line in out.splitlines() if line.split()[1] == name]
            if not found:
                return None
            pid = found[0]
        return pid

    def wait_started(self):
        return rig.eventually(f"the container runs:\n{self.log()}", self.pid, 20)

    def signal(self, number):
        os.kill(self.wait_started(), number)

    def exit_code(self):
        """As an orchestrator sees it, 137 for SIGKILL; None while it runs."""
        code = self.process.poll()
        if code is not None and self in rig._running:
            rig._running.remove(self)
        return 128 - code if code is not None and code < 0 else code

    def wait(self, timeout):
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the container did not end within {timeout} s:\n{self.log()[-4000:]}") from None
        return self.exit_code()

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def status(self, field):
        """A field of /proc/PID/status."""
        with open(f"/proc/{self.pid()}/status") as f:
            return next(line.split(":", 1)[1].strip() for line in f if line.startswith(field + ":"))

    def sweep(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.home + "/state", ignore_errors=True)


# ------------------------------------------------------------------ the kubelet


class Kubelet:
    """Runs a pod of a Job or a Deployment. `hurry` divides the times between probes.

    It does so in a thread of its own, which the container does not outlive. A container whose liveness probe fails as
    often as the manifest allows is ended; one that has ended is started again by restartPolicy (without back-off)."""

    def __init__(self, cluster, kind, image, root, name="rebeco"):
        self.cluster, self.image, self.root, self.hurry = cluster, image, root, 1
        self.pod = pod_of(cluster.the(kind, name))
        self.port = rig.free_port()
        (self.spec,) = self.pod["containers"]
        self.codes = []
        self.is_ready = False
        self.was_unhealthy = 0
        self.container = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        rig._running.append(self)

    def _run(self):
        while not self._over.is_set():
            self.container = Container(self.cluster, self.pod, self.image, self.root, self.port)
            code = self._watch()
            self.is_ready = False
            self.codes.append(code)
            if self.pod["restartPolicy"] == "Never" or (self.pod["restartPolicy"] == "OnFailure" and code == 0):
                return

    def _watch(self):
        """Probes until the container has ended; returns its code."""
        due = {}
        fails = {name: 0 for name in ("livenessProbe", "readinessProbe") if name in self.spec}
        for name in fails:
            due[name] = time.monotonic() + self.spec[name].get("initialDelaySeconds", 0)
        while (code := self.container.exit_code()) is None and not self._over.is_set():
            for name in fails:
                probe = self.spec[name]
                if time.monotonic() < due[name]:
                    continue
                good = self._ask(probe)
                fails[name] = 0 if good else fails[name] + 1
                due[name] = time.monotonic() + probe["periodSeconds"] / self.hurry
                if name == "readinessProbe":
                    self.is_ready = good or (self.is_ready and fails[name] < probe["failureThreshold"])
                elif fails[name] >= probe["failureThreshold"]:
                    self.was_unhealthy += 1
                    return self._end()
            time.sleep(0.05)
        return self._end() if code is None else code

    def _ask(self, probe):
        get = probe["httpGet"]
        assert get["port"] == self.spec["ports"][0]["name"]
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=probe["timeoutSeconds"] / self.hurry)
        try:
            c.request("GET", get["path"])
            return 200 <= c.getresponse().status < 400
        except OSError:
            return False
        finally:
            c.close()

    def _end(self):
        """SIGTERM, the manifest's grace period, SIGKILL."""
        with contextlib.suppress(AssertionError, ProcessLookupError):
            self.container.signal(signal.SIGTERM)
        try:
            self.container.process.wait(self.pod["terminationGracePeriodSeconds"] / self.hurry)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(AssertionError, ProcessLookupError):
                self.container.signal(signal.SIGKILL)
        return self.container.wait(20)

    def running(self):
        """The container that runs now."""
        return rig.eventually("a container runs", lambda: self.container and self.container.pid() and self.container, 30)

    def delete(self):
        """The pod is deleted; returns its container's exit code and the seconds it took."""
        begin = time.monotonic()
        self._over.set()
        return self.wait_ended(self.pod["terminationGracePeriodSeconds"] + 30), time.monotonic() - begin

    def wait_ended(self, timeout):
        self._thread.join(timeout)
        assert not self._thread.is_alive(), f"the pod has not ended:\n{self.container.log()[-4000:]}"
        rig._running.remove(self)
        return self.codes[-1]

    def sweep(self):
        self._over.set()
        if self.container:
            self.container.sweep()


class JobController:
    """Makes pods until the Job is complete or has failed, by its own manifest. The back-off is left out."""

    def __init__(self, cluster, image, root, name="rebeco"):
        self.cluster, self.image, self.root, self.name = cluster, image, root, name
        self.job = cluster.the("Job", name)["spec"]
        self.codes = []
        self.failed = 0
        self.kubelet = None
        self.condition = None

    def start_pod(self):
        assert self.condition is None
        self.kubelet = Kubelet(self.cluster, "Job", self.image, self.root, self.name)
        return self.kubelet

    def ended(self, code, disrupted=False):
        """Takes note of how a pod ended; answers the Job's condition, None while it goes on."""
        self.codes.append(code)
        print(f"the pod ended with {code}:\n{self.kubelet.container.log()[-3000:]}")
        if code == 0:
            self.condition = "Complete"
            return self.condition
        action = self._action(code, disrupted)
        if action == "FailJob":
            self.condition = "Failed"
        elif action == "Count":
            self.failed += 1
            if self.failed > self.job["backoffLimit"]:
                self.condition = "Failed"
        return self.condition

    def _action(self, code, disrupted):
        (name,) = [c["name"] for c in pod_of(self.cluster.the("Job", self.name))["containers"]]
        for rule in self.job["podFailurePolicy"]["rules"]:
            on = rule.get("onExitCodes")
            if on and on["containerName"] == name and on["operator"] == "In" and code in on["values"]:
                return rule["action"]
            if disrupted and any(c["type"] == "DisruptionTarget" for c in rule.get("onPodConditions", [])):
                return rule["action"]
        return "Count"
