"""The promise: docker/compose.yaml shows it at work. Played without Docker: its SQL, its commands, its configuration."""

import os
import re
import subprocess

import rig
import yaml
from test_http import ask, metrics

FOLDER = rig.TOP + "/docker"


def compose():
    with open(FOLDER + "/compose.yaml") as f:
        return yaml.safe_load(f)["services"]


def test_every_file_is_there_and_used():
    used = {os.path.basename(v.split(":")[0]) for s in compose().values() for v in s.get("volumes", [])}
    assert used == set(os.listdir(FOLDER + "/compose"))
    build = compose()["rebeco"]["build"]
    assert os.path.exists(os.path.join(FOLDER, build["context"], build["dockerfile"]))
    with open(FOLDER + "/Dockerfile") as f:
        assert re.search(rf"^FROM .* AS {build['target']}$", f.read(), re.M)
    for name, s in compose().items():
        assert set(s.get("depends_on", {})) <= set(compose())
        assert set(s) <= {"image", "environment", "volumes", "healthcheck", "depends_on", "command", "build", "ports",
                          "read_only", "cap_drop", "security_opt", "stop_grace_period", "restart"}, name


def test_the_shop_moves(servers, rebecos, tmp_path):
    source, target = servers("source", "app"), servers("target", "rds")
    for server, name in ((source, "source"), (target, "target")):
        subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", server.url("postgres", "postgres"), "-f",
                        f"{FOLDER}/compose/{name}.sql"], check=True, capture_output=True)
    services = compose()
    port = rig.free_port()
    with open(FOLDER + "/compose/rebeco.yaml") as f:
        text = f.read().replace("8080", str(port)).replace("/run/secrets/rebeco/http-token", FOLDER + "/compose/token")
    assert services["rebeco"]["command"][2] == "run"
    env = {}
    for name, server in (("source", source), ("target", target)):
        variable = f"{name.upper()}_URL"
        env[variable] = services["rebeco"]["environment"][variable].replace(f"@{name}/", f"@127.0.0.1:{server.port}/")
    rebeco = rebecos(env["SOURCE_URL"], env["TARGET_URL"], text, env=env).start()
    instead = {"source": "127.0.0.1", "3600": "3", "/buy.sql": FOLDER + "/compose/buy.sql"}
    program, *buy = [instead.get(word, word) for word in services["customers"]["command"]]
    assert set(instead.values()) <= set(buy)
    subprocess.run([f"{source.version.bin}/{program}", "-p", str(source.port), *buy], check=True, capture_output=True)
    rebeco.wait_in_sync(90)
    with open(FOLDER + "/compose/token") as f:
        status, page, _ = ask(port, "/metrics", Authorization="Bearer " + f.read().strip())
    assert status == 200 and metrics(page)['rebeco_sync_in_sync{sync="shop"}'] == 1
    counts = [s.value("SELECT count(*) FROM purchase", user="postgres", database="shop") for s in (source, target)]
    assert counts[0] == counts[1] > 200000
    sums = "SELECT sum(hashtextextended(t::text, 0)::numeric) FROM product t"
    assert source.value(sums, user="postgres", database="shop") == target.value(sums, user="postgres", database="shop")
