"""The training engine. What is in this folder can change a number, and every train stage depends on all of it."""
