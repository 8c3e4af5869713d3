"""bench: measure image codecs on real images and real bitstreams, and compare them."""

__version__ = "0.1.0"
