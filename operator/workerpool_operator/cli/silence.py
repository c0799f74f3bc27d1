"""`wpool silence`: the alerts of a pool say nothing for a while, by a silence in Alertmanager."""

import datetime as dt
import getpass
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from workerpool_operator.cli import cluster, hints
from workerpool_operator.cli.cluster import ExitCode, TroubleError, asked, fail, pool_of
from workerpool_operator.cli.web import Server

if TYPE_CHECKING:
    from workerpool_operator.kube import ClusterAccess

HELP: Final = """Silence the alerts of a pool for a while: for work that is known to trip them.

It makes a silence in Alertmanager, over all alerts with the pool's namespace and name, or some of them (`--alert`).
Said again, it changes the end of the one that is there. `--end` ends it. The pool itself goes on as it was: `wpool
stop` is another thing.

Exit codes: 0 silenced, or with `--end` ended; 1 there was none to end; 2 wrong usage; 3 the pool or the Alertmanager
cannot be asked.
"""
EPILOG: Final = """**Examples**

    kubectl port-forward --namespace monitoring service/alertmanager-operated 9093 &

    wpool silence thumbs --for 2h --comment "moving the database, see CHG-1234"

    wpool silence thumbs --namespace media --for 30m --alert HighQueueDepth --alert QueueDepthAboveTarget

    wpool silence thumbs --end
"""
_UNITS: Final = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_MOST_SECONDS: Final = 30 * 86_400
_TIMEOUT_SECONDS: Final = 10.0
_SILENCES: Final = "api/v2/silences"


@dataclass(frozen=True, slots=True)
class Alertmanager:
    """Its silences. Each question raises TroubleError where it cannot be asked, or is none."""

    server: Server

    def silences(self) -> list[dict[str, Any]]:
        """Those that are active or to come."""
        found = self.server.ask(_SILENCES)
        try:
            return [one for one in found if one["status"]["state"] != "expired"]
        except (KeyError, TypeError):
            raise self.server.strange() from None

    def put(self, silence: dict[str, Any]) -> str:
        """Make it, or with an `id` change that one; the id it has then."""
        answer = self.server.ask(_SILENCES, method="POST", body=silence)
        try:
            return str(answer["silenceID"])
        except (KeyError, TypeError):
            raise self.server.strange() from None

    def end(self, silence_id: str) -> None:
        """End it now."""
        self.server.ask(f"api/v2/silence/{silence_id}", method="DELETE")


def silence(  # noqa: D103, PLR0917  typer: the help text is HELP, and options are arguments
    pool: cluster.Pool,
    namespace: cluster.Namespace = None,
    duration: Annotated[str, typer.Option("--for", help="How long from now, such as 30m, 2h or 1d.")] = "1h",
    alerts: Annotated[
        list[str] | None, typer.Option("--alert", help="Only this one; may be repeated.", show_default=False)
    ] = None,
    comment: Annotated[str, typer.Option(help="Why: others read it.")] = "wpool silence",
    end: Annotated[bool, typer.Option("--end", help="End it instead.")] = False,
    alertmanager: Annotated[
        str, typer.Option(envvar="WPOOL_ALERTMANAGER", help="Its address, such as http://127.0.0.1:9093.")
    ] = "http://127.0.0.1:9093",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would do.")] = False,
    context: cluster.Context = None,
) -> None:
    seconds = _seconds(duration)
    if any(not name.isidentifier() for name in alerts or ()):
        raise typer.BadParameter(
            "names of alerts are of letters and digits, such as HighQueueDepth", param_hint="--alert"
        )

    async def question(access: "ClusterAccess") -> str:
        await pool_of(access, namespace, pool)  # a misspelt name would silence nothing, and say that it did
        return namespace or access.namespace

    where = asked("silence", question, context=context)
    matchers = _matchers(where, pool, alerts or [])
    server = Alertmanager(
        Server(
            address=alertmanager,
            kind="an Alertmanager",
            option="--alertmanager",
            timeout_seconds=_TIMEOUT_SECONDS,
        )
    )
    try:
        mine = [one for one in server.silences() if _same(one.get("matchers"), matchers)]
        if end:
            _end(server, mine, f"{where}/{pool}", dry_run=dry_run)
            return
        until = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
        found = _wanted(matchers, until=until, comment=comment) | ({"id": mine[0]["id"]} if mine else {})
        told = f"silent until {until:%Y-%m-%d %H:%M} UTC"
        if dry_run:
            typer.echo(f"{where}/{pool}: would be {told} (dry run)")
            return
        made = server.put(found)
    except TroubleError as error:
        fail("silence", str(error))
    here = hints.where(namespace=where, context=context)
    typer.echo(f"{where}/{pool}: {told}, as {made}; `wpool silence {pool}{here} --end` ends it")


def _end(server: Alertmanager, mine: list[dict[str, Any]], what: str, *, dry_run: bool) -> None:
    if not mine:
        typer.echo(f"{what}: there is no such silence", err=True)
        raise typer.Exit(ExitCode.NOTHING)
    for one in mine:
        if not dry_run:
            server.end(one["id"])
        typer.echo(f"{what}: {'would end' if dry_run else 'ended'} {one['id']}{' (dry run)' if dry_run else ''}")


def _seconds(written: str) -> int:
    number, unit = written[:-1], written[-1:]
    if (
        not (number.isascii() and number.isdigit() and unit in _UNITS)
        or not 0 < int(number) * _UNITS[unit] <= _MOST_SECONDS
    ):
        raise typer.BadParameter("write a number and m, h, d or w, up to 30d: such as 2h", param_hint="--for")
    return int(number) * _UNITS[unit]


def _matchers(namespace: str, pool: str, alerts: list[str]) -> list[dict[str, Any]]:
    def matcher(name: str, value: str, *, regex: bool = False) -> dict[str, Any]:
        return {"name": name, "value": value, "isRegex": regex, "isEqual": True}

    only = [matcher("alertname", "|".join(sorted(alerts)), regex=True)] if alerts else []
    return [matcher("namespace", namespace), matcher("pool", pool), *only]


def _same(theirs: Any, ours: list[dict[str, Any]]) -> bool:
    def key(one: dict[str, Any]) -> tuple[Any, ...]:
        return one.get("name"), one.get("value"), one.get("isRegex"), one.get("isEqual", True)

    return isinstance(theirs, list) and sorted(map(key, theirs)) == sorted(map(key, ours))


def _wanted(matchers: list[dict[str, Any]], *, until: dt.datetime, comment: str) -> dict[str, Any]:
    return {
        "matchers": matchers,
        "startsAt": dt.datetime.now(dt.UTC).isoformat(),
        "endsAt": until.isoformat(),
        "createdBy": _author(),
        "comment": comment,
    }


def _author() -> str:
    """Who is sitting there; Alertmanager asks for a name, and believes it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "wpool"
