"""Pretraining: encoders and all that trains them (extra ``train``)."""
