"""The worker contract for programs written for other queue libraries, by two lines each: docs/how-to/existing-app.md.

```python
from workerpool.adapters.celery import install
install(app)
```

| Module | What it is |
|---|---|
| `bridge` | health, metrics, the stream to the collector and the fence, beside a library that takes and runs the jobs |
| `ledger` | the jobs that the library holds, and the figures made of them |
| `gate` | the fence's gate, made of a library's own pause and resume |
| `taking` | the same gate for libraries that take by calls in an event loop |
| `refusal` | how an adapter says that it cannot keep the contract |
| `intake` | for libraries that fetch in several threads: a gate before them, and whether all of them turn |
| one for each library | tells the bridge what its library does, by that library's own hooks |

A library has to be installed only where its module is imported.
"""
