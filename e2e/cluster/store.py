"""A node's containerd as a store of images: what it holds, what is put in, what is thrown out.

The store outlives the cluster, so that images need not be imported again; a note beside it tells which content
each name stands for, in the order of import.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.nodeconfig import NodeSite

_NAMESPACE = "k8s.io"
_CONTENT = "sha256:"
_KEPT = 3
"""Images of one repository that outlive a cluster: this build's, and those to compare it with."""


class ImageImportError(Exception):
    """containerd refused an image; the message is its own."""


@dataclass(frozen=True, kw_only=True)
class Store:
    """The images of one node; all but `drop` need its containerd to run."""

    site: NodeSite

    def answers(self) -> bool:
        """Tell whether containerd is there."""
        return self.site.socket.exists() and self._ctr("version").returncode == 0

    def has(self, reference: str, *, identity: str) -> bool:
        """Tell whether the node holds this very image under this name."""
        if self._known().get(reference) != identity:
            return False
        return reference in self._ctr("images", "list", "--quiet", f"name=={reference}").stdout.split()

    def add(self, archive: Path, *, reference: str, identity: str) -> None:
        """Import a docker archive.

        Raises:
            ImageImportError: containerd refused it.
        """
        result = self._ctr("images", "import", str(archive))
        if result.returncode != 0:
            raise ImageImportError(f"{reference} on {self.site.name}: {result.stderr.strip()}")
        others = {name: value for name, value in self._known().items() if name != reference}
        self._note({**others, reference: identity})

    def forget_containers(self) -> bool:
        """Take all containers out of the books; tell whether none is left."""
        if containers := self._ctr("containers", "list", "--quiet").stdout.split():
            self._ctr("containers", "remove", *containers)
        left = self._ctr("containers", "list", "--quiet")
        return left.returncode == 0 and not left.stdout.split()

    def prune(self) -> None:
        """Throw out what newer builds have replaced: nothing else ever would, and each weighs 100 MB."""
        known = self._known()
        old = superseded(known, keep=_KEPT)
        kept = {name: identity for name, identity in known.items() if name not in old}
        # The pods' service names each image by its content too, and that name alone holds the content as well.
        contents = self._ctr("images", "list", "--quiet", f"name~=^{_CONTENT}").stdout.split()
        stale = [name for name in contents if name.removeprefix(_CONTENT) not in kept.values()]
        if old or stale:
            self._ctr("images", "remove", *old, *stale)
            self._note(kept)

    def drop(self) -> None:
        """Give the whole store up."""
        shutil.rmtree(self.site.store, ignore_errors=True)

    @property
    def _file(self) -> Path:
        return self.site.store / "workerpool-images.json"

    def _known(self) -> Mapping[str, str]:
        try:
            loaded = json.loads(self._file.read_text())
        except (OSError, ValueError):
            return {}
        return loaded if isinstance(loaded, dict) else {}

    def _note(self, known: Mapping[str, str]) -> None:
        self._file.write_text(json.dumps(known))

    def _ctr(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["ctr", "--address", str(self.site.socket), "--namespace", _NAMESPACE, *arguments]
        return subprocess.run(command, check=False, capture_output=True, text=True)


def superseded(references: Iterable[str], *, keep: int) -> list[str]:
    """Give those names that ``keep`` later names of the same repository follow."""
    newest_first = list(references)[::-1]
    repositories = [reference.rpartition(":")[0] for reference in newest_first]
    return [
        reference
        for index, reference in enumerate(newest_first)
        if repositories[:index].count(repositories[index]) >= keep
    ]
