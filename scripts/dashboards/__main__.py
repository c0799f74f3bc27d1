"""Prints all dashboards: a JSON object of file names and what is in each file."""

import json
import sys

from scripts.dashboards import ALL

if __name__ == "__main__":
    files = {f"{one.name}.json": json.dumps(one.to_json(others=ALL), indent=1) + "\n" for one in ALL}
    json.dump(files, sys.stdout)
