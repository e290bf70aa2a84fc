"""The promise: two small images, and manifests under which they run as on a cluster."""

import json
import os
import re
import signal
import subprocess
import time

import image
import kubelet
import pytest
import rig
import workload
from test_http import ask, is_up, metrics

pytestmark = [pytest.mark.limit(900),
              pytest.mark.skipif(image.missing() is not None, reason=str(image.missing()))]

TOKEN = "open sesame"


def unpacked(target, **args):
    """(Image, folder with its files)"""
    built = image.Image(target, **args)
    folder = os.path.join(rig.folder(), built.name.replace(":", "-"))
    if not os.path.exists(folder):
        built.unpack(folder)
    return built, folder


@pytest.fixture(scope="module")
def full():
    return unpacked("rebeco")


@pytest.fixture(scope="module")
def small():
    return unpacked("small")


def cluster(overlays, source, target, config=None):
    secrets = {"source-url": source.url(), "target-url": target.url(), "http-token": TOKEN}
    return kubelet.Cluster(*overlays.split(), secrets=secrets, config=config)


def setuid_files(root):
    out = subprocess.run(["find", root, "-xdev", "-perm", "/6000", "-type", "f"], capture_output=True, text=True)
    return out.stdout.split()


def test_the_images(full, small):
    for (built, root), limit in ((full, 150e6), (small, 40e6)):
        print(f"{built.name}: {built.size / 1e6:.1f} MB")
        assert 1e6 < built.size < limit
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", built.config["User"]), "not a number, or root"
        assert built.config["Entrypoint"] == ["/usr/bin/rebeco"] and built.config["Cmd"] == ["run"]
        assert built.config["Labels"]["org.opencontainers.image.title"].startswith("Rebeco")
        for file in setuid_files(root):
            assert file.startswith(root + "/usr/") and not small[1] == root
        said = subprocess.run(["chroot", root, "/usr/bin/rebeco", "version"], capture_output=True, text=True)
        assert said.returncode == 0 and said.stdout.startswith("rebeco ")
    (dump,) = [f for f in os.listdir(full[1] + "/usr/lib/postgresql")]
    tools = sorted(os.listdir(f"{full[1]}/usr/lib/postgresql/{dump}/bin"))
    assert tools == ["pg_dump", "pg_restore"]
    said = subprocess.run(["chroot", full[1], f"/usr/lib/postgresql/{dump}/bin/pg_dump", "--version"],
                          capture_output=True, text=True)
    assert f"(PostgreSQL) {dump}." in said.stdout
    for name in ("bin/sh", "usr/bin/sh", "usr/bin/bash", "usr/lib/postgresql"):
        assert not os.path.exists(f"{small[1]}/{name}")


def is_confined(container, root):
    """What the kernel says of the process: nobody's user, no capability, no way to get any, a filter."""
    process = f"/proc/{container.pid()}"  # asked once: it may have done its work in a few seconds
    with open(process + "/status") as f:
        status = dict(line.rstrip("\n").split(":", 1) for line in f)
    assert status["Uid"].split() == ["65532"] * 4 and status["Gid"].split() == ["65532"] * 4
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name], 16) == 0
    assert status["NoNewPrivs"].strip() == "1" and status["Seccomp"].strip() == "2"
    with open(process + "/mountinfo") as f:
        (options,) = [line.split()[5] for line in f if line.split()[4] == "/"]
    assert "ro" in options.split(",")
    for name in ("/environ", "/cmdline"):
        with open(process + name) as f:
            assert "postgresql://" not in f.read()


