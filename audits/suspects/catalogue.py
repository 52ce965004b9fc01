"""Names of the architectures that a suspect may have, without importing torch.

timm names are read from timm's own source (every factory is a function under ``@register_model``), open_clip names
from the JSON files that it ships. Both are installed packages; nothing is looked up on a network.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_FACTORY = re.compile(r"^@register_model\s*\n(?:@.*\n)*def (\w+)\(", re.MULTILINE)
CIFAR_DEPTHS = (20, 32, 44, 56)


@dataclass(frozen=True)
class Architecture:
    """One choice of the architecture field."""

    name: str  # "timm:resnet18"
    input_size: int | None  # side that the architecture expects, where that is known without building it
    zero_shot: bool  # soft and hard labels through prompts are possible


def _package_folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"The package {package} is not installed.")
    return Path(next(iter(spec.submodule_search_locations)))


@cache
def timm_names() -> tuple[str, ...]:
    """Sorted names of all timm factories."""
    names: set[str] = set()
    for path in (_package_folder("timm") / "models").glob("*.py"):
        names.update(_FACTORY.findall(path.read_text(encoding="utf-8")))
    return tuple(sorted(names))


@cache
def _open_clip_configs() -> dict[str, dict[str, Any]]:
    folder = _package_folder("open_clip") / "model_configs"
    configs = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")}
    return {name: config for name, config in sorted(configs.items()) if "vision_cfg" in config}


def open_clip_names() -> tuple[str, ...]:
    """Sorted names of all open_clip configurations."""
    return tuple(_open_clip_configs())


def open_clip_config(name: str) -> dict[str, Any]:
    """A copy of the configuration that open_clip ships under ``name``; ``KeyError`` where there is none."""
    config: dict[str, Any] = json.loads(json.dumps(_open_clip_configs()[name]))
    return config


def reads_prompts(config: dict[str, Any]) -> bool:
    """Whether prompts can be read offline: the text tower and the tokenizer are open_clip's own, not a hub's."""
    text = config.get("text_cfg") or {}
    from_hub = text.get("hf_model_name") or text.get("hf_tokenizer_name")
    return bool(text) and not from_hub and "multimodal_cfg" not in config


@cache
def architectures() -> tuple[Architecture, ...]:
    """Every choice, the small families first."""
    small = [Architecture("onnx", None, False), Architecture("open_clip:custom", None, True)]
    small += [Architecture(f"cifar_resnet:{depth}", 32, False) for depth in CIFAR_DEPTHS]
    small += [Architecture("small_resnet:16", 32, False)]
    clip = [
        Architecture(f"open_clip:{name}", _side(config), reads_prompts(config))
        for name, config in _open_clip_configs().items()
    ]
    return (*small, *clip, *(Architecture(f"timm:{name}", None, False) for name in timm_names()))


def _side(config: dict[str, Any]) -> int | None:
    size = config["vision_cfg"].get("image_size", 224)
    return size if isinstance(size, int) else None


def search(text: str, limit: int = 30) -> list[Architecture]:
    """Architectures whose name holds every word of ``text`` (case-insensitive), shorter names first."""
    words = text.lower().replace(":", " ").split()
    found = [a for a in architectures() if all(word in a.name.lower() for word in words)]
    if words:
        found.sort(key=lambda a: (len(a.name), a.name))
    return found[:limit]
