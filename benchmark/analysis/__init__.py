"""From per-image records to rate-distortion curves, BD-rates with intervals, and verdicts."""
