"""Other people's models as codecs: the architectures of CompressAI, or any class with its interface."""
