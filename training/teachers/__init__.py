"""Who teaches one modality: published networks of others, or a run.

Weights of others are read, and never part of this project. A new teacher is one file and a line in ``registry``.
"""
