"""The promise: conf/rebeco.service is a valid unit that gives the daemon nothing it does not need."""

import subprocess

import pytest
import rig

UNIT = rig.TOP + "/conf/rebeco.service"
EXPOSURE_MOST = 1.5  # of 10, as systemd-analyze counts it


@pytest.fixture
def unit(tmp_path):
    """The unit as it is, but for the place of the program, which must be there."""
    with open(UNIT) as f:
        text = f.read()
    assert text.count("/usr/local/bin/rebeco") == 1
    path = tmp_path / "rebeco.service"
    path.write_text(text.replace("/usr/local/bin/rebeco", rig.RELEASE))
    return path


def test_the_unit_is_valid(unit):
    def complaints():
        p = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True)
        return [line for line in p.stderr.splitlines() if "rebeco" in line]

    assert complaints() == []
    unit.write_text(unit.read_text().replace("WatchdogSec=", "WatchDogSecs="))
    assert complaints(), "a mistake would not be seen"


def test_the_unit_is_confined(unit):
    def assess():
        return subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager",
                               f"--threshold={int(EXPOSURE_MOST * 10)}", str(unit)], capture_output=True, text=True)

    p = assess()
    print(p.stdout.splitlines()[-1])
    assert p.returncode == 0, p.stdout
    unit.write_text(unit.read_text().replace("DynamicUser=yes\n", "").replace("CapabilityBoundingSet=\n", ""))
    assert assess().returncode != 0, "a weaker unit would not be seen"
