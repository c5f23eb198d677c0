from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from avfeat.datasets import DatasetReader, LabelledFile, find_reader
from avfeat.errors import ArgumentError
from avfeat.evaluation import Dataset, DatasetError, Store, classify
from avfeat.evaluation.ave import BACKGROUND, check_videos
from avfeat.evaluation.readers import Columns, read_ave, read_dataset, read_kinetics_sounds, read_labelled
from avfeat.evaluation.readers.ave import second_labels
from avfeat.world.ave import write_ave

LINES = {
    "trainSet.txt": [
        "Dog, small (bark)&-abcdefghi-&good&2&5",
        "Cat&two_classes&good&0&10",
        "Dog, small (bark)&two_classes&good&0&3",
    ],
    "valSet.txt": ["Cat&bbbbbbbbbbb&good&0&10"],
    "testSet.txt": ["Dog, small (bark)&ccccccccccc&good&0&0", "Cat&ccccccccccC&good&9&10"],
}


def ave_texts(folder: Path, header: bool = True, lines: dict[str, list[str]] = LINES) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in lines.items():
        (folder / name).write_text("\n".join(rows) + "\n")
    first = ["Category&VideoID&Quality&StartTime&EndTime"] if header else []
    (folder / "Annotations.txt").write_text("\n".join([*first, *(row for rows in lines.values() for row in rows)]))
    return folder


def names(dataset: Dataset, places: tuple[int, ...]) -> list[str]:
    return [dataset.items[place].name for place in places]


@pytest.mark.parametrize("split", ["dedupe", "official"])
def test_the_real_text_files_of_ave(real_ave: Path, split: str) -> None:
    ave = read_ave(real_ave)
    assert len(ave.annotations) == 4143
    assert len(ave.videos) == 4097
    assert ave.counts("official") == {"train": 3339, "val": 402, "test": 402}
    assert ave.counts("dedupe") == {"train": 3320, "val": 402, "test": 402}
    dataset = ave.dataset(split)
    assert len(dataset.classes) == 28
    labels: dict[str, set[str]] = {}
    for row in ave.annotations:
        labels.setdefault(row.id, set()).add(row.label)
    assert sum(len(found) > 1 for found in labels.values()) == 45
    ids = {part: {row.id for row in rows} for part, rows in ave.rows(split).items()}
    shared = (len(ids["train"] & ids["test"]), len(ids["train"] & ids["val"]), len(ids["val"] & ids["test"]))
    assert shared == ((8, 10, 0) if split == "official" else (0, 0, 0))
    assert len(ids["train"]) == (3312 if split == "official" else 3294)
    assert sum(row.id.startswith("-") for row in ave.annotations) == 1030
    assert [row.id for row in ave.annotations if row.start == row.end] == ["VWi2ENBuTbw"]
    if split == "official":
        fold = dataset.folds[0]
        shares = []
        for part in (fold.train, fold.val, fold.test):
            found = Counter(label for place in part for label in second_labels(dataset.items[place], BACKGROUND))
            shares.append(round(100 * found[BACKGROUND] / found.total(), 1))
        assert shares == [16.9, 18.2, 17.8]


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("texts", [".", "data", "AVE_Dataset"])
@pytest.mark.parametrize("videos", ["AVE", "AVE_video", "data", "."])
def test_layouts_that_users_have(header: bool, texts: str, videos: str, place, tmp_path: Path) -> None:
    folder = ave_texts(tmp_path / texts, header)
    (tmp_path / videos).mkdir(exist_ok=True)
    for number, base in enumerate((tmp_path, folder)):
        name = ("-abcdefghi-", "two_classes")[number]
        place(base / videos / f"{name}.mp4", 0)
    ave = read_ave(tmp_path)
    assert len(ave.annotations) == 6
    assert {name for name, path in ave.videos.items() if path.is_file()} == {"-abcdefghi-", "two_classes"}
    assert ave.videos["bbbbbbbbbbb"].name == "bbbbbbbbbbb.mp4"
    assert not ave.videos["ccccccccccC"].is_file()


