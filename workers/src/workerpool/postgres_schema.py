"""`python -m workerpool.postgres_schema`: SQL that makes the tables of queues in PostgreSQL, or brings them forward.

For administrators of databases in which workers may not. It changes nothing where it was run before.
"""

import sys

from workerpool.broker._postgres import schema

if __name__ == "__main__":
    sys.stdout.write(f"{schema.text()}\n")
