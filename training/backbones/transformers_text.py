"""The text towers of transformers' networks: CLIP and its kin, SigLIP, CLAP, PE-AV."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn
from transformers import AutoTokenizer

from avfeat.bundle import Modality
from avfeat.errors import ArgumentError
from avfeat.training.backbones.backbone import TextBackbone
from avfeat.training.backbones.loaded import readable
from avfeat.training.backbones.transformers_pe import PeText, pe_text_rows
from avfeat.training.data.sources.address import Address

_FILLED = ("siglip", "siglip2")
"""Networks that were trained on sentences which are padded to one length."""
_KNOWN = ("input_ids", "attention_mask")


def pair_text(name: str, address: Address, model: Any) -> TextBackbone:
    """The text tower of a pair, with its tokenizer; errors as of ``text_tower``."""
    # RoBERTa counts from behind the number of the padding on.
    taken = model.config.text_config.pad_token_id + 1 if model.config.model_type == "clap" else 0
    filled = model.config.model_type in _FILLED
    return text_tower(
        name,
        address,
        model,
        _Text(model),
        lambda given: model.get_text_features(**given).pooler_output,
        taken,
        filled,
    )


def pe_text(name: str, address: Address, model: Any, modality: Modality) -> TextBackbone:
    """The text tower of PE-AV with the head for video or for sound; errors as of ``text_tower``."""
    return text_tower(name, address, model, PeText(model, modality), pe_text_rows(model, modality))


def text_tower(
    name: str,
    address: Address,
    model: Any,
    network: nn.Module,
    rows: Callable[[Any], Tensor],
    taken: int = 0,
    filled: bool = False,
) -> TextBackbone:
    """A text tower with its tokenizer.

    Sentences are cut at the length that the network takes, and padded to the longest of their batch, or to that
    length for SigLIP, as the library's pipelines of zero-shot classification do.

    Args:
        name: of the folder or repository.
        address: as it was asked for.
        model: of the library.
        network: tokens to rows of length 1.
        rows: what the library's tokenizer gives to rows, by the library.
        taken: how many places for tokens are none.
        filled: whether sentences are padded to one length.

    Raises:
        ArgumentError: a repository without a tokenizer, or one that ``tokenizers`` does not have.
        WeightsError: it cannot be fetched or read.
    """
    with readable(address):
        tokenizer: Any = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    text = model.config.text_config
    _check(tokenizer, text, address)
    longest = min(int(tokenizer.model_max_length), int(text.max_position_embeddings) - taken)
    settings = {"padding": "max_length" if filled else True, "truncation": True, "max_length": longest}
    tokenizer([""], **settings)
    # By now it holds these settings itself.
    stored: str = tokenizer.backend_tokenizer.to_str()
    inputs = tuple(key for key in _KNOWN if key in tokenizer.model_input_names)

    def pipeline(texts: Sequence[str]) -> tuple[list[Tensor], Tensor]:
        given = tokenizer(list(texts), return_tensors="pt", **settings)
        return [given[key] for key in inputs], nn.functional.normalize(rows(given), dim=1)

    return TextBackbone(network.eval(), stored, inputs, longest, pipeline)


class _Text(nn.Module):
    """Tokens to the space that text shares with images or sound."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.text_model = model.text_model
        self.projection = getattr(model, "text_projection", nn.Identity())
        self.first = model.config.model_type == "chinese_clip"

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        found = self.text_model(input_ids=input_ids, attention_mask=attention_mask)
        pooled = found.last_hidden_state[:, 0] if self.first else found.pooler_output
        return nn.functional.normalize(self.projection(pooled), dim=1)


def _check(tokenizer: Any, text: Any, address: Address) -> None:
    left_out = "take --text none to leave text out"
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        kind = type(tokenizer).__name__
        raise ArgumentError(
            f"{address.text}: its tokenizer ({kind}) is none of the package tokenizers; {left_out}."
        )
    numbers = set(tokenizer.get_vocab().values())
    # Where there are no files, the library makes one of special tokens alone.
    if numbers <= set(tokenizer.all_special_ids):
        raise ArgumentError(f"{address.text}: has no tokenizer; add its tokenizer.json, or {left_out}.")
    if max(numbers) >= text.vocab_size:
        raise ArgumentError(
            f"{address.text}: its tokenizer has {max(numbers) + 1:,} tokens, its network {text.vocab_size:,}; "
            f"give the tokenizer that belongs to it, or {left_out}."
        )
