"""mfscale: how many labels of which quantum-chemical method to buy, and how sure you can be."""
