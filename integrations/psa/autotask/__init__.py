"""Autotask PSA over REST 1.0. What we rely on of it, with sources: docs/psa/autotask.md."""

from integrations.psa.autotask.adapter import AutotaskPsa

__all__ = ["AutotaskPsa"]
