"""What the cluster and the installation offer, as far as decisions follow from it."""

from dataclasses import dataclass
from typing import Final

from workerpool_operator.api import ScalingMode

EXACT_HPA_SINCE: Final = (1, 35)
"""From here on an HPA takes `behavior.*.tolerance`. Before, one that sees 11 wanted and 10 running does nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFacts:
    """The same for all pools, and changed by upgrades only."""

    kubernetes: tuple[int, int] | None = None
    """(major, minor) of the API server; None where it does not say."""
    serves_metric: bool = False
    """Whether this operator serves the external metrics API, which an HPA reads the wanted number from."""

    @property
    def exact_hpa(self) -> bool:
        """Whether an HPA can be made to follow each change of the wanted number, however small."""
        return self.kubernetes is not None and self.kubernetes >= EXACT_HPA_SINCE

    def mode(self, wished: ScalingMode) -> ScalingMode:
        """The mode in force for this wish. One that is named is honoured everywhere: others may serve the metric."""
        if wished is not ScalingMode.AUTO:
            return wished
        return ScalingMode.HPA if self.serves_metric and self.exact_hpa else ScalingMode.DIRECT
