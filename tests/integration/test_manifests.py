"""The promise: the Kubernetes manifests are valid, and fit each other, the program and its exit codes."""

import copy
import glob
import json
import os
import re
import shutil
import subprocess

import jsonschema
import kubelet
import pytest
import rig
import yaml

OVERLAYS = sorted(os.listdir(kubelet.MANIFESTS + "/overlays"))
DEFINITIONS = rig.TOP + "/tests/kubernetes/api-definitions.json"

# The Prometheus operator's own, as far as it is used.
POD_MONITOR = {
    "type": "object", "additionalProperties": False, "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "monitoring.coreos.com/v1"}, "kind": {"const": "PodMonitor"},
        "metadata": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"},
        "spec": {
            "type": "object", "additionalProperties": False, "required": ["selector", "podMetricsEndpoints"],
            "properties": {
                "selector": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector"},
                "podMetricsEndpoints": {"type": "array", "minItems": 1, "items": {
                    "type": "object", "additionalProperties": False, "required": ["port"],
                    "properties": {
                        "port": {"type": "string"}, "path": {"type": "string"}, "interval": {"type": "string"},
                        "authorization": {
                            "type": "object", "additionalProperties": False, "required": ["credentials"],
                            "properties": {"type": {"type": "string"}, "credentials": {
                                "$ref": "#/definitions/io.k8s.api.core.v1.SecretKeySelector"}}}}}}}}}}


def api():
    """The API's definitions as a server applies them: no unknown field."""
    with open(DEFINITIONS) as f:
        definitions = json.load(f)["definitions"]
    for name, d in definitions.items():
        if "properties" in d and "additionalProperties" not in d:
            d["additionalProperties"] = False
        if name.endswith(("IntOrString", "Quantity")):
            d.clear()
            d["type"] = ["integer", "string", "number"]
    return definitions


def errors(doc, definitions):
    group, _, version = doc["apiVersion"].rpartition("/")
    wanted = {"group": group, "kind": doc["kind"], "version": version}
    if wanted["kind"] == "PodMonitor":
        schema = POD_MONITOR
    else:
        (name,) = [n for n, d in definitions.items() if wanted in d.get("x-kubernetes-group-version-kind", [])]
        schema = {"$ref": f"#/definitions/{name}"}
    found = jsonschema.Draft4Validator({**schema, "definitions": definitions}).iter_errors(doc)
    return [f"{doc['kind']}: {'.'.join(map(str, e.absolute_path))}: {e.message}" for e in found]


@pytest.fixture(scope="module")
def definitions():
    return api()


def manifests():
    files = glob.glob(kubelet.MANIFESTS + "/**/*.yaml", recursive=True)
    return sorted(f for f in files if not f.endswith("kustomization.yaml"))


def test_every_file_is_valid(definitions):
    assert len(manifests()) >= 6
    for path in manifests():
        for doc in kubelet.load(path):
            assert errors(doc, definitions) == [], path


def test_a_mistake_would_be_seen(definitions):
    (job,) = kubelet.load(kubelet.MANIFESTS + "/overlays/job/job.yaml")
    spoils = [lambda d: d["spec"].update(backofLimit=1), lambda d: d["spec"].update(backoffLimit="many"),
              lambda d: kubelet.containers(d)[0]["livenessProbe"]["httpGet"].pop("port"),
              lambda d: kubelet.containers(d)[0]["securityContext"].update(runAsUser="me"),
              lambda d: kubelet.pod_of(d).pop("containers")]
    for spoil in spoils:
        doc = copy.deepcopy(job)
        spoil(doc)
        assert errors(doc, definitions)


def together(overlay):
    """All that is there when an overlay is applied: the copiers come beside another one."""
    beside = kubelet.build(kubelet.MANIFESTS + "/base") if overlay == "copiers" else []
    return beside + kubelet.build(f"{kubelet.MANIFESTS}/overlays/{overlay}")


