"""Makes cargo-cyclonedx's list the same for the same sources: sbom.py FILE FOLDER writes it to standard output.

FOLDER is where the sources lay; its path, the time of the run and the number of the document go.
"""

import datetime
import json
import os
import pathlib
import sys
import uuid

file, folder = sys.argv[1:]
text = pathlib.Path(file).read_text()
bom = json.loads(text.replace(f"path+file://{folder}", "path+file:///planhat-mcp").replace(folder, "/planhat-mcp"))
moment = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), datetime.timezone.utc)
bom["metadata"]["timestamp"] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
bom.pop("serialNumber", None)
body = json.dumps(bom, indent=2, sort_keys=True)
bom["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, body)}"
print(json.dumps(bom, indent=2, sort_keys=True))
