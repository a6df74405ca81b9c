"""Pretend PSAs for development and tests: real HTTP servers that answer at the wire as the vendors' do.

Plain standard library; knows nothing of the rest of the product, so that an adapter can be wrong and be caught.
"""

from integrations.sandbox.running import Sandbox, running_sandbox, serve

__all__ = ["Sandbox", "running_sandbox", "serve"]
