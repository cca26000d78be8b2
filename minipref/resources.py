"""Where the files that are not Python stand, and where new ones may be written.

Kernels, datasets, base policies, stored results and notebooks lie at the root of a checkout and,
once installed from a wheel, inside the package. Nothing else in minipref needs to know which. The
installation is never written to: whatever is computed or cached goes to ``cache_dir()``.
"""

from __future__ import annotations

import difflib
import os
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
INSTALLED = PACKAGE / "_data"
ROOT = INSTALLED if INSTALLED.is_dir() else PACKAGE.parent


def resource(name: str) -> Path:
    """The path of a shipped file or folder: ``resource("datasets/bases/NAME.safetensors")``.

    Raises:
        ValueError: ``name`` is absolute or climbs out with ``..``.
        FileNotFoundError: there is none of that name; the message gives the nearest ones.
    """
    relative = Path(name)
    if relative.is_absolute() or ".." in relative.parts:
        raise ValueError(f"name: expected a path such as 'datasets/bases', got {name!r}")
    path = ROOT / relative
    if path.exists():
        return path
    folder = next(parent for parent in path.parents if parent.is_dir())
    missing = path.relative_to(folder).parts[0]
    near = difflib.get_close_matches(missing, sorted(os.listdir(folder)), n=3)
    hint = f" (did you mean {', '.join(near)}?)" if near else ""
    raise FileNotFoundError(f"minipref ships no {name!r}{hint}")


def cache_dir() -> Path:
    """The folder for what is computed once and kept, made if need be.

    ``MINIPREF_CACHE`` names it; otherwise it is the user's own cache folder.

    Raises:
        OSError: it cannot be made; the message says how to choose another.
    """
    path = Path(os.environ.get("MINIPREF_CACHE") or user_cache(sys.platform)).expanduser()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"cannot make the cache folder {path} ({error.strerror}); "
            "set MINIPREF_CACHE to a folder that can be written to"
        ) from error
    return path


def user_cache(platform: str) -> str:
    """Where this operating system wants an application's cache."""
    if platform == "win32":
        return os.path.join(
            os.environ.get("LOCALAPPDATA") or "~/AppData/Local", "minipref", "Cache"
        )
    if platform == "darwin":
        return "~/Library/Caches/minipref"
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "minipref")
