"""What precisions below float32 are chosen on: real clips that the gate does not see."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from avfeat.bundle import Modality
from avfeat.export.media import ClipWindows
from avfeat.export.parity.gate import Expected
from avfeat.export.parity.probes import INPUTS, golden_inputs, probes
from avfeat.export.parity.reference import Reference
from avfeat.export.window import WindowSpec
from avfeat.training.networks import PairSpec

CALIBRATION_CLIPS = 48


@dataclass(frozen=True, eq=False)
class Tuning:
    """Clips to calibrate on, and to measure on which layers a lower precision changes too much.

    Attributes:
        spec: what a window is.
        windows: real media.
        expected: the right outputs for them.
        said: filled with how many layers got the precision, by modality.
        whole: filled with the modalities that stay in float32, for none of their layers could be lower.
    """

    spec: PairSpec
    windows: ClipWindows
    expected: Expected
    said: dict[str, str] = field(default_factory=dict)
    whole: set[Modality] = field(default_factory=set)

    @classmethod
    def on(cls, windows: ClipWindows, reference: Reference, most: int) -> Tuning:
        """Run the networks on one window of at most ``most`` of the clips, and on random and golden inputs."""
        media = windows.one_a_clip(most)
        # Other random inputs than the gate's, too.
        expected = Expected.from_reference(reference, probes(media, reference.spec, seed=1), media.clips)
        return cls(reference.spec, windows, expected)

    def inputs(self, modality: Modality) -> list[NDArray[Any]]:
        """Batches of one row: real clips, and what ``avfeat verify`` replays."""
        clips = self.windows.one_a_clip(CALIBRATION_CLIPS)
        rows = clips.frames if modality == "video" else clips.waveform
        golden = golden_inputs(WindowSpec.from_pair(self.spec))[INPUTS[modality]]
        return [row[None] for row in [*rows, *golden]]
