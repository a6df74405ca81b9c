"""How gunicorn serves the portal (`gunicorn -c python:portal.webserver`)."""

from __future__ import annotations

import os

bind = f"{os.environ.get('BIND', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
worker_class = "gthread"
workers = int(os.environ.get("WEB_WORKERS", "2"))
threads = int(os.environ.get("WEB_THREADS", "2"))
max_requests = 20_000
max_requests_jitter = 2_000
# A worker process whose loop (not: whose requests) is silent for so long is replaced by gunicorn itself.
timeout = 20
graceful_timeout = 15
keepalive = 5
limit_request_line = 4094
limit_request_fields = 60
forwarded_allow_ips = os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1")
accesslog = None
errorlog = "-"
loglevel = "warning"
preload_app = True  # the workers share the memory of what is imported
# Its door for commands lies in the user's home, one for all portals there; nobody needs it.
control_socket_disable = True
