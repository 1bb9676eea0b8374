"""Turn a checkpoint in torch's format into safetensors, whatever else its pickle holds.

    python scripts/convert_weights.py checkpoint.pt                     writes checkpoint.safetensors
    python scripts/convert_weights.py checkpoint.pt --key model         of several state dicts, the one below this key

Nothing of the pickle is run: tensors and dicts are read, and every other object in it (a script's arguments, a whole
network) stands as a record of its state. Of several state dicts the exponential moving average is taken.
"""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file

from its.model.inert_pickle import contents
from its.model.wrappers import chosen
from its.process.command import Parser, command


@command
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("--key", help="keys that lead to the state dict, joined by points")
    parser.add_argument("--target", type=Path, help="default: beside the source, .safetensors")
    options = parser.parse_args()
    target = options.target or options.source.with_suffix(".safetensors")
    if not options.source.is_file() or target.exists():
        raise ValueError(
            f"{options.source} is to become {target}; the first is a file, and the second is not there yet: "
            "name another source, or another --target"
        )

    # Tensors that share memory, or a part of it, are written each by itself.
    state = chosen(contents(options.source), options.key, str(options.source))
    save_file({name: value.detach().clone().contiguous() for name, value in state.items()}, target)
    print(f"{target}: {len(state)} tensors")


if __name__ == "__main__":
    main()