def test_the_job_moves_a_database(source, target, full):
    """Killed, drained and started again, it is complete only when the target has everything."""
    workload.install(source, rows=200)
    source.run("CREATE TABLE big (a int PRIMARY KEY, b text)")
    source.run("INSERT INTO big SELECT i, repeat('x', 1000) FROM generate_series(1, 6000) i")
    slow = ["\n    copy: { max_rate: 500kB/s, split_size: 1MB }\n"]
    world = cluster("job", source, target, lambda text: text.replace(
        "\n    target: target\n", "\n    target: target" + slow[0]))
    assert slow[0].strip() in world.the("ConfigMap")["data"]["rebeco.yaml"]
    job = kubelet.JobController(world, *full)
    # Killed in the middle of the copy.
    pod = job.start_pod()
    rig.eventually("some chunks are copied", lambda: chunks_done(target) >= 1, 60)
    is_confined(pod.running(), full[1])
    assert not pod.is_ready
    pod.running().signal(signal.SIGKILL)
    assert job.ended(pod.wait_ended(30)) is None and job.codes == [137]
    done = chunks_done(target)
    # Drained in the middle of the copy: it ends within the grace period, and that does not count as complete.
    pod = job.start_pod()
    rig.eventually("it goes on", lambda: chunks_done(target) > done, 60)
    code, took = pod.delete()
    assert code not in (0, 137) and took < pod.pod["terminationGracePeriodSeconds"]
    assert job.ended(code, disrupted=True) is None and job.failed == 1, "an eviction counts against backoffLimit"
    # Left alone, it comes to its end, while the application writes.
    slow[0] = "\n"
    world.the("ConfigMap")["data"]["rebeco.yaml"] = world.the("ConfigMap")["data"]["rebeco.yaml"].replace(
        "max_rate: 500kB/s, ", "")
    pod = job.start_pod()
    source.run("INSERT INTO big VALUES (0, 'late')")
    assert job.ended(pod.wait_ended(120)) == "Complete" and job.codes[-1] == 0
    assert target.value("SELECT phase FROM rebeco.sync") == "follow"
    rig.check_equal(source, target)
    for line in pod.container.log().splitlines():
        json.loads(line)
    assert TOKEN not in pod.container.log()


def chunks_done(target):
    with target.admin() as c:
        if c.value("SELECT to_regclass('rebeco.chunk')") is None:
            return 0
        return c.value("SELECT count(*) FROM rebeco.chunk WHERE done_at IS NOT NULL")


def test_the_job_fails_when_only_a_person_helps(source, target, full):
    source.run("CREATE TABLE t (a int PRIMARY KEY)")
    world = cluster("job", source, target, lambda text: text + "\nnonsense: 1\n")
    job = kubelet.JobController(world, *full)
    assert job.ended(job.start_pod().wait_ended(30)) == "Failed" and job.codes == [2]
    # The target's table has another shape: only a person can say what is right.
    target.run("CREATE TABLE t (a int PRIMARY KEY, b int NOT NULL)")
    job = kubelet.JobController(cluster("job", source, target), *full)
    assert job.ended(job.start_pod().wait_ended(60)) == "Failed" and job.codes == [4]


def test_the_deployment_follows(source, target, small):
    """On the small image, which has no shell: ready when in sync; killed, hung and deleted as by a kubelet."""
    workload.install(source, rows=100)
    copy_schema(source, target)
    world = cluster("follow", source, target, lambda text: text.replace(
        "\n    target: target\n", "\n    target: target\n    schema: expect\n"))
    pod = kubelet.Kubelet(world, "Deployment", *small)
    rig.eventually("it is ready", lambda: pod.is_ready, 60)
    is_confined(pod.running(), small[1])
    status, page, _ = ask(pod.port, "/metrics", Authorization=f"Bearer {TOKEN}")
    assert status == 200 and metrics(page)['rebeco_sync_in_sync{sync="app"}'] == 1
    assert ask(pod.port, "/metrics")[0] == 401
    requested = pod.spec["resources"]["requests"]["memory"]
    used = int(pod.running().status("VmHWM").split()[0]) * 1024
    print(f"memory: {used / 2**20:.1f} MB used at most, {requested} requested")
    assert used < int(requested.removesuffix("Mi")) * 2**20
    # Killed: it comes again by itself, and one of the two leads while the other stands by.
    second = kubelet.Kubelet(world, "Deployment", *small)
    rig.eventually("the second stands by", lambda: is_up(second.port), 30)
    assert not second.is_ready
    pod.running().signal(signal.SIGKILL)
    rig.eventually("the kubelet saw it", lambda: pod.codes == [137], 30)
    source.run("UPDATE item SET price = 1")
    leads = rig.eventually("one of them is ready", lambda: next((p for p in (pod, second) if p.is_ready), None), 60)
    rig.wait_converged(source, target, 60)
    waits = second if leads is pod else pod
    assert waits.running() and not waits.is_ready
    # The one that leads is deleted: the other one takes over.
    assert leads.delete()[0] == 0
    rig.eventually("the one that stood by leads", lambda: waits.is_ready, 60)
    pod, before = waits, len(waits.codes)
    # Hung: the liveness probe ends it.
    pod.hurry = 10
    hung = pod.running()
    hung.signal(signal.SIGSTOP)
    rig.eventually("the kubelet restarts what hangs", lambda: pod.was_unhealthy == 1 and len(pod.codes) > before, 60)
    pod.hurry = 1
    source.run("UPDATE item SET price = 2")
    rig.eventually("it is ready once more", lambda: pod.is_ready, 60)
    # Deleted while the application writes: the batch in hand is committed, and the next pod goes on.
    with workload.Application(source, writers=2, clerks=0):
        time.sleep(1)
        code, took = pod.delete()
    assert code == 0 and took < pod.pod["terminationGracePeriodSeconds"]
    pod = kubelet.Kubelet(world, "Deployment", *small)
    rig.eventually("the next pod is ready", lambda: pod.is_ready, 60)
    rig.wait_converged(source, target, 60)
    assert pod.delete()[0] == 0
    rig.check_equal(source, target)


