"""Autotask PSA as its REST API shows it (Autotask REST v1.0)."""
