"""Classifiers on embeddings: fitted on labelled files, measured between groups, one safe ONNX file that predicts.

``fit`` cross-validates probes by ``avfeat.evaluation`` (``held_out``), calibrates them (``calibration``), says
what came out (``report``) and writes them (``writer``; extra ``eval``). ``model`` opens a file of anybody's
(``card``), and predicts (``prediction``) with ONNX Runtime alone.
"""
