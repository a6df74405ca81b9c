"""ConnectWise PSA (Manage) over REST 2026.4. What we rely on of it, with sources: docs/psa/connectwise.md."""

from integrations.psa.connectwise.adapter import ConnectWisePsa

__all__ = ["ConnectWisePsa"]
