"""What holds for every data set of the registry: a reader that is added needs no more than a sample here."""

from __future__ import annotations

from pathlib import Path

import pytest

from avfeat.datasets import READERS, SPLITS, DatasetReader, find_reader
from avfeat.errors import ArgumentError, DatasetError
from avfeat.evaluation.readers import read_dataset
from avfeat.training.data import open_source
from avfeat.training.data.sources.media import FileMedia

DOCS = Path(__file__).parents[2] / "docs"

SAMPLES = {
    "esc50": {
        "meta/esc50.csv": "filename,fold,target,category,esc10,src_file,take\n"
        "1-11-A-0.wav,1,0,dog,True,11,A\n2-12-A-0.wav,2,0,dog,True,12,A\n"
        "2-13-A-1.wav,2,1,rain,True,13,A\n3-14-A-1.wav,3,1,rain,True,14,A\n",
        "audio/1-11-A-0.wav": "",
        "audio/3-14-A-1.wav": "",
    },
    "ucf101": {
        "lists/trainlist01.txt": "YoYo/v_YoYo_g01_c01.avi 2\nArchery/v_Archery_g01_c02.avi 1\n",
        "lists/testlist01.txt": "YoYo/v_YoYo_g02_c01.avi\n",
        "lists/trainlist02.txt": "YoYo/v_YoYo_g02_c01.avi 2\nArchery/v_Archery_g01_c02.avi 1\n",
        "lists/testlist02.txt": "YoYo/v_YoYo_g01_c01.avi\n",
        "lists/trainlist03.txt": "without a test list, the file is not read",
        "videos/YoYo/v_YoYo_g01_c01.avi": "",
    },
    "hmdb51": {
        "wave_test_split1.txt": "A_wave_f_0.avi 1 \nB_wave_f_0.avi 2 \nC_wave_f_0.avi 0 \n",
        "wave_test_split2.txt": "A_wave_f_0.avi 2 \nB_wave_f_0.avi 1 \nC_wave_f_0.avi 0 \n",
        "kick_test_split1.txt": "A_kick_f_0.avi 1 \n",
        "wave/A_wave_f_0.avi": "",
        "videos/B_wave_f_0.avi": "",
    },
    "vggsound": {
        "vggsound.csv": '-00_g-f_I2y,7,"dog barking, howling",train\n-01_g-f_I2y,8,rain,test\n'
        "-02_g-f_I2y,9,rain,train\n",
        "video/-00_g-f_I2y_000007.mp4": "",
        "video/-01_g-f_I2y_8000_18000.mp4": "",
    },
}
"""By name, the files of a small copy: its lists, and empty media files. One of each kind may be missing."""

each = pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)


def write_sample(reader: DatasetReader, root: Path) -> Path:
    assert reader.name in SAMPLES, f"SAMPLES lacks a small copy of {reader.name}"
    for name, text in SAMPLES[reader.name].items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def trained_on(data: str) -> list[tuple[str, Path, str | None, str | None]]:
    found = []
    for item in open_source(data).items:
        assert isinstance(item.media, FileMedia)
        found.append((item.name, item.media.path, item.label, item.group))
    return found


@each
def test_rows_are_whole(reader: DatasetReader, tmp_path: Path) -> None:
    files = reader.read(write_sample(reader, tmp_path))
    assert len({file.name for file in files}) == len(files) > 1
    assert len({file.label for file in files} - {None}) > 1
    assert all(file.group and bool(file.split) != bool(file.folds) for file in files)
    assert any(file.path.is_file() for file in files), "no file is found where the sample has it"
    assert all(file.path.is_relative_to(tmp_path) for file in files)
    elsewhere = tmp_path / "elsewhere"
    assert [file.name for file in reader.read(write_sample(reader, elsewhere))] == [file.name for file in files]


