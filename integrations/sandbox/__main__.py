"""`python -m integrations.sandbox --kind connectwise --port 8765`"""

import sys

from integrations.sandbox.running import serve

sys.exit(serve(sys.argv[1:]))
