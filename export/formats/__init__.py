"""Files that a bundle may have: which there are, and how a network becomes one."""

from avfeat.export.formats.choice import PRECISIONS, choose_formats, file_name

__all__ = ["PRECISIONS", "choose_formats", "file_name"]
