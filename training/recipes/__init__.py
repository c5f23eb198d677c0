"""Recipes: all that a training is, in small YAML files over one typed schema."""

from avfeat.training.recipes.load import list_recipes, load_recipe
from avfeat.training.recipes.recipe import ObjectiveChoice, OptimizerSettings, ProbeSettings, Recipe

__all__ = ["ObjectiveChoice", "OptimizerSettings", "ProbeSettings", "Recipe", "list_recipes", "load_recipe"]
