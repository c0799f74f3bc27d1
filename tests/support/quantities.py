"""Amounts as people write them, and as the API server stores them."""

from typing import Final

SPELLINGS: Final = {
    "0": "0",
    "0Mi": "0",
    "0.0": "0",
    "1": "1",
    "2": "2",
    "0.5": "500m",
    ".5": "500m",
    "1.5": "1500m",
    "1000m": "1",
    "1500m": "1500m",
    "1000": "1k",
    "1500": "1500",
    "1000k": "1M",
    "1000000": "1M",
    "1n": "1n",
    "1000n": "1u",
    "0.1n": "1n",
    "1.5n": "2n",
    "1500u": "1500u",
    "1Gi": "1Gi",
    "1024Mi": "1Gi",
    "1.5Gi": "1536Mi",
    "1000Mi": "1000Mi",
    "1024Ki": "1Mi",
    "1025Ki": "1025Ki",
    "1Ki": "1Ki",
    "0.5Ki": "512",
    "0.5Mi": "512Ki",
    "0.9Ki": "921600m",
    "1.1Ki": "1126400m",
    "7Ei": "7Ei",
    "1e3": "1e3",
    "12e2": "1200",
    "1e-3": "1e-3",
    "1e18": "1e18",
    "100M": "100M",
    "9223372036854775807": "9223372036854775807",
}

KEPT: Final = {"+1": "1", "1.": "1", "1E3": "1e3", "1e0": "1", "1.500": "1500m"}
"""Amounts that the API server leaves as they were written, though it would spell them otherwise itself."""
