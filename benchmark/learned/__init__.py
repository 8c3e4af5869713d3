"""The learned codecs: network, quantizers, entropy coding, bitstream and weights."""
