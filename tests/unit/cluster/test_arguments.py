"""The control plane's command lines."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from e2e.cluster import arguments
from e2e.cluster.arguments import Extra, Ports, Site

PORTS = Ports(apiserver=1, etcd=2, etcd_peer=3, controller_manager=4, scheduler=5)
PROGRAM = Path("/bin/program")


def site(*, address: str = "127.0.0.1", extra: Extra | None = None) -> Site:
    return Site(home=Path("/home/plane"), address=address, ports=PORTS, extra=extra or Extra())


def test_on_loopback_no_endpoint_is_published() -> None:
    flags = arguments.apiserver(site(), program=PROGRAM)
    assert "--endpoint-reconciler-type=none" in flags
    assert not any(flag.startswith("--advertise-address") for flag in flags)


def test_where_pods_are_the_server_is_advertised_to_them() -> None:
    flags = arguments.apiserver(site(address="10.88.0.1"), program=PROGRAM)
    assert "--advertise-address=10.88.0.1" in flags
    assert "--bind-address=10.88.0.1" in flags


def test_nothing_but_loopback_is_listened_on_by_the_others() -> None:
    for render in (arguments.controller_manager, arguments.scheduler):
        assert "--bind-address=127.0.0.1" in render(site(address="10.88.0.1"), program=PROGRAM)
    listening = [flag for flag in arguments.etcd(site(), program=PROGRAM) if "listen" in flag]
    assert all("//127.0.0.1:" in flag for flag in listening)
    assert len(listening) == 2


def test_controllers_keep_their_default_timing() -> None:
    flags = " ".join(arguments.controller_manager(site(), program=PROGRAM))
    assert "period" not in flags
    assert "concurrent" not in flags


@pytest.mark.parametrize("render", [arguments.apiserver, arguments.controller_manager])
def test_gates_reach_server_and_controllers(render: Callable[..., tuple[str, ...]]) -> None:
    extra = Extra(feature_gates={"HPAScaleToZero": True, "Another": False})
    assert "--feature-gates=Another=false,HPAScaleToZero=true" in render(site(extra=extra), program=PROGRAM)


@pytest.mark.parametrize(
    ("render", "extra"),
    [
        (arguments.etcd, Extra(etcd_args=("--flag=1",))),
        (arguments.apiserver, Extra(apiserver_args=("--flag=1",))),
        (arguments.controller_manager, Extra(controller_manager_args=("--flag=1",))),
        (arguments.scheduler, Extra(scheduler_args=("--flag=1",))),
    ],
)
def test_a_flag_that_a_test_asks_for_comes_last_and_so_wins(
    render: Callable[..., tuple[str, ...]], extra: Extra
) -> None:
    assert render(site(extra=extra), program=PROGRAM)[-1] == "--flag=1"
    assert "--flag=1" not in render(site(), program=PROGRAM)


def test_audit_is_written_only_where_asked_for() -> None:
    def audited(extra: Extra) -> bool:
        return any("--audit" in flag for flag in arguments.apiserver(site(extra=extra), program=PROGRAM))

    assert audited(Extra(audit=True))
    assert not audited(Extra())


def test_extra_survives_its_json_form() -> None:
    extra = Extra(
        etcd_args=("--e",),
        apiserver_args=("--a", "--b"),
        feature_gates={"Gate": True},
        audit=True,
        environment={"GOGC": "400"},
    )
    assert Extra.of(json.loads(json.dumps(asdict(extra)))) == extra