@each
def test_training_and_evaluation_have_the_same_splits(reader: DatasetReader, tmp_path: Path) -> None:
    write_sample(reader, tmp_path)
    dataset = read_dataset(reader, tmp_path)
    every = [(f"{reader.name}/{one.name}", one.file, one.label, one.group) for one in dataset.items]
    data = f"{tmp_path}?dataset={reader.name}"
    assert trained_on(data) == every
    assert dataset.folds
    for fold in dataset.folds:
        chosen = f"&fold={fold.name}" if fold.name else ""
        has_val = any("val" in (file.split, file.folds.get(fold.name)) for file in reader.read(tmp_path))
        parts = {"test": fold.test, "train": fold.train, "val": fold.val}
        if has_val:
            parts["train"] = tuple(place for place in fold.train if place not in fold.val)
        for split in SPLITS if has_val else ("train", "test"):
            assert trained_on(f"{data}&split={split}{chosen}") == [every[place] for place in parts[split]]


@each
def test_a_folder_without_its_lists_is_refused(reader: DatasetReader, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"has no .*; name the folder that holds"):
        reader.read(tmp_path)
    with pytest.raises(DatasetError, match="no such folder"):
        reader.read(tmp_path / "gone")


@each
def test_the_docs_name_it(reader: DatasetReader) -> None:
    for page in ("data.md", "evaluation.md"):
        rows = [line for line in (DOCS / page).read_text("utf-8").splitlines() if line.startswith("|")]
        assert any(f"`{reader.name}`" in row for row in rows), f"no table of docs/{page} has {reader.name}"


def test_names_are_unique_and_an_unknown_one_is_refused() -> None:
    assert len({reader.name for reader in READERS}) == len(READERS)
    with pytest.raises(ArgumentError, match=r"There is no data set 'ucf11'; did you mean 'ucf101'\?"):
        find_reader("ucf11")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("vggsound", "&split=tset", r"there is no split 'tset'; did you mean 'test'\?"),
        ("vggsound", "&split=val", "the split val holds no file; name another one"),
        ("vggsound", "&split=train&fold=1", "there is no fold '1'; there are none"),
        ("vggsound", "&splt=train", r"a data set has no option 'splt'; did you mean 'split'\?"),
        ("ucf101", "&split=train", r"its splits differ by fold; add fold=1\."),
        ("ucf101", "&split=train&fold=3", "there is no fold '3'; there are: 1, 2"),
        ("ucf101", "&fold=1", "fold is for a split; add split=train"),
    ],
)
def test_options_that_are_wrong(name: str, options: str, message: str, tmp_path: Path) -> None:
    write_sample(find_reader(name), tmp_path)
    with pytest.raises(ArgumentError, match=message):
        trained_on(f"{tmp_path}?dataset={name}{options}")


def test_a_video_listed_twice_is_one_item_with_its_last_label(tmp_path: Path) -> None:
    (tmp_path / "vggsound.csv").write_text(
        "-00_g-f_I2y,7,dog,train\n-01_g-f_I2y,8,rain,train\n-00_g-f_I2y,7,cat,train\n"
    )
    found = trained_on(f"{tmp_path}?dataset=vggsound")
    assert [(name, label) for name, _, label, _ in found] == [
        ("vggsound/-00_g-f_I2y_000007", "cat"),
        ("vggsound/-01_g-f_I2y_000008", "rain"),
    ]


def test_a_folder_without_the_option_is_a_folder_of_classes(tmp_path: Path) -> None:
    write_sample(find_reader("ucf101"), tmp_path)
    assert [name for name, *_ in trained_on(str(tmp_path))] == ["videos/YoYo/v_YoYo_g01_c01.avi"]


def test_a_line_of_a_list_may_name_a_data_set(tmp_path: Path) -> None:
    write_sample(find_reader("vggsound"), tmp_path / "VGG")
    (tmp_path / "mix.txt").write_text("VGG?dataset=vggsound&split=test\n")
    assert [name for name, *_ in trained_on(str(tmp_path / "mix.txt"))] == ["VGG/vggsound/-01_g-f_I2y_000008"]
