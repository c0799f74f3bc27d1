"""What a person has said of where workers belong, and whether it is about what has happened since.

The annotation of the place stands until the next one. With failback by hand it lets workers come back only if it was
said after they were lost: else who has said it once would have every later failback come by itself.
"""

from collections.abc import Mapping
from datetime import datetime

from workerpool_operator.api import PLACE_ANNOTATION, PLACE_SAID_ANNOTATION


def told_home(annotations: Mapping[str, str], *, home: str, lost_since: datetime | None) -> bool:
    """Whether somebody has said that the workers belong `home`, since they were lost.

    Args:
        annotations: of the pool.
        home: what the pool calls that place.
        lost_since: since when others run in their stead; None: it is not known.

    One who does not say when (`kubectl annotate`, an older `wpool`) means it for ever.
    """
    if annotations.get(PLACE_ANNOTATION) != home:
        return False
    said = _moment(annotations.get(PLACE_SAID_ANNOTATION, ""))
    return said is None or lost_since is None or said >= lost_since


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None
