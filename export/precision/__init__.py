"""Arithmetic below float32: which layers have it, by measurement on clips."""
