"""Networks evaluated in exact arithmetic: the same bits on every machine."""
