"""The regression gate: two sets of rows, a verdict."""
