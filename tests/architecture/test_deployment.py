"""What is under deploy/ fits the programs, and keeps the rules that it says it keeps.

The validators of the formats themselves are run by `make check-deploy`: they are too large to be
installed for each run of the tests.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from support.repository import ROOT
from tocsin.alert.config import AlertSettings
from tocsin.common.config import setting_rows
from tocsin.notify.config import NotifySettings

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPLOY = ROOT / "deploy"
PLACES = ("Dockerfile", "compose.yaml", ".env.example", "k8s", "systemd")
SERVICES = ("alert", "notify")
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
MOST_EXPOSED = 1.5
"""Of 10, as `systemd-analyze security` counts."""
NOT_SETTINGS = {
    "TOCSIN_EXTRAS",
    *(f"TOCSIN_{each}_{of}" for each in ("ALERT", "NOTIFY") for of in ("IMAGE", "PORT")),
}
_PIN = re.compile(r"^[\w.-]+==\S+", re.MULTILINE)


def deployed_files() -> Iterator[Path]:
    for name in PLACES:
        place = DEPLOY / name
        yield from filter(Path.is_file, [place, *place.rglob("*")])


def manifests() -> list[dict[str, Any]]:
    """Return every object for Kubernetes, kustomizations left out."""
    files = sorted((DEPLOY / "k8s").rglob("*.yaml"))
    found = [each for file in files for each in yaml.safe_load_all(file.read_text())]
    return [each for each in found if each["kind"] not in {"Kustomization", "Component"}]


def test_every_variable_in_them_is_a_setting() -> None:
    rows = [*setting_rows(AlertSettings), *setting_rows(NotifySettings)]
    known = {row.name for row in rows} | NOT_SETTINGS
    named = {
        variable
        for file in deployed_files()
        for variable in re.findall(r"TOCSIN_(?:ALERT|NOTIFY)_[A-Z_]+[A-Z]", file.read_text())
    }

    assert {"TOCSIN_ALERT_DATABASE_URL_FILE", "TOCSIN_NOTIFY_ALERT_TOKEN_FILE"} <= named
    assert set() == named - known


@pytest.fixture
def dockerfile() -> str:
    return (DEPLOY / "Dockerfile").read_text()


def test_the_images_run_as_nobody_by_number(dockerfile: str) -> None:
    base = dockerfile[dockerfile.index(" AS base") :]

    assert ["USER 10001:10001"] == re.findall(r"^USER .*$", base, re.MULTILINE)


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_has_a_target_that_tells_its_health(dockerfile: str, service: str) -> None:
    target = dockerfile[dockerfile.index(f"FROM base AS {service}\n") :].partition("\n\n")[0]

    assert f'CMD ["tocsin-{service}", "health"]' in target
    assert f'ENTRYPOINT ["tocsin-{service}"]\nCMD ["serve"]' in target


def test_the_images_are_made_of_locked_packages_and_pinned_bases(dockerfile: str) -> None:
    installs = re.findall(r"pip .*install(?:.*\\\n)*.*", dockerfile)
    images = re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)

    assert installs
    for install in installs:
        assert "--require-hashes" in install or "--no-index" in install
    assert {"python:${PYTHON}", "packages", "base"} >= set(images)
    assert re.search(r"^ARG PYTHON=3\.\d+-slim-\w+$", dockerfile, re.MULTILINE)


@pytest.mark.parametrize("name", ["relay", "otlp", "apprise"])
def test_what_is_installed_apart_is_locked_as_in_the_tests(name: str, dockerfile: str) -> None:
    requirements = ROOT / "requirements"
    pins = _PIN.findall((requirements / f"{name}.txt").read_text())

    assert pins
    assert set(pins) <= set(_PIN.findall((requirements / "dev.txt").read_text()))
    assert f"requirements/{name}.txt" in dockerfile
    assert f"!requirements/{name}.txt" in (DEPLOY / "Dockerfile.dockerignore").read_text()


def test_what_an_extra_brings_can_be_installed_by_its_hash() -> None:
    named = "\n".join(each.read_text() for each in (ROOT / "requirements").glob("*.in"))
    projects = [tomllib.loads(each.read_text()) for each in ROOT.glob("*/*/pyproject.toml")]
    extras = [each["project"].get("optional-dependencies", {}) for each in projects]
    packages = {package for each in extras for one in each.values() for package in one}

    assert len(packages) > 3
    assert set() == {each for each in packages if not re.search(rf"^{each}\b", named, re.MULTILINE)}


def test_every_container_of_ours_in_compose_is_hardened_and_in_order() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    ours = {name: each for name, each in services.items() if "tocsin-" in each["image"]}
    for each in ours.values():
        assert each["read_only"]
        assert ["ALL"] == each["cap_drop"]
        assert not any("password" in str(value) for value in each["environment"].values())
    waits = {name: each["condition"] for name, each in ours["notify"]["depends_on"].items()}

    assert {"alert", "notify", "alert-migrate", "notify-migrate"} <= set(ours)
    assert "service_healthy" == waits["alert"]
    assert "service_completed_successfully" == waits["notify-migrate"]


def test_pods_are_restricted_and_know_secrets_by_reference_only() -> None:
    templates = [
        each["spec"]["template"]["spec"]
        for each in manifests()
        if each["kind"] in {"Deployment", "Job"}
    ]
    assert 4 == len(templates)
    for pod in templates:
        assert pod["securityContext"]["runAsNonRoot"]
        assert {"type": "RuntimeDefault"} == pod["securityContext"]["seccompProfile"]
        assert not pod["automountServiceAccountToken"]
        for container in pod["containers"]:
            assert {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            } == container["securityContext"]
            assert container["resources"]["requests"]["memory"]
            assert container["resources"]["limits"]["memory"]
    assert not [each for each in manifests() if each["kind"] == "Secret"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_in_kubernetes_has_two_replicas_probes_and_a_budget(service: str) -> None:
    named = {
        each["kind"]: each["spec"]
        for each in manifests()
        if each["metadata"]["name"] == f"tocsin-{service}"
    }
    (container,) = named["Deployment"]["template"]["spec"]["containers"]
    variables = {each["name"]: each["value"] for each in container["env"]}

    assert 2 == named["Deployment"]["replicas"]
    assert 1 == named["PodDisruptionBudget"]["minAvailable"]
    assert "None" == named["Service"]["clusterIP"]
    assert {"grpc": {"port": 7079}}.items() <= container["readinessProbe"].items()
    assert "/livez" == container["livenessProbe"]["httpGet"]["path"]
    assert variables[f"TOCSIN_{service.upper()}_HEALTH_LISTEN"].endswith(":7079")
    assert "false" == variables[f"TOCSIN_{service.upper()}_MIGRATE_ON_START"]


def test_the_overlays_can_be_built(tmp_path: Path) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("no kubectl on this machine")
    for name, count in (("services", 10), ("before", 2), ("after", 2)):
        folder = DEPLOY / "k8s" / "overlays" / "example" / name
        command = [kubectl, "kustomize", str(folder)]
        built = subprocess.run(command, check=True, capture_output=True, cwd=tmp_path).stdout
        objects = list(yaml.safe_load_all(built))
        assert count == len(objects)
        assert {"tocsin"} == {each["metadata"]["namespace"] for each in objects}


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_systemd_understands_the_unit(unit: Path, tmp_path: Path) -> None:
    _needs_systemd()
    # It looks for the program, too, which is elsewhere here.
    copy = tmp_path / unit.name
    copy.write_text(re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text()))
    others = [each for each in UNITS if each != unit]
    for other in others:
        (tmp_path / other.name).write_text("[Service]\nExecStart=/bin/true\n")
    command = ["systemd-analyze", "verify", "--man=no", str(copy)]
    told = subprocess.run(command, check=False, capture_output=True, text=True)

    assert (0, "") == (told.returncode, told.stderr)


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_the_unit_is_little_exposed(unit: Path) -> None:
    _needs_systemd()
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", told)

    assert level is not None
    assert float(level[1]) <= MOST_EXPOSED


def _needs_systemd() -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze on this machine")
