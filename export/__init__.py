"""Deployable encoders: raw frames and raw waveform in, embeddings out (extra ``train``)."""
