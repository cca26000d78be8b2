"""Reading and writing preference data as JSON lines, plain or gzipped; reading it from Parquet.

    for pair in Reader("pairs.jsonl"): ...
    write("copy.jsonl.gz", Reader("pairs.jsonl"))

A file is read line by line in constant memory, and written beside its place and moved there in one
step. The formats are those of `formats.py`; a file's is recognised from its first good line.
"""

from __future__ import annotations

import difflib
import gzip
import json
import os
import tempfile
import warnings
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from .formats import FORMATS, BadField, Format, check_value, recognise
from .parquet import is_parquet, rows
from .records import Pair, Point, Ranking, Record


class BadLine(ValueError):
    """A line that is no record: which file, which line, which field, and what to do."""

    def __init__(self, path: Path, line: int, field: str | None, problem: str, todo: str) -> None:
        where = f"{path}, line {line}" + (f", field {field!r}" if field else "")
        super().__init__(f"{where}: {problem}; {todo}")
        self.path, self.line, self.field = path, line, field


class Reader:
    """The records of a file, in order; iterate as often as you like.

    Args:
        path: a JSONL file, plain or gzipped, or a Parquet file whose rows are such lines (told by
            its content, not by its name).
        format: a name from `FORMATS`, or None to recognise it from the first good line.
        skip_bad: leave bad lines out instead of stopping. They are counted in `skipped`, and the
            end of the file brings a warning that says how many there were and what was wrong.

    While it is read, `bytes_read` says how far: of `path`'s size on the disk, gzipped or not.

    Raises: BadLine, a ValueError, for the first bad line; FileNotFoundError.
    """

    def __init__(
        self, path: str | Path, *, format: str | None = None, skip_bad: bool = False
    ) -> None:
        self.path = Path(path)
        self.format = _format(format).name if format is not None else None
        self.skip_bad = skip_bad
        self.skipped = 0
        self.first_error: BadLine | None = None
        self.bytes_read = 0

    def __iter__(self) -> Iterator[Record]:
        format = _format(self.format) if self.format is not None else None
        self.skipped, self.first_error = 0, None
        number = 0
        for number, position, raw in _lines(self.path):
            self.bytes_read = position
            try:
                line = _parse(raw, first=number == 1)
                if line is None:
                    continue
                if format is None:
                    format = FORMATS[recognise(line)]
                    self.format = format.name
                record = _record(line, format)
            except BadField as error:
                self._skip(number, error)
                continue
            yield record
        if self.skipped:
            warnings.warn(
                f"{self.path}: skipped {self.skipped} bad of {number} lines; "
                f"the first: {self.first_error}",
                stacklevel=2,
            )

    def _skip(self, number: int, error: BadField) -> None:
        """Count a bad line, or stop at it."""
        todo = "correct the line, or skip bad lines (skip_bad=True, --skip-bad)"
        bad = BadLine(self.path, number, error.field or None, str(error), todo)
        if not self.skip_bad:
            raise bad from None
        self.skipped += 1
        self.first_error = self.first_error or bad


def write(path: str | Path, records: Iterable[Record], *, format: str | None = None) -> int:
    """Write records as JSON lines, all or nothing, and return how many.

    The format is that of the first record unless it is named. A name that ends in ``.gz`` is
    gzipped; the same records always give the same bytes.

    Raises: ValueError for a record that is not of the format or that JSON cannot hold; whatever
        `records` raises. The file is then as it was before.
    """
    path = Path(path)
    chosen = _format(format) if format is not None else None
    count = 0
    with replacing(path) as file:
        for count, record in enumerate(records, start=1):
            chosen = chosen or FORMATS[_format_of(record)]
            file.write(_line(record, chosen, count))
    return count


