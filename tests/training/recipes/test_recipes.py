from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from avfeat.errors import ArgumentError
from avfeat.training.augment import Composition
from avfeat.training.augment.compose import composition, load_composition, values_of
from avfeat.training.augment.compose import list_compositions as compositions
from avfeat.training.augment.registry import AUGMENTATIONS
from avfeat.training.augment.temporal import Fade, TimeMask
from avfeat.training.data import CacheSettings, Sampling
from avfeat.training.networks import PairSpec
from avfeat.training.objectives import OBJECTIVES
from avfeat.training.objectives.distillation import DistillationSettings
from avfeat.training.recipes import OptimizerSettings, ProbeSettings, Recipe, list_recipes, load_recipe
from avfeat.training.recipes.load import load_recipe_composition
from avfeat.training.trainer.journal import write_recipe

TINY = "encoders: {video: tiny_shift, audio: tiny_mel}\n"


BASE = """
encoders: {video: tiny_shift, audio: tiny_mel, size: 64}
augment: reference
objective: {settings: {simclr: {hidden: 16}, byol: {out: 16}}}
steps: 200
"""


@pytest.fixture(autouse=True)
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recipe whose settings are known, in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.yaml").write_text(BASE)


def file(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


# What is shipped


def test_the_four_that_were_promised_are_there() -> None:
    found = list_recipes()
    assert set(found) >= {"reference", "mini", "sampling-only", "smoke"}
    assert all(found.values())
    assert all("\n" not in text for text in found.values())


@pytest.mark.parametrize("name", list_recipes())
def test_shipped_recipes_go_round(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    assert recipe.description == list_recipes()[name]
    assert Recipe.from_values(recipe.to_values()) == recipe
    write_recipe(tmp_path, recipe)
    assert load_recipe(str(tmp_path / "recipe.yaml")) == recipe
    assert recipe.sampling.seconds == recipe.encoders.seconds and recipe.sampling.frames == recipe.encoders.frames


def test_every_objective_can_be_chosen_in_smoke() -> None:
    for name in OBJECTIVES:
        assert load_recipe("smoke", [f"objective.name={name}"]).objective.built(name).hidden == 512


def test_sampling_only_is_reference_without_its_lossy_temporal_augmentations() -> None:
    reference, baseline = load_recipe("reference"), load_recipe("sampling-only")
    lossy = [one for one in reference.augment.augmentations if one.family == "lossy coherent"]
    assert {type(one) for one in lossy} == {Fade, TimeMask}
    rest = tuple(one for one in reference.augment.augmentations if one not in lossy)
    same = replace(
        reference, description=baseline.description, augment=replace(reference.augment, augmentations=rest)
    )
    assert baseline == same


def test_a_recipe_says_what_its_cache_and_views_are() -> None:
    recipe = load_recipe(
        "base.yaml", ["encoders.seconds=1.5", "encoders.aspect=crop", "augment.sampling.jitter=0.2"]
    )
    assert recipe.cache == CacheSettings(fps=8, size=64, sample_rate=16_000, aspect="crop")
    assert recipe.sampling == Sampling(seconds=1.5, frames=12, spacing="decreasing", jitter=0.2)
    half = load_recipe("base.yaml", ["augment.sampling.jitter=0.2", "augment.strength=0.5"])
    assert half.sampling.jitter == pytest.approx(0.1)


@pytest.mark.parametrize("name", compositions())
def test_compositions_go_round(name: str) -> None:
    chosen = load_composition(name)
    assert composition(values_of(chosen)) == chosen
    every = Composition(tuple(kind() for kind in AUGMENTATIONS.values()), Sampling(speed=(0.5, 2)), 0.3)
    plain = yaml.safe_load(yaml.safe_dump(Recipe(PairSpec("tiny_shift", "tiny_mel"), augment=every).to_values()))[
        "augment"
    ]
    assert composition(plain) == every


# Extending


def test_a_recipe_extends_a_shipped_one(tmp_path: Path) -> None:
    path = file(tmp_path / "mine.yaml", "extends: smoke\nsteps: 7\nobjective: {settings: {simclr: {out: 16}}}\n")
    found, base = load_recipe(str(path)), load_recipe("smoke")
    settings = {**base.objective.settings, "simclr": {**base.objective.settings["simclr"], "out": 16}}
    assert found == replace(base, steps=7, objective=replace(base.objective, settings=settings))


def test_a_recipe_extends_its_neighbour(tmp_path: Path) -> None:
    file(tmp_path / "a" / "own.yaml", "augmentations: [grey]\n")
    file(tmp_path / "a" / "base.yaml", TINY + "augment: own.yaml\nseed: 5\n")
    path = file(tmp_path / "a" / "over.yaml", "extends: base.yaml\nsteps: 3\naugment: {strength: 0.5}\n")
    for name in (str(path), "a/over.yaml", "a/../a/over.yaml"):
        found = load_recipe(name)
        assert (found.seed, found.steps) == (5, 3)
        assert found.augment == composition({"augmentations": ["grey"], "strength": 0.5})
    above = file(tmp_path / "b" / "above.yaml", "extends: ../a/over.yaml\n")
    assert load_recipe(str(above)) == found
    apart = file(tmp_path / "b" / "apart.yaml", f"extends: {path}\naugment: clar\n")
    assert load_recipe(str(apart)).augment == load_composition("clar")


def test_circles_are_refused(tmp_path: Path) -> None:
    file(tmp_path / "a" / "one.yaml", "extends: ../a/two.yaml\n")
    file(tmp_path / "a" / "two.yaml", "extends: ../a/one.yaml\n")
    with pytest.raises(ArgumentError, match=r"one.yaml: extends itself, by way of .*one.yaml and .*two.yaml\."):
        load_recipe(str(tmp_path / "a" / "one.yaml"))
    # One with a shipped recipe's name extends that one, not itself.
    mine = file(tmp_path / "smoke.yaml", "extends: smoke\nseed: 9\n")
    assert load_recipe(str(mine)).seed == 9
    itself = file(tmp_path / "self.yaml", "extends: ./self.yaml\n")
    with pytest.raises(ArgumentError, match=r"extends itself"):
        load_recipe(str(itself))


# Changes by hand


@pytest.mark.parametrize(
    ("change", "get", "value"),
    [
        ("steps=9", lambda r: r.steps, 9),
        ("optimizer.lr=0.01", lambda r: r.optimizer.lr, 0.01),
        ("optimizer.lr=1e-3", lambda r: r.optimizer.lr, 0.001),
        ("optimizer.lr=1E+3", lambda r: r.optimizer.lr, 1000.0),
        ("optimizer.max_grad_norm=null", lambda r: r.optimizer.max_grad_norm, None),
        ("optimizer.max_grad_norm=", lambda r: r.optimizer.max_grad_norm, None),
        ("workers=0", lambda r: r.workers, 0),
        ("compile=true", lambda r: r.compile, True),
        ("description=a=b", lambda r: r.description, "a=b"),
        ("optimizer={name: sgd}", lambda r: r.optimizer, OptimizerSettings(name="sgd")),
        ("objective.settings.byol.hidden=8", lambda r: r.objective.settings["byol"]["hidden"], 8),
        ("objective.pairs={video_audio: 1}", lambda r: r.objective.pairs.video_audio, 1.0),
        ("augment=sampling-only", lambda r: r.augment, load_composition("sampling-only")),
        ("augment.strength=0.25", lambda r: r.augment.strength, 0.25),
        ("augment.augmentations.7.time_mask.p=0.125", lambda r: r.augment.augmentations[7].p, 0.125),
        # Written as a name alone.
        ("augment.augmentations.5.gain.p=0.5", lambda r: r.augment.augmentations[5].p, 0.5),
        ("augment.augmentations.0=reversal", lambda r: type(r.augment.augmentations[0]).__name__, "Reversal"),
        ("augment.augmentations=[fade]", lambda r: r.augment.augmentations, (Fade(),)),
        ("distillation.teacher=runs/large", lambda r: r.distillation, DistillationSettings("runs/large")),
        ("distillation={teacher: a, weight: 2}", lambda r: r.distillation, DistillationSettings("a", weight=2.0)),
        ("distillation=null", lambda r: r.distillation, None),
        (
            "distillation={teacher: {video: efficientnet_lite0}, scores: 0.1, loss: smooth_l1, frames: 3}",
            lambda r: r.distillation,
            DistillationSettings({"video": "efficientnet_lite0"}, scores=0.1, loss="smooth_l1", frames=3),
        ),
        ("encoders.init.video=default", lambda r: r.encoders.init, {"video": "default"}),
        ("augment.sampling.speed=[0.5, 2]", lambda r: r.augment.sampling.speed, (0.5, 2.0)),
    ],
)
def test_settings_are_changed_by_hand(change: str, get: Any, value: object) -> None:
    before = load_recipe("base.yaml").to_values()
    assert get(load_recipe("base.yaml", [change])) == value
    assert load_recipe("base.yaml").to_values() == before


def test_later_changes_win_and_build_on_earlier_ones(tmp_path: Path) -> None:
    file(tmp_path / "own.yaml", "augmentations: [grey, fade]\n")
    changes = ["augment=own.yaml", "augment.augmentations.1.fade.p=0.5", "seed=1", "seed=2"]
    found = load_recipe("base.yaml", changes)
    assert found.augment.augmentations[1] == Fade(p=0.5) and found.seed == 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("steps", "--set steps: must be key=value"),
        ("=3", "--set =3: must be key=value"),
        ("steps=[1", "--set steps=[1: the value is not YAML."),
        ("steps=2020-13-45", "the value is not YAML."),
        ("probe={every: 1, every: 2}", "the value is not YAML."),
        ("stesp=3", "base.yaml: there is no setting 'stesp'; did you mean 'steps'?"),
        ("optimiser.lr=3", "base.yaml: there is no setting 'optimiser'; did you mean 'optimizer'?"),
        ("optimizer.warmpu=3", "base.yaml.optimizer: there is no setting 'warmpu'; did you mean 'warmup'?"),
        ("objective.name=simcrl", "There is no objective 'simcrl'; did you mean 'simclr'?"),
        ("objective.settings.simcrl.out=8", "There is no objective 'simcrl'; did you mean 'simclr'?"),
        ("objective.settings.byol.hiden=8", "byol: there is no setting 'hiden'; did you mean 'hidden'?"),
        ("objective.pairs.video_vidoe=1", "there is no setting 'video_vidoe'; did you mean 'video_video'?"),
        ("encoders.sise=8", "base.yaml.encoders: there is no setting 'sise'; did you mean 'size'?"),
        ("encoders.init=imagenot", "'imagenot'"),
        ("shared.weigth=1", "base.yaml.shared: there is no setting 'weigth'; did you mean 'weight'?"),
        ("probe.evry=1", "base.yaml.probe: there is no setting 'evry'; did you mean 'every'?"),
        ("augment=referenc", "There is no composition 'referenc'; did you mean 'reference'?"),
        ("augment.stength=1", "base.yaml.augment: there is no setting 'stength'; did you mean 'strength'?"),
        ("augment.sampling.jiter=0", "augment.sampling: there is no setting 'jiter'; did you mean 'jitter'?"),
        ("augment.augmentations.6.fade.q=1", "base.yaml.augment.augmentations[6]: fade: there is no setting 'q'"),
        ("augment.augmentations.0.flup.p=1", "must be one name, or name: settings"),
        ("augment.augmentations.8.fade.p=1", "fade.p=1: '8' is not a number from 0 to 7"),
        ("augment.augmentations.fade.p=1", "'fade' is not a number from 0 to 7"),
        ("augment=3", "augment must be a composition's name, file or settings, not 3."),
        ("steps.more=1", "base.yaml: steps must be a whole number from 1 on, not {'more': 1}."),
        ("steps=many", "base.yaml: steps must be a whole number from 1 on, not 'many'."),
        ("steps=0", "base.yaml: steps must be a whole number from 1 on, not 0."),
        ("steps=2.5", "base.yaml: steps must be a whole number from 1 on, not 2.5."),
        ("compile=1", "base.yaml: compile must be true or false, not 1."),
        ("batch_size=1", "batch_size must be 2 clips a pass or more, not 1."),
        ("grad_accumulation_steps=3", "batch_size must be divisible by grad_accumulation_steps, not 64."),
        ("required_streams=all", "base.yaml: required_streams must be one of "),
        ("seed=-1", "seed must be a whole number from 0 to 9223372036854775807, not -1."),
        ("workers=-1", "workers must be a whole number from 0 on, or null, not -1."),
        ("optimizer.lr=0", "base.yaml.optimizer: lr must be a number above 0, not 0."),
        ("optimizer.lr=.inf", "base.yaml.optimizer: lr must be a number above 0, not inf."),
        ("optimizer.warmup=2", "warmup must be a number from 0 to 1, not 2."),
        ("optimizer.max_grad_norm=0", "max_grad_norm must be a number above 0, or null, not 0."),
        ("optimizer.momentum=1", "momentum must be a number from 0 to below 1, not 1."),
        ("optimizer.name=adam", ".optimizer: name must be one of adamw, sgd, lars, not 'adam'; did you"),
        ("distillation.techer=a", "base.yaml.distillation: there is no setting 'techer'; did you mean 'teacher'?"),
        ("distillation.weight=1", "base.yaml.distillation: teacher is missing."),
        ("distillation={teacher: a, weight: 0}", "base.yaml.distillation: weight must be above 0; "),
        ("distillation.teacher=3", "base.yaml.distillation: teacher must be text or settings (name: value),"),
        ("distillation.teacher.sound=a", "base.yaml.distillation: teacher is for video and audio, not 'sound';"),
        ("distillation={teacher: a, loss: l2}", "base.yaml.distillation: loss must be one of cosine, smooth_l1,"),
        ("distillation=runs/large", "base.yaml.distillation: must be settings (name: value), not 'runs/large'."),
        ("shared.temperature=0", "temperature must be a number above 0, not 0."),
        ("shared.weight=-1", "weight must be a number from 0 on, not -1."),
        ("probe.windows=0", "base.yaml.probe: windows must be a whole number from 1 on, not 0."),
        ("probe.every=-1", "every must be a whole number from 0 on, not -1."),
        ("augment.sampling.seconds=3", "sampling.seconds is 3.0, but the encoders take 2.0; set encoders.seconds"),
        ("augment.sampling.frames=4", "sampling.frames is 4, but the encoders take 16; set encoders.seconds"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_sentence(change: str, says: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        load_recipe("base.yaml", [change])
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_windows_that_disagree_are_refused_even_at_the_defaults() -> None:
    """A view of 2 s is the sampling's default; one who asks for it is not passed over."""
    with pytest.raises(ArgumentError, match=r"augment.sampling.seconds is 2.0, but the encoders take 1.0"):
        load_recipe("base.yaml", ["encoders.seconds=1.0", "augment.sampling.seconds=2.0"])
    with pytest.raises(ArgumentError, match=r"augment.sampling.frames is 16, but the encoders take 8"):
        load_recipe("base.yaml", ["encoders.seconds=1.0", "augment.sampling.frames=16"])
    assert load_recipe("base.yaml", ["augment.sampling.seconds=2.0"]) == load_recipe("base.yaml")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("steps: 3\n", "encoders is missing"),
        ("- 1\n", "must be settings"),
        ("", "must be settings"),
        (TINY + "extends: [smoke]\n", "extends must be the name of a recipe"),
        (TINY + "extends: smok\n", "There is no recipe 'smok'; did you mean 'smoke'?"),
        (TINY + "extends: gone.yaml\n", "gone.yaml: cannot be read"),
        (TINY + "augment: gone.yaml\n", "gone.yaml: cannot be read"),
        (TINY + "steps: 1\nsteps: 2\n", "'steps' occurs twice"),
        ("encoders: {video: tiny_shift, audio: tiny_mel, fps: 3, seconds: 0.5}\n", "a whole number of frames"),
        ("encoders: tiny\n", "encoders: must be settings"),
    ],
)
def test_files_that_are_no_recipes(tmp_path: Path, text: str, says: str) -> None:
    path = file(tmp_path / "mine.yaml", text)
    with pytest.raises(ArgumentError) as caught:
        load_recipe(str(path))
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_names_that_are_not_there() -> None:
    with pytest.raises(ArgumentError, match=r"There is no recipe 'smokey'; did you mean 'smoke'\?"):
        load_recipe("smokey")
    with pytest.raises(ArgumentError, match=r"gone.yaml: cannot be read \(No such file"):
        load_recipe("gone.yaml")


def test_settings_made_in_python_are_checked_too() -> None:
    with pytest.raises(ArgumentError, match="windows must be a whole number from 1 on"):
        ProbeSettings(windows=0)
    spec = PairSpec("tiny_shift", "tiny_mel")
    with pytest.raises(ArgumentError, match="log_every must be a whole number from 1 on"):
        Recipe(spec, log_every=0)
    with pytest.raises(ArgumentError, match=r"but the encoders take 2\.0"):
        Recipe(spec, augment=Composition(sampling=Sampling(seconds=1.0)))


def test_networks_are_looked_up_before_any_data_is_read() -> None:
    with pytest.raises(ArgumentError, match=r"no video network 'r3d'; did you mean"):
        load_recipe("smoke", ["encoders.video=r3d"])
    with pytest.raises(ArgumentError, match="'s3d' needs 5 frames"):
        load_recipe("smoke", ["encoders.video=s3d", "encoders.seconds=0.25"])


def test_settings_of_a_teacher_that_came_later_are_left_out_at_their_default() -> None:
    """So that what was begun before there were any goes on."""
    values: dict[str, Any] = {"encoders": {"video": "tiny_shift", "audio": "tiny_mel"}}
    before = Recipe.from_values(values | {"distillation": {"teacher": "runs/large"}})
    assert before.to_values()["distillation"] == {"teacher": "runs/large", "weight": 10.0, "hidden": 2048}
    settings = {"teacher": {"audio": "mn04_as"}, "scores": 0.5, "loss": "smooth_l1", "frames": 4}
    after = Recipe.from_values(values | {"distillation": settings})
    assert after.to_values()["distillation"] == {"weight": 10.0, "hidden": 2048} | settings
    assert Recipe.from_values(after.to_values()) == after


@pytest.mark.parametrize("name", ["smoke", "reference"])
def test_the_composition_of_a_recipe(name: str, recwarn: pytest.WarningsRecorder) -> None:
    assert load_recipe_composition(name) == load_recipe(name).augment
    assert not recwarn.list


def test_a_composition_in_place_of_a_recipe_still_works(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("strength: 0.5\naugmentations: [flip]\n")
    for name in ("clar", str(path)):
        with pytest.warns(DeprecationWarning, match="a composition is named by --composition now"):
            assert load_recipe_composition(name) == load_composition(name)
    path.write_text("extends: smoke\naugment: clar\n")
    assert load_recipe_composition(str(path)).augmentations == load_composition("clar").augmentations
