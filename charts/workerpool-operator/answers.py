"""What `helm test` runs: whether the operator answers, one of its replicas leads, and pools can be read.

Only the standard library and the service account's own files. Each check is asked until it holds or the time is up.
"""

import json
import os
import ssl
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

SECONDS = float(os.environ.get("SECONDS", "60"))
ACCOUNT = Path(os.environ.get("ACCOUNT", "/var/run/secrets/kubernetes.io/serviceaccount"))
ATTEMPT_SECONDS = 5
PAUSE_SECONDS = 1.0


def answered(url: str) -> bytes:
    """The body of a good answer without a proxy; raises OSError for any other."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=ATTEMPT_SECONDS) as response:
        body: bytes = response.read()
    return body


def api(path: str) -> Any:
    """What the API server answers to this pod's account."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    token = (ACCOUNT / "token").read_text("utf-8").strip()
    request = urllib.request.Request(f"{server}{path}", headers={"Authorization": f"Bearer {token}"})
    context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    with opener.open(request, timeout=ATTEMPT_SECONDS) as response:
        return json.load(response)


def ready() -> str:
    """A replica is ready."""
    answered(f"{os.environ['OPERATOR']}/readyz")
    return "the operator answers and is ready"


def leads() -> str:
    """The Lease is held, and renewed while we look: clocks of nodes are not compared."""
    first = lease()
    holder = first.get("holderIdentity") or ""
    if not holder:
        raise ValueError("no replica leads")
    until = time.monotonic() + first["leaseDurationSeconds"]
    while time.monotonic() < until:
        time.sleep(PAUSE_SECONDS)
        now = lease()
        if now.get("holderIdentity") and now["renewTime"] != first["renewTime"]:
            return f"{now['holderIdentity']} leads"
    raise ValueError(f"{holder} led, and has not been heard for {first['leaseDurationSeconds']} s")


def lease() -> Any:
    """What the replicas hold in turn."""
    path = f"/apis/coordination.k8s.io/v1/namespaces/{os.environ['NAMESPACE']}/leases/workerpool-operator"
    return api(path)["spec"]


def pools() -> str:
    """The kind is served, and may be read."""
    found = api(f"/apis/workerpool.dev/v1alpha1/namespaces/{os.environ['NAMESPACE']}/workerpools?limit=1")
    return f"pools can be read: {found['kind']}"


def holds(check: Callable[[], str], *, until: float) -> bool:
    """Ask again until the check holds, and say how it ended."""
    while True:
        try:
            print(f"ok: {check()}", flush=True)
        except (OSError, ValueError, KeyError) as error:
            if time.monotonic() >= until:
                print(f"failed: {check.__doc__} {error}", flush=True)
                return False
            time.sleep(PAUSE_SECONDS)
        else:
            return True


if __name__ == "__main__":
    until = time.monotonic() + SECONDS
    found = [holds(check, until=until) for check in (ready, leads, pools)]
    sys.exit(0 if all(found) else 1)
