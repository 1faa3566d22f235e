"""How fast the training engine is, measured against a plain PyTorch loop. Nothing here can change a number."""
