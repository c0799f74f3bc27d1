"""structlog, loaded without rich.

Where rich is installed, and the command line needs it, structlog loads it for tracebacks in colour. Nobody asks for
those here, and they would be 3 to 4 MB of the operator and of each collector.
"""

import sys

if "structlog" in sys.modules or "rich" in sys.modules:
    import structlog
else:
    sys.modules["rich"] = None  # type: ignore[assignment]  # as the import system has it: not to be found
    try:
        import structlog
    finally:
        del sys.modules["rich"]

__all__ = ["structlog"]
