"""The training engine: networks, layers, optimizers, the loop, numerics. What is in this folder can change a number."""
