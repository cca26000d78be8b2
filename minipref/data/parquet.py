"""Preference data in Parquet files: each row is what a JSON line would be.

pyarrow reads them; it comes with the extra `parquet`. A few hundred rows are in memory at a time,
besides the page of each column that they stand in.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

MAGIC = b"PAR1"  # the first four bytes of every Parquet file
BATCH = 256  # rows


def is_parquet(file: IO[bytes]) -> bool:
    """Whether a file just opened holds Parquet; it stands at its beginning again afterwards."""
    found = file.read(len(MAGIC)) == MAGIC
    file.seek(0)
    return found


def rows(path: Path, file: IO[bytes]) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Numbered rows with the bytes read for them: the file's size, in proportion.

    A column that is empty in a row is left out of it, as a key is left out of a JSON line.

    Raises: ValueError for a damaged file; ImportError where pyarrow is missing.
    """
    try:
        from pyarrow import ArrowException, default_memory_pool
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise ImportError(
            f"{path} is a Parquet file, which pyarrow reads: pip install 'minipref[parquet]'"
        ) from None
    size = path.stat().st_size
    number = 0
    try:
        # Without pre_buffer and with a buffer, columns are streamed instead of loaded whole.
        table = ParquetFile(file, pre_buffer=False, buffer_size=1 << 20)
        for batch in table.iter_batches(BATCH, use_threads=False):
            for row in batch.to_pylist():
                number += 1
                line = {key: value for key, value in row.items() if value is not None}
                yield number, size * number // table.metadata.num_rows, line
    except (ArrowException, OSError, UnicodeDecodeError) as error:
        problem = str(error).splitlines()[0]
        raise ValueError(f"{path}, row {number + 1}: damaged Parquet data ({problem})") from None
    finally:
        default_memory_pool().release_unused()  # some 40 MB, which pyarrow would keep