def test_events_labels_and_folds_of_ave(tmp_path: Path) -> None:
    dataset = read_ave(ave_texts(tmp_path)).dataset("official")
    fold = dataset.folds[0]
    assert names(dataset, fold.train) == ["-abcdefghi-", "two_classes", "two_classes"]
    assert [dataset.items[place].label for place in fold.train][1:] == ["Cat", "Dog, small (bark)"]
    assert not fold.refit
    event, _, short, nothing, late = (
        second_labels(dataset.items[place], BACKGROUND) for place in (0, 1, 2, fold.test[0], fold.test[1])
    )
    dog = "Dog, small (bark)"
    assert event == (BACKGROUND,) * 2 + (dog,) * 3 + (BACKGROUND,) * 5
    assert short == (dog,) * 3 + (BACKGROUND,) * 7
    assert nothing == (BACKGROUND,) * 10
    assert late == (BACKGROUND,) * 9 + ("Cat",)


def test_dedupe_leaves_out_train_rows_of_evaluated_videos_only(tmp_path: Path) -> None:
    lines = {
        **LINES,
        "trainSet.txt": [*LINES["trainSet.txt"], "Cat&ccccccccccc&good&0&10", "Cat&bbbbbbbbbbB&good&0&1"],
    }
    ave = read_ave(ave_texts(tmp_path, lines=lines))
    assert ave.counts("official") == {"train": 5, "val": 1, "test": 2}
    assert [row.id for row in ave.rows("dedupe")["train"]] == [
        "-abcdefghi-",
        "two_classes",
        "two_classes",
        "bbbbbbbbbbB",
    ]
    assert ave.rows("dedupe")["test"] == ave.rows("official")["test"]


def test_a_made_world_is_read(tmp_path: Path) -> None:
    list(write_ave(tmp_path / "world", 2, workers=1))
    ave = read_ave(tmp_path / "world")
    assert ave.counts("dedupe") == {"train": 2, "val": 0, "test": 0}
    assert all(path.is_file() for path in ave.videos.values())


def test_no_video_of_ave_is_said_with_true_counts(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="none of the 5 videos of its 6 annotated rows is there"):
        check_videos(read_ave(ave_texts(tmp_path)))
    with pytest.raises(DatasetError, match=r"AVE: its Annotations\.txt has no row"):
        check_videos(read_ave(ave_texts(tmp_path / "empty", lines={name: [] for name in LINES})))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("trainSet.txt", None, "trainSet.txt: is missing"),
        ("testSet.txt", "Cat&ccc&good&0", "testSet.txt, line 1: not Category&VideoID&Quality&StartTime&EndTime"),
        ("testSet.txt", "Cat&ccc&good&0&ten", "testSet.txt, line 1: not"),
        ("valSet.txt", "Cat&unknown&good&0&10", "valSet.txt: names Cat of unknown"),
        (
            "valSet.txt",
            "Caf\udce9&a&good&0&10",
            "valSet.txt: cannot be read .it is not UTF-8 text.; check the file",
        ),
    ],
)
def test_text_files_that_are_wrong(tmp_path: Path, name: str, text: str | None, message: str) -> None:
    path = ave_texts(tmp_path) / name
    path.unlink()
    if text is not None:
        path.write_text(text, "utf-8", "surrogateescape")
    with pytest.raises(DatasetError, match=message):
        read_ave(tmp_path)


def test_folders_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such folder"):
        read_ave(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match=r"has no .*; name the folder that holds"):
        read_ave(tmp_path)


def test_esc50(place, store: Store, embedder, tmp_path: Path) -> None:
    rows = ["filename,fold,target,category,esc10,src_file,take"]
    for fold in range(1, 6):
        for kind, label in enumerate(("dog", "rain")):
            name = f"{fold}-10{fold}-A-{kind}.wav"
            rows.append(f"{name},{fold},{kind},{label},True,10{fold},A")
            place(tmp_path / "ESC-50-master" / "audio" / name, kind)
    (tmp_path / "ESC-50-master" / "meta").mkdir()
    (tmp_path / "ESC-50-master" / "meta" / "esc50.csv").write_text("\n".join(rows))
    dataset = read_dataset(find_reader("esc50"), tmp_path)
    assert len(dataset.items) == 10
    assert [fold.name for fold in dataset.folds] == ["1", "2", "3", "4", "5"]
    for fold in dataset.folds:
        chosen = str(int(fold.name) % 5 + 1)
        assert {name[0] for name in names(dataset, fold.test)} == {fold.name}
        assert {name[0] for name in names(dataset, fold.val)} == {chosen}
        assert len(fold.train) == 8
        assert set(fold.val) < set(fold.train)
    assert dataset.items[0].group == "101"
    result = classify(dataset, [embedder], store)
    assert result.used == 10
    audio = result.entries[0].scores["audio"]
    assert audio.accuracy == 1.0
    assert audio.folds == dict.fromkeys("12345", 1.0)
    assert result.entries[0].scores["video"].accuracy == 0.5, "there is nothing to see"


