"""The synthetic dataset: labelled audiovisual events that anyone can render, in the shape of the AVE data set.

``classes`` says what the 28 classes are: a motion, a voice, a rhythm, and how they go together. ``plan`` says
which videos a world has. ``scene`` draws a video's nuisances and gives its pictures and its sound as functions of
time, out of ``rhythm``, ``motions`` (painted by ``drawing``), ``voices`` and ``places``. ``render`` makes arrays
and files of it, ``ave`` a whole data set.
"""

from avfeat.world.plan import SECONDS, SPLITS, VERSION, Split, SyntheticVideo, plan
from avfeat.world.render import render, write_video

__all__ = ["SECONDS", "SPLITS", "VERSION", "Split", "SyntheticVideo", "plan", "render", "write_video"]
