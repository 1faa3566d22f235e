"""How a data set comes onto this machine: its sources, and the output folder, which is canonical or not there."""
