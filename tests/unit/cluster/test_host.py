"""What the cluster leaves on the host, and the tools that it brings."""

import json
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from e2e.cluster import cgroups, debian, host, images, local, mounts, paths, store, toolchain
from e2e.cluster.cgroups import Group
from e2e.cluster.host import Host
from e2e.cluster.pki import Authority


@pytest.fixture
def sysctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings = tmp_path / "sys"
    for name in (*host.WANTED, *host._KUBELET_CHANGES):
        (settings / name).parent.mkdir(parents=True, exist_ok=True)
        (settings / name).write_text("0\n")
    monkeypatch.setattr(host, "_SYSCTL", settings)
    return settings


def test_kernel_settings_and_fixed_folders_are_put_back(
    tmp_path: Path, sysctl: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, made = tmp_path / "there", tmp_path / "made"
    there.mkdir()
    monkeypatch.setattr(host, "_FOLDERS", (str(there), str(made)))
    footprint = Host(record=tmp_path / "host.json")
    footprint.prepare()
    assert (sysctl / "net/ipv4/ip_forward").read_text() == "1"
    (sysctl / "vm/overcommit_memory").write_text("1")
    (made / "below").mkdir(parents=True)
    (there / "below").mkdir()
    footprint.prepare()
    footprint.restore()
    assert {path.read_text().strip() for path in sysctl.rglob("*") if path.is_file()} == {"0"}
    assert not made.exists()
    assert (there / "below").exists(), "what was there before is not ours"
    footprint.restore()


@pytest.fixture
def version_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for tree in ("cpu", "cpuset", "pids", "memory"):
        (tmp_path / tree).mkdir()
        (tmp_path / tree / "cgroup.procs").touch()
    (tmp_path / "cpuacct").symlink_to("cpu")
    monkeypatch.setattr(cgroups, "_MOUNTS", tmp_path)
    return tmp_path


def test_a_tree_with_two_names_counts_once(version_one: Path) -> None:
    assert {tree.name for tree in cgroups.trees()} == {"cpu", "cpuset", "pids", "memory"}


def test_daemons_join_trees_that_take_no_cpu_from_them(version_one: Path) -> None:
    joined = Group(path="c/node-1").join
    assert [path.relative_to(version_one).as_posix() for path in joined] == [
        "pids/c/node-1/system/cgroup.procs",
        "memory/c/node-1/system/cgroup.procs",
    ]


def test_all_processes_below_a_group_are_found(version_one: Path) -> None:
    group = Group(path="c")
    group.create()
    (version_one / "pids/c/system/cgroup.procs").write_text("11\n12\n")
    (version_one / "cpu/c/kubepods").mkdir()
    (version_one / "cpu/c/kubepods/cgroup.procs").write_text("12\n13\n")
    assert group.processes() == {11, 12, 13}
    assert group.exists()


def test_a_group_that_is_gone_has_no_processes(version_one: Path) -> None:
    assert Group(path="none").processes() == set()
    assert not Group(path="none").exists()
    Group(path="none").remove()


def test_mount_points_with_blanks_are_read_as_they_are() -> None:
    assert mounts._unescape(r"/a\040b\134c") == "/a b\\c"


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("worker", "docker.io/library/worker:latest"),
        ("worker:e2e", "docker.io/library/worker:e2e"),
        ("team/worker:1", "docker.io/team/worker:1"),
        ("localhost/worker:1", "localhost/worker:1"),
        ("registry.example:5000/worker", "registry.example:5000/worker:latest"),
        ("registry.example/a/worker:2", "registry.example/a/worker:2"),
    ],
)
def test_names_are_completed_as_kubernetes_does(short: str, full: str) -> None:
    assert images.normalize(short) == full


def test_the_host_s_authorities_are_mounted_only_where_it_has_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    assert images._trust() == []
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
    assert images._trust() == []
    bundle = tmp_path / "bundle.crt"
    bundle.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    assert images._trust() == [f"--volume={bundle}:/etc/ssl/certs/ca-certificates.crt:ro"]


def test_the_version_that_is_linked_in_is_the_module_s() -> None:
    module = (paths.SOURCE / "programs" / "go.mod").read_text()
    assert f"k8s.io/kubernetes v{toolchain.KUBERNETES}\n" in module


def test_every_program_has_a_place_of_its_own() -> None:
    programs = (*toolchain.LOCAL_CLUSTER, toolchain.KWOK, toolchain.KIND)
    assert len({toolchain.path(program) for program in programs}) == len(programs)


def test_without_go_the_refusal_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(toolchain, "go", lambda: None)
    with pytest.raises(toolchain.ToolchainError, match="install Go"):
        toolchain.ensure(toolchain.PAUSE)


def test_only_packages_of_missing_programs_are_installed() -> None:
    assert debian.missing({"sh": "dash", "no-such-program": "b", "/no/such/file": "a", "/bin": "c"}) == ["a", "b"]


def test_certificates_hold_what_strict_clients_ask_for(tmp_path: Path) -> None:
    authority = Authority(home=tmp_path, name="ca")
    pair = authority.issue("server", common_name="me", organizations=["us"], hosts=["localhost", "127.0.0.1"])
    leaf = x509.load_pem_x509_certificate(pair.cert.read_bytes())
    root = x509.load_pem_x509_certificate(authority.pair.cert.read_bytes())
    leaf.verify_directly_issued_by(root)
    assert leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    assert root.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    assert leaf.subject.rfc4514_string() == "CN=me,O=us"
    ssl.create_default_context(cafile=str(authority.pair.cert)).load_cert_chain(pair.cert, pair.key)
    assert pair.key.stat().st_mode & 0o077 == 0
    assert authority.issue("server", common_name="other").cert.read_bytes() == pair.cert.read_bytes()


def test_a_wish_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert local.recall("c") is None
    home = paths.state_of("c")
    home.mkdir(parents=True)
    (home / "cluster.json").write_text(
        json.dumps(
            {
                "name": "c",
                "nodes": 3,
                "boot": "b",
                "extra": {
                    "apiserver_args": ["--x"],
                    "controller_manager_args": [],
                    "scheduler_args": [],
                    "feature_gates": {},
                    "audit": True,
                },
            }
        )
    )
    known = local.recall("c")
    assert known
    assert (known.nodes, known.extra.apiserver_args, known.extra.audit) == (3, ("--x",), True)


def test_only_the_newest_images_of_each_repository_are_kept() -> None:
    imported = ["a:1", "b:1", "a:2", "a:3", "host:5000/a:1", "a:4"]
    assert store.superseded(imported, keep=2) == ["a:2", "a:1"]
    assert store.superseded(imported, keep=4) == []
