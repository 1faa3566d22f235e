"""Typed records: what a stage writes about its work, and everybody reads."""
