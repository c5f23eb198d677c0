"""Networks of others as bundles: timm's, torchvision's, transformers' and one's own."""

from avfeat.export.backbones.bundle import export_backbones
from avfeat.export.backbones.raw import POOLS, Pool
from avfeat.export.backbones.text import choose_text, left_out
from avfeat.export.backbones.window import FRAME_SIZES, FrameSize
from avfeat.training.backbones.backbone import AudioBackbone, Look, VideoBackbone
from avfeat.training.backbones.registry import open_audio, open_video

__all__ = [
    "FRAME_SIZES",
    "POOLS",
    "AudioBackbone",
    "FrameSize",
    "Look",
    "Pool",
    "VideoBackbone",
    "choose_text",
    "export_backbones",
    "left_out",
    "open_audio",
    "open_video",
]