def test_ucf101(place, store: Store, embedder, tmp_path: Path) -> None:
    lists = tmp_path / "ucfTrainTestlist"
    lists.mkdir()
    videos = {}
    for kind, action in enumerate(("Archery", "YoYo")):
        for group in range(1, 8):
            name = f"{action}/v_{action}_g{group:02d}_c01.avi"
            videos[name] = group
            place(tmp_path / "UCF-101" / Path(name).with_suffix(".wav"), kind)
    for split, tested in (("1", (1, 2)), ("2", (3, 4))):
        train = [f"{name} {1 if name[0] == 'A' else 2}" for name, group in videos.items() if group not in tested]
        test = [name for name, group in videos.items() if group in tested]
        (lists / f"trainlist0{split}.txt").write_text("\r\n".join(train))
        (lists / f"testlist0{split}.txt").write_text("\r\n".join(test))
    dataset = read_dataset(find_reader("ucf101"), tmp_path)
    assert [fold.name for fold in dataset.folds] == ["1", "2"]
    assert [len(fold.train) for fold in dataset.folds] == [10, 10]
    assert {dataset.items[k].group for k in dataset.folds[0].val} == {"v_Archery_g03", "v_YoYo_g03"}
    assert all(item.file.is_file() for item in dataset.items)
    assert classify(dataset, [embedder], store).entries[0].scores["audio"].accuracy == 1.0
    (lists / "testlist02.txt").write_text("v_Archery_g01_c01.avi")
    with pytest.raises(DatasetError, match=r"testlist02.txt, line 1: not Class/file.avi"):
        read_dataset(find_reader("ucf101"), tmp_path)


def test_hmdb51(place, store: Store, embedder, tmp_path: Path) -> None:
    for kind, action in enumerate(("brush_hair", "wave")):
        lines = []
        for number in range(7):
            name = f"Film{number}_{action}_f_nm_np1_fr_med_{number}.avi"
            place(tmp_path / "hmdb51" / action / name, kind)
            lines.append(f"{name} {(1, 1, 1, 1, 2, 2, 0)[number]} ")
        (tmp_path / "testTrainMulti_7030_splits").mkdir(exist_ok=True)
        (tmp_path / "testTrainMulti_7030_splits" / f"{action}_test_split1.txt").write_text("\n".join(lines))
    dataset = read_dataset(find_reader("hmdb51"), tmp_path)
    (fold,) = dataset.folds
    assert (len(fold.train), len(fold.test)) == (8, 4), "and 0 is in neither"
    assert dataset.classes == ("brush_hair", "wave")
    assert {item.group for item in dataset.items} == {f"Film{number}" for number in range(6)}
    assert {dataset.items[k].group for k in fold.val} == {"Film0"}
    assert all(item.file.is_file() for item in dataset.items)
    assert classify(dataset, [embedder], store).entries[0].scores["audio"].accuracy == 1.0


def test_a_reader_that_names_no_splits_is_told(tmp_path: Path) -> None:
    reader = DatasetReader("own", "My clips", lambda root: [LabelledFile("a", root / "a.mp4", "dog", "a")], "")
    with pytest.raises(DatasetError, match="no file of My clips has a split"):
        read_dataset(reader, tmp_path)


@pytest.mark.parametrize("by_milliseconds", [False, True])
def test_vggsound(by_milliseconds: bool, place, store: Store, embedder, tmp_path: Path) -> None:
    rows = []
    for number in range(12):
        id_ = f"-{number:02d}_g-f_I2y"[:11]
        kind, start = number % 2, 7 * number
        label = ("dog barking, howling", "rain")[kind]
        name = f"{id_}_{start * 1000}_{start * 1000 + 10_000}" if by_milliseconds else f"{id_}_{start:06d}"
        place(tmp_path / "video" / f"{name}.mp4", kind)
        rows.append(f'{id_},{start},"{label}",{"test" if number > 8 else "train"}')
    (tmp_path / "vggsound.csv").write_text("\n".join(rows))
    dataset = read_dataset(find_reader("vggsound"), tmp_path)
    assert dataset.classes == ("dog barking, howling", "rain")
    assert all(item.file.is_file() for item in dataset.items)
    (fold,) = dataset.folds
    assert (len(fold.train), len(fold.val), len(fold.test)) == (9, 2, 3)
    assert classify(dataset, [embedder], store).entries[0].scores["audio"].accuracy == 1.0
    (tmp_path / "vggsound.csv").write_text("YouTube ID,start seconds,label,split\n")
    with pytest.raises(DatasetError, match=r"vggsound.csv, line 1: not id,start,label,train\|test"):
        read_dataset(find_reader("vggsound"), tmp_path)


