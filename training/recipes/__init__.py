"""Recipes: all that a training is, in small YAML files over one typed schema."""

from avfeat.training.recipes.load import load_recipe, shipped
from avfeat.training.recipes.recipe import ObjectiveChoice, OptimizerSettings, ProbeSettings, Recipe

__all__ = ["ObjectiveChoice", "OptimizerSettings", "ProbeSettings", "Recipe", "load_recipe", "shipped"]
