"""Charts, sheets, heat maps and sweeps of edits."""
