"""Django's SQLite, waiting for its one writer in Python (see `base.py`)."""
