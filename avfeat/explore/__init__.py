"""A page to look at what is in an index: a map of its windows or files, their frames, neighbours and timelines.

``points`` says what is drawn, ``layout`` where, ``groups`` in which colours, ``agreement`` how well audio and
video agree, ``map`` holds all that; ``films`` reads the media files, ``write`` puts everything into one HTML file
with the scripts of ``page/``.
"""
