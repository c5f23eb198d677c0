"""Files that a bundle may have: which there are, and how a network becomes one."""

from avfeat.export.formats.choice import PRECISIONS, chosen, file_name

__all__ = ["PRECISIONS", "chosen", "file_name"]
