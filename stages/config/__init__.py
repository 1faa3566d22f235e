"""`params.yaml`: its types, its checks, and what a cell resolves to."""
