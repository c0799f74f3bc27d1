"""What chance does to counts, from a seed."""

import math
import random
from collections import Counter
from dataclasses import dataclass
from typing import Final

_NORMAL_FROM: Final = 40.0


@dataclass(frozen=True)
class Dice:
    """Draws, from a seed."""

    random: random.Random

    def poisson(self, mean: float) -> int:
        """By inversion; a large one by its normal limit, which is near enough for how many jobs come."""
        if mean > _NORMAL_FROM:
            return max(0, round(self.random.gauss(mean, math.sqrt(mean))))
        left, count = math.exp(-mean), 0
        chance, drawn = left, self.random.random()
        while drawn > chance and left > 0:
            count += 1
            left *= mean / count
            chance += left
        return count

    def binomial(self, trials: int, chance: float) -> int:
        """How many of so many trials hit: from hit to hit; many by the normal limit."""
        if trials <= 0 or chance <= 0:
            return 0
        if chance > 0.5:  # noqa: PLR2004  the same, seen from the other side
            return trials - self.binomial(trials, 1 - chance)
        mean = trials * chance
        if mean > _NORMAL_FROM:
            drawn = round(self.random.gauss(mean, math.sqrt(mean * (1 - chance))))
            return min(max(drawn, 0), trials)
        count, miss = 0, math.log1p(-chance)
        at = self._gap(miss)
        while at <= trials:
            count += 1
            at += self._gap(miss)
        return count

    def shared_out(self, hits: int, among: int) -> Counter[int]:
        """Whom so many hits fall on, each on any of `among` alike: who was hit -> how often."""
        return Counter(self.random.choices(range(among), k=hits))

    def _gap(self, miss: float) -> int:
        """Trials to the next hit, that one included; `miss`: the log of the chance of none."""
        return math.floor(math.log(1 - self.random.random()) / miss) + 1
