"""`python -m workerpool.postgres_schema`: the SQL that makes the tables of queues in PostgreSQL, for administrators."""

import sys

from workerpool.broker._postgres import schema

if __name__ == "__main__":
    sys.stdout.write(f"BEGIN;\n{schema.text()}\nCOMMIT;\n")
