"""A pipeline as diffusers saves it, taken apart by an allow-list: folders, text encoders and network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from inspect import signature
from pathlib import Path
from typing import Any

import torch

from its.model.attention import set_attention
from its.model.checkpoint import fit, read
from its.model.config_file import EMA, METADATA, ConfigFile
from its.model.diffusers_network import configured, pretrained
from its.model.prompted import Places
from its.model.text_cache import Encode, Text, TextCache
from its.model.transformers_network import load_network, loaded
from its.model.vae import OTHER, advice
from its.parameters import fits
from its.process.source_files import digest_of
from its.weights import Dtype, fingerprint, locate
from its.weights.hub import NOT_LOADED

UNUSED: Mapping[str, Any] = dict.fromkeys(NOT_LOADED, Any) | {
    "requires_safety_checker": bool,
    "add_watermarker": bool | None,
}
"""Parts and entries of a pipeline that make no latents: they look at images, finished or given."""

TOKENIZERS = {
    "CLIPTokenizer": ("CLIPTokenizer", "CLIPTokenizerFast"),
    "T5Tokenizer": ("T5Tokenizer", "T5TokenizerFast"),
    "Qwen2Tokenizer": ("Qwen2Tokenizer", "Qwen2TokenizerFast"),
    "GemmaTokenizer": ("GemmaTokenizer", "GemmaTokenizerFast"),
}
"""Classes of tokenizers by the one that reads their files."""

NUMBERS = float | Sequence[Any]
"""What an entry of a network is that is a number by default: one, or one for each block."""

ENCODING = ("diffusers", "transformers", "tokenizers")
"""Packages that make encodings of texts."""

WHOLE = (("tokenizer.json",), ("vocab.json", "merges.txt"), ("spiece.model",))
"""Files of which a tokenizer is made, either; the libraries make an empty one where all are missing."""


@dataclass(frozen=True)
class Family:
    """A class of pipelines, and what its parts are.

    Attributes:
        pipeline: name of diffusers' class, whose own `encode_prompt` turns text into tensors.
        network: the part that is its network, and the names of the class, of which the first is today's.
        encoders: transformers' classes of text encoders, and of the tokenizer of each, by part.
        vae: diffusers' class of the decoder. resolutions: entry of its configuration that lists one for each.
        call: entries of the network's configuration that decide how it is called, and what they may be.
        shifted: its decoder adds the VAE's shift_factor; other pipelines never read it.
        entries: of the pipeline itself.
    """

    pipeline: str
    network: tuple[str, ...]
    encoders: Mapping[str, tuple[str, str]]
    call: Mapping[str, Any]
    vae: str = "AutoencoderKL"
    resolutions: str = "block_out_channels"
    shifted: bool = False
    entries: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Pipeline:
    """A folder that holds a pipeline of a family.

    Attributes:
        index: its `model_index.json`.
        weights: its name, for messages.
    """

    family: Family
    folder: Path
    index: ConfigFile
    weights: str

    @classmethod
    def of(cls, weights: str, family: Family, variant: str | None = None) -> Pipeline:
        """Find a pipeline, and refuse another one, or one with parts that are not known.

        Args:
            variant: of its weights, where it comes from the hub.

        Raises:
            ValueError: naming the entry.
        """
        remedy = f"choose a pipeline of {family.pipeline}, or the model that takes this one"
        folder = locate(weights, variant)
        if not folder.is_dir():
            raise ValueError(f"{weights} is a file, and a pipeline of diffusers is a folder; {remedy}")
        index = ConfigFile.read(folder / "model_index.json", remedy)
        if index.needed("_class_name") != family.pipeline:
            raise index.refusal("_class_name", f"here it is {family.pipeline}")
        parts: dict[str, tuple[str, ...]] = {family.network[0]: family.network[1:], "vae": (family.vae,)}
        for part, (encoder, tokenizer) in family.encoders.items():
            parts[part] = (encoder,)
            parts[part.replace("text_encoder", "tokenizer")] = TOKENIZERS[tokenizer]
        known = {**METADATA, **UNUSED, **family.entries, **dict.fromkeys(parts, Sequence[str])}
        index.require({**known, "scheduler": Sequence[str]})
        for part, classes in parts.items():
            if index.needed(part)[-1] not in classes:
                raise index.refusal(part, f"here it is {' or '.join(classes)}")
        pipeline = cls(family, folder, index, weights)
        stated = ConfigFile.read(pipeline.scheduler, remedy).needed("_class_name")
        if [*index.needed("scheduler")][-1:] != [stated]:
            raise index.refusal("scheduler", f"{pipeline.scheduler} is of {stated}", "write the right class in both")
        return pipeline

    @property
    def scheduler(self) -> Path:
        """Return the file of its scheduler."""
        return self.folder / "scheduler" / "scheduler_config.json"

    def side(self, size: int, patch: int = 1) -> int:
        """Return the side of the latents of images of a side.

        Args:
            patch: latents along a side that the network takes as one.

        Raises:
            ValueError: it is no multiple of what one of them stands for.
        """
        file = ConfigFile.read(self.folder / "vae" / "config.json", OTHER)
        if not fits(blocks := file.needed(self.family.resolutions), Sequence[int]):
            raise file.refusal(self.family.resolutions, "it lists channels")
        halvings = len(blocks) - 1
        multiple = patch * 2**halvings
        if size < multiple or size % multiple:
            raise ValueError(
                f"model.size is {size}; {self.weights} makes images whose side is a multiple of {multiple}: set "
                f"model.size={max(1, round(size / multiple)) * multiple}"
            )
        return size // 2**halvings

    def check_vae(self, dtype: Dtype) -> None:
        """Refuse float16 for a decoder that overflows in it, as its own configuration says, and a shift of others.

        Raises:
            ValueError: naming the types that it takes, or the shift.
        """
        file = ConfigFile.read(self.folder / "vae" / "config.json", OTHER)
        if (file.get("shift_factor", None) is not None) is not self.family.shifted:
            reads = "adds one" if self.family.shifted else "reads none"
            raise file.refusal("shift_factor", f"{self.family.pipeline} {reads}")
        if dtype == "float16" and file.get("force_upcast", False):
            raise file.refusal("force_upcast", "so it overflows in float16", "set model.vae_dtype=float32, or bfloat16")

    def network_config(self) -> ConfigFile:
        """Read the network's configuration.

        Raises:
            ValueError: an entry is none of its class's parameters, or makes it be called in another way.
        """
        part, *kinds = self.family.network
        file = ConfigFile.read(self.folder / part / "config.json", self.index.remedy)
        if file.needed("_class_name") not in kinds:
            raise file.refusal("_class_name", f"here it is {' or '.join(kinds)}")
        declared = list(signature(self._of_diffusers(kinds[0]).__init__).parameters.items())[1:]
        own = {name: NUMBERS if type(each.default) in (int, float) else Any for name, each in declared}
        file.require({**METADATA, **EMA, **own, **self.family.call})
        return file

    def _of_diffusers(self, name: str) -> Any:
        """Return a class of diffusers.

        Raises:
            ValueError: the installed one has no such class.
        """
        import diffusers

        if not hasattr(diffusers, name):
            raise ValueError(
                f"{self.weights} needs diffusers' {name}, which the installed {diffusers.__version__} has not; in the "
                "folder of this code: .venv/bin/python -m pip install -c constraints.txt -e '.[text2image]'"
            )
        return getattr(diffusers, name)

    def network(self, key: str | None, dtype: Dtype, attention: str | None, other: str | None = None) -> Any:
        """Load the network, in a type, with exactly its tensors.

        Args:
            key: the variant of its weights; see `its.model.checkpoint.stored`.
            attention: name of diffusers' attention backend; None is torch's own.
            other: a state dict whose tensors take the place of its own.

        Raises:
            ValueError: its tensors do not fit, or there is no such backend for it here.
        """
        self.network_config()
        part, kind, *_ = self.family.network
        if other is None:
            network = pretrained(kind, self.folder / part, self.weights, key, advice, getattr(torch, dtype))
        else:
            network = configured(kind, self.folder / part)
            fit(network, read(other, None), other, f"it is no network of the sizes in {self.folder / part}")
            network.to(getattr(torch, dtype))
        set_attention(network, attention)
        return network.eval().requires_grad_(False)

    def texts(
        self,
        encode: Callable[..., Text],
        dtype: Dtype,
        places: Places,
        options: Mapping[str, Any],
        packages: Sequence[str] = (),
    ) -> TextCache:
        """Return the encodings of prompts by this pipeline's encoders, which are loaded where one is missing.

        Args:
            encode: what the family makes of a text, by a pipeline of diffusers that has the encoders alone.
            dtype: of the encoders.
            places: of the networks, which make room on the device for the encoders.
            options: keyword arguments of `encode`.
            packages: whose versions decide encodings too.
        """
        names = [*self.family.encoders, *(name.replace("text_encoder", "tokenizer") for name in self.family.encoders)]
        recipe = {
            "pipeline": self.family.pipeline,
            "content": {name: fingerprint(str((self.folder / name).absolute())) for name in names},
            "dtype": dtype,
            "device": places.device.type,
            "by": [digest_of(module) for module in (__name__, encode.__module__)],
            **{package: version(package) for package in (*ENCODING, *packages)},
            **options,
        }

        def encoders() -> Encode:
            places.clear()
            pipeline = self._encoding_half(getattr(torch, dtype), places.device)
            return lambda prompt: self._encoded(encode, pipeline, prompt, options)

        return TextCache(recipe, encoders, places.device)

    def _encoded(self, encode: Callable[..., Text], pipeline: Any, prompt: str, options: Mapping[str, Any]) -> Text:
        try:
            return encode(pipeline, prompt, **options)
        except (ArithmeticError, LookupError, ValueError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{self.weights} does not encode {prompt[:50]!r} ({' '.join(str(error).split())[:200]}); its "
                "tokenizers and text encoders do not fit: fetch the whole pipeline again, or choose another"
            ) from error

    def _encoding_half(self, dtype: torch.dtype, device: torch.device) -> Any:
        """Make a pipeline of diffusers' class that has text encoders and tokenizers, and nothing else."""
        kind = self._of_diffusers(self.family.pipeline)
        declared = list(signature(kind.__init__).parameters.items())[1:]
        parts: dict[str, Any] = {name: None for name, each in declared if each.default is each.empty}
        parts |= {name: False for name, _ in declared if name in ("requires_safety_checker", "add_watermarker")}
        for name, (encoder, tokenizer) in self.family.encoders.items():
            place = name.replace("text_encoder", "tokenizer")
            network = load_network(encoder, self.folder / name, f"{self.weights}/{name}", None, dtype=dtype)
            parts[name] = network.eval().requires_grad_(False).to(device)
            parts[place] = self._tokenizer(place, tokenizer)
        return kind(**parts)

    def _tokenizer(self, place: str, kind: str) -> Any:
        folder = self.folder / place
        if not any(all((folder / file).is_file() for file in files) for files in WHOLE):
            wanted = ", or ".join(" and ".join(files) for files in WHOLE)
            raise ValueError(
                f"{folder} has no {wanted}, of which a tokenizer is made; fetch the whole pipeline again: "
                "python scripts/prefetch.py"
            )
        return loaded(kind, folder, f"{self.weights}/{place}")
