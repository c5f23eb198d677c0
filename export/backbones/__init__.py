"""Networks of others as bundles: timm's, torchvision's, transformers' and one's own."""

from avfeat.export.backbones.backbone import AudioBackbone, Look, VideoBackbone
from avfeat.export.backbones.bundle import export_backbones
from avfeat.export.backbones.registry import open_audio, open_video

__all__ = ["AudioBackbone", "Look", "VideoBackbone", "export_backbones", "open_audio", "open_video"]
