"""What a benchmark measured: told, and written where that is asked for."""

import json
from collections.abc import Mapping
from pathlib import Path


def tell(figures: Mapping[str, float], file: Path | None) -> None:
    """Print a line for each figure, and write all of them to the file as one object, if there is one."""
    for name, value in figures.items():
        print(f"{name:32} {value:.4g}")
    if file:
        file.write_text(json.dumps(figures, indent=2) + "\n")
