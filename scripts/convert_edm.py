"""Turn one of EDM's pickled networks into safetensors that `its.model.edm` loads.

    python scripts/convert_edm.py edm-cifar10-32x32-uncond-vp.pkl --sha256 <hash of the published file>
    python scripts/convert_edm.py edm-imagenet-64x64-cond-adm.pkl --sha256 <hash of the published file>

NVIDIA's pickles carry source code that unpickling would run. This reads them without running any of it: every object
of theirs becomes a plain record, and only names on a short list are resolved. Before that the file must have the sha256
that you give. We know of no published list of these hashes and ship none: fetch the file over https from
https://nvlabs-fi-cdn.nvidia.com/edm/pretrained/ once, take its hash with `sha256sum`, and give it everywhere else.
"""

from __future__ import annotations

import io
import json
import pickle
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors.torch import save_file

from its.model.inert_pickle import Record, state_dict
from its.process.command import Parser, command

CONFIG = (
    "img_resolution",
    "img_channels",
    "label_dim",
    "sigma_data",
    "model_type",
    "model_channels",
    "channel_mult",
    "num_blocks",
    "attn_resolutions",
    "embedding_type",
    "encoder_type",
    "decoder_type",
    "channel_mult_noise",
    "resample_filter",
)
"""Arguments of EDM's constructors that decide the network."""

OF_DHARIWAL = ("channel_mult_emb",)
"""Those of its ADM network alone."""


def record_of(meta: dict[str, Any]) -> Record:
    """Read the state of an object of EDM's persistence; its source is not run."""
    record = Record()
    record.update(meta.get("state") or {})
    record[CLASS] = meta.get("class_name")
    return record


def tensors_of(data: bytes) -> Any:
    """Read a tensor's storage by torch's restricted reader."""
    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


CLASS = "class_name"
"""Key of an object's class in its record."""

IGNORED = {"augment_dim", "dropout", "label_dropout", "sigma_min", "sigma_max", "use_fp16", CLASS}
"""Arguments of EDM's constructors that decide nothing of a float32 evaluation."""


class Reader(pickle.Unpickler):
    """Resolves tensors, plain containers and EDM's persistent objects; whatever else is named is refused."""

    allowed: ClassVar[dict[str, Callable[..., Any]]] = {
        "torch_utils.persistence._reconstruct_persistent_obj": record_of,
        "dnnlib.util.EasyDict": Record,
        "collections.OrderedDict": OrderedDict,
        "builtins.set": set,
        "torch._utils._rebuild_tensor_v2": torch._utils._rebuild_tensor_v2,
        "torch._utils._rebuild_parameter": lambda data, *_: data,
        "torch.storage._load_from_bytes": tensors_of,
    }

    def find_class(self, module: str, name: str) -> Any:
        if (maker := self.allowed.get(f"{module}.{name}")) is not None:
            return maker
        if module.partition(".")[0] in ("numpy", "torch"):
            return Record
        raise pickle.UnpicklingError(f"it names {module}.{name}, which no network of EDM needs; it is not opened")


def convert(source: Path, expected: str, target: Path) -> dict[str, Any]:
    """Check, read and rewrite one file; return the network's configuration.

    Raises:
        ValueError: the hash differs, or the file is not an EDM network.
    """
    # Check the file.
    data = source.read_bytes()
    digest = sha256(data).hexdigest()
    if digest != expected.lower():
        raise ValueError(f"{source} has sha256 {digest}, not {expected}; fetch the published file again")

    # Read the network.
    try:
        network = Reader(io.BytesIO(data)).load()["ema"]
        arguments = {**network, **network["_init_kwargs"]}
        model = network["_modules"]["model"]
    except (pickle.UnpicklingError, KeyError, TypeError) as error:
        raise ValueError(f"{source} is not one of EDM's networks: {error}") from error

    # Refuse another preconditioning, and arguments that are not known.
    known = (*CONFIG, *OF_DHARIWAL) if arguments.get("model_type") == "DhariwalUNet" else CONFIG
    if network.get(CLASS) != "EDMPrecond":
        raise ValueError(
            f"{source} holds a {network.get(CLASS)}, and only EDMPrecond is read here; take one of EDM's own networks "
            "(edm-*.pkl), not of its baselines"
        )
    if unknown := network["_init_kwargs"].keys() - {*known, *IGNORED}:
        raise ValueError(f"{source} was made with {', '.join(sorted(unknown))}, which is not known here; take another")

    # Write its tensors, and its configuration into the header.
    config = {key: arguments[key] for key in known if key in arguments}
    if arguments.get("label_dropout"):  # without it no row was trained without its class, so that none can be guided
        config["label_dropout"] = arguments["label_dropout"]
    tensors = {name: value for name, value in state_dict(model).items() if not name.startswith("map_augment.")}
    save_file(tensors, target, {"edm": json.dumps(config), "source": f"{source.name} sha256 {digest}"})
    return config


@command
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("--sha256", required=True, help="of the published file")
    parser.add_argument("--target", type=Path, help="default: beside the source, .safetensors")
    options = parser.parse_args()
    target = options.target or options.source.with_suffix(".safetensors")
    if target.exists():
        raise ValueError(f"{target} is there already; name another --target")
    config = convert(options.source, options.sha256, target)
    print(f"{target}: {config}")


if __name__ == "__main__":
    main()
