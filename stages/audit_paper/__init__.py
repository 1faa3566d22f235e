"""The audit of the paper: rules that find what does not add up in its printed numbers, and know none of them."""