def test_kinetics_sounds(place, store: Store, embedder, tmp_path: Path) -> None:
    stems = [f"-{number:010d}_000{number:03d}_000{number + 10:03d}" for number in range(14)]
    for number, stem in enumerate(stems):
        place(tmp_path / "videos" / str(number % 2) / f"{stem}.mp4", number % 2)
    lists = {}
    for part, taken in (("train", stems[:8]), ("val", stems[8:10]), ("test", stems[10:])):
        lists[part] = tmp_path / f"my_{part}.txt"
        lists[part].write_text("".join(f"{stem},10,{stems.index(stem) % 2}\n" for stem in taken))
    with_val = read_kinetics_sounds(tmp_path, lists["train"], lists["test"], lists["val"])
    fold = with_val.folds[0]
    assert (len(fold.train), len(fold.val), len(fold.test), fold.refit) == (8, 2, 4, False)
    assert classify(with_val, [embedder], store).entries[0].scores["audio"].accuracy == 1.0
    without = read_kinetics_sounds(tmp_path, lists["train"], lists["test"])
    fold = without.folds[0]
    assert (len(fold.train), len(fold.val), len(fold.test), fold.refit) == (8, 2, 4, True)
    assert set(fold.val) < set(fold.train)
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(DatasetError, match=r"empty.txt: lists no video"):
        read_kinetics_sounds(tmp_path, tmp_path / "empty.txt", lists["test"])


def test_a_folder_of_labelled_files(place, tmp_path: Path) -> None:
    for name in ("dog/a.wav", "dog/deep/b.wav", "rain/a.wav", "loose.wav", ".hidden/c.wav", "rain/notes.txt"):
        place(tmp_path / name, 0)
    dataset = read_labelled(tmp_path)
    found = [(item.name, item.label, item.group) for item in dataset.items]
    assert found == [
        ("dog/a.wav", "dog", "dog/a.wav"),
        ("dog/deep/b.wav", "dog", "dog/deep/b.wav"),
        ("rain/a.wav", "rain", "rain/a.wav"),
    ]
    with pytest.raises(ArgumentError, match="is a folder and has no columns"):
        read_labelled(tmp_path, Columns(label="class"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="holds no labelled file"):
        read_labelled(tmp_path / "empty")


def test_a_table_of_labelled_files(place, tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav", "-c.wav"):
        place(tmp_path / "clips" / name, 0)
    table = tmp_path / "clips.csv"
    table.write_text(
        "\ufefffile,label,class,source,note\n"
        'a.wav,poodle,"dog, small",me,x\n'
        "b.wav,,rain,,\n"
        "-c.wav,tabby,cat,me\n"
        "d.wav,poodle,dog,you,\n",
        encoding="utf-8",
    )
    by_class = read_labelled(table, Columns(label="class"))
    assert [(item.name, item.label, item.group) for item in by_class.items] == [
        ("a.wav", "dog, small", "me"),
        ("b.wav", "rain", "b.wav"),
        ("-c.wav", "cat", "me"),
        ("d.wav", "dog", "you"),
    ]
    assert [item.file.is_file() for item in by_class.items] == [True, True, True, False]
    assert [item.label for item in read_labelled(table).items] == ["poodle", "tabby", "poodle"]
    assert [item.group for item in read_labelled(table, Columns(group="note")).items] == ["x", "-c.wav", "d.wav"]
    for columns, message in (
        (Columns(label="clas"), "the CSV has no column 'clas'; did you mean 'class'"),
        (Columns(file="name"), "the CSV has no column 'name'"),
    ):
        with pytest.raises(ArgumentError, match=message):
            read_labelled(table, columns)
    table.write_text("a,b\n1,2\n")
    with pytest.raises(
        ArgumentError, match=r"no column file, .* found, 'a', 'b'; name the one with the file by the option 'file'"
    ):
        read_labelled(table)
    table.write_text("file,b\n1,2\n")
    with pytest.raises(
        ArgumentError, match=r"no column label, .*; name the one with the label by the option 'label'"
    ):
        read_labelled(table)
    with pytest.raises(DatasetError, match="no such file or folder"):
        read_labelled(tmp_path / "gone.csv")
