"""ConnectWise PSA as its REST API shows it (ConnectWise REST 2026.4)."""