def test_more_pods_copy(source, target, full):
    """The leading Job and two pods of the copiers' Job; one of these is killed and comes again."""
    source.run("CREATE TABLE big (a int PRIMARY KEY, b text)")
    source.run("INSERT INTO big SELECT i, repeat('x', 1000) FROM generate_series(1, 24000) i")
    world = cluster("job copiers", source, target, lambda text: text.replace(
        "\n    target: target\n", "\n    target: target\n    copy: { streams: 1, max_rate: 700kB/s, split_size: 1MB }\n"))
    assert "max_rate" in world.the("ConfigMap")["data"]["rebeco.yaml"]
    job = kubelet.JobController(world, *full)
    leader = job.start_pod()
    helpers = [kubelet.JobController(world, *full, name="rebeco-copiers") for _ in range(2)]
    pods = [h.start_pod() for h in helpers]
    rig.eventually("a copier has loaded something", lambda: "chunk copied" in pods[0].running().log(), 60)
    is_confined(pods[0].running(), full[1])
    pods[0].running().signal(signal.SIGKILL)
    assert helpers[0].ended(pods[0].wait_ended(30)) is None and helpers[0].codes == [137]
    pods[0] = helpers[0].start_pod()
    assert job.ended(leader.wait_ended(120)) == "Complete"
    for h, pod in zip(helpers, pods):
        assert h.ended(pod.wait_ended(60)) == "Complete"
    rig.check_equal(source, target)


def test_both_ways(source, target, full):
    workload.install(source, rows=50)
    source.run("CREATE TABLE note (a int PRIMARY KEY, b text)")
    world = cluster("two-way", source, target)
    pod = kubelet.Kubelet(world, "Deployment", *full)
    rig.eventually("it is ready", lambda: pod.is_ready, 60)
    source.run("INSERT INTO note VALUES (1, 'from the source')")
    target.run("INSERT INTO note VALUES (2, 'from the target')")
    rig.wait_converged(source, target, 30, sequences=False)
    assert source.value("SELECT count(*) FROM note") == target.value("SELECT count(*) FROM note") == 2
    assert pod.delete()[0] == 0


def copy_schema(source, target):
    """What a person does whose image has no pg_dump."""
    dump = subprocess.run(["pg_dump", "--schema-only", "--no-owner", "--no-privileges", "-d", source.url()],
                          capture_output=True, text=True, check=True).stdout
    target.psql("\n".join(line for line in dump.splitlines() if not re.match(r"\\(un)?restrict ", line)))


@pytest.mark.long
def test_other_releases_bring_other_majors(source, target):
    """DEBIAN=trixie has pg_dump 17, and DEBIAN_OLDER=bookworm adds 15; Rebeco takes the one that fits."""
    built, root = unpacked("rebeco", DEBIAN="trixie", DEBIAN_OLDER="bookworm")
    print(f"{built.name}: {built.size / 1e6:.1f} MB")
    assert built.size < 150e6
    assert sorted(os.listdir(root + "/usr/lib/postgresql")) == ["15", "17"]
    for major in ("15", "17"):
        said = subprocess.run(["chroot", root, f"/usr/lib/postgresql/{major}/bin/pg_dump", "--version"],
                              capture_output=True, text=True)
        assert f"(PostgreSQL) {major}." in said.stdout
    workload.install(source, rows=50)
    job = kubelet.JobController(cluster("job", source, target), built, root)
    assert job.ended(job.start_pod().wait_ended(120)) == "Complete"
    rig.check_equal(source, target)
