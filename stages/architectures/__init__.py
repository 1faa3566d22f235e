"""Each network as it was built: its layers, shapes and sizes, as a table and a drawing (the paper's Figs. 3-5)."""
