"""Embeds what strangers upload, over HTTP: bounded in size, time, pictures and memory, each file decoded apart.

    pip install 'avfeat[cpu]' fastapi uvicorn
    uvicorn --app-dir examples service:app
    curl --data-binary @clip.mp4 http://127.0.0.1:8000/embed

200 with vectors, 413 for uploads that are too large, 408 for those that do not arrive, 422 with a reason for what
gives no embedding, 503 where too many wait. See docs/serving.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fastapi import FastAPI, HTTPException, Request

import avfeat

MAX_BYTES = 50 * 1024 * 1024
UPLOAD_SECONDS = 60
AT_WORK, WAITING = 2, 16
MAX_DURATION, TIMEOUT, MAX_PIXELS = 600, 20, 3840 * 2160


class Service:
    """An encoder, and a queue of bounded length in front of it."""

    def __init__(self) -> None:
        self._encoder = avfeat.load(threads=1)
        self._pool = ThreadPoolExecutor(AT_WORK)
        self._inside = 0

    async def embed(self, request: Request) -> dict[str, Any]:
        """The answer to one upload."""
        if self._inside >= AT_WORK + WAITING:
            raise HTTPException(503, "Too many uploads wait; come again later.", {"Retry-After": "10"})
        self._inside += 1
        try:
            with TemporaryDirectory(prefix="upload-") as folder:
                # Never the uploader's name.
                path = Path(folder) / "upload"
                await _receive(request, path)
                found = await asyncio.get_running_loop().run_in_executor(self._pool, self._vectors, path)
        finally:
            self._inside -= 1
        if isinstance(found, avfeat.Failure):
            raise HTTPException(422, {"reason": found.reason, "message": found.message})
        vector = found.pooled().tolist()
        return {"seconds": found.duration, "damaged": found.damaged, "windows": len(found.start), "vector": vector}

    def _vectors(self, path: Path) -> avfeat.Embedding | avfeat.Failure:
        # A process for each upload: what a codec does with a file ends with it.
        (found,) = self._encoder.embed_many(
            [path],
            workers=1,
            isolate=True,
            max_duration=MAX_DURATION,
            timeout=TIMEOUT,
            max_pixels=MAX_PIXELS,
        )
        return found

    def close(self) -> None:
        """Finish what is at work."""
        self._pool.shutdown()
        self._encoder.close()


async def _receive(request: Request, path: Path) -> None:
    size = 0
    try:
        async with asyncio.timeout(UPLOAD_SECONDS):
            with path.open("wb") as file:
                async for part in request.stream():
                    size += len(part)
                    if size > MAX_BYTES:
                        raise HTTPException(413, f"Uploads have up to {MAX_BYTES} bytes; send a shorter clip.")
                    file.write(part)
    except TimeoutError as error:
        raise HTTPException(408, f"The upload took longer than {UPLOAD_SECONDS} s; send it again.") from error


@asynccontextmanager
async def _running(app: FastAPI) -> AsyncIterator[None]:
    app.state.service = Service()
    yield
    app.state.service.close()


app = FastAPI(lifespan=_running)


@app.post("/embed")
async def embed(request: Request) -> dict[str, Any]:
    """Vectors of the media in the request's body."""
    service: Service = request.app.state.service
    return await service.embed(request)