def _lines(path: Path) -> Iterator[tuple[int, int, bytes | dict[str, Any]]]:
    """Numbered lines, and how many bytes of the file were read for them.

    Of text, plain or gzipped, they come as bytes: an odd byte spoils one line alone. Of Parquet
    they are rows.
    """
    number = 0
    with open(path, "rb") as file:
        if is_parquet(file):
            yield from rows(path, file)
            return
        zipped = file.peek(2)[:2] == b"\x1f\x8b"
        lines: Any = gzip.GzipFile(fileobj=file) if zipped else file
        try:
            for number, raw in enumerate(lines, start=1):
                yield number, file.tell(), raw
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            todo = "fetch or compress the file again"
            raise BadLine(path, number + 1, None, f"damaged gzip data ({error})", todo) from None


def _parse(raw: bytes | dict[str, Any], first: bool) -> dict[str, Any] | None:
    """A line's object; None for an empty line."""
    if isinstance(raw, dict):
        for field, value in raw.items():
            check_value(field, value)
        return raw
    try:
        text = raw.decode("utf-8-sig" if first else "utf-8")
    except UnicodeDecodeError as error:
        problem = f"byte {error.start + 1} is not UTF-8 (0x{raw[error.start]:02x})"
        raise BadField("", problem) from None
    if not text.strip():
        return None
    try:
        line = json.loads(text, object_pairs_hook=_object)
        if isinstance(line, dict):
            for field, value in line.items():
                check_value(field, value)
    except RecursionError:
        raise BadField("", "is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise BadField("", f"is not JSON ({error.msg} at column {error.colno})") from None
    except BadField:
        raise
    except ValueError as error:  # an integer of thousands of digits
        raise BadField("", f"is not usable JSON ({error})") from None
    if not isinstance(line, dict):
        raise BadField("", f"expected an object {{...}}, got {type(line).__name__}")
    return line


def _object(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON lets a key come twice and Python keeps the last one: that would drop data."""
    found = dict(items)
    if len(found) < len(items):
        keys = [key for key, _ in items]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise BadField(twice, "comes more than once")
    return found


def _record(line: dict[str, Any], format: Format) -> Record:
    record = format.parse(line)
    meta = {key: value for key, value in line.items() if key not in format.fields}
    return replace(record, meta=meta)


def _line(record: Record, format: Format, number: int) -> bytes:
    kind = _format_of(record)
    if kind != format.name and (kind, format.name) != ("pairs", "hh"):
        raise ValueError(f"record {number} is of format {kind!r}, expected {format.name!r}")
    clash = sorted(set(record.meta) & set(format.fields))
    if clash:
        raise ValueError(f"record {number}: meta holds the format's own fields {clash}")
    try:
        line = format.unparse(record) | dict(record.meta)
        for field, value in line.items():
            check_value(field, value)
        if _record(line, format) != record:
            raise ValueError(f"record {number} would not read back the same as {format.name!r}")
        return json.dumps(line, ensure_ascii=False).encode() + b"\n"
    except BadField as error:
        raise ValueError(f"record {number}, field {error.field!r}: {error}") from None
    except TypeError as error:
        raise ValueError(f"record {number}: meta cannot be written as JSON ({error})") from None


def _format_of(record: Record) -> str:
    match record:
        case Pair():
            return "pairs" if isinstance(record.prompt, str) else "chat-pairs"
        case Point():
            return "points" if isinstance(record.prompt, str) else "chat-points"
        case Ranking():
            return "rankings"
    raise ValueError(f"records: expected Pair, Point or Ranking, got {type(record).__name__}")


def _format(name: str) -> Format:
    if name not in FORMATS:
        nearest = difflib.get_close_matches(name, FORMATS, n=1, cutoff=0.0)[0]
        raise ValueError(f"format: {name!r} is unknown, did you mean {nearest!r}? ({[*FORMATS]})")
    return FORMATS[name]


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to that takes `path`'s place when all went well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            if path.suffix == ".gz":
                with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as zipped:
                    yield zipped  # type: ignore[misc]
            else:
                yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp's own files are private
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _umask() -> int:
    """The process's mask; it can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
