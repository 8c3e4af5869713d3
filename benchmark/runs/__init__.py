"""From a suite to rows: planning, evaluating, workers."""
