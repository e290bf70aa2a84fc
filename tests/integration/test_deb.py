"""`make deb`: the package builds, holds what it should, and its program runs from where it was unpacked."""

import gzip
import os
import shutil
import subprocess

import pytest

import rig


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The package, made of the release build that is under test."""
    out = tmp_path_factory.mktemp("deb")
    for name, args in (("rebeco.1", ["help", "--man"]), ("rebeco.bash", ["help", "--bash"])):
        text = subprocess.run([rig.RELEASE, *args], capture_output=True, check=True).stdout
        (out / name).write_bytes(text)
    shutil.copy(rig.RELEASE, out / "rebeco")
    made = subprocess.run([rig.TOP + "/conf/debian/build", str(out), "9.8.7", "Somebody <somebody@debian.org>"],
                          capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    path = made.stdout.strip()
    assert os.path.basename(path).startswith("rebeco_9.8.7_")
    return path


@pytest.fixture(scope="module")
def unpacked(package, tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    subprocess.run(["dpkg-deb", "-x", package, str(root)], check=True)
    return root


def field(package, name):
    return subprocess.run(["dpkg-deb", "-f", package, name], capture_output=True, text=True, check=True).stdout.strip()


def test_what_it_says_of_itself(package):
    assert field(package, "Version") == "9.8.7"
    for library in ("libpq5", "libev4", "libjansson4", "libyaml-0-2", "libmicrohttpd", "libc6"):
        assert library in field(package, "Depends"), library
    assert "postgresql-client" in field(package, "Recommends")


def test_the_program_runs_from_a_folder(unpacked):
    out = subprocess.run([unpacked / "usr/bin/rebeco", "version"], capture_output=True, text=True)
    assert out.returncode == 0 and out.stdout.startswith("rebeco ")


def test_manual_page_completion_and_unit(unpacked):
    with gzip.open(unpacked / "usr/share/man/man1/rebeco.1.gz", "rt") as f:
        page = f.read()
    assert ".TH REBECO 1" in page and "password_command" in page
    completion = (unpacked / "usr/share/bash-completion/completions/rebeco").read_text()
    assert "complete -F _rebeco rebeco" in completion
    unit = (unpacked / "lib/systemd/system/rebeco.service").read_text()
    assert "ExecStart=/usr/bin/rebeco " in unit and "Type=notify" in unit
    assert (unpacked / "etc/rebeco").is_dir()


def test_files_belong_to_root_and_sums_are_right(package, unpacked, tmp_path):
    listing = subprocess.run(["dpkg-deb", "-c", package], capture_output=True, text=True, check=True).stdout
    assert all(" root/root " in line for line in listing.splitlines())
    subprocess.run(["dpkg-deb", "-e", package, str(tmp_path / "control")], check=True)
    subprocess.run(["md5sum", "--quiet", "-c", str(tmp_path / "control/md5sums")], cwd=unpacked, check=True)
    for script in ("postinst", "prerm"):
        subprocess.run(["sh", "-n", str(tmp_path / "control" / script)], check=True)


@pytest.mark.skipif(shutil.which("lintian") is None, reason="lintian is not installed")
def test_lintian_has_nothing_to_say(package):
    out = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning", package], capture_output=True, text=True)
    assert out.returncode == 0, out.stdout + out.stderr
