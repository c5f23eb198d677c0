"""Answers from embeddings: where something is (``search``), and what is there twice (``duplicates``).

``collection`` holds the windows of an index or a table, ``query`` those of what is looked for, ``align`` lays the
one over the other at every offset in time, ``sheet`` shows what was found.
"""
