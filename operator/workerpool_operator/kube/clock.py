"""What time it is on the API server.

For what is written down as a moment and acted on by others, such as the end of a throttle: the clock of the machine
that a person sits at may be wrong, and everybody would keep to what it says.
"""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from workerpool_operator.kube import errors
from workerpool_operator.kube.client import Kube


async def now(kube: Kube) -> datetime:
    """By the header `Date` of its answers, so to the second.

    Raises:
        Unavailable: it does not say.
        KubeError: it does not answer.
    """
    await kube.server_version()
    try:
        return parsedate_to_datetime(kube.date).astimezone(UTC)
    except ValueError:
        raise errors.Unavailable(f"the API server does not say what time it is, but {kube.date!r}") from None
