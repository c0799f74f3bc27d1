"""Commands that a text names for its reader to type next: with the namespace and the context that were given here.

What is pasted otherwise asks another namespace or another cluster, of which nobody had spoken.
"""

import re
import shlex
from typing import Final

from workerpool_operator.cli.doctor.rights import NEEDS

_ASKING: Final = sorted((words for words, rights in NEEDS.items() if rights), key=len, reverse=True)
"""Our commands that ask a cluster: the others know no context."""
_NAMED: Final = re.compile(
    rf"\b(?P<kubectl>kubectl)(?= (?!config\b)[a-z-])|\b(?P<helm>helm (?:install|upgrade))\b"
    rf"|\b(?P<wpool>wpool (?:{'|'.join(map(re.escape, _ASKING))}))(?![\w:-])"
)


def where(*, namespace: str | None = None, context: str | None = None) -> str:
    """Options for the end of a command of ours or of kubectl's, such as ` -n media --context prod`; empty: none."""
    said = (("-n", namespace), ("--context", context))
    return "".join(f" {option} {shlex.quote(value)}" for option, value in said if value)


def in_context(text: str, context: str | None) -> str:
    """The same with the context in each command that it names, for texts from where no context is known."""
    if not context:
        return text

    def complete(found: re.Match[str]) -> str:
        option = "--kube-context" if found.lastgroup == "helm" else "--context"
        return f"{found[0]} {option} {shlex.quote(context)}"

    return _NAMED.sub(complete, text)
