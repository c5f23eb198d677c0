"""Audio at another speed: resampled, so that the pitch changes with it, and limited to the band that is left."""

from __future__ import annotations

from typing import cast

import av
import numpy as np
from numpy.typing import NDArray


def resample(samples: NDArray[np.float32], rate_in: int, rate_out: int) -> NDArray[np.float32]:
    """All of ``samples`` at another rate, by FFmpeg's swresample.

    Args:
        samples: float32 ``(n,)``.
        rate_in: their rate in Hz.
        rate_out: the rate of the result in Hz.

    Returns:
        float32, about ``n * rate_out / rate_in`` samples; the first one is at the time of the first one given.
    """
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=rate_out)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None]), format="fltp", layout="mono")
    frame.sample_rate = rate_in
    frames = [*resampler.resample(frame), *resampler.resample(None)]
    parts = [cast("NDArray[np.float32]", frame.to_ndarray())[0] for frame in frames]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)
