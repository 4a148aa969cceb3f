"""Zips a folder so that the same files make the same zip: zip.py OUT PARENT FOLDER."""

import os
import pathlib
import sys
import time
import zipfile

out, parent, folder = sys.argv[1:]
moment = time.gmtime(int(os.environ["SOURCE_DATE_EPOCH"]))[:6]
with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
    for path in sorted((pathlib.Path(parent) / folder).rglob("*")):
        if path.is_file():
            entry = zipfile.ZipInfo(str(path.relative_to(parent)), moment)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (path.stat().st_mode & 0xFFFF) << 16
            archive.writestr(entry, path.read_bytes())