def test_every_manifest_is_used():
    used = set()
    for folder in OVERLAYS:
        for base in (f"{kubelet.MANIFESTS}/overlays/{folder}", kubelet.MANIFESTS + "/base"):
            (k,) = kubelet.load(base + "/kustomization.yaml")
            names = k["resources"] + [p["path"] for p in k.get("patches", [])]
            used |= {os.path.normpath(f"{base}/{r}") for r in names if r.endswith(".yaml")}
    assert set(manifests()) - used == {kubelet.MANIFESTS + "/podmonitor.yaml"}, "a manifest that nobody applies"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_fits_together(overlay, definitions):
    """What the API server and the kubelet refuse beyond the schema."""
    docs = together(overlay)
    for doc in docs:
        assert errors(doc, definitions) == []
    objects = {(d["kind"], d["metadata"]["name"]): d for d in docs}
    assert len(objects) == len(docs)
    (main,) = [d for d in docs if kubelet.pod_of(d)]
    pod, labels = kubelet.pod_of(main), main["spec"]["template"]["metadata"]["labels"]
    (c,) = pod["containers"]
    ports = {p["name"]: p["containerPort"] for p in c["ports"]}
    for probe in {"livenessProbe", "readinessProbe"} & set(c):
        assert c[probe]["httpGet"]["port"] in ports
    volumes = {v["name"]: v for v in pod["volumes"]}
    assert {m["name"] for m in c["volumeMounts"]} == set(volumes)
    for v in volumes.values():
        assert ("ConfigMap", v["configMap"]["name"]) in objects if "configMap" in v else (
            "Secret", v["secret"]["secretName"]) in objects
    assert pod["automountServiceAccountToken"] is False
    policy = objects["NetworkPolicy", "rebeco"]["spec"]
    (monitor,) = kubelet.load(kubelet.MANIFESTS + "/podmonitor.yaml")
    for selector in (policy["podSelector"], monitor["spec"]["selector"]):
        assert selector["matchLabels"].items() <= labels.items()
    assert {p["port"] for r in policy["ingress"] for p in r["ports"]} == set(ports.values())
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] in ports
    token = endpoint["authorization"]["credentials"]
    assert token["key"] in objects["Secret", token["name"]]["stringData"]
    if main["kind"] == "Deployment":
        assert main["spec"]["selector"]["matchLabels"].items() <= labels.items()
        assert pod["restartPolicy"] == "Always"
    else:
        assert pod["restartPolicy"] == "Never", "podFailurePolicy asks for it"
        assert main["spec"]["podReplacementPolicy"] == "Failed", "podFailurePolicy asks for it"


def test_all_pods_are_confined_alike():
    pods = [kubelet.pod_of(d) for o in OVERLAYS for d in together(o) if kubelet.pod_of(d)]
    assert len(pods) == len(OVERLAYS)
    for pod in pods:
        for key in ("securityContext", "volumes", "terminationGracePeriodSeconds"):
            assert pod[key] == pods[0][key]
        (c,), (first,) = pod["containers"], pods[0]["containers"]
        for key in ("image", "ports", "livenessProbe", "resources", "securityContext", "volumeMounts"):
            assert c[key] == first[key]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_program_takes_what_they_say(overlay, tmp_path):
    """The configuration is valid, reads the secrets, listens where the probes ask; the grace period fits."""
    docs = together(overlay)
    (main,) = [d for d in docs if kubelet.pod_of(d)]
    (c,) = kubelet.containers(main)
    (text,) = [d["data"]["rebeco.yaml"] for d in docs if d["kind"] == "ConfigMap"]
    (secret,) = [d["stringData"] for d in docs if d["kind"] == "Secret"]
    (mount,) = [m["mountPath"] for m in c["volumeMounts"] if m["name"] == "secrets"]
    assert set(re.findall(re.escape(mount) + r"/([\w-]+)", text)) == set(secret), "a secret that is not used, or not there"
    for name, value in secret.items():
        (tmp_path / name).write_text(value)
    (tmp_path / "rebeco.yaml").write_text(text.replace(mount, str(tmp_path)))
    p = subprocess.run([rig.REBECO, "--config", str(tmp_path / "rebeco.yaml"), "config"], capture_output=True, text=True)
    assert p.returncode == 0, p.stderr
    assert "PASSWORD" not in p.stdout
    assert yaml.safe_load(text)["http"]["listen"] == f"0.0.0.0:{c['ports'][0]['containerPort']}"
    assert kubelet.pod_of(main)["terminationGracePeriodSeconds"] >= 10, "the daemon takes up to 5 s"


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not here to compare with")
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kustomize_makes_the_same(overlay):
    folder = f"{kubelet.MANIFESTS}/overlays/{overlay}"
    p = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True)
    assert p.returncode == 0, p.stderr

    def order(docs):
        return sorted(docs, key=lambda d: d["kind"])

    assert order(yaml.safe_load_all(p.stdout)) == order(kubelet.build(folder))
