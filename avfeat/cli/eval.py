"""``avfeat eval``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from avfeat.bundle import Bundle
from avfeat.cli.options import (
    BackendOption,
    BaselinesOption,
    CacheOption,
    ColumnOptions,
    DataArgument,
    DeviceOption,
    ModelOption,
    PictureOption,
    PromptsOption,
    RandomOption,
    RootArgument,
    WorkersOption,
    with_options,
)
from avfeat.cli.printing import JsonOption, list_files, note, progress, table, write_json
from avfeat.datasets import READERS, DatasetReader
from avfeat.encoder import Encoder, load
from avfeat.errors import ArgumentError
from avfeat.evaluation import (
    BundleEmbedder,
    Dataset,
    Embedder,
    Handcrafted,
    Store,
    ZeroShot,
    classify,
    evaluate_ave,
    evaluate_knn,
    evaluate_retrieval,
    neighbours,
    readers,
    report,
    tables,
    untrained_bundle,
    zero_shot,
)
from avfeat.evaluation.ave import Protocol, check_videos
from avfeat.evaluation.embedders import RANDOM_INIT
from avfeat.evaluation.picture import check_picture, draw_confusion
from avfeat.evaluation.readers.ave import Split
from avfeat.extras import check_eval

evaluation = typer.Typer(no_args_is_help=True, help="Measure how good a bundle is, beside baselines.")


@evaluation.callback()
def _evaluation() -> None:
    """Measure how good a bundle is, beside baselines (extra eval)."""


@dataclass(frozen=True)
class _Setup:
    """What is measured, and where its embeddings are kept."""

    bundle: Bundle
    encoder: Encoder
    embedders: list[Embedder]
    store: Store

    def zero_shot(self, dataset: Dataset, prompts: str | None, workers: int | None) -> ZeroShot | None:
        """What sentences alone reach, where there are any."""
        if prompts is None:
            return None
        model = self.embedders[0]
        return zero_shot(dataset, self.encoder, model, self.store, prompts, workers=workers, progress=progress)


@dataclass(frozen=True)
class _CommonOptions:
    """The options that all measurements have."""

    model: ModelOption = None
    baselines: BaselinesOption = False
    random_init: RandomOption = None
    json: JsonOption = None
    backend: BackendOption = "onnx"
    device: DeviceOption = "auto"
    workers: WorkersOption = None
    cache: CacheOption = None

    @contextmanager
    def setup(self) -> Iterator[_Setup]:
        """Open what is measured."""
        check_eval()
        if self.random_init is not None and not self.baselines:
            raise ArgumentError("--random-init is for --baselines; give both.")
        with ExitStack() as stack:
            encoder = stack.enter_context(load(self.model, device=self.device, backend=self.backend))
            embedders: list[Embedder] = [BundleEmbedder(encoder, backend=self.backend)]
            if self.random_init is not None:
                path = stack.enter_context(untrained_bundle(self.random_init, encoder.bundle))
                untrained = stack.enter_context(load(path, device=self.device))
                embedders.append(BundleEmbedder(untrained, RANDOM_INIT))
            if self.baselines:
                embedders.append(Handcrafted(encoder.bundle.seconds))
            if not encoder.bundle.trained:
                name = encoder.bundle.name
                note(f"note: {name} has random weights: embeddings are not meaningful.")
            yield _Setup(encoder.bundle, encoder, embedders, Store(self.cache))


@evaluation.command()
@with_options(_CommonOptions)
def ave(
    root: RootArgument,
    common: _CommonOptions,
    protocol: Annotated[Protocol, typer.Option(help="One label a video, or one a second.")] = "video",
    split: Annotated[
        Split, typer.Option(help="dedupe: no video of val or test in train; official: the lists as they are.")
    ] = "dedupe",
    confusion: PictureOption = None,
    prompts: PromptsOption = None,
) -> None:
    """AVE linear evaluation (Tian et al., ECCV 2018) of the bundle as it is deployed.

    avfeat eval ave AVE_Dataset --baselines --confusion confusion.png
    """
    if confusion is not None:
        check_picture(confusion)
    if prompts is not None and protocol != "video":
        raise ArgumentError("--prompts goes with --protocol video: sentences stand for classes of whole files.")
    data = readers.read_ave(root)
    check_videos(data)
    with common.setup() as setup:
        spoken = setup.zero_shot(data.dataset(split), prompts, common.workers)
        result = evaluate_ave(
            data, setup.embedders, setup.store, protocol, split, workers=common.workers, progress=progress
        )
    list_files(result.missing, result.damaged)
    if confusion is not None:
        draw_confusion(result, confusion)
    if common.json is not None:
        write_json(report.ave_json(result, data, split, setup.bundle) | report.zero_shot_json(spoken), common.json)
    if common.json != "-":
        _show(tables.ave_lines(result, data, split), tables.classification_table(result), spoken, result.seconds)
        table(*tables.class_table(result))


@evaluation.command()
@with_options(ColumnOptions, _CommonOptions)
def knn(
    data: DataArgument,
    columns: ColumnOptions,
    common: _CommonOptions,
    neighbours_: Annotated[int, typer.Option("--neighbours", "-k", min=1, help="How many of them vote.")] = 1,
    prompts: PromptsOption = None,
) -> None:
    """Top-1 accuracy of the nearest neighbours among labelled files, never of the same group.

    avfeat eval knn clips.csv --label class --group source --baselines
    """
    dataset = readers.read_labelled(data, columns.named())
    with common.setup() as setup:
        spoken = setup.zero_shot(dataset, prompts, common.workers)
        result = evaluate_knn(
            dataset, setup.embedders, setup.store, neighbours_, workers=common.workers, progress=progress
        )
    _show_neighbours(result, tables.knn_table(result), spoken, setup.bundle, common.json)


@evaluation.command()
@with_options(ColumnOptions, _CommonOptions)
def retrieval(data: DataArgument, columns: ColumnOptions, common: _CommonOptions) -> None:
    """Recall at 1, 5 and 20 among labelled files, within a modality and across, never of the same group.

    avfeat eval retrieval clips.csv --label class --group source --baselines
    """
    dataset = readers.read_labelled(data, columns.named())
    with common.setup() as setup:
        result = evaluate_retrieval(
            dataset, setup.embedders, setup.store, workers=common.workers, progress=progress
        )
    _show_neighbours(result, tables.retrieval_table(result), None, setup.bundle, common.json)


def _add(reader: DatasetReader) -> None:
    """A command for a data set that needs no more than its folder."""

    @evaluation.command(reader.name, help=f"{reader.title}: linear probe, {reader.protocol}.")
    @with_options(_CommonOptions)
    def command(
        root: RootArgument, common: _CommonOptions, confusion: PictureOption = None, prompts: PromptsOption = None
    ) -> None:
        _classify(partial(readers.read_dataset, reader, root), common, confusion, prompts)


for _reader in READERS:
    _add(_reader)


@evaluation.command("kinetics-sounds")
@with_options(_CommonOptions)
def kinetics_sounds(
    root: RootArgument,
    common: _CommonOptions,
    train: Annotated[Path, typer.Option(metavar="FILE", help="List of name,...,class to fit.")],
    test: Annotated[Path, typer.Option(metavar="FILE", help="List to test.")],
    val: Annotated[
        Path | None, typer.Option(metavar="FILE", help="List that chooses C; default: every fifth of train.")
    ] = None,
    confusion: PictureOption = None,
    prompts: PromptsOption = None,
) -> None:
    """Kinetics-Sounds: linear probe on your own lists, for there are no official ones."""
    _classify(partial(readers.read_kinetics_sounds, root, train, test, val), common, confusion, prompts)


def _classify(
    read: Callable[[], Dataset], common: _CommonOptions, confusion: Path | None, prompts: str | None
) -> None:
    if confusion is not None:
        check_picture(confusion)
    dataset = read()
    with common.setup() as setup:
        spoken = setup.zero_shot(dataset, prompts, common.workers)
        result = classify(dataset, setup.embedders, setup.store, workers=common.workers, progress=progress)
    list_files(result.missing, result.damaged)
    if confusion is not None:
        draw_confusion(result, confusion)
    if common.json is not None:
        write_json(report.classification_json(result, setup.bundle) | report.zero_shot_json(spoken), common.json)
    if common.json != "-":
        _show(tables.lines(result), tables.classification_table(result), spoken, result.seconds)


def _show_neighbours(
    result: neighbours.NeighbourResult,
    shown: tables.Table,
    spoken: ZeroShot | None,
    bundle: Bundle,
    json: str | None,
) -> None:
    list_files(result.missing, result.damaged)
    if json is not None:
        write_json(report.neighbours_json(result, bundle) | report.zero_shot_json(spoken), json)
    if json != "-":
        _show(tables.neighbours_lines(result), shown, spoken, result.seconds)


def _show(lines: list[str], shown: tables.Table, spoken: ZeroShot | None, seconds: Mapping[str, float]) -> None:
    print("\n".join(lines))
    table(*shown)
    if spoken is not None:
        print(tables.zero_shot_line(spoken))
    print("took " + ", ".join(f"{what} {spent:.1f} s" for what, spent in seconds.items()))
